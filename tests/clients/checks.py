"""checks.py -- what every client library must be able to do, written once.

A library is given as an adapter:

    set(key, value, ttl=0)     True if stored; False or any exception if not
    set_noreply(key, value)
    add(key, value)            True if stored
    get(key)                   bytes, or None
    get_many(keys)             {key: bytes}
    gets(key)                  (bytes, token)
    cas(key, value, token)     True if stored
    incr(key, n), decr(key, n) the new number
    touch(key, ttl)            True if touched
    delete(key)                True if deleted
    delete_noreply(key)        or None where the library has none
    set_number(key, n)         a number incr can count, with flags of the
    get_number(key)            library, which must come back with it
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import targets  # noqa: E402
from rawclient import Client  # noqa: E402
from tap import Skip, Tap, require, require_equal  # noqa: E402

LIMIT = 1 << 20
MULTI_COUNT = 100


def pattern(size):
    """Bytes in which a shift by one shows."""
    return bytes(i * 7 % 251 for i in range(min(size, 251))) * (
        size // 251 + 1)


def value_of(size):
    return pattern(size)[:size]


def stores_and_reads(lib, _):
    require(lib.set("plain", b"value"), "set failed")
    require_equal(lib.get("plain"), b"value", "get")
    require_equal(lib.get("never-set"), None, "get of a miss")


def reads_many(lib, target):
    keys = [f"many-{i}" for i in range(MULTI_COUNT)]
    for key in keys:
        require(lib.set(key, key.encode() * 3), f"set {key} failed")
    found = lib.get_many(keys + ["many-missing"])
    require_equal(sorted(found), sorted(keys), "keys found")
    for key in keys:
        require_equal(found[key], key.encode() * 3, key)
    for port in target.counted:
        with Client(f"127.0.0.1:{port}") as shard:
            held = int(shard.stats()["curr_items"])
        require(held > 10, f"a shard holds {held} of the keys: not spread")


def compares_and_swaps(lib, _):
    lib.set("cas", b"one")
    value, token = lib.gets("cas")
    require_equal(value, b"one", "gets")
    require(lib.cas("cas", b"two", token), "cas with a fresh token failed")
    require(not lib.cas("cas", b"three", token), "an old token stored")
    require_equal(lib.get("cas"), b"two", "get after cas")


def counts(lib, _):
    lib.set_number("count", 10)
    require_equal(lib.incr("count", 5), 15, "incr")
    require_equal(lib.decr("count", 7), 8, "decr")
    require_equal(lib.get_number("count"), 8, "get after incr and decr")


def touches(lib, _):
    lib.set("touch", b"x", ttl=1)
    require(lib.touch("touch", 100), "touch failed")
    require(not lib.touch("touch-missing", 100), "touched a missing key")
    time.sleep(2.2)
    require_equal(lib.get("touch"), b"x", "get after its first end")


def deletes(lib, _):
    lib.set("delete", b"x")
    require(lib.delete("delete"), "delete failed")
    require_equal(lib.get("delete"), None, "get after delete")
    require(lib.add("delete", b"y"), "add after delete failed")
    require(not lib.add("delete", b"z"), "a second add stored")


def keeps_silent(lib, _):
    lib.set_noreply("silent", b"quiet")
    require_equal(lib.get("silent"), b"quiet", "get after a silent set")
    if lib.delete_noreply is not None:
        lib.delete_noreply("silent")
        require_equal(lib.get("silent"), None, "get after a silent delete")
    require(lib.set("loud", b"x"), "out of step after noreply")


def takes_sizes(lib, _):
    for size in (0, 1, 100_000):
        value = value_of(size)
        require(lib.set(f"size-{size}", value), f"set of {size} bytes failed")
        require_equal(lib.get(f"size-{size}"), value, f"{size} bytes")


def takes_the_limit(lib, target):
    if target.name == "stock":
        raise Skip("memcached's limit counts the item header")
    value = value_of(LIMIT)
    require(lib.set("limit", value), "set of 1 MiB failed")
    require_equal(lib.get("limit"), value, "1 MiB")


def refuses_beyond_the_limit(lib, _):
    try:
        stored = lib.set("beyond", value_of(LIMIT + 1))
    except Exception as refusal:  # each library has its own
        print(f"# refused with {type(refusal).__name__}: {refusal}"[:200])
        stored = False
    require(not stored, "a value of 1 MiB and a byte was stored")
    require_equal(lib.get("beyond"), None, "get of what was refused")
    require(lib.set("after", b"x"), "out of step after a refusal")
    require_equal(lib.get("after"), b"x", "get after a refusal")


def keeps_types(lib, _):
    lib.set_number("typed", 42)
    lib.set("untyped", b"42")
    require_equal(lib.get_number("typed"), 42, "a number")
    require_equal(lib.get("untyped"), b"42", "bytes")


def expires(lib, _):
    lib.set("short", b"x", ttl=1)
    require_equal(lib.get("short"), b"x", "get at once")
    time.sleep(2.2)
    require_equal(lib.get("short"), None, "get after 2.2 s of a life of 1 s")


CHECKS = (stores_and_reads, reads_many, compares_and_swaps, counts, touches,
          deletes, keeps_silent, takes_sizes, takes_the_limit,
          refuses_beyond_the_limit, keeps_types, expires)


def main(library, connect):
    """connect(target) gives the adapter."""
    def run(tap, target, _):
        for check in CHECKS:
            name = check.__name__.replace("_", " ")
            with tap.case(f"{target.name}: {library} {name}"):
                check(connect(target), target)
    return targets.each(Tap(), run)
