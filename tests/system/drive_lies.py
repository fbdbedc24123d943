"""The driver of checked load finds what it is there to find: against servers
that lie, each in its own way, it must fail.  Without this, "nothing wrong"
would mean nothing."""

import sys

import context  # noqa: F401
from fakes import LyingMemcached
from harness import Drive, flags
from tap import Tap, require, require_equal


def drive(given, fake, **options):
    with Drive(given.build, fake.port, operations=3000, keys=20,
               connections=2, depth=4, mix="get=0.5,set=0.4,delete=0.1",
               **options) as it:
        return it.finish()


def main():
    given = flags()
    tap = Tap()
    with tap.case("an honest server passes"):
        fake = LyingMemcached(None)
        report = drive(given, fake)
        require_equal((report["wrong"], report["errors"], report["lost"]),
                      (0, 0, 0), report["complaints"])
        require(report["hits"] > 500, "too few hits to mean something")
    for lie in LyingMemcached.LIES:
        with tap.case(f"found out: a server that {lie}"):
            report = drive(given, LyingMemcached(lie), tolerant=True)
            require(report["wrong"] + report["lost"] > 0,
                    "nothing was noticed")
    with tap.case("found out: a server that answers errors"):
        report = drive(given, LyingMemcached("answers errors"))
        require(report["errors"] > 0, "nothing was noticed")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
