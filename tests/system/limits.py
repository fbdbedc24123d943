"""What a client can make the server hold or wait for has a limit.

Each case starts a shard, and a router in front of one, with small settings.
"""

import contextlib
import functools
import socket
import sys
import threading
import time

import context  # noqa: F401
from cluster import Alone, Cluster, wait_until
from harness import Drive, flags, require_flawless
from rawclient import Client, Closed
from tap import Tap, require, require_equal

MIB = 1 << 20
LARGE = 500_000
GROWTH_MAX = 64 * MIB
POURED_MAX = 64 * MIB  # more than the kernel's buffers and any line


@contextlib.contextmanager
def shard(build, *arguments):
    with Alone(build, arguments) as server:
        yield server


@contextlib.contextmanager
def router(build, *arguments):
    with Cluster(build, shards=1, router=arguments) as them:
        yield them.router


def connections_are_limited(start):
    with start("-c", "16") as server:
        them = [Client(server.address) for _ in range(16)]
        for client in them:
            client.command(b"mn\r\n")
        with Client(server.address) as one_more:
            require_equal(one_more.read_line(),
                          b"ERROR Too many open connections\r\n", "the 17th")
            require(one_more.is_closed(), "the 17th was not closed")
        require_equal(them[0].command(b"mn\r\n"), b"MN", "the first")
        them.pop().close()
        wait_until(lambda: is_served(server), 5, "room again after one left")
        for client in them:
            client.close()


def is_served(server):
    with Client(server.address) as client:
        try:
            return client.command(b"mn\r\n") == b"MN"
        except (Closed, OSError):
            return False


def a_client_that_does_not_read_is_bounded(start):
    """It asks for 1 GB; meanwhile others are served."""
    bound = ([] if start.role == "shard"
             else ["--client-output-limit", "16m"])
    with start(*bound) as server, Client(server.address) as client:
        client.set(b"large", b"v" * LARGE)
        before = server.resident_bytes()
        client.socket.setblocking(False)
        flood(client.socket, b"get large\r\n" * 2000)
        for _ in range(20):
            time.sleep(0.05)
            require(is_served(server), "another client is not served")
        grown = server.resident_bytes() - before
        require(grown < GROWTH_MAX, f"grew by {grown // MIB} MiB")


def a_slow_reader_gets_everything(start):
    count = 300
    with start() as server, Client(server.address, 30) as client:
        client.set(b"large", b"v" * LARGE)
        client.send(b"get large\r\n" * count + b"mn\r\n")
        time.sleep(0.5)
        answer = b"VALUE large 0 %d\r\n" % LARGE
        for _ in range(count):
            require_equal(client.read_line(), answer, "the VALUE line")
            require_equal(client.read(LARGE + 7)[-7:], b"\r\nEND\r\n", "END")
        require_equal(client.read_line(), b"MN\r\n", "the end")


def flood(handle, data):
    """Sends until the other side takes no more."""
    view = memoryview(data)
    try:
        while view:
            view = view[handle.send(view):]
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass


def idle_clients_are_closed(start):
    with start("--idle-timeout", "1s") as server:
        with Client(server.address) as idle, Client(server.address) as busy:
            began = time.monotonic()
            idle.command(b"mn\r\n")
            while time.monotonic() - began < 2.5:
                busy.command(b"mn\r\n")
                time.sleep(0.2)
            idle.socket.settimeout(2)
            require(idle.is_closed(), "the idle one is still open")


def requests_must_end_in_time(start):
    for half in (b"set half 0 0 100\r\nabc", b"get ha", b"ms half 10\r\n"):
        with start("--request-timeout", "500ms") as server:
            with Client(server.address) as client:
                began = time.monotonic()
                client.send(half)
                require(client.is_closed(), f"not closed after {half}")
                took = time.monotonic() - began
                require(0.3 < took < 3, f"closed after {took:.1f} s")


def half_sent_sets_leave_nothing(start):
    with start() as server:
        wait_until(lambda: is_served(server), 5, "served")
        handles = server.handle_count()
        before = server.resident_bytes()
        for i in range(300):
            with Client(server.address) as client:
                client.send(b"set half-%d 0 0 1000000\r\n" % i + b"x" * 9999)
        wait_until(lambda: server.handle_count() <= handles + 2, 5,
                   "the connections' handles closed")
        with Client(server.address) as client:
            require_equal(client.get_many([b"half-0", b"half-299"]),
                          ({}, None), "what was half sent")
        grown = server.resident_bytes() - before
        require(grown < GROWTH_MAX, f"grew by {grown // MIB} MiB")


def announced_sizes_cost_nothing(start):
    """Memory is for bytes that came, not for bytes that were promised."""
    with start() as server:
        before = server.resident_bytes()
        them = [Client(server.address) for _ in range(200)]
        for i, client in enumerate(them):
            client.send(b"set promised-%d 0 0 1000000\r\nx" % i)
        time.sleep(0.5)
        grown = server.resident_bytes() - before
        for client in them:
            client.close()
        require(grown < GROWTH_MAX, f"grew by {grown // MIB} MiB")


def endless_lines_end(start):
    with start("--request-timeout", "1m") as server:
        for begin in (b"x", b"mg ", b"get "):
            before = server.resident_bytes()
            sent, last = pour(server, begin)
            require(sent < POURED_MAX, f"{sent} bytes were taken")
            require_equal(last, b"CLIENT_ERROR line too long\r\n",
                          f"the answer to {begin}")
            grown = server.resident_bytes() - before
            require(grown < GROWTH_MAX, f"grew by {grown // MIB} MiB")
        require(is_served(server), "it serves no more")


def pour(server, begin):
    """Sends a line without end; how much was taken, and what came back."""
    sent = 0
    with Client(server.address, 60) as client:
        try:
            client.send(begin)
            while sent < POURED_MAX:
                client.send(b"y" * 65536)
                sent += 65536
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            return sent, client.read_line()
        except (Closed, OSError) as end:
            return sent, getattr(end, "got", b"")


def one_key_many_times(start):
    count = 70_000
    with start() as server, Client(server.address, 60) as client:
        client.set(b"k", b"v" * 100)
        before = server.resident_bytes()
        client.send(b"get" + b" k" * count + b"\r\n")
        once = b"VALUE k 0 100\r\n" + b"v" * 100 + b"\r\n"
        for _ in range(count):
            if client.read(len(once)) != once:
                require(False, "a value is wrong")
        require_equal(client.read_line(), b"END\r\n", "the end")
        grown = server.resident_bytes() - before
        require(grown < 2 * GROWTH_MAX, f"grew by {grown // MIB} MiB")


def one_key_by_many(start):
    """300 connections read the same item at once, again and again."""
    with start() as server:
        with Client(server.address) as client:
            client.set(b"hot", b"v" * 5000)
        them = [Client(server.address) for _ in range(300)]
        for client in them:
            client.send(b"get hot\r\n" * 20)
        for client in them:
            for _ in range(20):
                found, error = client.read_values()
                require_equal((found, error), ({b"hot": b"v" * 5000}, None),
                              "an answer")
            client.close()


def long_mixed_pipelines_stay_in_step(start):
    """Far more than any buffer holds, with errors and silence in between."""
    count = 6000
    value = b"v" * 3000
    with start() as server, Client(server.address, 60) as client:
        sender = threading.Thread(target=send_mixed,
                                  args=(client, count, value))
        sender.start()
        for i in range(count):
            require_equal(client.read_line(), b"STORED\r\n", f"set {i}")
            require_equal(client.read_line(), b"ERROR\r\n", f"bogus {i}")
            require_equal(client.read_line(), b"NF O%d\r\n" % i, f"md {i}")
            found, error = client.read_values()
            require_equal((found, error), ({b"p%d" % (i % 50): value}, None),
                          f"get {i}")
        sender.join()
        require_equal(client.command(b"mn\r\n"), b"MN", "the end")


def send_mixed(client, count, value):
    for i in range(count):
        key = b"p%d" % (i % 50)
        client.send(b"set %s 0 0 3000\r\n%s\r\nbogus\r\n"
                    b"set quiet%d 0 0 2 noreply\r\nxx\r\n"
                    b"mg nothing v q\r\nms q%d 1 q\r\ny\r\n"
                    b"md nothing O%d q\r\nget %s\r\n"
                    % (key, value, i, i, i, key))


def readers_leave_in_the_middle(start):
    """Clients that hang up while large answers are on their way."""
    with start() as server:
        with Client(server.address) as client:
            client.set(b"large", b"v" * LARGE)
        handles = server.handle_count()
        before = server.resident_bytes()
        for i in range(150):
            with Client(server.address) as client:
                client.send(b"get large\r\n" * 20)
                if i % 2 == 0:
                    client.read(1000)
        wait_until(lambda: server.handle_count() <= handles + 2, 5,
                   "the connections' handles closed")
        # The allocator gives pages back some seconds after they were freed.
        wait_until(lambda: is_served(server) and
                   server.resident_bytes() - before < GROWTH_MAX, 15,
                   "served, and the memory given back")


def connections_come_and_go(start):
    with start() as server:
        wait_until(lambda: is_served(server), 5, "served")
        handles = server.handle_count()
        for i in range(1500):
            handle = socket.create_connection(("127.0.0.1", server.port))
            handle.sendall((b"", b"get x", b"mn\r\n")[i % 3])
            handle.close()
        wait_until(lambda: server.handle_count() <= handles + 2, 5,
                   "the connections' handles closed")
        require(is_served(server), "it serves no more")


CASES = (connections_are_limited, a_client_that_does_not_read_is_bounded,
         a_slow_reader_gets_everything, idle_clients_are_closed,
         requests_must_end_in_time, half_sent_sets_leave_nothing,
         announced_sizes_cost_nothing, endless_lines_end, one_key_many_times,
         one_key_by_many, long_mixed_pipelines_stay_in_step,
         readers_leave_in_the_middle, connections_come_and_go)


def stops_under_load(build, start):
    """SIGTERM amid requests: it ends, and well (the context sees to that)."""
    with start() as server:
        with Drive(build, server.port, operations=1e9, seconds=20,
                   tolerant=True) as drive:
            time.sleep(0.5)
            began = time.monotonic()
            server.stop()
            took = time.monotonic() - began
            report = drive.finish()
        require(took < 8, f"it took {took:.1f} s to stop")
        report["lost"] = 0  # all connections are, at the end
        require_flawless(report, errors_too=False)


def main():
    given = flags()
    tap = Tap()
    for name, role in (("shard", shard), ("router", router)):
        start = functools.partial(role, given.build)
        start.role = name
        for case in CASES:
            with tap.case(f"{name}: {case.__name__.replace('_', ' ')}"):
                case(start)
        with tap.case(f"{name}: stops under load"):
            stops_under_load(given.build, start)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
