"""count_tap.py -- counts test cases, not test programs.

    count_tap.py LOG...

Reads meson's testlog.json files (one JSON object a line, one line a program).
A program that speaks TAP counts for as many cases as it reports, any other for
one.  Prints the cases that failed, each with what was said about it, and at
the end "passed failed skipped" as three numbers, which run.sh adds up.
"""

import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b *\d* *-? *(.*)$")
SKIPPED = re.compile(r"# *skip", re.IGNORECASE)
EXCERPT_LINES = 25
GOOD = ("OK", "SKIP", "EXPECTEDFAIL")


class Program:
    """What one test program reported."""

    def __init__(self, record):
        self.name = record["name"]
        self.result = record["result"]
        self.output = record.get("stdout", "").splitlines()
        self.errors = record.get("stderr", "").splitlines()
        self.passed = self.skipped = 0
        self.failures = []  # (name of the case, what was said)
        self._read_cases()
        self._judge_whole()

    def _read_cases(self):
        for index, line in enumerate(self.output):
            match = CASE.match(line)
            if not match:
                continue
            failed, name = match.groups()
            if SKIPPED.search(name):
                self.skipped += 1
            elif failed:
                self.failures.append((name, self._said_after(index)))
            else:
                self.passed += 1

    def _said_after(self, index):
        said = []
        for line in self.output[index + 1:]:
            if CASE.match(line) or len(said) == EXCERPT_LINES:
                break
            said.append(line)
        return said

    def _judge_whole(self):
        """A program without cases is one; one that failed though all its
        cases did not (a crash, a time-out, a short plan) has failed too."""
        counted = self.passed + self.skipped + len(self.failures)
        if counted == 0 and self.result == "SKIP":
            self.skipped = 1
        elif counted == 0 and self.result in GOOD:
            self.passed = 1
        elif self.result not in GOOD and not self.failures:
            tail = (self.output + self.errors)[-EXCERPT_LINES:]
            self.failures.append((f"as a whole: {self.result}", tail))

    def show_failures(self):
        for name, said in self.failures:
            print(f"FAILED {self.name}: {name}")
            for line in said:
                print(f"    {line}")
        if self.failures and self.errors:
            print(f"  {self.name}, end of stderr:")
            for line in self.errors[-EXCERPT_LINES:]:
                print(f"    {line}")


def main():
    passed = failed = skipped = 0
    for path in sys.argv[1:]:
        with open(path) as log:
            for line in log:
                program = Program(json.loads(line))
                program.show_failures()
                passed += program.passed
                failed += len(program.failures)
                skipped += program.skipped
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
