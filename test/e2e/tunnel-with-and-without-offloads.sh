#!/bin/sh
# weftd tunnel with every offload, and with each of them switched off, as an older kernel would be.
#
#   namespace A: weftd tunnel  10.77.0.1 --- veth --- 10.77.0.2  weftd tunnel :namespace B
#
# Content is checked, not speed: TCP streams in both directions at once, UDP super-datagrams of an
# application that segments by itself, every small packet size, IPv4 and IPv6.
set -u

skip() { echo "$*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
for tool in ip wg ping python3; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -c /dev/net/tun ] || skip "/dev/net/tun is missing"
unshare -n true 2>/dev/null || skip "network namespaces are not allowed here"
WEFTD=${WEFT_BUILD:?}/src/prog/weftd
[ -x "$WEFTD" ] || skip "$WEFTD was not built"

a=wfoA-$$ b=wfoB-$$
work=$(mktemp -d)
pids=
failed=0
stop() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    for p in $pids; do wait "$p" || { echo "FAIL exit status of weftd with $1"; failed=1; }; done
    pids=
}
cleanup() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    ip netns del $a 2>/dev/null; ip netns del $b 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT INT TERM
umask 077

ip netns add $a; ip netns add $b
ip link add wfov0 netns $a type veth peer name wfov1 netns $b
ip -n $a addr add 10.77.0.1/24 dev wfov0; ip -n $a link set dev wfov0 up; ip -n $a link set dev lo up
ip -n $b addr add 10.77.0.2/24 dev wfov1; ip -n $b link set dev wfov1 up; ip -n $b link set dev lo up
ka=$(wg genkey); kb=$(wg genkey)
cat >"$work/wfo0.conf" <<END
[Interface]
PrivateKey = $ka
ListenPort = 51820
Address = 10.9.0.1/24, fd09::1/64
[Peer]
PublicKey = $(echo "$kb" | wg pubkey)
AllowedIPs = 10.9.0.2/32, fd09::2/128
Endpoint = 10.77.0.2:51821
END
cat >"$work/wfo1.conf" <<END
[Interface]
PrivateKey = $kb
ListenPort = 51821
Address = 10.9.0.2/24, fd09::2/64
[Peer]
PublicKey = $(echo "$ka" | wg pubkey)
AllowedIPs = 10.9.0.1/32, fd09::1/128
END

cat >"$work/talk.py" <<'END'
import hashlib, socket, sys, threading, time
role, family = sys.argv[1], socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
address, size = sys.argv[2], 12 << 20
pattern = {"serve": bytes(range(256)) * 64, "call": bytes(reversed(range(256))) * 64}
other = {"serve": "call", "call": "serve"}[role]
want = hashlib.sha256(pattern[other] * (size // len(pattern[other]))).hexdigest()
if role == "serve":
    s = socket.create_server((address, 7777), family=family); s.settimeout(20); c, _ = s.accept()
else:
    c = socket.create_connection((address, 7777), 10)
c.settimeout(30)
def send():
    for _ in range(size // len(pattern[role])): c.sendall(pattern[role])
    c.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
h = hashlib.sha256()
while (d := c.recv(1 << 16)): h.update(d)
t.join()
if h.hexdigest() != want: sys.exit("TCP content differs")
# UDP super-datagrams: 40 of 1200 bytes and a shorter one, sent as one.
u = socket.socket(family, socket.SOCK_DGRAM); u.settimeout(5)
u.setsockopt(socket.SOL_SOCKET, 33, 8 << 20) # SO_RCVBUFFORCE
block = b"".join(bytes([i]) * 1200 for i in range(40)) + b"\xff" * 77
if role == "serve":
    u.bind((address, 7778)); c.close()
    c2, _ = s.accept(); seen = set()
    for _ in range(41 * 5):
        d = u.recv(65536); n = 77 if d[0] == 0xff else 1200
        if d != bytes([d[0]]) * n: sys.exit(f"UDP content differs: {len(d)} bytes of {d[0]}")
        seen.add(d[0])
    sys.exit(0 if len(seen) == 41 else "UDP datagrams are missing")
socket.create_connection((address, 7777), 10)
try: u.setsockopt(17, 103, 1200); parts = [block]
except OSError: parts = [block[i:i + 1200] for i in range(0, len(block), 1200)]
for _ in range(5):
    time.sleep(0.05)
    for p in parts: u.sendto(p, (address, 7778))
END

run() { # run "options of A" "options of B"
    # shellcheck disable=SC2086
    ip netns exec $a "$WEFTD" tunnel --config "$work/wfo0.conf" $1 2>"$work/a.log" &
    pids=$!
    # shellcheck disable=SC2086
    ip netns exec $b "$WEFTD" tunnel --config "$work/wfo1.conf" $2 2>"$work/b.log" &
    pids="$pids $!"
    what="A: ${1:-everything}, B: ${2:-everything}"
    good=1
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        ip netns exec $a ping -q -c 1 -W 1 10.9.0.2 >/dev/null 2>&1 && break
        sleep 0.3
    done
    for s in 0 1 15 16 17 1391 1392 1393 9000; do
        ip netns exec $a ping -q -c 1 -W 2 -s $s 10.9.0.2 >/dev/null || { echo "     ping of $s bytes lost"; good=0; }
    done
    for address in 10.9.0.2 fd09::2; do
        ip netns exec $b timeout 60 python3 "$work/talk.py" serve $address >"$work/out" 2>&1 & server=$!
        sleep 0.4
        ip netns exec $a timeout 60 python3 "$work/talk.py" call $address >>"$work/out" 2>&1 || good=0
        wait $server || good=0
        [ $good = 1 ] || tail -3 "$work/out"
    done
    stop "$what"
    grep -qE 'Sanitizer|runtime error' "$work/a.log" "$work/b.log" && good=0
    if [ $good = 1 ]; then echo "ok   $what"; else echo "FAIL $what"; tail -n 5 "$work/a.log" "$work/b.log"; failed=1; fi
}

run "" ""
run "--no-uso" "--no-uso"
run "--no-tso" ""
run "" "--no-tso"
run "--no-gso" "--no-gro"
run "--no-gro" "--no-gso --no-coalesce"
run "--plain-tun" ""
run "" "--plain-tun --no-gso --no-gro"
run "--never-equal-tail" "--never-equal-tail"
run "--threads 0 --memory 768" "--crypto openssl"
run "" "--threads 0 --plain-tun"
exit $failed
