"""foreign.py -- runs clients that are programs of their own.

Such a program is called with host, port and kind of server; it prints a line
for each case: "ok name", "not ok name: why" or "skip name: why".
"""

import subprocess

import checks  # noqa: F401  (makes support/ importable)
import targets
from tap import Tap

TIMEOUT_S = 120


def report(tap, prefix, line):
    if line.startswith("ok "):
        tap.ok(True, prefix + line[3:])
    elif line.startswith("not ok "):
        name, _, why = line[7:].partition(": ")
        tap.ok(False, prefix + name, why)
    elif line.startswith("skip "):
        name, _, why = line[5:].partition(": ")
        tap.skip(prefix + name, why)
    else:
        tap.note(line)
        return 0
    return 1


def run_program(tap, target, library, argv):
    done = subprocess.run([*argv, target.host, str(target.port), target.name],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=TIMEOUT_S)
    prefix = f"{target.name}: {library} "
    cases = sum(report(tap, prefix, line)
                for line in done.stdout.splitlines())
    tap.ok(cases > 0 and done.returncode == 0, prefix + "runs to its end",
           f"status {done.returncode} after {cases} cases\n{done.stdout}")


def main(library, argv):
    def run(tap, target, _):
        run_program(tap, target, library, argv)
    return targets.each(Tap(), run)
