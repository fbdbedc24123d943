"""The router over stock memcached: a plain proxy, without torc's promises
about moves.  Skipped where no memcached is installed."""

import shutil
import sys
import tempfile

import context  # noqa: F401
from cluster import Cluster, Stock, find_stock, wait_until
from harness import Drive, flags, require_flawless, store_all
from rawclient import Client
from tap import Skip, Tap, require, require_equal

KEYS = [b"stock-%d" % i for i in range(300)]


class Proxying:
    def __init__(self, tap, them, given):
        self.tap = tap
        self.router = them.router
        self.build = given.build

    def run(self, stocks):
        with self.tap.case("both backends get their part of the keys"):
            with Client(self.router.address) as client:
                wait_until(lambda: client.set(b"x", b"x") == b"STORED", 5,
                           "a write accepted")
            store_all(self.router.address, KEYS)
            for stock in stocks:
                with Client(stock.address) as client:
                    held = int(client.stats()["curr_items"])
                require(held > len(KEYS) // 5, f"one holds {held} keys")
        with self.tap.case("a multiget over both is answered in order"):
            with Client(self.router.address) as client:
                found, error = client.get_many(KEYS)
            require_equal(error, None, "an error line")
            require_equal(list(found), KEYS, "keys found")
        self.load()
        self.lose_one(stocks[0])

    def load(self):
        mix = "get=0.5,set=0.2,gets=0.1,cas=0.1,add=0.05,delete=0.05"
        with self.tap.case("100,000 checked operations"):
            with Drive(self.build, self.router.port, operations=100_000,
                       mix=mix, keys=20_000, fill=True) as drive:
                require_flawless(drive.finish())

    def lose_one(self, stock):
        with self.tap.case("one of them killed and started again is used "
                           "again"):
            stock.kill()
            with Client(self.router.address) as client:
                found, error = client.get_many(KEYS)
                require_equal(error, None, "an error line")
                require(0 < len(found) < len(KEYS),
                        f"{len(found)} keys of the other found")
                stock.start().wait_ready()
                wait_until(lambda: all(client.set(key, key) == b"STORED"
                                       for key in KEYS[:20]),
                           5, "writes accepted again")


def main():
    given = flags()
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="torc-test-")
    with tap.case("the router ends well"):
        program = find_stock()
        if program is None:
            raise Skip("no memcached is installed")
        stocks = [Stock(program, folder, name=f"stock-{i}") for i in (0, 1)]
        for stock in stocks:
            stock.start().wait_ready()
        backends = [word for stock in stocks
                    for word in ("--backend", f"{stock.name}={stock.address}")]
        with Cluster(given.build, shards=0, ringd=False,
                     router=backends) as them:
            Proxying(tap, them, given).run(stocks)
        for stock in stocks:
            stock.kill()
    shutil.rmtree(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
