"""tap.py -- prints test results as TAP, one line a case.

A script makes one Tap, reports cases through ok(), skip() or the `case`
context manager, and ends with done(), whose value is its exit status.
"""

import sys
import traceback
from contextlib import contextmanager


class Failure(Exception):
    """What a test found wrong, told in a sentence."""


class Skip(Exception):
    """Why a case cannot run here."""


def require(truth, message):
    if not truth:
        raise Failure(message)


def require_equal(got, expected, what):
    if got != expected:
        raise Failure(f"{what}: got {brief(got)}, expected {brief(expected)}")


def brief(value, most=200):
    """A value for a message: long ones are shown by their two ends."""
    text = repr(value)
    if len(text) <= most:
        return text
    return f"{text[:most // 2]} ... {text[-most // 2:]} ({len(text)} long)"


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, passed, name, detail=""):
        self.count += 1
        self.failed += not passed
        word = "ok" if passed else "not ok"
        print(f"{word} {self.count} - {name}")
        if not passed:
            self.note(detail)
        sys.stdout.flush()

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}")

    @contextmanager
    def case(self, name):
        """Runs its block as one case; an exception is a failure of it."""
        try:
            yield
        except Skip as skip:
            self.skip(name, str(skip))
        except Failure as failure:
            self.ok(False, name, str(failure))
        except Exception:  # a broken test is a failed one, and goes on
            self.ok(False, name, traceback.format_exc())
        else:
            self.ok(True, name)

    def done(self):
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed else 0
