"""pylibmc, which is libmemcached underneath, with the text protocol."""

import sys

import checks
import pylibmc


class Adapter:
    delete_noreply = None

    def __init__(self, target):
        servers = [target.address]
        self.client = pylibmc.Client(servers, behaviors={"cas": True})
        self.silent = pylibmc.Client(servers, behaviors={"_noreply": True})

    def set(self, key, value, ttl=0):
        try:
            return self.client.set(key, value, time=ttl)
        except pylibmc.Error:
            return False

    def set_noreply(self, key, value):
        self.silent.set(key, value)
        self.silent.get(key)  # sent after it on the same connection

    def add(self, key, value):
        return self.client.add(key, value)

    def get(self, key):
        return self.client.get(key)

    def get_many(self, keys):
        return self.client.get_multi(keys)

    def gets(self, key):
        return self.client.gets(key)

    def cas(self, key, value, token):
        try:
            return self.client.cas(key, value, token)
        except pylibmc.Error:
            return False

    def incr(self, key, by):
        return self.client.incr(key, by)

    def decr(self, key, by):
        return self.client.decr(key, by)

    def touch(self, key, ttl):
        try:
            return self.client.touch(key, ttl)
        except pylibmc.NotFound:
            return False

    def delete(self, key):
        return self.client.delete(key)

    def set_number(self, key, number):
        return self.client.set(key, number)

    def get_number(self, key):
        return self.client.get(key)


if __name__ == "__main__":
    sys.exit(checks.main("pylibmc", Adapter))
