"""Bad settings, members and ring documents are refused with a message that
names the field, the value and what is allowed; the old state stays."""

import copy
import json
import os
import subprocess
import sys

import context  # noqa: F401
from cluster import Alone, Cluster, Server, epoch_of, wait_until
from fakes import FakeRingd
from harness import flags
from tap import Tap, require, require_equal

# arguments, then words that the message must have
OPTIONS = {
    "shard": (
        (["-m", "7"], ["-m", "7", "8m"]),
        (["-t", "0"], ["-t", "0", "1 to 128"]),
        (["-t", "1000"], ["-t", "1000", "1 to 128"]),
        (["-p", "70000"], ["-p", "70000", "65535"]),
        (["-I", "2g"], ["-I", "2g", "1g"]),
        (["--idle-timeout", "soon"], ["--idle-timeout", "soon"]),
        (["--connection-limit", "3"], ["--connection-limit", "3", "16"]),
        (["--no-such-thing"], ["--no-such-thing"]),
        (["surplus"], ["surplus"]),
        (["-m"], ["-m"]),
        (["--name", "Not A Name"], ["Not A Name"]),
        (["-l", "nonsense:port"], ["nonsense:port"]),
        (["--log-format", "xml"], ["log", "xml", "json"]),
        (["--ringd", "gopher://x"], ["gopher://x", "http"]),
    ),
    "router": (
        (["--shard-timeout", "1ms"], ["--shard-timeout", "1ms", "10ms"]),
        (["--backend", "nonsense"], ["nonsense", "host:port"]),
        (["-c", "0"], ["-c", "0", "16"]),
        (["--ringd", "gopher://x"], ["gopher://x", "http"]),
        ([], ["--ringd", "--backend"]),
    ),
    "ringd": (
        (["--member", "nameless"], ["nameless", "address"]),
        (["--member", "a=nowhere"], ["nowhere", "host:port"]),
        (["--member", "a=127.0.0.1:1,weight=0"], ["weight", "0", "1000"]),
        (["--member", "a=127.0.0.1:1,colour=red"], ["colour"]),
        (["--members-file", "/nonexistent"], ["/nonexistent"]),
        (["--heartbeat", "1h"], ["--heartbeat", "1h", "10s"]),
        (["--listen", "nowhere"], ["nowhere"]),
    ),
}

# method, path, body, words of the answer
API = (
    ("POST", "/v1/members", "{", ["JSON"]),
    ("POST", "/v1/members", "[]", ["object"]),
    ("POST", "/v1/members", '{"address":"127.0.0.1:1"}', ["name"]),
    ("POST", "/v1/members", '{"name":"x"}', ["address"]),
    ("POST", "/v1/members", '{"name":"A b","address":"127.0.0.1:1"}',
     ["name", "A b", "a-z"]),
    ("POST", "/v1/members", '{"name":7,"address":"127.0.0.1:1"}',
     ["name", "7"]),
    ("POST", "/v1/members", '{"name":"x","address":"127.0.0.1:70000"}',
     ["address", "70000", "65535"]),
    ("POST", "/v1/members",
     '{"name":"x","address":"127.0.0.1:1","weight":1001}',
     ["weight", "1001", "1000"]),
    ("POST", "/v1/members",
     '{"name":"x","address":"127.0.0.1:1","weight":-1}', ["weight", "-1"]),
    ("POST", "/v1/members",
     '{"name":"x","address":"127.0.0.1:1","wieght":2}',
     ["wieght", "weight"]),
    ("POST", "/v1/members", "[" * 5000, []),
    ("POST", "/v1/members", '{"name":"' + "x" * 200_000 + '"}', []),
    ("DELETE", "/v1/members/nobody", None, ["nobody"]),
    ("POST", "/v1/ack", '{"epoch":"x"}', []),
)


def programs(build, role):
    return os.path.join(build, f"src/{role}/torc-{role}")


def check_options(tap, build, folder):
    for role, rows in OPTIONS.items():
        for arguments, words in rows:
            shown = " ".join(arguments) or "without settings"
            with tap.case(f"torc-{role} refuses: {shown}"):
                refuses(build, role, arguments, words, folder)


def refuses(build, role, arguments, words, folder):
    """Ports of 0 so that, were it not refused, nothing else is disturbed."""
    base = (["--listen", "127.0.0.1:0", "--store", f"{folder}/none.json"]
            if role == "ringd" else
            ["-l", "127.0.0.1", "-p", "0", "--admin", ""])
    try:
        done = subprocess.run(
            [programs(build, role), *base, *arguments], timeout=10,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=folder)
    except subprocess.TimeoutExpired:
        require(False, "it started and went on")
    require(done.returncode > 0, f"status {done.returncode}")
    for word in words:
        require(word in done.stdout, f"{word!r} is not in: {done.stdout}")


def check_api(tap, them):
    ring = them.ringd.ring()
    for method, path, body, words in API:
        shown = (body or "")[:60]
        with tap.case(f"ringd refuses: {method} {path} {shown}"):
            status, text = them.ringd.request(method, path, body)
            require(400 <= status < 500, f"status {status}: {text}")
            for word in words:
                require(word in text, f"{word!r} is not in: {text}")
            require_equal(them.ringd.ring(), ring, "the ring afterwards")


def broken_documents(good):
    """(what is wrong, the document's line, words of the reason)"""
    def changed(**fields):
        document = copy.deepcopy(good)
        document.update(fields)
        return json.dumps(document)

    member = dict(good["members"][0])
    later = good["epoch"] + 1
    yield "no JSON", '{"v":1,', []
    yield "no object", "[]", []
    yield "an older epoch", changed(epoch=good["epoch"] - 1), ["epoch"]
    yield "a negative epoch", changed(epoch=-5), ["epoch", "-5"]
    yield "an epoch of text", changed(epoch="x"), ["epoch"]
    yield "another cluster", changed(epoch=later, cluster="other"), ["other"]
    yield ("the same epoch with another ring",
           changed(members=good["members"][:1], slots=[[0, 16383, 0, 1]]),
           ["epoch"])
    yield "no members", changed(epoch=later, members=[]), []
    yield ("a slot too many", changed(epoch=later, slots=[[0, 16384, 0, 1]]),
           ["slots", "16384"])
    yield ("a gap between slots",
           changed(epoch=later, slots=[[0, 5, 0, 1], [7, 16383, 0, 1]]),
           ["slots"])
    yield ("an owner who is no member",
           changed(epoch=later, slots=[[0, 16383, 9, 1]]), ["9"])
    yield ("a tenure after the epoch",
           changed(epoch=later, slots=[[0, 16383, 0, later + 1]]),
           ["tenure"])
    yield ("a bad address", changed(epoch=later, members=[
        dict(member, address="nowhere"), *good["members"][1:]]),
        ["address", "nowhere"])
    yield ("two members of one name",
           changed(epoch=later, members=[member] * 3), [member["name"]])
    yield ("a state nobody knows", changed(epoch=later, members=[
        dict(member, state="sleepy"), *good["members"][1:]]),
        ["state", "sleepy"])
    yield "deep nesting", "[" * 100, []


def check_documents(tap, build, good, role):
    """A fake ringd pushes bad rings to a shard or router that holds a good
    one of epoch 10."""
    fake = FakeRingd()
    good = dict(good, epoch=10)
    name = good["members"][0]["name"]
    try:
        follower = Alone(build)
        server = Server(role, programs(build, role), follower.folder,
                        ["--name", name, "--cluster", good["cluster"],
                         "--ringd", fake.url])
        follower.server = server
        fake.push(json.dumps(good))
        with tap.case(f"{role}: ends well after all that"), follower:
            wait_until(lambda: epoch_of(server) == 10, 5, "epoch 10")
            ring = server.admin_get("/ring")[1]
            for what, line, words in broken_documents(good):
                with tap.case(f"{role}: refuses a ring with {what}"):
                    refuses_ring(fake, server, line, words, ring)
            with tap.case(f"{role}: takes the next good ring"):
                fake.push(json.dumps(dict(good, epoch=11)))
                wait_until(lambda: epoch_of(server) == 11, 5, "epoch 11")
    finally:
        fake.close()


def refuses_ring(fake, server, line, words, ring):
    said = len(fake.acks)
    fake.push(line)
    wait_until(lambda: any("error" in ack and json.loads(ack)["error"]
                           for ack in fake.acks[said:]), 10,
               "the reason told to ringd")
    reasons = " ".join(fake.acks[said:])
    for word in words:
        require(word in reasons, f"{word!r} is not in: {reasons}")
    require_equal(server.admin_get("/ring")[1], ring, "the ring in force")


def main():
    given = flags()
    tap = Tap()
    with tap.case("all processes end well"):
        with Cluster(given.build) as them:
            check_options(tap, given.build, them.folder)
            check_api(tap, them)
            good = them.ringd.ring()
            for role in ("shard", "router"):
                check_documents(tap, given.build, good, role)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
