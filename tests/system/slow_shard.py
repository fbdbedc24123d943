"""A shard stops answering (SIGSTOP) without its connections ending.

Requests to it end within the deadline, as misses and SERVER_ERROR; the other
shards' keys are unaffected; its late answers go to nobody; it serves again
once it goes on.
"""

import signal
import sys
import time

import context  # noqa: F401
from cluster import Cluster, wait_until
from harness import Watch, flags, owners, rest, store_all
from rawclient import Client
from tap import Tap, require, require_equal

KEYS = [b"slow-%d" % i for i in range(900)]
TIMEOUT_S = 0.2
SLACK_S = 0.5
BACK_WITHIN_S = 3
ROUTER = ["--shard-timeout", "200ms"]


class Stalling:
    def __init__(self, tap, them):
        self.tap = tap
        self.them = them
        self.victim = them.shards[0]
        store_all(them.router.address, KEYS)
        owner = owners(them.shards, KEYS)
        self.its = [key for key in KEYS if owner[key] is self.victim]
        self.others = [key for key in KEYS if owner[key] is not self.victim]

    def run(self):
        self.victim.signal(signal.SIGSTOP)
        try:
            self.reads_miss()
            self.writes_fail()
            self.pipelines_stay_in_step()
            self.others_go_on()
        finally:
            self.victim.signal(signal.SIGCONT)
        self.comes_back()

    def in_time(self, began, what):
        took = time.monotonic() - began
        require(took < TIMEOUT_S + SLACK_S,
                f"{what} took {took * 1000:.0f} ms")

    def reads_miss(self):
        with self.tap.case("a read of the stopped shard is a miss within the "
                           "deadline"):
            with Client(self.them.router.address) as client:
                for key in self.its[:5]:
                    began = time.monotonic()
                    require_equal(client.get(key), None, key.decode())
                    self.in_time(began, "a get")

    def writes_fail(self):
        with self.tap.case("a write of the stopped shard is SERVER_ERROR "
                           "within the deadline"):
            with Client(self.them.router.address) as client:
                began = time.monotonic()
                answer = client.set(self.its[0], b"late")
                require(answer.startswith(b"SERVER_ERROR"),
                        f"set answered {answer}")
                self.in_time(began, "a set")

    def pipelines_stay_in_step(self):
        with self.tap.case("a pipeline to all shards is answered in order, "
                           "within the deadline"):
            mixed = [key for pair in zip(self.its[:20], self.others[:20])
                     for key in pair]
            with Client(self.them.router.address) as client:
                began = time.monotonic()
                client.send(b"".join(b"get %s\r\n" % key for key in mixed))
                for key in mixed:
                    found, error = client.read_values()
                    require_equal(error, None, f"an error for {key}")
                    expected = {} if key in self.its else {key: key}
                    require_equal(found, expected, f"get {key.decode()}")
                self.in_time(began, "the pipeline")

    def others_go_on(self):
        with self.tap.case("the other shards' keys are all found, each at "
                           "once"):
            watch = Watch(self.them.router.address)
            watch.ask_all(self.others, rest(1))
            require_equal(watch.missed, {}, "misses")
            require_equal(watch.problems, [], "problems")
            require(watch.longest_s < SLACK_S, "the longest took "
                    f"{watch.longest_s * 1000:.0f} ms")

    def comes_back(self):
        with self.tap.case("when it goes on, it serves again, and its late "
                           "answers go to nobody"):
            with Client(self.them.router.address) as client:
                wait_until(lambda: client.set(self.its[1], self.its[1])
                           == b"STORED", BACK_WITHIN_S, "a write accepted")
                watch = Watch(self.them.router.address)
                # The write that failed may yet have been done.
                unwritten = [key for key in KEYS if key != self.its[0]]
                watch.ask_all(unwritten, rest(0.5))
                require_equal(watch.problems, [], "problems")
                require_equal(client.get(self.its[1]), self.its[1],
                              "get afterwards")


def main():
    given = flags()
    tap = Tap()
    with tap.case("all processes end well"):
        with Cluster(given.build, router=ROUTER) as them:
            Stalling(tap, them).run()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
