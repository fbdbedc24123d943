"""harness.py -- what the system tests have in common: their flags, checked
load, and who owns a key."""

import argparse
import json
import os
import subprocess
import time

import cluster
from rawclient import Client
from tap import Failure, require

SUPPORT = os.path.dirname(os.path.abspath(__file__))


def flags():
    """--build DIR, --quick"""
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=".")
    parser.add_argument("--quick", action="store_true",
                        help="shorter, for slow (sanitized) builds")
    return parser.parse_args()


class Drive:
    """The driver of checked load (drive.c), in the background."""

    def __init__(self, build, port, **options):
        argv = [os.path.join(build, "tests/system/drive"), "--port",
                str(port)]
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            if isinstance(value, bool):
                argv += [flag] if value else []
            else:
                argv += [flag, str(value)]
        self.child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace",
            preexec_fn=cluster.die_with_parent)

    def is_running(self):
        return self.child.poll() is None

    def finish(self, timeout_s=180):
        """Its report, once it has ended; see drive.c for the fields."""
        try:
            out, complaints = self.child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Failure(f"the driver did not end within {timeout_s} s")
        require(out.strip() != "", f"the driver failed: {complaints}")
        report = json.loads(out)
        report["complaints"] = complaints
        return report

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.is_running():
            self.child.kill()
            self.child.communicate()


def require_flawless(report, errors_too=True):
    """No wrong answer, no connection lost, and no error if not allowed."""
    flaws = ["wrong", "lost"] + (["errors"] if errors_too else [])
    for flaw in flaws:
        require(report[flaw] == 0, f"{report[flaw]} {flaw} of "
                f"{report['operations']}:\n{report['complaints']}")
    require(report["finished"], f"stalled: {report['complaints']}")
    require(report["operations"] > 0, "nothing was done")


def workload(name):
    """Options of Drive for a published workload."""
    with open(os.path.join(SUPPORT, "workloads.json")) as text:
        return json.load(text)["clusters"][name]


def owners(shards, keys):
    """{key: shard}: a shard says `moved` to keys that are another's."""
    found = {}
    for shard in shards:
        with Client(shard.address) as client:
            client.send(b"".join(b"mg %s\r\n" % key for key in keys))
            for key in keys:
                if not client.read_line().startswith(b"SERVER_ERROR moved"):
                    found[key] = shard
    return found


def store_all(address, keys):
    """Sets every key to itself; through a router, as a rule."""
    with Client(address) as client:
        for key in keys:
            client.send(b"set %s 0 0 %d noreply\r\n%s\r\n"
                        % (key, len(key), key))
        answer = client.command(b"mn\r\n")
    require(answer == b"MN", f"mn after the sets answered {answer}")


class Watch:
    """Asks for keys one by one and keeps account of what it is told."""

    def __init__(self, address):
        self.client = Client(address)
        self.missed = {}    # key -> misses
        self.problems = []  # error lines and wrong values
        self.longest_s = 0
        self.count = 0

    def ask(self, key):
        began = time.monotonic()
        found, error = self.client.get_many([key])
        took = time.monotonic() - began
        self.longest_s = max(self.longest_s, took)
        self.count += 1
        if error is not None:
            self.problems.append(f"get {key.decode()}: {error.decode()}")
        elif key not in found:
            self.missed[key] = self.missed.get(key, 0) + 1
        elif found[key] != key:
            self.problems.append(f"get {key.decode()}: {found[key]!r}")
        return took

    def ask_all(self, keys, until):
        """Round and round, until the question is answered with true."""
        while True:
            for index, key in enumerate(keys):
                if index % 64 == 0 and until():
                    return
                self.ask(key)

    def close(self):
        self.client.close()


def rest(seconds):
    """An `until` for Watch.ask_all."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
