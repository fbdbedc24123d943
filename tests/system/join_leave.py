"""Checked traffic while a shard joins and another leaves.

Requests follow the published marginals of two of Twitter's clusters; each
value is made from its key and a version and is checked when it is read.  No
error, no wrong value, and the keys whose slots do not move are always found.
"""

import sys
import threading
import time

import context  # noqa: F401
from cluster import Cluster
from harness import (Drive, Watch, flags, owners, require_flawless,
                     store_all, workload)
from tap import Tap, require, require_equal

OPERATIONS = 1_000_000
OPERATIONS_QUICK = 100_000
RATE = 50_000  # so that the moves happen in the middle, not after it
RATE_QUICK = 15_000
KEYS = [b"still-%d" % i for i in range(2000)]
LOADS = ("cluster12", "cluster52")


class Moving:
    def __init__(self, tap, them, given):
        self.tap = tap
        self.them = them
        self.build = given.build
        total = OPERATIONS_QUICK if given.quick else OPERATIONS
        rate = RATE_QUICK if given.quick else RATE
        self.each = total // len(LOADS)
        self.rate = rate // len(LOADS)
        self.lasts_s = self.each / self.rate
        self.done = threading.Event()
        self.owned = []  # {key: shard} before, after the join, at the end

    def start_load(self, name):
        # 60,000 keys of 1 kB and 50,000 of 270 B fit the shards' memory
        # twice over: a miss is due to a move.
        keys = {"cluster12": 60_000, "cluster52": 50_000}[name]
        return Drive(self.build, self.them.router.port, prefix=name[-2:],
                     operations=self.each, rate=self.rate, keys=keys,
                     connections=8, depth=16, fill=name == "cluster52",
                     **workload(name))

    def run(self):
        store_all(self.them.router.address, KEYS)
        watch = Watch(self.them.router.address)
        watcher = threading.Thread(target=watch.ask_all,
                                   args=(KEYS, self.done.is_set))
        watcher.start()
        try:
            reports = self.run_load()
        finally:
            self.done.set()
            watcher.join()
        for name, report in reports.items():
            with self.tap.case(f"{report['operations']} operations of {name}: "
                               "no error, nothing wrong"):
                require_flawless(report)
                require_equal(report["operations"], self.each, "operations")
                require(report["hits"] > 0 and report["stored"] > 0,
                        f"no real traffic: {report}")
        self.judge_watch(watch)

    def run_load(self):
        began = time.monotonic()
        with self.start_load("cluster12") as one, \
                self.start_load("cluster52") as two:
            self.owned.append(owners(self.them.shards, KEYS))
            self.sleep_until(began + self.lasts_s * 0.25)
            self.join()
            self.sleep_until(began + self.lasts_s * 0.6)
            self.leave()
            with self.tap.case("both moves happened under load"):
                require(one.is_running() and two.is_running(),
                        "the load had ended before")
            return {"cluster12": one.finish(), "cluster52": two.finish()}

    def sleep_until(self, when):
        time.sleep(max(0, when - time.monotonic()))

    def join(self):
        with self.tap.case("a shard joins"):
            self.newcomer = self.them.new_shard("shard-new")
            self.newcomer.start().wait_ready()
            self.them.add_member(self.newcomer)
            self.settle([*self.them.shards, self.newcomer])
            mine = [key for key, shard in self.owned[1].items()
                    if shard is self.newcomer]
            require(len(mine) > len(KEYS) // 8,
                    f"it owns {len(mine)} of {len(KEYS)} keys")

    def leave(self):
        with self.tap.case("a shard leaves"):
            self.them.remove_member(self.them.shards[0])
            self.settle([*self.them.shards[1:], self.newcomer])

    def settle(self, serving):
        self.them.wait_epoch(self.them.ringd.epoch(),
                             [*serving, self.them.router])
        self.owned.append(owners(serving, KEYS))
        require_equal(len(self.owned[-1]), len(KEYS), "keys with an owner")

    def judge_watch(self, watch):
        with self.tap.case("keys that did not move were found each time, "
                           "without an error"):
            before, joined, left = self.owned
            still = [key for key in KEYS
                     if before[key] is joined[key] is left[key]]
            require(len(still) > len(KEYS) // 3,
                    f"only {len(still)} keys did not move")
            require_equal(watch.problems, [], "problems")
            require(watch.count > 2 * len(KEYS), "too few were asked for")
            require_equal({key: watch.missed[key] for key in still
                           if key in watch.missed}, {}, "misses")


def main():
    given = flags()
    tap = Tap()
    with tap.case("all processes end well"):
        with Cluster(given.build) as them:
            Moving(tap, them, given).run()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
