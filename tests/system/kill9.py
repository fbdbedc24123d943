"""A shard is killed under load, and started again.

The others' keys are unaffected, its own reads are misses within 100 ms and its
writes SERVER_ERROR, no client's connection breaks, and it serves again soon
after it is back.
"""

import signal
import sys
import time

import context  # noqa: F401
from cluster import Cluster, wait_until
from harness import (Drive, Watch, flags, owners, require_flawless, rest,
                     store_all)
from rawclient import Client
from tap import Tap, require, require_equal

KEYS = [b"kill9-%d" % i for i in range(1500)]
MISS_WITHIN_S = 0.1
HANG_S = 2
OTHERS_WITHIN_S = 0.5
BACK_WITHIN_S = 3
ROUTER = ["--shard-timeout", "200ms"]


class Killing:
    """The story, told in cases; each needs those before it."""

    def __init__(self, tap, them, given):
        self.tap = tap
        self.them = them
        self.given = given
        self.victim = them.shards[1]
        store_all(them.router.address, KEYS)
        owner = owners(them.shards, KEYS)
        self.its = [key for key in KEYS if owner[key] is self.victim]
        self.others = [key for key in KEYS if owner[key] is not self.victim]

    def run(self):
        seconds = 6 if self.given.quick else 12
        with Drive(self.given.build, self.them.router.port, tolerant=True,
                   seconds=seconds, operations=1e9, rate=20000, fill=True,
                   connections=16, depth=8) as drive:
            self.before()
            self.kill()
            self.while_away()
            self.start_again()
            report = drive.finish()
        with self.tap.case("the load saw errors, but nothing wrong and no "
                           "connection broken"):
            require_flawless(report, errors_too=False)
            require(report["errors"] > 0, "no write met the dead shard")

    def before(self):
        with self.tap.case("all keys are found before"):
            watch = Watch(self.them.router.address)
            watch.ask_all(KEYS, rest(0.5))
            require_equal(watch.missed, {}, "misses")
            require_equal(watch.problems, [], "problems")

    def kill(self):
        """On a busy machine one kill may be slow for reasons of its own; of
        three one must be as fast as promised, and none may hang."""
        with self.tap.case("reads of the killed shard are misses within "
                           "100 ms"):
            took = self.kill_once()
            for _ in range(2):
                if took < MISS_WITHIN_S:
                    break
                self.bring_back()
                took = min(took, self.kill_once())
            require(took < MISS_WITHIN_S,
                    f"the first miss came after {took * 1000:.0f} ms")
            watch = Watch(self.them.router.address)
            for key in self.its[:200]:
                watch.ask(key)
            require_equal(len(watch.missed), 200, "misses of 200 keys")
            require_equal(watch.problems, [], "problems")
            require(watch.longest_s < OTHERS_WITHIN_S, "the longest took "
                    f"{watch.longest_s * 1000:.0f} ms")

    def kill_once(self):
        """Seconds until the first read is a miss."""
        watch = Watch(self.them.router.address)
        killed = time.monotonic()
        self.victim.child.send_signal(signal.SIGKILL)
        while not watch.missed:
            watch.ask(self.its[0])
            require(time.monotonic() - killed < HANG_S, "no miss at all")
        took = time.monotonic() - killed
        self.victim.child.wait()
        require_equal(watch.problems, [], "problems")
        return took

    def bring_back(self):
        self.victim.start().wait_ready()
        with Client(self.them.router.address) as client:
            wait_until(lambda: client.set(self.its[0], b"again") == b"STORED",
                       BACK_WITHIN_S, "a write accepted")
            require_equal(client.get(self.its[0]), b"again", "get afterwards")

    def while_away(self):
        with self.tap.case("the other shards' keys are all found, each at "
                           "once"):
            watch = Watch(self.them.router.address)
            watch.ask_all(self.others, rest(1))
            require_equal(watch.missed, {}, "misses")
            require_equal(watch.problems, [], "problems")
            require(watch.longest_s < OTHERS_WITHIN_S, "the longest took "
                    f"{watch.longest_s * 1000:.0f} ms")
        with self.tap.case("its writes are SERVER_ERROR"):
            self.write_each(b"SERVER_ERROR ")
        with self.tap.case("a multiget across all shards answers what is "
                           "there, in the order asked"):
            self.read_mixed()

    def write_each(self, prefix):
        with Client(self.them.router.address) as client:
            for request in (b"set %s 0 0 1\r\nx\r\n", b"delete %s\r\n",
                            b"incr %s 1\r\n", b"touch %s 0\r\n",
                            b"ms %s 1\r\nx\r\n", b"md %s\r\n"):
                answer = client.command(request % self.its[0])
                require(answer.startswith(prefix),
                        f"{request % self.its[0]} answered {answer}")

    def read_mixed(self):
        with Client(self.them.router.address) as client:
            mixed = KEYS[:60]
            found, error = client.get_many(mixed)
            require_equal(error, None, "an error line")
            require_equal(list(found), [key for key in mixed
                                        if key in set(self.others)],
                          "keys found")

    def start_again(self):
        with self.tap.case("started again, it serves within "
                           f"{BACK_WITHIN_S} s"):
            self.bring_back()


def main():
    given = flags()
    tap = Tap()
    with tap.case("all processes end well"):
        with Cluster(given.build, router=ROUTER) as them:
            Killing(tap, them, given).run()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
