"""What once went wrong in the router, each told by one case."""

import contextlib
import json
import signal
import sys
import threading
import time

import context  # noqa: F401
from cluster import Alone, Cluster, epoch_of, wait_until
from fakes import FakeMemcached, FakeRingd
from harness import flags
from rawclient import Client
from shard_regressions import ask_for_very_many_keys
from tap import Tap, require, require_equal

LARGE = b"v" * 1_000_000
TOO_LARGE = b"v" * ((1 << 20) + 1)
DEPTH = 200
DEPTH_QUICK = 60
LONG_GET_KEYS = 1_000_000  # in quadratic time they would take 9 s
CONNECTS_MAX = 30  # a second; the pauses between them begin at 50 ms
SLOW_ANSWER_S = 0.1


class FakeShard(FakeMemcached):
    """A torc shard that keeps what it is given, and account of it.

    While `behind` it gives requests back, until the router next says `ring`;
    `slow` is a value whose request it gives back late.  While `silent` it
    reads and says nothing, while `full` it turns connections away.
    """

    def __init__(self):
        self.behind = self.silent = self.full = False
        self.slow = None
        self.accepted = self.asked = 0
        self.served = []  # (verb, value), in the order they were done
        self.values = {}
        super().__init__()

    def _serve(self, connection):
        self.accepted += 1
        super()._serve(connection)

    def _answer(self, connection, stream):
        words = stream.readline().split()
        if not words:
            return False
        value = None
        if words[0] == b"set":
            value = stream.read(int(words[4]) + 2)[:-2]
        self.asked += 1
        if self.full:
            connection.sendall(b"ERROR Too many open connections\r\n")
        elif not self.silent:
            connection.sendall(self._words_for(words, value))
        return not self.full

    def _words_for(self, words, value):
        if words[0] == b"ring":
            self.behind = False
            return b"RING %s\r\n" % words[1]
        if self.behind:
            if value is not None and value == self.slow:
                time.sleep(SLOW_ANSWER_S)
            return b"SERVER_ERROR moved 1\r\n"
        self.served.append((words[0], value))
        if words[0] == b"set":
            self.values[words[1]] = value
            return b"STORED\r\n"
        if words[1] not in self.values:
            return b"END\r\n"
        value = self.values[words[1]]
        if len(value) > 100_000:
            time.sleep(0.001)  # so that each comes by itself
        return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (words[1], len(value),
                                                   value)


@contextlib.contextmanager
def shard_and_router(build, *arguments):
    with Alone(build) as shard, \
            Cluster(build, shards=0, ringd=False,
                    router=["--backend", shard.address, *arguments]) as them:
        yield shard, them.router


@contextlib.contextmanager
def router_alone(build, *arguments):
    """A router of one worker: one connection to each shard."""
    with Cluster(build, shards=0, ringd=False,
                 router=["-t", "1", *arguments]) as them:
        yield them.router


def ring_line(epoch, *shards):
    """A ring of these fakes, in which the first owns every slot."""
    members = [{"name": f"fake-{shard.port}",
                "address": f"127.0.0.1:{shard.port}"} for shard in shards]
    return json.dumps({"v": 1, "cluster": "test", "epoch": epoch,
                       "members": members, "slots": [[0, 16383, 0, epoch]]})


def large_values_both_ways_do_not_lock(build, quick):
    """The shard waits for its answers to be read, the router for its requests:
    one of them has to read on.  A lock would end with the shard's timeout.

    The shard stands still until much is on its way to it."""
    depth = DEPTH_QUICK if quick else DEPTH
    with shard_and_router(build, "--shard-timeout", "5s") as (shard, router):
        with Client(router.address, 30) as client:
            require_equal(client.set(b"big", LARGE), b"STORED", "the first")
            shard.signal(signal.SIGSTOP)
            sender = threading.Thread(target=send_both, args=(client, depth))
            sender.start()
            time.sleep(0.3)
            shard.signal(signal.SIGCONT)
            for i in range(depth):
                require_equal(client.read_values(), ({b"big": LARGE}, None),
                              f"get {i}")
            for i in range(depth):
                require_equal(client.read_line(), b"STORED\r\n", f"set {i}")
            sender.join()
        require("shard lost" not in router.log(), "the shard was given up")


def send_both(client, depth):
    client.send(b"get big\r\n" * depth)
    for _ in range(depth):
        client.send(b"set other 0 0 %d\r\n%s\r\n" % (len(LARGE), LARGE))


def a_get_does_not_overtake_what_was_moved(build, _quick):
    """Two sets are given back, the second late; the get asked meanwhile must
    wait for both."""
    ringd, shard = FakeRingd(), FakeShard()
    ringd.push(ring_line(2, shard))
    with router_alone(build, "--ringd", ringd.url) as router:
        with Client(router.address) as client:
            require_equal(client.get(b"k"), None, "get before the sets")
            shard.served.clear()
            shard.slow = b"2"
            shard.behind = True
            client.send(b"set k 0 0 1\r\n1\r\nset k 0 0 1\r\n2\r\n")
            time.sleep(SLOW_ANSWER_S / 2)
            client.send(b"get k\r\n")
            for name in ("the first set", "the second"):
                require_equal(client.read_line(), b"STORED\r\n", name)
            require_equal(client.read_values(), ({b"k": b"2"}, None), "get")
    require_equal(shard.served, [(b"set", b"1"), (b"set", b"2"),
                                 (b"get", None)], "what the shard did")
    shard.close()
    ringd.close()


def a_slow_reader_takes_nothing_from_others(build, _quick):
    """Its answers fill the buffers, one by one: the router reads each into a
    buffer that grows to just above a power of two, so that this is where the
    limit is met, and not where the answer is kept for the client."""
    shard = FakeShard()
    shard.values = {b"a": b"x", b"big": b"v" * 530_000}
    limits = ("--buffer-limit", "32m", "--shard-timeout", "10s")
    with router_alone(build, "--backend", f"127.0.0.1:{shard.port}",
                      *limits) as router:
        with Client(router.address) as slow, \
                Client(router.address) as other:
            require_equal(slow.command(b"mn\r\n"), b"MN", "mn")
            slow.send(b"get big\r\n" * 100)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                require_equal(other.get_many([b"a"]), ({b"a": b"x"}, None),
                              "get of another client")
        require("shard lost" not in router.log(), "the shard was given up")
    shard.close()


def a_full_shard_is_not_dialled_without_pause(build, _quick):
    shard = FakeShard()
    shard.full = True
    with router_alone(build, "--backend", f"127.0.0.1:{shard.port}"):
        wait_until(lambda: shard.accepted > 0, 5, "a first connection")
        before = shard.accepted
        time.sleep(1)
        count = shard.accepted - before
        require(0 < count <= CONNECTS_MAX, f"{count} connections in 1 s")
    shard.close()


def a_get_of_very_many_keys_is_answered_in_time(build, quick):
    with shard_and_router(build) as (_, router):
        ask_for_very_many_keys(router.address,
                               LONG_GET_KEYS // (20 if quick else 1))


def stats_in_a_pipeline_are_all_answered(build, _quick):
    with shard_and_router(build) as (_, router):
        with Client(router.address) as client:
            client.send(b"stats\r\nstats\r\nversion\r\nstats settings\r\n"
                        b"mn\r\n")
            require_stats(client, b"STAT pid ")
            require_stats(client, b"STAT pid ")
            line = client.read_line()
            require(line.startswith(b"VERSION "), f"version answered {line}")
            require_stats(client, b"STAT maxbytes ")
            require_equal(client.read_line(), b"MN\r\n", "the end")


def require_stats(client, one_of_them):
    lines = [client.read_line()]
    while lines[-1].startswith(b"STAT "):
        lines.append(client.read_line())
    require_equal(lines[-1], b"END\r\n", "what follows the stats")
    require(any(line.startswith(one_of_them) for line in lines),
            f"no {one_of_them} in {lines}")


def a_removed_shard_is_not_dialled_again(build, _quick):
    """It had stopped, with a request on its way, when it was removed."""
    ringd, gone, stays = FakeRingd(), FakeShard(), FakeShard()
    ringd.push(ring_line(1, gone, stays))
    with router_alone(build, "--ringd", ringd.url, "--shard-timeout", "500ms",
                      "--retry-max", "200ms") as router:
        with Client(router.address) as client, \
                Client(router.address) as other:
            require_equal(client.get(b"k"), None, "get while all is well")
            gone.silent = True
            asked = gone.asked
            client.send(b"get k\r\n")
            wait_until(lambda: gone.asked > asked, 5, "a request on its way")
            ringd.push(ring_line(2, stays))
            wait_until(lambda: epoch_of(router) == 2, 5, "the ring in force")
            wait_until(lambda: other.set(b"k", b"new") == b"STORED", 5,
                       "the other shard is used")
            client.read_values()
        before = gone.accepted
        time.sleep(2)
        require_equal(gone.accepted - before, 0, "connections made since")
    for fake in (gone, stays, ringd):
        fake.close()


def a_too_large_value_ends_the_old_one(build, _quick):
    """A key in base64 may have bytes that a delete could not name."""
    with shard_and_router(build) as (_, router):
        with Client(router.address) as client:
            for key in (b"YWJjZA==", b"AAEC/w=="):
                answer = client.command(b"ms %s 2 b\r\nhi\r\n" % key)
                require_equal(answer, b"HD", f"ms {key}")
                answer = client.command(b"ms %s %d b\r\n%s\r\n" % (
                    key, len(TOO_LARGE), TOO_LARGE))
                require(answer.startswith(b"SERVER_ERROR object too large"),
                        f"the too large value was answered {answer}")
                require_equal(client.command(b"mg %s b v\r\n" % key), b"EN",
                              f"mg {key} afterwards")


CASES = (large_values_both_ways_do_not_lock,
         a_get_does_not_overtake_what_was_moved,
         a_slow_reader_takes_nothing_from_others,
         a_full_shard_is_not_dialled_without_pause,
         a_get_of_very_many_keys_is_answered_in_time,
         stats_in_a_pipeline_are_all_answered,
         a_removed_shard_is_not_dialled_again,
         a_too_large_value_ends_the_old_one)


def main():
    given = flags()
    tap = Tap()
    for case in CASES:
        with tap.case(case.__name__.replace("_", " ")):
            case(given.build, given.quick)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
