"""cluster.py -- starts and stops real processes for the tests.

Every process ends with the test that started it, however that ends: stop() at
the end, an exit handler, and, should python itself be killed, the kernel
(PR_SET_PDEATHSIG).  Processes are therefore started from the main thread only:
the kernel counts the end of the starting thread.

A sanitizer's report in a process's log makes stop() fail, so each test that
uses this is also a sanitizer test.
"""

import atexit
import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import ports
import rawclient
from tap import Failure, require

PR_SET_PDEATHSIG = 1
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
THREADS = 2  # workers of each server: what they share is tested too
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
           "WARNING: ThreadSanitizer", "runtime error:")

_libc = ctypes.CDLL(None, use_errno=True)
_started = []


def die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _environment():
    env = dict(os.environ)
    for name in list(env):
        if name.startswith("TORC_"):
            del env[name]
    # A small quarantine: the tests look at how much memory is held.
    env.setdefault("ASAN_OPTIONS", "exitcode=99:quarantine_size_mb=8:"
                   "detect_stack_use_after_return=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "exitcode=99:second_deadlock_stack=1")
    return env


@atexit.register
def _kill_leftovers():
    for process in _started:
        process.kill()


class Process:
    """One child: its arguments, its log, its signals."""

    def __init__(self, name, argv, folder):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log_path = os.path.join(folder, name + ".log")
        self.child = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=_environment(), preexec_fn=die_with_parent)
        _started.append(self)
        return self

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        if self.is_running():
            self.child.send_signal(number)

    def kill(self):
        """kill -9, and collects what is left."""
        if self.is_running():
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()

    def stop(self):
        """SIGTERM; a status other than 0, or a report, is a failure."""
        if self.child is None or self.child.returncode == -signal.SIGKILL:
            self.check_log()
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            status = self.child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.name} did not stop within "
                          f"{STOP_TIMEOUT_S} s of SIGTERM\n{self.tail()}")
        self.check_log()
        require(status == 0, f"{self.name} ended with status {status}\n"
                f"{self.tail()}")

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def tail(self, lines=30):
        if not os.path.exists(self.log_path):
            return f"{self.name}: no log"
        shown = self.log().splitlines()[-lines:]
        return "\n".join([f"--- {self.name}, end of log"] + shown)

    def check_log(self):
        if not os.path.exists(self.log_path):
            return
        text = self.log()
        for report in REPORTS:
            if report in text:
                at = text.index(report)
                raise Failure(f"{self.name} reported:\n"
                              f"{text[max(0, at - 200):at + 4000]}")

    def resident_bytes(self):
        with open(f"/proc/{self.child.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def handle_count(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))


def http(url, method="GET", body=None, timeout_s=10):
    """(status, text) of one HTTP request; a refusal is no exception."""
    data = None if body is None else body.encode()
    request = urllib.request.Request(url, data=data, method=method)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def wait_until(question, timeout_s, what):
    """Asks until the answer is true; returns the seconds it took."""
    began = time.monotonic()
    while True:
        if question():
            return time.monotonic() - began
        if time.monotonic() - began > timeout_s:
            raise Failure(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


class Server(Process):
    """A torc process with a data port and an admin port."""

    def __init__(self, name, program, folder, arguments):
        self.port = ports.take()
        self.admin_port = ports.take()
        self.socket_path = os.path.join(folder, name + ".sock")
        argv = [program, "-l", f"127.0.0.1:{self.port}", "-s",
                self.socket_path, "-p", self.port, "--admin",
                f"127.0.0.1:{self.admin_port}", "-v"]
        super().__init__(name, argv + list(arguments), folder)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def admin(self):
        return f"127.0.0.1:{self.admin_port}"

    def admin_get(self, path):
        return http(f"http://{self.admin}{path}")

    def is_ready(self):
        if not self.is_running():
            raise Failure(f"{self.name} ended with status "
                          f"{self.child.poll()}\n{self.tail()}")
        try:
            return self.admin_get("/readyz")[0] == 200
        except OSError:
            return False

    def wait_ready(self):
        try:
            return wait_until(self.is_ready, START_TIMEOUT_S,
                              f"{self.name} ready")
        except Failure as failure:
            raise Failure(f"{failure}\n{self.tail()}")


class Stock(Process):
    """memcached itself, the yardstick for what we answer."""

    def __init__(self, program, folder, socket_only=False, name="stock"):
        self.port = ports.take()
        self.socket_path = os.path.join(folder, name + ".sock")
        where = (["-s", self.socket_path] if socket_only
                 else ["-l", "127.0.0.1", "-p", self.port])
        super().__init__(name, [program, "-u", "root", "-U", "0",
                                "-c", "4096", *where], folder)
        self.socket_only = socket_only

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def is_ready(self):
        where = self.socket_path if self.socket_only else self.address
        try:
            rawclient.Client(where).close()
            return True
        except OSError:
            return False

    def wait_ready(self):
        return wait_until(self.is_ready, START_TIMEOUT_S, "memcached ready")


def find_stock():
    """The memcached to compare with, or None."""
    for path in (os.environ.get("TORC_TEST_MEMCACHED"),
                 shutil.which("memcached")):
        if path and os.access(path, os.X_OK):
            return path
    return None


class Ringd(Process):
    def __init__(self, build, folder, members, arguments=()):
        self.port = ports.take()
        self.store = os.path.join(folder, "ring-store.json")
        argv = [os.path.join(build, "src/ringd/torc-ringd"), "--listen",
                f"127.0.0.1:{self.port}", "--store", self.store,
                "--cluster", "test", "-v"]
        for member in members:
            argv += ["--member", member]
        super().__init__("ringd", argv + list(arguments), folder)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, body=None):
        return http(self.url + path, method, body)

    def ring(self):
        status, text = self.request("GET", "/v1/ring")
        require(status == 200, f"GET /v1/ring answered {status}: {text}")
        return json.loads(text)

    def epoch(self):
        return self.ring()["epoch"]

    def wait_ready(self):
        def answers():
            if not self.is_running():
                raise Failure(f"ringd ended\n{self.tail()}")
            try:
                return self.request("GET", "/v1/ring")[0] == 200
            except OSError:
                return False
        return wait_until(answers, START_TIMEOUT_S, "ringd answers")


class Cluster:
    """ringd, shards and a router; `with` starts and stops them.

    shards=0 gives a shard that stands alone, as `alone`.
    """

    def __init__(self, build, shards=3, router=(), shard=(), ringd=True):
        self.build = build
        self.folder = tempfile.mkdtemp(prefix="torc-test-")
        self.shard_arguments = list(shard)
        self.router_arguments = list(router)
        self.shards = []
        self.ringd = None
        self.router = None
        self.others = []
        self.with_ringd = ringd
        self.shard_count = shards

    def _program(self, role):
        return os.path.join(self.build, f"src/{role}/torc-{role}")

    def new_shard(self, name, arguments=()):
        """A shard's process, not yet started, nor a member."""
        follow = ["--ringd", self.ringd.url] if self.ringd else []
        server = Server(name, self._program("shard"), self.folder,
                        ["--name", name, "-m", "64", "-t", THREADS, *follow,
                         *self.shard_arguments, *arguments])
        self.others.append(server)
        return server

    def new_router(self, name, arguments=()):
        follow = ["--ringd", self.ringd.url] if self.ringd else []
        server = Server(name, self._program("router"), self.folder,
                        ["--name", name, "-t", THREADS, *follow,
                         *self.router_arguments, *arguments])
        self.others.append(server)
        return server

    def start_all(self):
        if self.with_ringd:
            self.ringd = Ringd(self.build, self.folder, [])
        for i in range(self.shard_count):
            self.shards.append(self.new_shard(f"shard-{i}"))
        if self.with_ringd:
            self.ringd.argv += [word for shard in self.shards
                                for word in ("--member", member(shard))]
            self.ringd.start().wait_ready()
            self.others.append(self.ringd)
        # Shards first: a router that finds one not yet listening tries it
        # again later, and answers for it with errors until then.
        for shard in self.shards:
            shard.start()
        for shard in self.shards:
            shard.wait_ready()
        self.router = self.new_router("router")
        self.router.start().wait_ready()

    def add_member(self, shard):
        body = json.dumps({"name": shard.name, "address": shard.address,
                           "admin": shard.admin})
        status, text = self.ringd.request("POST", "/v1/members", body)
        require(status in (200, 201),
                f"POST /v1/members answered {status}: {text}")

    def remove_member(self, shard):
        status, text = self.ringd.request("DELETE",
                                          f"/v1/members/{shard.name}")
        require(status in (200, 204), f"DELETE answered {status}: {text}")

    def wait_epoch(self, epoch, servers, timeout_s=10):
        """Until each server's /ring shows at least this epoch."""
        for server in servers:
            wait_until(lambda: epoch_of(server) >= epoch, timeout_s,
                       f"{server.name} at epoch {epoch}")

    def __enter__(self):
        try:
            self.start_all()
        except BaseException:
            self.abandon()
            raise
        return self

    def abandon(self):
        for process in self.others:
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        return "\n".join(process.tail() for process in self.others)

    def __exit__(self, kind, value, trace):
        failures = []
        for process in reversed(self.others):
            try:
                process.stop()
            except Failure as failure:
                failures.append(str(failure))
        self.abandon()
        if failures and kind is None:
            raise Failure("\n".join(failures))
        return False


def member(shard):
    """A shard as --member of ringd takes it."""
    return f"{shard.name}={shard.address},admin={shard.admin}"


def epoch_of(server):
    status, text = server.admin_get("/ring")
    if status != 200:
        return 0
    try:
        return json.loads(text).get("epoch", 0)
    except ValueError:
        return 0


class Alone:
    """One shard without a ring; `with` starts and stops it."""

    def __init__(self, build, arguments=()):
        self.folder = tempfile.mkdtemp(prefix="torc-test-")
        self.server = Server(
            "shard", os.path.join(build, "src/shard/torc-shard"),
            self.folder, ["--name", "alone", "-m", "64", "-t", THREADS,
                          *arguments])

    def __enter__(self):
        try:
            self.server.start().wait_ready()
        except BaseException:
            self.server.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self.server

    def __exit__(self, kind, value, trace):
        try:
            self.server.stop()
        except Failure:
            if kind is None:
                raise
        finally:
            self.server.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
        return False
