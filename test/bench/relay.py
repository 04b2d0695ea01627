#!/usr/bin/env python3
"""Measures relays with the same load: weft-relay, and every --peer.

usage: ./bench relay [--quick] [--json FILE] [--peer NAME=PATH ...] [--cores N] [--seconds S]
                     [--flows N ...] [--sizes B ...] [--idle N ...]

  A peer is a derper by path. Every relay gets the same cores (--cores, half of the machine), the load
  generator the others; all speak TLS 1.3 with the same P-256 certificate, and no admission is asked.

  flows    of 24 packets under way each, as a sender with congestion control has them;
           Gbit/s and packets/s, in all and for each second of processor time of the relay
  delay    of a packet each 5 ms: nothing else going on; four bulk flows to the client it is for
  idle     memory of the relay with N clients, 64 connecting at a time: handshakes
  storm    all N connect at the same moment to a relay that has just started: failed attempts, peak memory

Ratios are to the last peer. Memory is what the process has resident.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("WEFT_BUILD", "build/release")).resolve()
GENERATOR = BUILD / "test/bench/bench-relay"
TIMEOUT_S = 400


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Relay:
    """One relay process on its cores; a new one for each measurement, so none inherits a heap."""

    def __init__(self, name, path, cores, work):
        self.name, self.path, self.cores, self.work = name, path, cores, work
        self.proc = None

    def command(self, port):
        cert, key = self.work / "certs/localhost.crt", self.work / "certs/localhost.key"
        if self.name == "weft-relay":
            return [self.path, "run", "--listen", f"127.0.0.1:{port}", "--stun", "none", "--status", "none", "--open",
                    "--cert", cert, "--key", key, "--state", self.work / "state", "--threads", str(len(self.cores))]
        return [self.path, "-a", f"127.0.0.1:{port}", "-http-port", "-1", "-stun=false", "-certmode", "manual",
                "-certdir", self.work / "certs", "-hostname", "localhost", "-c", self.work / "derper.json"]

    def __enter__(self):
        self.port = free_port()
        env = dict(os.environ, GOMAXPROCS=str(len(self.cores)))
        self.proc = subprocess.Popen([str(x) for x in self.command(self.port)], env=env, stdout=subprocess.DEVNULL,
                                     stderr=open(self.work / f"{self.name}.log", "ab"),
                                     preexec_fn=lambda: os.sched_setaffinity(0, self.cores))
        end = time.time() + 10
        while time.time() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                time.sleep(0.2)
                return self
            except OSError:
                if self.proc.poll() is not None:
                    break
                time.sleep(0.05)
        raise SystemExit(f"bench: {self.name} does not listen: {(self.work / f'{self.name}.log').read_text()[-400:]}")

    def __exit__(self, *_):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()


def generate(relay, generator_cores, *args):
    if sys.stderr.isatty():
        print(f"\r\033[K{relay.name} {' '.join(map(str, args))}", end="", file=sys.stderr, flush=True)
    run = subprocess.run([str(x) for x in (GENERATOR, "--json", "--relay", f"127.0.0.1:{relay.port}", "--pid",
                                           relay.proc.pid, *args)],
                         capture_output=True, text=True, timeout=TIMEOUT_S,
                         preexec_fn=lambda: os.sched_setaffinity(0, generator_cores))
    if run.returncode:
        print(f"bench: {relay.name} {' '.join(map(str, args))}: {run.stderr.strip()[-200:]}", file=sys.stderr)
        return {}
    return json.loads(run.stdout)


def measure(relay, cores, opts):
    out = {"flows": [], "idle": [], "storm": [], "delay": {}}
    for size in opts.sizes:
        for flows in opts.flows:
            with relay:
                r = generate(relay, cores, "--flows", flows, "--size", size, "--seconds", opts.seconds)
            out["flows"].append(dict(flows=flows, size=size, **r))
    for name, args in (("idle", ("--flows", 0)), ("bulk", ("--flows", 4, "--same"))):
        with relay:
            out["delay"][name] = generate(relay, cores, *args, "--seconds", opts.seconds)
    for n in opts.idle:
        with relay:
            out["idle"].append(generate(relay, cores, "--idle", n))
        with relay:
            out["storm"].append(generate(relay, cores, "--idle", n, "--at-once", n))
    return out


def lines(result):
    """(what, unit, figure, whether more is better)"""
    for f in result["flows"]:
        what = f"{f['flows']} x {f['size']} B"
        yield what, "Gbit/s", f.get("mbit_per_second", 0) / 1000, True
        yield what, "Gbit/CPU-s", f.get("mbit_per_cpu_second", 0) / 1000, True
        yield what, "% arrived", f.get("arrived_percent", 0), True
        yield what, "kpkt/CPU-s", f.get("packets_per_cpu_second", 0) / 1000, True
    for name, d in result["delay"].items():
        yield f"delay {name}", "ms p50", d.get("delay_ms_p50", 0), False
        yield f"delay {name}", "ms p99", d.get("delay_ms_p99", 0), False
        yield f"delay {name}", "% arrived", 100 * d.get("small_arrived", 0) / max(d.get("small_sent", 1), 1), True
    for i in result["idle"]:
        what = f"{i.get('clients', 0):.0f} idle"
        yield what, "KB/client", i.get("bytes_per_client", 0) / 1000, False
        yield what, "MiB RSS", i.get("rss_mib", 0), False
        yield what, "shakes/CPU-s", i.get("handshakes_per_cpu_second", 0), True
    for s in result["storm"]:
        what = f"storm of {s.get('clients', 0):.0f}"
        yield what, "s", s.get("seconds", 0), False
        yield what, "failed", s.get("failed_attempts", 0), False
        yield what, "MiB peak", s.get("peak_mib", 0), False


def table(results):
    names = list(results)
    rows = zip(*(list(lines(results[n])) for n in names))
    print(f"{'':22}{'':>13}" + "".join(f"{n:>14}" for n in names) + (f"{'better by':>12}" if len(names) > 1 else ""))
    for row in rows:
        what, unit, ours, more = row[0]
        last = row[-1][2]
        a, b = (ours, last) if more else (last, ours)
        ratio = f"{a / b:11.2f}x" if len(names) > 1 and b else ""
        print(f"{what:22}{unit:>13}" + "".join(f"{r[2]:14.3f}" for r in row) + ratio)


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    p.add_argument("--quick", action="store_true")
    p.add_argument("--json", type=pathlib.Path)
    p.add_argument("--peer", action="append", default=[])
    p.add_argument("--cores", type=int)
    p.add_argument("--seconds", type=int)
    p.add_argument("--flows", type=int, nargs="*")
    p.add_argument("--sizes", type=int, nargs="*")
    p.add_argument("--idle", type=int, nargs="*")
    opts = p.parse_args()
    opts.seconds = opts.seconds or (1 if opts.quick else 3)
    opts.flows = [1, 100] if opts.quick and opts.flows is None else [1, 10, 100, 1000] if opts.flows is None else opts.flows
    opts.sizes = [1400, 100] if opts.sizes is None else opts.sizes
    opts.idle = [1000] if opts.quick and opts.idle is None else [1000, 20000] if opts.idle is None else opts.idle
    files = max([2100] + [2 * n for n in opts.idle] + [3 * n for n in opts.flows]) + 1000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, hard), max(files, hard)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        opts.idle = [n for n in opts.idle if n + 500 < hard] or [hard - 500]
    machine = sorted(os.sched_getaffinity(0))
    count = opts.cores or max(1, len(machine) // 2)
    ours, others = set(machine[:count]), set(machine[count:] or machine)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "certs").mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                        str(work / "certs/localhost.key"), "-out", str(work / "certs/localhost.crt")],
                       check=True, capture_output=True)
        relays = [Relay("weft-relay", BUILD / "src/prog/weft-relay", ours, work)]
        for peer in opts.peer:
            name, _, path = peer.partition("=")
            if not path or not shutil.which(path):
                raise SystemExit(f"bench: --peer {peer}: NAME=PATH of a program")
            relays.append(Relay(name, path, ours, work))
        print(f"relays on {len(ours)} of {len(machine)} cores, the load on {len(others)}; {opts.seconds} s for each figure")
        results = {r.name: measure(r, others, opts) for r in relays}
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
    table(results)
    if opts.json:
        opts.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
