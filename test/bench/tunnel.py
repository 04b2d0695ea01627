#!/usr/bin/env python3
"""Measures WireGuard tunnels between two network namespaces on this machine.

usage: ./bench tunnel [--quick] [--json FILE] [--peer NAME=PATH ...] [--regime A|B|C ...]
                      [--passes N] [--seconds S] [--peers N ...] [--mtu N] [--option OPT ...]

  systems   direct (no tunnel), weftd, Debian's wireguard-go, and every --peer: a wireguard-go by path
  regimes   A  a super-datagram crosses the wire whole (NIC with USO and GRO)
            B  the kernel splits at egress, GRO merges at ingress (ordinary NIC)
            C  the kernel splits at egress, nothing merges (Wi-Fi, many VMs)
  --peers   how many peers are configured; one carries traffic
  --option  for weftd tunnel, as --option=--no-gso

All systems run in turn in every pass; a figure is the median over the passes. Ratios are against the
last wireguard-go listed. CPU is user and system time of both daemons during one TCP stream. Latency is
a ping's round trip.
"""
import argparse
import json
import os
import pathlib
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode

A, B = "wbench-a", "wbench-b"
TICK = os.sysconf("SC_CLK_TCK")


def sh(*args, check=True, **kw):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120, **kw)
    if check and r.returncode:
        raise SystemExit(f"bench: {' '.join(map(str, args))}: {r.stderr.strip() or r.stdout.strip()}")
    return r.stdout


def inside(ns, *args, **kw):
    return sh("ip", "netns", "exec", ns, *args, **kw)


def spawn(ns, *args, **kw):
    return subprocess.Popen(["nice", "-n", "-15", "ip", "netns", "exec", ns, *map(str, args)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, **kw)


def wire(regime):
    """Two namespaces and a veth pair with the offloads of the regime."""
    unwire()
    for ns in (A, B):
        sh("ip", "netns", "add", ns)
        sh("ip", "-n", ns, "link", "set", "dev", "lo", "up")
    sh("ip", "link", "add", "wbv0", "netns", A, "type", "veth", "peer", "name", "wbv1", "netns", B)
    for ns, dev, addr in ((A, "wbv0", "10.77.0.1/24"), (B, "wbv1", "10.77.0.2/24")):
        sh("ip", "-n", ns, "addr", "add", addr, "dev", dev)
        sh("ip", "-n", ns, "link", "set", "dev", dev, "mtu", 1500, "up")
        if regime == "B":
            inside(ns, "ethtool", "-K", dev, "tx-udp-segmentation", "off", "gro", "on", "rx-udp-gro-forwarding", "on")
        if regime == "C":
            inside(ns, "ethtool", "-K", dev, "tx-udp-segmentation", "off", "gro", "off")


def unwire():
    for ns in (A, B):
        sh("ip", "netns", "del", ns, check=False)


class Direct:
    name, target, pids = "direct", "10.77.0.2", []

    def start(self, peers, mtu, work):
        pass

    def stop(self):
        pass


class Tunnel:
    """One daemon in each namespace, one peer between them and many that never speak."""
    target = "10.9.0.2"

    def __init__(self, name, path, ours, options=()):
        self.name, self.path, self.ours, self.options = name, path, ours, list(options)
        self.processes = []

    @property
    def pids(self):
        return [p.pid for p in self.processes]

    def config(self, own, other, endpoint, port, address, peers):
        lines = [f"[Interface]\nPrivateKey = {own}\nListenPort = {port}\n" + (f"Address = {address}/24\n" if self.ours else "")]
        for i in range(peers - 1):
            key = b64encode(secrets.token_bytes(32)).decode()
            lines.append(f"[Peer]\nPublicKey = {key}\nAllowedIPs = 10.{100 + i // 65536}.{i // 256 % 256}.{i % 256}/32\n")
        lines.append(f"[Peer]\nPublicKey = {other}\nAllowedIPs = 10.9.0.0/24\nEndpoint = {endpoint}\n")
        return "".join(lines)

    def start(self, peers, mtu, work):
        keys = [sh("wg", "genkey").strip() for _ in range(2)]
        pubs = [sh("wg", "pubkey", input=k).strip() for k in keys]
        self.processes = []
        for i, ns in enumerate((A, B)):
            dev = f"wbt{i}"
            conf = pathlib.Path(work) / f"{dev}.conf"
            text = self.config(keys[i], pubs[1 - i], f"10.77.0.{2 - i}:5182{1 - i}", f"5182{i}", f"10.9.0.{i + 1}", peers)
            if self.ours:
                text = text.replace("[Interface]\n", f"[Interface]\nMTU = {mtu}\nTable = off\n", 1)
            conf.write_text(text)
            if self.ours:
                self.processes.append(spawn(ns, self.path, "tunnel", "--config", conf, *self.options))
            else:
                self.processes.append(spawn(ns, self.path, dev, env=dict(os.environ, LOG_LEVEL="silent", WG_PROCESS_FOREGROUND="1")))
        for i, ns in enumerate((A, B)):
            dev = f"wbt{i}"
            self.wait_for(dev)
            if not self.ours:
                inside(ns, "wg", "setconf", dev, pathlib.Path(work) / f"{dev}.conf")
                sh("ip", "-n", ns, "addr", "add", f"10.9.0.{i + 1}/24", "dev", dev)
                sh("ip", "-n", ns, "link", "set", "dev", dev, "mtu", mtu, "up")
        for _ in range(50):
            if subprocess.run(["ip", "netns", "exec", A, "ping", "-q", "-c1", "-W1", self.target], capture_output=True).returncode == 0:
                return
        raise SystemExit(f"bench: {self.name} does not carry a ping")

    def wait_for(self, dev):
        for _ in range(100):
            if os.path.exists(f"/var/run/wireguard/{dev}.sock"):
                return
            time.sleep(0.1)
        raise SystemExit(f"bench: {self.name} did not start")

    def stop(self):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for i in range(2):
            pathlib.Path(f"/var/run/wireguard/wbt{i}.sock").unlink(missing_ok=True)


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mb(pids):
    sizes = [int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) for pid in pids]
    return max(sizes) / 1024 if sizes else None


def iperf(system, *args):
    server = spawn(B, "iperf3", "-s", "-1")
    try:
        for _ in range(50):
            if ":5201" in inside(B, "ss", "-Hltn"):
                break
            time.sleep(0.02)
        out = inside(A, "nice", "-n", "-15", "iperf3", "-c", system.target, "-J", *args)
        return json.loads(out)["end"]
    finally:
        server.terminate()
        server.wait()


def tcp(system, seconds, *args):
    end = iperf(system, "-t", seconds, "-C", "cubic", *args)
    rate = end["sum_received"]["bits_per_second"]
    return (rate + end.get("sum_received_bidir_reverse", {}).get("bits_per_second", 0)) / 1e9


def udp(system, seconds, length):
    end = iperf(system, "-t", seconds, "-u", "-b", "0", "-l", length)["sum"]
    got = end["packets"] - end["lost_packets"]
    return got / end["seconds"]


def ping(system, count):
    out = inside(A, "nice", "-n", "-15", "ping", "-c", count, "-i", "0.002", system.target)
    times = sorted(float(t) * 1000 for t in re.findall(r"time=([\d.]+) ms", out))
    return times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]


def loaded_ping(system, seconds):
    server = spawn(B, "iperf3", "-s", "-1")
    time.sleep(0.2)
    load = spawn(A, "iperf3", "-c", system.target, "-t", seconds + 1, "-C", "cubic")
    time.sleep(0.5)
    try:
        return ping(system, int(seconds * 100))
    finally:
        load.wait()
        server.terminate()
        server.wait()


def measure(system, opts):
    """Every figure of one system in one pass."""
    r = {"rss_before_mb": rss_mb(system.pids)}
    r["ping_p50_us"], r["ping_p99_us"] = ping(system, 200 if opts.quick else 1000)
    before, start = cpu_seconds(system.pids), time.monotonic()
    r["tcp1_gbps"] = tcp(system, opts.seconds)
    spent = cpu_seconds(system.pids) - before
    r["cpu_s_per_gbit"] = spent / (r["tcp1_gbps"] * opts.seconds) if system.pids else None
    r["tcp4_gbps"] = tcp(system, opts.seconds, "-P", "4")
    r["tcp_bidir_gbps"] = tcp(system, opts.seconds, "--bidir")
    r["udp1280_kpps"] = udp(system, opts.seconds, 1280) / 1e3
    r["udp64_kpps"] = udp(system, opts.seconds, 64) / 1e3
    if not opts.quick:
        r["load_p50_us"], r["load_p99_us"] = loaded_ping(system, max(2, opts.seconds))
    r["rss_after_mb"] = rss_mb(system.pids)
    return r


def campaign(systems, opts, regime, peers, work):
    results = {s.name: [] for s in systems}
    for number in range(opts.passes):
        for system in systems:
            wire(regime)
            try:
                system.start(peers, opts.mtu, work)
                figures = measure(system, opts)
            finally:
                system.stop()
                unwire()
            results[system.name].append(figures)
            print(f"  pass {number + 1}: {system.name}: {figures['tcp1_gbps']:.2f} Gb/s", file=sys.stderr, flush=True)
    return {name: {key: statistics.median(v) if None not in (v := [r[key] for r in runs]) else None for key in runs[0]}
            for name, runs in results.items()}


def table(title, medians):
    base = [n for n in medians if n.startswith("wireguard-go")]
    base = medians[base[-1]] if base else None
    print(f"\n{title}")
    print(f"  {'':18}" + "".join(f"{n:>26}" for n in medians))
    for key in next(iter(medians.values())):
        cells = []
        for figures in medians.values():
            v = figures[key]
            ratio = f" {v / base[key]:6.2f}x" if v and base and base[key] else " " * 8
            cells.append(f"{'-' if v is None else f'{v:.3f}' if v < 10 else f'{v:.1f}':>18}{ratio}")
        print(f"  {key:18}" + "".join(cells), flush=True)


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--json")
    p.add_argument("--peer", action="append", default=[], metavar="NAME=PATH")
    p.add_argument("--regime", action="append", choices=["A", "B", "C"])
    p.add_argument("--passes", type=int)
    p.add_argument("--seconds", type=int)
    p.add_argument("--peers", type=int, action="append")
    p.add_argument("--mtu", type=int, default=1420)
    p.add_argument("--option", action="append", default=[])
    p.add_argument("--no-direct", action="store_true")
    o = p.parse_args()
    o.passes = o.passes or (1 if o.quick else 3)
    o.seconds = o.seconds or (1 if o.quick else 3)
    o.regime = o.regime or (["A"] if o.quick else ["A", "B", "C"])
    o.peers = o.peers or ([1] if o.quick else [1, 100, 5000])
    return o


def main():
    opts = options()
    if os.geteuid() != 0:
        sys.exit("bench: needs root for network namespaces")
    for tool in ("iperf3", "wg", "ethtool"):
        if subprocess.run(["which", tool], capture_output=True).returncode:
            sys.exit(f"bench: {tool} is not installed")
    weftd = pathlib.Path(os.environ["WEFT_BUILD"]) / "src/prog/weftd"
    systems = [] if opts.no_direct else [Direct()]
    systems.append(Tunnel("weftd", weftd, True, opts.option))
    debian = subprocess.run(["which", "wireguard-go"], capture_output=True, text=True).stdout.strip()
    if debian:
        systems.append(Tunnel("wireguard-go-debian", debian, False))
    for peer in opts.peer:
        name, _, path = peer.partition("=")
        if not os.access(path, os.X_OK):
            sys.exit(f"bench: --peer {peer}: '{path}' is not a program")
        systems.append(Tunnel(name, path, False))
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    host = {"cpu": cpu[1] if cpu else "?", "cores": os.cpu_count(), "kernel": os.uname().release, "mtu": opts.mtu}
    print(f"host: {host['cores']} cores, {host['cpu']}, Linux {host['kernel']}, MTU {opts.mtu}; "
          f"load {os.getloadavg()[0]:.1f} before; medians of {opts.passes} passes")
    everything = {"host": host, "results": []}
    with tempfile.TemporaryDirectory() as work:
        for regime in opts.regime:
            for peers in opts.peers if regime == opts.regime[0] else opts.peers[:1]:
                medians = campaign(systems, opts, regime, peers, work)
                table(f"regime {regime}, {peers} peer{'s' if peers > 1 else ''}", medians)
                everything["results"].append({"regime": regime, "peers": peers, "systems": medians})
    if opts.json:
        pathlib.Path(opts.json).write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    finally:
        unwire()
