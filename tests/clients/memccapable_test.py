"""memccapable -a: libmemcached's conformance suite, its ASCII half."""

import subprocess
import sys

import checks  # noqa: F401  (makes support/ importable)
import targets
from tap import Tap

TIMEOUT_S = 120
LEAST_TESTS = 25


def report(tap, prefix, line):
    """memccapable prints a name, then [pass] or [FAIL], on one line."""
    name, found, verdict = line.partition("[")
    if not found:
        tap.note(line)
        return 0
    tap.ok(verdict.startswith("pass"), prefix + name.strip(), line)
    return 1


def run(tap, target, _):
    # Names go to stdout and verdicts to stderr: unbuffered, they meet again.
    argv = ["stdbuf", "-o0", "memccapable", "-h", target.host, "-p",
            str(target.port), "-a"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=TIMEOUT_S)
    prefix = f"{target.name}: memccapable "
    cases = sum(report(tap, prefix, line)
                for line in done.stdout.splitlines())
    tap.ok(done.returncode == 0 and cases >= LEAST_TESTS,
           prefix + "passes as a whole",
           f"status {done.returncode}, {cases} tests\n{done.stdout}")


if __name__ == "__main__":
    sys.exit(targets.each(Tap(), run))
