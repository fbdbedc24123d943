"""targets.py -- the servers a client test is run against, one after another.

--build DIR gives a lone shard and a cluster's router; --stock gives memcached
itself, which tells a fault of the test from one of ours.
"""

import argparse
import contextlib
import shutil
import tempfile

import cluster


class Target:
    """name: "shard", "router" or "stock"."""

    def __init__(self, name, port, counted=()):
        self.name = name
        self.host = "127.0.0.1"
        self.port = port
        self.counted = list(counted)  # ports of the shards behind it

    @property
    def address(self):
        return f"{self.host}:{self.port}"


@contextlib.contextmanager
def stock_target():
    program = cluster.find_stock()
    if program is None:
        raise SystemExit("no memcached: set TORC_TEST_MEMCACHED to one")
    folder = tempfile.mkdtemp(prefix="torc-test-")
    stock = cluster.Stock(program, folder)
    try:
        stock.start().wait_ready()
        yield Target("stock", stock.port)
    finally:
        stock.kill()
        shutil.rmtree(folder)


@contextlib.contextmanager
def shard_target(build):
    with cluster.Alone(build) as shard:
        yield Target("shard", shard.port)


@contextlib.contextmanager
def router_target(build):
    with cluster.Cluster(build) as them:
        yield Target("router", them.router.port,
                     [shard.port for shard in them.shards])


def each(tap, run):
    """Calls run(tap, target, build) for each; a target that cannot be started
    or does not end well is a failed case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".")
    parser.add_argument("--stock", action="store_true")
    given = parser.parse_args()
    kinds = ([("stock", stock_target())] if given.stock else
             [("shard", shard_target(given.build)),
              ("router", router_target(given.build))])
    for name, kind in kinds:
        with tap.case(f"{name}: starts, serves and stops without complaint"):
            with kind as target:
                run(tap, target, given.build)
    return tap.done()
