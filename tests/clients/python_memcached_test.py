"""python-memcached, pure python; it sends numbers with flags of its own."""

import sys

import checks
import memcache

ROOM = 4 << 20  # let the server, not the library, refuse what is too large


class Adapter:
    def __init__(self, target):
        self.client = memcache.Client([target.address], socket_timeout=10,
                                      server_max_value_length=ROOM,
                                      cache_cas=True)

    def set(self, key, value, ttl=0):
        return bool(self.client.set(key, value, time=ttl))

    def set_noreply(self, key, value):
        self.client.set(key, value, noreply=True)

    def add(self, key, value):
        return bool(self.client.add(key, value))

    def get(self, key):
        return self.client.get(key)

    def get_many(self, keys):
        return self.client.get_multi(keys)

    def gets(self, key):
        value = self.client.gets(key)
        return value, self.client.cas_ids[key.encode()]

    def cas(self, key, value, token):
        self.client.cas_ids[key.encode()] = token
        return bool(self.client.cas(key, value))

    def incr(self, key, by):
        return self.client.incr(key, by)

    def decr(self, key, by):
        return self.client.decr(key, by)

    def touch(self, key, ttl):
        return bool(self.client.touch(key, ttl))

    def delete(self, key):
        found = self.client.get(key) is not None
        return bool(self.client.delete(key)) and found

    def delete_noreply(self, key):
        self.client.delete(key, noreply=True)

    def set_number(self, key, number):
        return self.client.set(key, number)

    def get_number(self, key):
        return self.client.get(key)


if __name__ == "__main__":
    sys.exit(checks.main("python-memcached", Adapter))
