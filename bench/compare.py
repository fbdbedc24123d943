#!/usr/bin/env python3
"""What a request costs the server, as a ratio to a peer of the same run.

Starts torc and a peer with equal memory and one worker thread each, fills both
with the same keys, then loads them in turn (A B A B ...), and prints for each
scenario the median of the paired ratios and their spread.  The figure is the
server's CPU time (user and system) per request: on a small or shared machine
it says more than requests per second.  bench/README.md tells the method.
"""
import argparse
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEYS = 1_000_000

# name, flags of the load generator, requests in a run
SHARD_SCENARIOS = [
    ("GET hit, pipeline 1", ["-P", "1"], 300_000),
    ("GET hit, pipeline 16", ["-P", "16"], 2_000_000),
    ("GET hit, pipeline 64", ["-P", "64"], 2_000_000),
    ("32 keys in one get, per key", ["-P", "32", "--verb", "multiget"],
     2_000_000),
    ("SET, pipeline 16", ["-P", "16", "--verb", "set"], 2_000_000),
]
ROUTER_SCENARIOS = [
    ("router GET hit, pipeline 1", ["-P", "1"], 200_000),
    ("router GET hit, pipeline 16", ["-P", "16"], 1_000_000),
    ("router 32 keys in one get, per key",
     ["-P", "32", "--verb", "multiget"], 1_000_000),
    ("router SET, pipeline 16", ["-P", "16", "--verb", "set"], 1_000_000),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Servers:
    """Processes that are stopped, by their pid, whatever happens."""

    def __init__(self):
        self.running = []

    def start(self, argv, port):
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.running.append(process)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return process.pid
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"compare: {argv[0]} does not listen on {port}")

    def stop(self):
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.running = []


def load(build, port, flags, requests, pid=0, seed=1):
    argv = [build / "bench/load", "-p", str(port), "-n", str(requests),
            "-k", str(KEYS), "--seed", str(seed), *flags]
    if pid:
        argv += ["--server-pid", str(pid)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise SystemExit(f"compare: {done.stderr.strip()}")
    return dict(line.split() for line in done.stdout.splitlines())


def fill(build, port):
    """Twice: an index that grows under the first rush may drop a key."""
    for _ in range(2):
        load(build, port, ["-P", "64", "--verb", "set", "--fill"], KEYS)


def progress(text):
    if sys.stdout.isatty():
        print(text, end="\r", flush=True)


def pairs(build, scenario, ours, peer, count):
    """[(our cost, the peer's)], interleaved, the order turning each time."""
    name, flags, requests = scenario
    rows = []
    for seed in range(1, count + 1):
        cost = {}
        order = [ours, peer] if seed % 2 else [peer, ours]
        for side in order:
            result = load(build, side["port"], flags, requests, side["pid"],
                          seed)
            cost[side["name"]] = float(result["server_cpu_us_per_request"])
        rows.append((cost[ours["name"]], cost[peer["name"]]))
        progress(f"  {name}: pair {seed} of {count}")
    progress(" " * 70)
    return rows


def measure(build, scenarios, ours, peer, count):
    rows = []
    for scenario in scenarios:
        samples = pairs(build, scenario, ours, peer, count)
        ratios = sorted(a / b for a, b in samples)
        rows.append({
            "scenario": scenario[0], "torc_us": statistics.median(
                a for a, _ in samples), "peer": peer["name"],
            "peer_us": statistics.median(b for _, b in samples),
            "ratio": statistics.median(ratios), "low": ratios[0],
            "high": ratios[-1], "samples": samples})
        print("{scenario:36} {torc_us:8.2f} {peer_us:8.2f}  {ratio:5.2f}  "
              "{low:.2f}-{high:.2f}  {peer}".format(**rows[-1]), flush=True)
    return rows


def shard_argv(build, port, memory):
    return [build / "src/shard/torc-shard", "-l", "127.0.0.1", "-p",
            str(port), "-t", "1", "-m", str(memory), "--admin", ""]


def compare_shard(build, peers, servers, count):
    ours = {"name": "torc-shard", "port": free_port()}
    ours["pid"] = servers.start(shard_argv(build, ours["port"], 1024),
                                ours["port"])
    peer = {"name": "memcached", "port": free_port()}
    peer["pid"] = servers.start(
        [peers["memcached"], "-u", "root", "-U", "0", "-l", "127.0.0.1", "-p",
         str(peer["port"]), "-t", "1", "-m", "1024"], peer["port"])
    for side in (ours, peer):
        fill(build, side["port"])
    rows = measure(build, SHARD_SCENARIOS, ours, peer, count)
    servers.stop()
    return rows


def nutcracker_argv(path, folder, port, shards):
    names = "".join(f"   - 127.0.0.1:{shard}:1 s{shard}\n" for shard in shards)
    config = pathlib.Path(folder) / "nutcracker.yml"
    config.write_text(f"pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n"
                      "  distribution: ketama\n  preconnect: true\n"
                      f"  timeout: 1000\n  servers:\n{names}")
    return [path, "-c", config, "-o", os.devnull, "-s", str(free_port())]


def compare_router(build, peers, servers, count):
    shards = [free_port() for _ in range(3)]
    backends = []
    for port in shards:
        servers.start(shard_argv(build, port, 1024), port)
        backends += ["--backend", f"s{port}=127.0.0.1:{port}"]
    ours = {"name": "torc-router", "port": free_port()}
    ours["pid"] = servers.start(
        [build / "src/router/torc-router", "-l", "127.0.0.1", "-p",
         str(ours["port"]), "-t", "1", "--admin", "", *backends],
        ours["port"])
    peer = {"name": "nutcracker", "port": free_port()}
    with tempfile.TemporaryDirectory() as folder:
        peer["pid"] = servers.start(
            nutcracker_argv(peers["nutcracker"], folder, peer["port"],
                            shards), peer["port"])
        for side in (ours, peer):
            fill(build, side["port"])
        rows = measure(build, ROUTER_SCENARIOS, ours, peer, count)
        servers.stop()
    return rows


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always",
                           "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def machine():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    return f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}"


def save(rows, folder):
    folder.mkdir(parents=True, exist_ok=True)
    day = time.strftime("%Y-%m-%d")
    path = folder / f"{day}-{commit()}.json"
    path.write_text(json.dumps({
        "commit": commit(), "machine": machine(), "date": day,
        "unit": "server CPU microseconds per request", "rows": rows},
        indent=1) + "\n")
    print(f"raw figures: {path}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=pathlib.Path,
                        default=ROOT / "build/release")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=["shard", "router"])
    parser.add_argument("--peer", action="append", default=[],
                        metavar="NAME=PATH", help="another binary of a peer")
    parser.add_argument("--results", type=pathlib.Path,
                        default=ROOT / "bench/results")
    return parser.parse_args()


def main():
    options = arguments()
    peers = {"memcached": ROOT / "build/peers/memcached",
             "nutcracker": "/usr/sbin/nutcracker"}
    peers.update(pair.split("=", 1) for pair in options.peer)
    missing = [str(p) for p in peers.values() if not pathlib.Path(p).exists()]
    if missing:
        sys.exit(f"compare: no {', '.join(missing)}: run bench/peers.sh")
    servers = Servers()
    print(f"{machine()}, commit {commit()}")
    print(f"{'CPU us per request':36} {'torc':>8} {'peer':>8}  ratio  spread")
    rows = []
    try:
        if options.only != "router":
            rows += compare_shard(options.build, peers, servers,
                                  options.pairs)
        if options.only != "shard":
            rows += compare_router(options.build, peers, servers,
                                   options.pairs)
    finally:
        servers.stop()
    save(rows, options.results)


if __name__ == "__main__":
    main()
