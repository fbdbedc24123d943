"""`torc up`: a whole cluster on one machine from one command, and its
demonstration."""

import os
import re
import shutil
import signal
import sys
import tempfile

import context  # noqa: F401
from cluster import Process, wait_until
from harness import flags
from rawclient import Client
from tap import Tap, require, require_equal

DEMO_WITHIN_S = 60


class Up(Process):
    """torc up with ports of the kernel's choice and its own folder."""

    def __init__(self, build, folder, *arguments):
        program = os.path.join(build, "src/ctl/torc")
        super().__init__("up", [program, "up", "--port", "0", "--ringd-port",
                                "0", "--dir", os.path.join(folder, "up"),
                                *arguments], folder)

    def router_address(self):
        found = re.search(r"router +\S+ +(127\.0\.0\.1:\d+)", self.log())
        return found.group(1) if found else None

    def child_pids(self):
        with open(f"/proc/{self.child.pid}/task/{self.child.pid}/children"
                  ) as text:
            return [int(pid) for pid in text.read().split()]


def demo(given, folder):
    up = Up(given.build, folder, "--demo", "--demo-seconds", "4s").start()
    wait_until(lambda: not up.is_running(), DEMO_WITHIN_S, "the demo ends")
    text = up.log()
    require_equal(up.child.returncode, 0, f"its status\n{text}")
    require(re.search(r"errors +0\b", text), f"no '0 errors':\n{text}")
    require(re.search(r"wrong +0\b", text), f"no '0 wrong':\n{text}")
    require(re.search(r"requests +[1-9]\d{3}", text),
            f"no real traffic:\n{text}")
    require("joins" in text, f"no shard joined:\n{text}")
    up.check_log()


def serve(given, folder, number):
    """Up, used, and ended by a signal: nothing of it stays."""
    up = Up(given.build, folder, "--shards", "2").start()
    try:
        wait_until(lambda: up.router_address() or not up.is_running(), 30,
                   "it says where it serves")
        require(up.router_address(), f"it ended:\n{up.tail()}")
        wait_until(lambda: answers(up.router_address()), 10, "it serves")
        pids = up.child_pids()
        require_equal(len(pids), 4, "programs started")
        up.signal(number)
        require_equal(up.child.wait(20), 0, f"its status\n{up.tail()}")
        for pid in pids:
            require(not os.path.exists(f"/proc/{pid}"), f"{pid} still runs")
        up.check_log()
    finally:
        up.kill()


def answers(address):
    try:
        with Client(address) as client:
            return client.set(b"up", b"x") == b"STORED"
    except OSError:
        return False


def main():
    given = flags()
    tap = Tap()
    cases = {"the demonstration ends with 0, without errors or wrong values":
             lambda folder: demo(given, folder),
             "it serves until Ctrl-C and leaves nothing behind":
             lambda folder: serve(given, folder, signal.SIGINT),
             "it serves until it is told to end, and leaves nothing behind":
             lambda folder: serve(given, folder, signal.SIGTERM)}
    for name, run in cases.items():
        folder = tempfile.mkdtemp(prefix="torc-test-")
        with tap.case(name):
            run(folder)
        shutil.rmtree(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
