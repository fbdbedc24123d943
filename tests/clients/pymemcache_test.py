"""pymemcache, in its default setting: text protocol, no compression."""

import sys

import checks
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError


def to_bytes(_, value):
    """Flags 2 mark a number, as pymemcache's own serializer does."""
    if isinstance(value, int):
        return str(value).encode(), 2
    return value, 0


def from_bytes(_, value, flags):
    return int(value) if flags == 2 else value


class Serde:
    serialize = staticmethod(to_bytes)
    deserialize = staticmethod(from_bytes)


class Adapter:
    def __init__(self, target):
        self.client = Client((target.host, target.port), serde=Serde,
                             timeout=10, default_noreply=False)

    def set(self, key, value, ttl=0):
        try:
            return self.client.set(key, value, expire=ttl)
        except MemcacheError:
            return False

    def set_noreply(self, key, value):
        self.client.set(key, value, noreply=True)

    def add(self, key, value):
        return self.client.add(key, value)

    def get(self, key):
        return self.client.get(key)

    def get_many(self, keys):
        return self.client.get_many(keys)

    def gets(self, key):
        return self.client.gets(key)

    def cas(self, key, value, token):
        return self.client.cas(key, value, token)

    def incr(self, key, by):
        return self.client.incr(key, by)

    def decr(self, key, by):
        return self.client.decr(key, by)

    def touch(self, key, ttl):
        return self.client.touch(key, ttl)

    def delete(self, key):
        return self.client.delete(key)

    def delete_noreply(self, key):
        self.client.delete(key, noreply=True)

    def set_number(self, key, number):
        return self.client.set(key, number)

    def get_number(self, key):
        return self.client.get(key)


if __name__ == "__main__":
    sys.exit(checks.main("pymemcache", Adapter))
