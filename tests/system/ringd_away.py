"""The ring manager stops, is killed and is started again.

Nobody on the data path notices; after the restart the epoch is the same,
everyone is connected again, and the ring can be changed.
"""

import json
import signal
import sys
import time

import context  # noqa: F401
from cluster import Cluster, epoch_of, wait_until
from harness import Drive, flags, require_flawless
from tap import Tap, require_equal

AWAY_S = 60
AWAY_QUICK_S = 5
RECONNECT_WITHIN_S = 15


def watchers(ringd):
    """Names of those who hold the ring's watch open."""
    status, text = ringd.request("GET", "/v1/watchers")
    require_equal(status, 200, "status of /v1/watchers")
    return sorted(watcher["name"] for watcher
                  in json.loads(text)["watchers"] if watcher["connected"])


class Absence:
    def __init__(self, tap, them, given):
        self.tap = tap
        self.them = them
        self.build = given.build
        self.away_s = AWAY_QUICK_S if given.quick else AWAY_S
        self.everyone = sorted([shard.name for shard in them.shards]
                               + [them.router.name])

    def all_watch(self):
        wait_until(lambda: watchers(self.them.ringd) == self.everyone,
                   RECONNECT_WITHIN_S, f"{self.everyone} watch the ring")

    def run(self):
        self.all_watch()
        self.ring = self.them.ringd.ring()
        with Drive(self.build, self.them.router.port, operations=1e9,
                   seconds=self.away_s, rate=3000, connections=8, depth=8,
                   keys=5000) as drive:
            self.go_away()
            report = drive.finish()
        with self.tap.case(f"{self.away_s} s without it: no error, nothing "
                           "wrong, no connection lost"):
            require_flawless(report)
        with self.tap.case("shards and router keep their ring meanwhile"):
            for server in [*self.them.shards, self.them.router]:
                require_equal(epoch_of(server), self.ring["epoch"],
                              f"epoch of {server.name}")
        self.come_back()

    def go_away(self):
        """First hung, then dead."""
        self.them.ringd.signal(signal.SIGSTOP)
        time.sleep(self.away_s / 2)
        self.them.ringd.kill()

    def come_back(self):
        ringd = self.them.ringd
        with self.tap.case("started again, it has the same ring"):
            ringd.start().wait_ready()
            require_equal(ringd.ring(), self.ring, "the ring")
        with self.tap.case("everyone connects again"):
            self.all_watch()
        with self.tap.case("the ring can be changed again"):
            self.them.remove_member(self.them.shards[2])
            require_equal(ringd.epoch(), self.ring["epoch"] + 1, "epoch")
            self.them.wait_epoch(self.ring["epoch"] + 1,
                                 [*self.them.shards[:2], self.them.router])


def main():
    given = flags()
    tap = Tap()
    with tap.case("all processes end well"):
        with Cluster(given.build) as them:
            Absence(tap, them, given).run()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
