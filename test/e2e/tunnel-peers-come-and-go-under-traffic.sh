#!/bin/sh
#     left: weftd tunnel -- internet -- right, other: weftd tunnel
# 10 000 peers are added and removed, one after the other, while packets flow to a peer that stays,
# to those that come, and to one that is removed and added again. Memory does not grow, and nobody
# else notices.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<END
internet 203.0.113.0/24
host left on internet
host right on internet
host other on internet
END
WEFTD=${WEFT_BUILD:?}/src/prog/weftd
lab_main "$@"
command -v wg >/dev/null || skip "wg is not installed"
[ -c /dev/net/tun ] || skip "/dev/net/tun is missing"
umask 077

key_l=$(wg genkey) key_r=$(wg genkey) key_m=$(wg genkey)
pub_l=$(echo "$key_l" | wg pubkey) pub_r=$(echo "$key_r" | wg pubkey) pub_m=$(echo "$key_m" | wg pubkey)
cat >"$LAB_DIR/wgl.conf" <<END
[Interface]
PrivateKey = $key_l
ListenPort = 51820
Address = 10.9.0.1/16
[Peer]
PublicKey = $pub_r
AllowedIPs = 10.9.0.2/32
Endpoint = $(lab ip right):51821
END
cat >"$LAB_DIR/wgr.conf" <<END
[Interface]
PrivateKey = $key_r
ListenPort = 51821
Address = 10.9.0.2/24
[Peer]
PublicKey = $pub_l
AllowedIPs = 10.9.0.1/32
END
sed "s|$key_r|$key_m|; s/51821/51822/; s/10.9.0.2/10.9.0.3/" "$LAB_DIR/wgr.conf" >"$LAB_DIR/wgm.conf"

# What tells us of a leak must not be hidden by memory that the sanitizer keeps back.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
export ASAN_OPTIONS
start weftd left "$WEFTD" tunnel --config "$LAB_DIR/wgl.conf"
start peer right "$WEFTD" tunnel --config "$LAB_DIR/wgr.conf"
start other other "$WEFTD" tunnel --config "$LAB_DIR/wgm.conf"
wait_for 30 logged weftd "interface wgl up" || die "weftd starts"
wait_for 30 logged peer "interface wgr up" || die "its peer starts"
wait_for 30 logged other "interface wgm up" || die "the other peer starts"
check "the tunnel comes up" wait_for 30 on left ping -q -c 1 -W 1 10.9.0.2

cat >"$LAB_DIR/churn.py" <<'END'
import base64, hashlib, socket, sys
pid, again, endpoint = sys.argv[1], base64.b64decode(sys.argv[2]).hex(), sys.argv[3]
poke = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
wg = socket.socket(socket.AF_UNIX); wg.connect("/var/run/wireguard/wgl.sock")
def ask(text):
    wg.sendall(b"set=1\n" + text.encode() + b"\n\n"); said = b""
    while b"\n\n" not in said: said += wg.recv(4096)
    if said != b"errno=0\n\n": sys.exit(f"{said} to {text}")
def cycle(n):
    key = hashlib.sha256(b"k%d" % n).hexdigest()
    where = f"10.9.{1 + n % 200}.{1 + n // 200 % 250}"
    ask(f"public_key={key}\npreshared_key={key}\nendpoint={endpoint}:9\n"
        f"persistent_keepalive_interval=25\nallowed_ip={where}/32\nallowed_ip=fd00::{n:x}/128")
    poke.sendto(b"x" * (n % 1300), (where, 9))
    if n % 50 == 0: ask(f"public_key={again}\nendpoint={endpoint}:51822\nallowed_ip=10.9.0.3/32")
    ask(f"public_key={key}\nremove=true")
    poke.sendto(b"x", ("10.9.0.3", 9))
    if n % 50 == 30: ask(f"public_key={again}\nremove=true")
def memory():
    return int(next(l for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS")).split()[1])
for n in range(1000): cycle(n)
before = memory()
for n in range(1000, 11000): cycle(n)
print(f"{before} KiB after 1000 and {memory()} KiB after 11000")
sys.exit(memory() > before + 1024)
END
pid=$(cat "$LAB_DIR/weftd.pid")
start ping left ping -q -i 0.01 -W 5 10.9.0.2
if on left python3 "$LAB_DIR/churn.py" "$pid" "$pub_m" "$(lab ip other)" >"$LAB_DIR/churn.log" 2>&1; then
	ok "memory does not grow with peers that went: $(cat "$LAB_DIR/churn.log")"
else
	fail "memory does not grow with peers that went: $(cat "$LAB_DIR/churn.log")"
fi
stop ping INT
lost=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$LAB_DIR/ping.log")
# The last one may still be on its way.
check "the peer that stayed lost nothing (sent and received: $lost)" test $((${lost% *} - ${lost#* })) -le 1
equal "only the peer that stayed is left" "$(on left wg show wgl peers)" "$pub_r"
check "a peer can be added after all that" on left wg set wgl peer "$pub_m" \
	endpoint "$(lab ip other):51822" allowed-ips 10.9.0.3/32
check "and is reached" wait_for 30 on left ping -q -c 1 -W 1 10.9.0.3
stop weftd
check "it ended by SIGTERM" logged weftd "stopped by signal 15"
check_not "no sanitizer complained" grep -hE "Sanitizer|runtime error" "$LAB_DIR"/weftd.log "$LAB_DIR"/peer.log
