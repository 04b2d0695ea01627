#!/usr/bin/env python3
"""Every kind of NAT against every other: who reaches whom by the relay, who directly, and how soon.

usage: natmatrix.py topology [--kinds K,K,...]
       natmatrix.py run --dir DIR --url URL --key FILE --weft PROGRAM [--peer PROGRAM] [--kinds ...] [--strict]

Hosts a-KIND and b-KIND sit behind gateways of their own of that kind. In each round every a talks
to another b, so that all pairs meet for the first time and no two of them share a host. Pairs that
can be direct are waited for; the others must be reached through the relay.

--strict   first answer within 1 s, direct within 10 s (on an idle machine)
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

KINDS = ["open", "full-cone", "easy", "port-restricted", "firewall", "hard", "hard+map", "udp-blocked"]
ROUTED = ("open", "firewall")  # no translation: the hosts have public addresses
LOOSE = ("open", "hard+map", "full-cone", "easy")  # let in an unexpected port of a host they sent to


def topology(kinds):
    print("internet 11.0.0.0/16\nhost server on internet addresses 2")
    for n, kind in enumerate(kinds):
        for m, side in enumerate("ab"):
            i = 2 * n + m + 1
            lan = f"11.{i}.1.0/24" if kind in ROUTED else f"192.168.{i}.0/24"
            behind = kind.replace("hard+map", "hard pmp")
            print(f"nat g{side}{n} on internet lan {lan} kind {behind}")
            print(f"host {side}{n} on g{side}{n}")


def can_be_direct(a, b):
    if "udp-blocked" in (a, b):
        return False
    if "hard" not in (a, b):
        return True
    return a in LOOSE or b in LOOSE


class Host:
    def __init__(self, args, name, kind):
        self.args, self.name, self.kind = args, name, kind
        ns = subprocess.run(["lab", "ns", name], capture_output=True, text=True, check=True).stdout.strip()
        self.net = ["nsenter", f"--net=/run/netns/{ns}"]
        self.cli = [args.peer if args.peer and name[0] == "b" else args.weft, "--socket", f"{args.dir}/{name}.sock"]
        self.address = ""

    def run(self, *words, timeout=40):
        try:
            r = subprocess.run([*self.cli, *words], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
            return r.returncode, r.stdout + r.stderr
        except subprocess.TimeoutExpired:
            return 124, "timed out"

    def join(self):
        extra = ["--accept-dns=false"] if self.cli[0] != self.args.weft else []
        code, said = self.run("up", "--login-server", self.args.url, "--authkey", f"file:{self.args.key}",
                              "--hostname", self.name, "--timeout", "30s", *extra)
        if code:
            print(f"# {self.name} ({self.kind}) did not join: {said.strip()}")
            return
        code, said = self.run("ip", "-4")
        self.address = said.strip() if code == 0 else ""

    def peers(self):
        code, said = self.run("status", "--json")
        try:
            return list((json.loads(said).get("Peer") or {}).values()) if code == 0 else []
        except ValueError:
            return []

    def direct_to(self, other):
        return any(other.address in (p.get("TailscaleIPs") or []) and p.get("CurAddr") for p in self.peers())

    def knows(self, others):
        seen = {a for p in self.peers() for a in p.get("TailscaleIPs") or []}
        return all(o.address in seen for o in others)


class Pair:
    """Two hosts that have never met: one ping as the first packet, then a few a second."""

    def __init__(self, a, b, limit):
        self.a, self.b, self.limit = a, b, limit
        self.first_ms = self.direct_s = None
        self.wanted = can_be_direct(a.kind, b.kind)

    def measure(self):
        start = time.monotonic()
        one = subprocess.run([*self.a.net, "ping", "-n", "-c", "1", "-W", "10", self.b.address], capture_output=True, text=True)
        got = re.search(r"time=([\d.]+)", one.stdout)
        if not got:
            return
        self.first_ms = float(got.group(1))
        flow = subprocess.Popen([*self.a.net, "ping", "-n", "-q", "-i", "0.3", self.b.address], stdout=subprocess.DEVNULL)
        try:
            while self.wanted and self.direct_s is None and time.monotonic() - start < self.limit:
                if self.a.direct_to(self.b):
                    self.direct_s = time.monotonic() - start
                else:
                    time.sleep(0.2)
            if not self.wanted:
                time.sleep(1.5)
                self.direct_s = time.monotonic() - start if self.a.direct_to(self.b) else None
        finally:
            flow.send_signal(signal.SIGINT)
            flow.wait()

    def cell(self):
        if self.first_ms is None:
            return "unreachable"
        way = "relay" if self.direct_s is None else f"direct {self.direct_s:.1f}s"
        return f"{self.first_ms:.0f}ms {way}"

    def complaint(self, strict):
        name = f"{self.a.kind} and {self.b.kind} ({self.a.name}, {self.b.name})"
        if self.first_ms is None:
            return f"{name}: the first packet was not answered"
        if self.wanted and self.direct_s is None:
            return f"{name}: not direct after {self.limit} s"
        if strict and (self.first_ms > 1000 or (self.direct_s or 0) > 10):
            return f"{name}: too slow, {self.cell()}"
        return None


def in_parallel(calls, width):
    gate = threading.Semaphore(width)

    def guarded(call):
        with gate:
            call()

    threads = [threading.Thread(target=guarded, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def wait_until(seconds, fact):
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


def rounds(a, b):
    """Disjoint pairs per round, as one shifts b along a."""
    n = len(a)
    for shift in range(n):
        yield [(a[i], b[(i + shift) % n]) for i in range(n)]


def table(kinds, pairs):
    cells = {(p.a.kind, p.b.kind): p.cell() for p in pairs}
    width = [max([len(k)] + [len(cells.get((r, k), "")) for r in kinds]) for k in kinds]
    left = max(map(len, kinds))
    print("# " + " " * left + " | " + " | ".join(k.ljust(w) for k, w in zip(kinds, width)))
    for r in kinds:
        print("# " + r.ljust(left) + " | " + " | ".join(cells.get((r, k), "").ljust(w) for k, w in zip(kinds, width)))


def run(args, kinds):
    a = [Host(args, f"a{n}", k) for n, k in enumerate(kinds)]
    b = [Host(args, f"b{n}", k) for n, k in enumerate(kinds)]
    wait_until(30, lambda: all(os.path.exists(f"{args.dir}/{h.name}.sock") for h in a + b))
    in_parallel([h.join for h in a + b], 4)
    lost = [h for h in a + b if not h.address]
    if lost:
        print("not ok - every host joins")
        return 1
    print(f"ok - {len(a + b)} hosts join")
    if not wait_until(30, lambda: all(h.knows(b) for h in a) and all(h.knows(a) for h in b)):
        print("not ok - everybody knows everybody")
        return 1
    done = []
    for pairs in rounds(a, b):
        todo = [Pair(x, y, 10 if args.strict else 40) for x, y in pairs]
        in_parallel([p.measure for p in todo], len(todo))
        done += todo
    table(kinds, done)
    wrong = [c for c in (p.complaint(args.strict) for p in done) if c]
    for c in wrong:
        print(f"not ok - {c}")
    first = sorted(p.first_ms for p in done if p.first_ms is not None)
    direct = sorted(p.direct_s for p in done if p.direct_s is not None)
    if first and direct:
        print(f"# {len(done)} pairs; first answer: median {first[len(first) // 2]:.0f} ms, slowest {first[-1]:.0f} ms; "
              f"{len(direct)} direct: median {direct[len(direct) // 2]:.1f} s, slowest {direct[-1]:.1f} s")
    if not wrong:
        print("ok - each pair is reached from the first packet on, and directly where that is possible")
    return 1 if wrong else 0


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("what", choices=["topology", "run"])
    p.add_argument("--kinds", default="")
    for name in ("dir", "url", "key", "weft", "peer"):
        p.add_argument(f"--{name}", default="")
    p.add_argument("--strict", action="store_true")
    args = p.parse_args()
    kinds = args.kinds.split(",") if args.kinds else KINDS
    for k in kinds:
        if k not in KINDS:
            p.error(f"there is no kind {k}; there are: {', '.join(KINDS)}")
    if args.what == "topology":
        topology(kinds)
        return 0
    return run(args, kinds)


if __name__ == "__main__":
    sys.exit(main())
