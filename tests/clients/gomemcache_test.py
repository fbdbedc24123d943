"""gomemcache: builds tests/clients/gomemcache in the build folder, which needs
go and, the first time, a module proxy; without them it is skipped."""

import os
import shutil
import subprocess
import sys

import foreign
import targets
from tap import Tap

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD_TIMEOUT_S = 150


def build_client(build):
    """(program, None), or (None, why it cannot be built)."""
    if shutil.which("go") is None:
        return None, "go is not installed"
    folder = os.path.join(os.path.abspath(build), "tests", "clients", "go")
    program = os.path.join(folder, "client")
    env = dict(os.environ, GOCACHE=os.path.join(folder, "cache"),
               GOMODCACHE=os.path.join(folder, "modules"),
               GOFLAGS="-mod=readonly -modcacherw", GOTOOLCHAIN="local")
    argv = ["go", "build", "-o", program, "."]
    try:
        done = subprocess.run(argv, cwd=os.path.join(HERE, "gomemcache"),
                              env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT,
                              timeout=BUILD_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None, f"go build took more than {BUILD_TIMEOUT_S} s"
    if done.returncode == 0:
        return program, None
    return None, explain(done.stdout)


def explain(output):
    """A module that cannot be had is a reason to skip; else the output is
    for the eyes of whoever broke the program."""
    for line in output.splitlines():
        if "dial tcp" in line or "proxyconnect" in line:
            return f"no module proxy: {line.strip()}"
    raise SystemExit(f"go build failed:\n{output}")


def run(tap, target, build):
    program, why_not = build_client(build)
    if program is None:
        tap.skip(f"{target.name}: gomemcache", why_not)
        return
    foreign.run_program(tap, target, "gomemcache", [program])


if __name__ == "__main__":
    sys.exit(targets.each(Tap(), run))
