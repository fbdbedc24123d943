"""The router in front of a memcached that misbehaves.

Whatever the backend sends, a client gets the right value, a miss or an error,
each in its turn, and never another request's answer; the router's memory stays
bounded; and when the backend behaves again, it is used again.
"""

import sys
import time

import context  # noqa: F401
from cluster import Cluster, wait_until
from fakes import FakeMemcached
from harness import flags
from rawclient import Client, Closed
from tap import Tap, require, require_equal

MIB = 1 << 20
GROWTH_MAX = 64 * MIB
ANSWER_WITHIN_S = 3
BACK_WITHIN_S = 5
ASKED_WITHIN_S = 10
ROUTER = ["--shard-timeout", "300ms", "--retry-max", "100ms"]
KEYS = [b"alpha", b"beta", b"gamma"]


def length_too_short(link, words):
    link.sendall(b"VALUE %s 0 3\r\n%s\r\nEND\r\n"
                 % (words[1], FakeMemcached.value_of(words[1])))


def length_too_long(link, words):
    link.sendall(b"VALUE %s 0 30\r\nshort\r\nEND\r\n" % words[1])


def length_negative(link, words):
    link.sendall(b"VALUE %s 0 -1\r\n\r\nEND\r\n" % words[1])


def length_of_2_to_64(link, words):
    link.sendall(b"VALUE %s 0 18446744073709551616\r\nxx\r\nEND\r\n"
                 % words[1])


def value_without_end(link, words):
    link.sendall(b"VALUE %s 0 1073741824\r\n" % words[1])
    for _ in range(4096):
        link.sendall(b"x" * 65536)


def line_without_end(link, _):
    for _ in range(1024):
        link.sendall(b"VALUE " + b"x" * 65536)


def another_key(link, _):
    link.sendall(FakeMemcached.answer_of(b"another") + b"END\r\n")


def next_keys_answer_first(link, _):
    link.sendall(FakeMemcached.answer_of(KEYS[1]) + b"END\r\n")


def answer_twice(link, words):
    link.sendall((FakeMemcached.answer_of(words[1]) + b"END\r\n") * 2)


def value_twice(link, words):
    link.sendall(FakeMemcached.answer_of(words[1]) * 2 + b"END\r\n")


def no_end(link, words):
    link.sendall(FakeMemcached.answer_of(words[1]))


def half_then_silence(link, words):
    link.sendall(FakeMemcached.answer_of(words[1])[:-8])
    time.sleep(2)


def half_then_close(link, words):
    link.sendall(FakeMemcached.answer_of(words[1])[:-8])
    return False


def close_at_once(_link, _words):
    return False


def silence(_link, _words):
    time.sleep(2)


def stored(link, _):
    link.sendall(b"STORED\r\n")


def garbage(link, _):
    link.sendall(b"\x00\xff\x81binary\r\n\r\n\r\n")


def an_error_line(link, _):
    link.sendall(b"SERVER_ERROR out of memory writing get response\r\n")


def bad_value_line(link, _):
    link.sendall(b"VALUE\r\nEND\r\n")


def bare_newlines(link, words):
    link.sendall((FakeMemcached.answer_of(words[1]) + b"END\r\n")
                 .replace(b"\r\n", b"\n"))


MISCHIEFS = (length_too_short, length_too_long, length_negative,
             length_of_2_to_64, value_without_end, line_without_end,
             another_key, next_keys_answer_first, answer_twice, value_twice,
             no_end, half_then_silence, half_then_close, close_at_once,
             silence, stored, garbage, an_error_line, bad_value_line,
             bare_newlines)


def check_answer(client, key):
    """One get's answer: the value, a miss or an error line."""
    found, error = client.read_values()
    require(set(found) <= {key}, f"get {key} answered {found}")
    if error is not None:
        require(error.startswith(b"SERVER_ERROR"),
                f"get {key} answered {error}")
    elif key in found:
        require_equal(found[key], FakeMemcached.value_of(key),
                      f"get {key.decode()}")


def ask_in_pipeline(router, keys):
    began = time.monotonic()
    with Client(router.address) as client:
        client.send(b"".join(b"get %s\r\n" % key for key in keys) + b"mn\r\n")
        for key in keys:
            check_answer(client, key)
        require_equal(client.read_line(), b"MN\r\n", "what follows them")
    took = time.monotonic() - began
    require(took < ANSWER_WITHIN_S, f"it took {took:.1f} s")


def ask_in_one_get(router, keys):
    """A multiget: only what is right, in the order asked."""
    with Client(router.address) as client:
        found, error = client.get_many(keys)
        for key, value in found.items():
            require_equal(value, FakeMemcached.value_of(key), key.decode())
        require(set(found) <= set(keys), f"found {found}")
        require(error is None or error.startswith(b"SERVER_ERROR"),
                f"answered {error}")
        require_equal(client.command(b"mn\r\n"), b"MN", "what follows")


def ask_both_ways(router):
    ask_in_pipeline(router, KEYS)
    ask_in_one_get(router, KEYS)
    return True


def is_honest(router, key):
    with Client(router.address) as client:
        try:
            return client.get(key) == FakeMemcached.value_of(key)
        except (ValueError, Closed):
            return False


def survive(router, fake, mischief):
    before = router.resident_bytes()
    asked = fake.gets
    fake.mischief = mischief
    wait_until(lambda: ask_both_ways(router) and fake.gets >= asked + 3,
               ASKED_WITHIN_S, "the backend is asked three times")
    grown = router.resident_bytes() - before
    require(grown < GROWTH_MAX, f"the router grew by {grown // MIB} MiB")
    fake.mischief = None
    wait_until(lambda: is_honest(router, KEYS[0]), BACK_WITHIN_S,
               "an honest backend is used again")


def main():
    given = flags()
    tap = Tap()
    fake = FakeMemcached()
    backend = ["--backend", f"fake=127.0.0.1:{fake.port}"]
    with tap.case("the router ends well"):
        with Cluster(given.build, shards=0, ringd=False,
                     router=ROUTER + backend) as them:
            with tap.case("an honest backend is used"):
                wait_until(lambda: is_honest(them.router, KEYS[0]), 5,
                           "a value through the router")
                ask_in_pipeline(them.router, KEYS)
            for mischief in MISCHIEFS:
                name = mischief.__name__.replace("_", " ")
                with tap.case(f"a backend that sends: {name}"):
                    survive(them.router, fake, mischief)
    fake.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
