"""What once went wrong in a shard, each told by one case."""

import json
import os
import sys
import time

import context
from cluster import Alone, wait_until
from fakes import FakeRingd
from harness import flags
from rawclient import Client
from tap import Tap, require, require_equal

VECTORS = os.path.join(context.HERE, "../../proto/vectors/slots.json")
LARGE = b"v" * 500_000
MIDDLING = b"v" * 60_000  # 16 of them, one batch, fit any output buffer
HALF = 8192  # of the slots
LONG_GET_KEYS = 3_000_000  # in quadratic time they would take 10 s
REQUEST_TIMEOUT_S = 5


def keys_by_half():
    """Keys of the lower and of the upper half of the slots."""
    with open(VECTORS) as text:
        vectors = json.load(text)["vectors"]
    halves = ([], [])
    for vector in vectors:
        if "key" in vector and " " not in vector["key"]:
            key = vector["key"].encode()
            halves[vector["slot"] >= HALF].append(key)
    return halves


def ring_line(epoch, *runs):
    """A ring of the shard under test, member 0, and one that is not there."""
    members = [{"name": "alone", "address": "127.0.0.1:1"},
               {"name": "elsewhere", "address": "127.0.0.1:2"}]
    return json.dumps({"v": 1, "cluster": "test", "epoch": epoch,
                       "members": members, "slots": runs})


def is_moved(client, key):
    return client.command(b"mg %s\r\n" % key).startswith(b"SERVER_ERROR moved")


def take_one_turn(client):
    """After two answers, whatever was sent before them has been looked at."""
    for _ in range(2):
        require_equal(client.command(b"mn\r\n"), b"MN", "mn")


def pause_and_move(shard, ringd, leaver, stayer):
    """Where the ring moves the first key of a get while its client is slow.

    One worker, and a unix socket, whose buffers hold little: the second
    client is answered when the first one's get has come to rest.
    """
    with Client(shard.socket_path) as slow, Client(shard.address) as other:
        for key in (leaver, stayer):
            require_equal(other.set(key, MIDDLING), b"STORED", f"set {key}")
        slow.send(b"get " + leaver + (b" " + stayer) * 100 + b"\r\n")
        take_one_turn(other)
        ringd.push(ring_line(2, [0, HALF - 1, 0, 1], [HALF, 16383, 1, 2]))
        wait_until(lambda: is_moved(other, leaver), 5, "the key moved away")
        found, error = slow.read_values()
        require(error is None or error.startswith(b"SERVER_ERROR moved"),
                f"the paused get ended with {error}")
        require_equal(found.get(leaver), MIDDLING, "what it had found before")
        require_equal(slow.get_many([stayer]), ({stayer: MIDDLING}, None),
                      "the get after it")
        require(is_moved(slow, leaver), "the moved key is still served")
        require_equal(slow.get_many([stayer] * 3), ({stayer: MIDDLING}, None),
                      "the last get")


def a_paused_get_survives_that_its_first_key_moves(build, _quick):
    """The context sees to it that SIGTERM still ends the shard."""
    ringd = FakeRingd()
    lower, upper = keys_by_half()
    ringd.push(ring_line(1, [0, 16383, 0, 1]))
    try:
        with Alone(build, ["--ringd", ringd.url, "-t", "1"]) as shard:
            pause_and_move(shard, ringd, upper[0], lower[0])
    finally:
        ringd.close()


def one_get_gives_many_large_values(build, _quick):
    keys = [b"large-%d" % i for i in range(4)]
    with Alone(build) as shard, Client(shard.address) as client:
        for key in keys:
            require_equal(client.set(key, LARGE), b"STORED", f"set {key}")
        for times in (1, 10):
            client.send(b"get " + b" ".join(keys * times) + b"\r\n")
            for key in keys * times:
                require_equal(client.read_line(), b"VALUE %s 0 %d\r\n"
                              % (key, len(LARGE)), "the VALUE line")
                require(client.read(len(LARGE) + 2) == LARGE + b"\r\n",
                        f"the value of {key} is wrong")
            require_equal(client.read_line(), b"END\r\n", "the end")


def ask_for_very_many_keys(address, count):
    """One get line of two bytes a key, answered in about linear time."""
    once = b"VALUE a 0 1\r\nx\r\n" * 1000
    with Client(address, 30) as client:
        client.set(b"a", b"x")
        began = time.monotonic()
        client.send(b"get" + b" a" * count + b"\r\n")
        for _ in range(count // 1000):
            require(client.read(len(once)) == once, "a value is wrong")
        require_equal(client.read_line(), b"END\r\n", "the end")
        took = time.monotonic() - began
        require_equal(client.command(b"mn\r\n"), b"MN", "what follows")
    require(took < REQUEST_TIMEOUT_S, f"it took {took:.1f} s")


def a_get_of_very_many_keys_is_answered_in_time(build, quick):
    with Alone(build) as shard:
        ask_for_very_many_keys(shard.address,
                               LONG_GET_KEYS // (20 if quick else 1))


CASES = (a_paused_get_survives_that_its_first_key_moves,
         one_get_gives_many_large_values,
         a_get_of_very_many_keys_is_answered_in_time)


def main():
    given = flags()
    tap = Tap()
    for case in CASES:
        with tap.case(case.__name__.replace("_", " ")):
            case(given.build, given.quick)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
