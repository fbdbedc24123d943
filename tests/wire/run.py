"""run.py -- replays the wire transcripts against a real server.

    run.py --build DIR --target shard|router|stock [--mode M] [file ...]

Each transcript is replayed whole, with each possible single cut, and byte by
byte.  A piece is only sent when the server has read the one before: on a unix
socket the kernel tells (SIOCOUTQ counts what the peer has not read), so a cut
is a cut and not a matter of luck.  The whole replays use TCP.

Cuts are made at each of the first 400 bytes of what is sent at once, at each
of the last 40, and at 50 places between: that is the inside of a long value or
of a long list of keys, where all places are alike.
"""

import argparse
import fcntl
import glob
import itertools
import os
import queue
import shutil
import socket
import struct
import sys
import tempfile
import termios
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

import cluster  # noqa: E402
from rawclient import Client, Closed  # noqa: E402
from tap import Tap, brief  # noqa: E402
from transcript import Replay, Wrong, load  # noqa: E402

CUT_DENSE, CUT_BETWEEN, CUT_TAIL = 400, 50, 40
MODES = ("whole", "cuts", "bytes")
WORKERS = 12
ANSWER_TIMEOUT_S = 5
FAILURES_SHOWN = 3


class WireClient(Client):
    """A client that raises Wrong, and knows when the server has read."""

    def send(self, data):
        """False if the server has closed."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def settle(self):
        """Returns when the server has read what was sent, or has closed."""
        if self.socket.family != socket.AF_UNIX:
            time.sleep(0.0005)
            return
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while self._unread() > 0:
            if time.monotonic() > deadline:
                raise Wrong("the server does not read what we sent")
            time.sleep(0.00002)

    def _unread(self):
        raw = fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4)
        return struct.unpack("i", raw)[0]

    def expect(self, expected):
        try:
            got = self.read(len(expected))
        except (Closed, socket.timeout) as end:
            how = "closed" if isinstance(end, Closed) else "silence"
            raise Wrong(f"{how} after {brief(self.buffer)}, expected "
                        f"{brief(expected)}")
        if got != expected:
            raise Wrong(f"got {brief(got + self.buffer)}, expected "
                        f"{brief(expected)}")

    def line(self):
        try:
            return self.read_line()
        except Closed as end:
            raise Wrong(f"{end}, expected a line")
        except socket.timeout:
            raise Wrong(f"silence after {brief(self.buffer)}, "
                        "expected a line")

    def expect_closed(self):
        try:
            if self.is_closed():
                return
        except socket.timeout:
            raise Wrong("still open, expected closed")
        raise Wrong(f"got {brief(self.buffer)}, expected closed")

    def expect_in_step(self):
        """Nothing but what was expected has come, and the next answer is
        that of the next question."""
        self.send(b"mn\r\n")
        self.expect(b"MN\r\n")


def whole(_, data):
    return [data]


def cut_at(block, place):
    def cut(index, data):
        if index != block or not 0 < place < len(data):
            return [data]
        return [data[:place], data[place:]]
    return cut


def byte_by_byte(_, data):
    places = [0, *cut_places(len(data)), len(data)]
    return [data[a:b] for a, b in zip(places, places[1:])]


def cut_places(size):
    stride = max(1, (size - CUT_DENSE - CUT_TAIL) // CUT_BETWEEN)
    return [place for place in range(1, size)
            if place <= CUT_DENSE or place >= size - CUT_TAIL
            or place % stride == 0]


class Target:
    """Where the replays go, and whose counters they move."""

    def __init__(self, name, tcp, unix, counted):
        self.name = name
        self.tcp = tcp
        self.unix = unix
        self.counted = counted

    def runs(self, script):
        if self.name == "stock":
            return script.differs is None and script.only != "router"
        return script.only in (None, self.name)

    def counters(self, names):
        totals = dict.fromkeys(names, 0)
        for address in self.counted:
            with Client(address) as client:
                stats = client.stats()
            for name in names:
                if name not in stats:
                    raise Wrong(f"no counter {name} in stats")
                totals[name] += int(stats[name])
        return totals


class Runner:
    def __init__(self, target, tap):
        self.target = target
        self.tap = tap
        self.serials = itertools.count(int(time.time() * 16) & 0xfff0000)
        self.sizes = {}  # script -> sizes of its sent blocks

    def replay(self, script, cut, where, idle):
        """One replay on a connection from `idle`, or a new one.  The text of
        what went wrong, or None."""
        client = idle.pop() if idle else WireClient(where, ANSWER_TIMEOUT_S)
        replay = Replay(script, next(self.serials), cut)
        try:
            replay.run(client)
        except (Wrong, OSError) as wrong:
            client.close()
            return f"{script.file}:{script.line}: {wrong}"
        self.sizes.setdefault(script, replay.sent_sizes)
        if script.closes:
            client.close()
        else:
            idle.append(client)
        return None

    def report(self, script, mode, problems):
        name = f"{script.file}: {script.title} [{self.target.name} {mode}]"
        shown = problems[:FAILURES_SHOWN]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more")
        self.tap.ok(not problems, name, "\n".join(shown))

    def run_whole(self, scripts):
        for script in scripts:
            problem = self.run_counted(script)
            self.report(script, "whole", [problem] if problem else [])

    def run_counted(self, script):
        names = [name for name, _ in script.counters]
        try:
            before = self.target.counters(names) if names else {}
            problem = self.replay(script, whole, self.target.tcp, [])
            if problem or not names:
                return problem
            after = self.target.counters(names)
        except Wrong as wrong:
            return f"{script.file}:{script.line}: {wrong}"
        for name, delta in script.counters:
            moved = after[name] - before[name]
            if moved != delta:
                return (f"{script.file}:{script.line}: {name} moved by "
                        f"{moved}, expected {delta}")
        return None

    def cuts_of(self, script):
        for block, size in enumerate(self.sizes.get(script, [])):
            for place in cut_places(size):
                yield f"cut {block}:{place}", cut_at(block, place)

    def run_cut(self, scripts, mode, workers):
        """All replays of all scripts by a few threads; then the reports."""
        problems = {script: [] for script in scripts}
        work = queue.SimpleQueue()
        for script in scripts:
            cuts = (self.cuts_of(script) if mode == "cuts"
                    else [("bytes", byte_by_byte)])
            for label, cut in cuts:
                work.put((script, label, cut))
        self.share_out(work, problems, workers)
        for script in scripts:
            if script not in self.sizes:
                problems[script].append("failed whole: no cuts were tried")
            self.report(script, mode, problems[script])

    def share_out(self, work, problems, workers):
        def drain():
            idle = []
            while True:
                try:
                    script, label, cut = work.get_nowait()
                except queue.Empty:
                    break
                problem = None
                if len(problems[script]) < FAILURES_SHOWN + 1:
                    problem = self.replay(script, cut, self.target.unix, idle)
                if problem:
                    problems[script].append(f"{label}: {problem}")
            for client in idle:
                client.close()
        threads = [threading.Thread(target=drain) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def run(self, scripts, modes):
        """Scripts that reach other scripts' keys run one by one, last."""
        shared = [s for s in scripts if not s.alone]
        alone = [s for s in scripts if s.alone]
        for group, workers in ((shared, WORKERS), (alone, 1)):
            self.run_whole(group)
            for mode in ("cuts", "bytes"):
                if mode in modes:
                    self.run_cut(group, mode, workers)


def load_all(files):
    paths = files or sorted(glob.glob(os.path.join(HERE, "*.txt")))
    return [script for path in paths
            for script in load(path, os.path.basename(path))]


def on_stock(action):
    program = cluster.find_stock()
    if program is None:
        raise SystemExit("no memcached: set TORC_TEST_MEMCACHED to one")
    folder = tempfile.mkdtemp(prefix="torc-test-")
    stock = cluster.Stock(program, folder, socket_only=True)
    try:
        stock.start().wait_ready()
        path = stock.socket_path
        action(Target("stock", path, path, [path]))
    finally:
        stock.kill()
        shutil.rmtree(folder)


def on_shard(build, action):
    with cluster.Alone(build) as shard:
        action(Target("shard", shard.address, shard.socket_path,
                      [shard.address]))


def on_router(build, action):
    # Patient, because slow builds and many replays at once are no fault.
    with cluster.Cluster(build, router=["--shard-timeout", "10s"]) as them:
        action(Target("router", them.router.address,
                      them.router.socket_path,
                      [shard.address for shard in them.shards]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=".")
    parser.add_argument("--target", required=True,
                        choices=("shard", "router", "stock"))
    parser.add_argument("--mode", action="append", choices=MODES)
    parser.add_argument("files", nargs="*")
    given = parser.parse_args()
    scripts = load_all(given.files)
    tap = Tap()

    def action(target):
        runs = [script for script in scripts if target.runs(script)]
        Runner(target, tap).run(runs, given.mode or MODES)

    if given.target == "stock":
        on_stock(action)
    elif given.target == "shard":
        on_shard(given.build, action)
    else:
        on_router(given.build, action)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
