"""The command line tools of libmemcached, as an operator would use them."""

import os
import shutil
import subprocess
import sys
import tempfile

import checks  # noqa: F401  (makes support/ importable)
import targets
from tap import Tap, require, require_equal

TIMEOUT_S = 30


class Tools:
    """Runs memccp and its kin against one server, in a folder of its own."""

    def __init__(self, target, folder):
        self.target = target
        self.folder = folder

    def run(self, tool, *arguments):
        """(status, output)"""
        done = subprocess.run(
            [tool, f"--servers={self.target.address}", *arguments],
            cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S)
        return done.returncode, done.stdout

    def must(self, tool, *arguments):
        status, output = self.run(tool, *arguments)
        require(status == 0, f"{tool} ended with {status}: {output}")
        return output

    def file(self, name, text):
        with open(os.path.join(self.folder, name), "w") as out:
            out.write(text)

    def store(self, name, text, *options):
        self.file(name, text)
        self.must("memccp", *options, name)


def memccp_and_memccat(tools):
    tools.store("tool-plain", "a file")
    require_equal(tools.must("memccat", "tool-plain").strip(), "a file",
                  "memccat")


def memccp_of_a_large_file(tools):
    text = "0123456789abcdef" * 6250
    tools.store("tool-large", text)
    require_equal(tools.must("memccat", "tool-large").strip("\n"), text,
                  "memccat of 100 kB")


def memccp_with_flags(tools):
    tools.store("tool-flags", "x", "--flag=42")
    output = tools.must("memccat", "--flags", "tool-flags")
    require("42" in output, f"memccat --flags shows {output!r}")


def memccp_of_many_files(tools):
    names = [f"tool-many-{i}" for i in range(100)]
    for name in names:
        tools.file(name, name)
    tools.must("memccp", *names)
    output = tools.must("memccat", *names)
    for name in names:
        require(name in output, f"memccat lost {name}")


def memcexist_tells(tools):
    tools.store("tool-there", "x")
    require_equal(tools.run("memcexist", "tool-there")[0], 0, "memcexist")
    require(tools.run("memcexist", "tool-nowhere")[0] != 0,
            "memcexist found a missing key")
    require(tools.run("memccat", "tool-nowhere")[0] != 0,
            "memcexist left its probe behind")


def memctouch_touches(tools):
    tools.store("tool-touch", "x")
    tools.must("memctouch", "--expire=100", "tool-touch")
    tools.must("memccat", "tool-touch")


def memcrm_removes(tools):
    tools.store("tool-remove", "x")
    tools.must("memcrm", "tool-remove")
    require(tools.run("memccat", "tool-remove")[0] != 0, "it is still there")


def memcping_answers(tools):
    tools.must("memcping")


def memcstat_shows_numbers(tools):
    output = tools.must("memcstat")
    require("curr_items" in output and "version" in output,
            f"memcstat shows {output[:300]!r}")


def memcflush_empties(tools):
    tools.store("tool-flush", "x")
    tools.must("memcflush")
    require(tools.run("memccat", "tool-flush")[0] != 0, "it is still there")


CASES = (memccp_and_memccat, memccp_of_a_large_file, memccp_with_flags,
         memccp_of_many_files, memcexist_tells, memctouch_touches,
         memcrm_removes, memcping_answers, memcstat_shows_numbers,
         memcflush_empties)


def run(tap, target, _):
    folder = tempfile.mkdtemp(prefix="torc-test-")
    try:
        for case in CASES:
            name = case.__name__.replace("_", " ")
            with tap.case(f"{target.name}: {name}"):
                case(Tools(target, folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(targets.each(Tap(), run))
