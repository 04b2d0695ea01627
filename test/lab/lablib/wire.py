"""Impairments of a link: tc-netem, or the same in user space where the kernel has no netem.

Each cable of the lab runs through the namespace 'wires', where its two ends aN (the node's
side) and bN (the network's side) pass every frame to each other. Impairing a link there leaves
no trace a program under test could see on its own interface, and both directions are treated
alike: delay 20ms makes a ping take 40 ms.

    alice eth0 ======= a7 | fwd | b7 ======= alice (a port of the network's gateway)
                          wires
"""
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time

QUEUE_MAX = 10000  # packets in flight, as 'limit' below
VNET_HDR = 10      # virtio_net_hdr: carries half-done checksums from one end to the other
ETH_P_ALL = 3
SOL_PACKET, PACKET_VNET_HDR, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 263, 15, 20, 23
SO_RCVBUFFORCE = 33


def rules(number, through):
    """Frames of cable N: handed over by the kernel, or left to the user-space wire."""
    a, b = (f'fwd to "b{number}"', f'fwd to "a{number}"') if through else ("drop", "drop")
    return f"""
table netdev cable{number}
delete table netdev cable{number}
table netdev cable{number} {{
	chain a {{
		type filter hook ingress device "a{number}" priority 0;
		{a}
	}}
	chain b {{
		type filter hook ingress device "b{number}" priority 0;
		{b}
	}}
}}
"""


def netem_words(impair):
    words = ["limit", str(QUEUE_MAX)]
    if impair.get("delay"):
        words += ["delay", f"{impair['delay']:g}ms"]
        if impair.get("jitter"):
            words.append(f"{impair['jitter']:g}ms")
    for share in ("loss", "duplicate", "reorder"):
        if impair.get(share):
            words += [share, f"{impair[share]:g}%"]
    if impair.get("rate"):
        words += ["rate", f"{impair['rate']:.0f}bit"]
    return words


def describe(impair):
    words = []
    if impair.get("delay"):
        words.append(f"delay {impair['delay']:g}ms")
        if impair.get("jitter"):
            words.append(f"+-{impair['jitter']:g}ms")
    words += [f"{k} {impair[k]:g}%" for k in ("loss", "reorder", "duplicate") if impair.get(k)]
    if impair.get("rate"):
        words.append(f"rate {impair['rate'] / 1e6:g}mbit")
    return " ".join(words)


# The user-space wire ----------------------------------------------------------------------

class Direction:
    """Frames from one end to the other, each with its own time of departure."""

    def __init__(self, source, sink, impair):
        self.source, self.sink, self.impair = source, sink, impair
        self.queue = []
        self.sequence = 0  # keeps frames with equal times in order
        self.free_at = 0.0  # when the line has sent what it accepted so far (rate)

    def take(self, now):
        while True:
            try:
                frame = self.source.recv(65536 + VNET_HDR)
            except BlockingIOError:
                return
            except OSError:  # the end went down; it may come back
                return
            if self.hit("loss"):
                continue
            for _ in range(2 if self.hit("duplicate") else 1):
                if len(self.queue) < QUEUE_MAX:
                    self.sequence += 1
                    heapq.heappush(self.queue, (self.departure(frame, now), self.sequence, frame))

    def departure(self, frame, now):
        at = now
        if self.impair.get("rate"):
            bits = 8 * (len(frame) - VNET_HDR)
            self.free_at = max(now, self.free_at) + bits / self.impair["rate"]
            at = self.free_at
        if self.impair.get("delay") and not self.hit("reorder"):
            jitter = self.impair.get("jitter", 0)
            at += max(0, self.impair["delay"] + random.uniform(-jitter, jitter)) / 1000
        return at

    def hit(self, what):
        return bool(self.impair.get(what)) and random.uniform(0, 100) < self.impair[what]

    def give(self, now):
        while self.queue and self.queue[0][0] <= now:
            frame = heapq.heappop(self.queue)[2]
            try:
                self.sink.send(frame)
            except OSError:
                pass  # too long for the end's MTU, or the end is down: lost, as on a cable


def open_end(dev):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK)
    end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    end.setsockopt(SOL_PACKET, 1, struct.pack("iHH8x", socket.if_nametoindex(dev), 1, 0))
    end.bind((dev, ETH_P_ALL))
    return end


def serve(number, impair, ready_fd):
    """Carries cable N until killed."""
    a, b = open_end(f"a{number}"), open_end(f"b{number}")
    directions = [Direction(a, b, impair), Direction(b, a, impair)]
    os.write(ready_fd, b"1")
    os.close(ready_fd)
    poll = select.poll()
    for end in (a, b):
        poll.register(end, select.POLLIN)
    while True:
        now = time.monotonic()
        due = [d.queue[0][0] for d in directions if d.queue]
        # Rounded down to whole milliseconds, then spun: a late frame would add to the delay.
        wait = max(0, int((min(due) - now) * 1000)) if due else None
        poll.poll(wait)
        for direction in directions:
            now = time.monotonic()
            direction.take(now)
            direction.give(now)


if __name__ == "__main__":
    serve(int(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]))
