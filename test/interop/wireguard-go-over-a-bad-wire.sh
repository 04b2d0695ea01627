#!/bin/sh
#     weftd -- internet (loss, jitter, reordering) -- wireguard-go
# TCP in both directions at once and pings over a wire that loses, delays and reorders: every byte
# arrives as it was sent, sessions are renewed, and memory stays where it was.
# WEFT_SOAK_SECONDS is how long; 15 by default, above 130 renewals are looked at as well.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<END
internet 203.0.113.0/24
host left on internet
host right on internet
link left delay 8ms 4ms loss 1% reorder 3%
link right delay 2ms reorder 1%
END
WEFTD=${WEFT_BUILD:?}/src/prog/weftd
lab_main "$@"
for tool in wg wireguard-go python3; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -c /dev/net/tun ] || skip "/dev/net/tun is missing"
seconds=${WEFT_SOAK_SECONDS:-15}
umask 077

key_l=$(wg genkey) key_r=$(wg genkey)
pub_l=$(echo "$key_l" | wg pubkey) pub_r=$(echo "$key_r" | wg pubkey)
cat >"$LAB_DIR/wgl.conf" <<END
[Interface]
PrivateKey = $key_l
ListenPort = 51820
Address = 10.9.0.1/24
[Peer]
PublicKey = $pub_r
AllowedIPs = 10.9.0.2/32
Endpoint = $(lab ip right):51821
END
cat >"$LAB_DIR/right.conf" <<END
[Interface]
PrivateKey = $key_r
ListenPort = 51821
[Peer]
PublicKey = $pub_l
AllowedIPs = 10.9.0.1/32
END
cat >"$LAB_DIR/talk.py" <<'END'
import socket, sys, threading, time
role, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
SIZE = 65536
body = {"serve": bytes(range(256)) * 255, "call": bytes(reversed(range(256))) * 255}
other = {"serve": "call", "call": "serve"}[role]
def block(who, n): return n.to_bytes(8, "big") * 32 + body[who]
if role == "serve":
    s = socket.create_server((address, 7777)); s.settimeout(30); c, _ = s.accept()
else:
    c = socket.create_connection((address, 7777), 30)
c.settimeout(60)
def send():
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        c.sendall(block(role, n)); n += 1
    c.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
n, rest = 0, b""
while (d := c.recv(1 << 16)):
    rest += d
    while len(rest) >= SIZE:
        if rest[:SIZE] != block(other, n): sys.exit(f"block {n} differs")
        rest, n = rest[SIZE:], n + 1
t.join()
if rest: sys.exit("half a block at the end")
print(f"{role}: {n * SIZE >> 10} KiB received", flush=True)
END

start right right env LOG_LEVEL=silent WG_PROCESS_FOREGROUND=1 wireguard-go wgr
wait_for 20 on right wg show wgr || die "wireguard-go starts"
on right wg setconf wgr "$LAB_DIR/right.conf"
on right ip addr add 10.9.0.2/24 dev wgr
on right ip link set dev wgr mtu 1420 up
start weftd left "$WEFTD" tunnel --config "$LAB_DIR/wgl.conf"
wait_for 20 logged weftd "interface wgl up" || die "weftd starts"
check "the tunnel comes up over the bad wire" wait_for 60 on left ping -q -c 1 -W 1 10.9.0.2

pid=$(cat "$LAB_DIR/weftd.pid")
memory() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
lasting() { # how old the session is
	echo $(($(date +%s) - $(on left wg show wgl latest-handshakes | cut -f2)))
}
on right python3 "$LAB_DIR/talk.py" serve 10.9.0.2 "$seconds" >"$LAB_DIR/serve.log" 2>&1 &
server=$!
wait_for 20 sh -c "lab exec right ss -Hltn | grep -q :7777" || die "the server listens"
on left ping -q -i 0.2 -w "$seconds" 10.9.0.2 >"$LAB_DIR/ping.log" 2>&1 &
pings=$!
on left python3 "$LAB_DIR/talk.py" call 10.9.0.2 "$seconds" >"$LAB_DIR/call.log" 2>&1 &
client=$!
sleep $((seconds / 3))
before=$(memory)
wait $client && ok "every byte from the peer arrived: $(cat "$LAB_DIR/call.log")" || fail "bytes from the peer: $(cat "$LAB_DIR/call.log")"
wait $server && ok "every byte to the peer arrived: $(cat "$LAB_DIR/serve.log")" || fail "bytes to the peer: $(cat "$LAB_DIR/serve.log")"
wait $pings
after=$(memory)
lost=$(sed -n 's/.* \([0-9]*\)\(\.[0-9]*\)\?% packet loss.*/\1/p' "$LAB_DIR/ping.log")
if [ "${lost:-100}" -le 20 ]; then ok "$lost % of the pings were lost"; else fail "${lost:-all} % of the pings were lost"; fi
if [ "$after" -le $((before + 4096)) ]; then
	ok "memory was $before KiB after a third of the time and is $after KiB"
else
	fail "memory grew from $before KiB to $after KiB"
fi
if [ "$seconds" -gt 130 ]; then
	age=$(lasting)
	if [ "$age" -le 180 ]; then ok "the session was renewed $age s ago"; else fail "the session is $age s old"; fi
fi
kill -USR1 "$pid"
wait_for 5 logged weftd "datagrams received" || fail "the counters are printed"
[ -n "${WEFT_SOAK_SECONDS:-}" ] && grep counted "$LAB_DIR/weftd.log"
check_not "no sanitizer complained" grep -E "Sanitizer|runtime error" "$LAB_DIR/weftd.log"
stop weftd
check "it ended by SIGTERM" logged weftd "stopped by signal 15"
