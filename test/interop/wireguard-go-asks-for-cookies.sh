#!/bin/sh
#     left: weftd -- internet -- right: wireguard-go
#                       crowd: sends initiations that only look well
# A flood puts weftd under load, and wireguard-go still gets through to it by a cookie; then the flood
# puts wireguard-go under load, and weftd gets through.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<END
internet 203.0.113.0/24
host left on internet
host right on internet
host crowd on internet
END
WEFTD=${WEFT_BUILD:?}/src/prog/weftd
lab_main "$@"
for tool in wg wireguard-go python3; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -c /dev/net/tun ] || skip "/dev/net/tun is missing"
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
END
cat >"$LAB_DIR/right.conf" <<END
[Interface]
PrivateKey = $key_r
ListenPort = 51821
[Peer]
PublicKey = $pub_l
AllowedIPs = 10.9.0.1/32
Endpoint = $(lab ip left):51820
END
# Initiations with a right mac1, as anybody can make who knows the public key. Says so when the first
# cookie comes back: then the other side feels the load.
cat >"$LAB_DIR/flood.py" <<'END'
import base64, hashlib, os, socket, sys, time
host, port, key, per_s = sys.argv[1], int(sys.argv[2]), base64.b64decode(sys.argv[3]), int(sys.argv[4])
mac1 = hashlib.blake2s(b"mac1----" + key).digest()
body = b"\1\0\0\0" + os.urandom(112)
message = body + hashlib.blake2s(body, key=mac1, digest_size=16).digest() + bytes(16)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((host, port)); s.setblocking(False)
said, sent, began = False, 0, time.monotonic()
while True:
    for _ in range(50):
        try: s.send(message)
        except OSError: pass
    sent += 50
    try:
        while not said and (d := s.recv(2048)):
            if d[0] == 3 and len(d) == 64: said = True; print("a cookie came", flush=True)
    except OSError: pass
    ahead = sent / per_s - (time.monotonic() - began)
    if ahead > 0: time.sleep(ahead)
END

start weftd left "$WEFTD" tunnel --config "$LAB_DIR/wgl.conf"
wait_for 20 logged weftd "interface wgl up" || die "weftd starts"
start right right env LOG_LEVEL=verbose WG_PROCESS_FOREGROUND=1 wireguard-go wgr
wait_for 20 on right wg show wgr || die "wireguard-go starts"
on right wg setconf wgr "$LAB_DIR/right.conf"
on right ip addr add 10.9.0.2/24 dev wgr
on right ip link set dev wgr mtu 1420 up

counts() { # counts SENTENCE: weftd counted at least one
	kill -USR1 "$(cat "$LAB_DIR/weftd.pid")" && sleep 0.1 && logged weftd "$1"
}
start flood crowd python3 "$LAB_DIR/flood.py" "$(lab ip left)" 51820 "$pub_l" 4000
check "weftd asks a crowd for cookies" wait_for 30 logged flood "a cookie came"
check "wireguard-go reaches it all the same" wait_for 60 on right ping -q -c 1 -W 1 10.9.0.1
check "with a cookie" wait_for 10 logged right "Receiving cookie response"
check "weftd counted them" wait_for 10 counts "answered with a cookie under load"
check "packets flow under the flood" on right ping -q -c 20 -i 0.05 -W 5 10.9.0.1
stop flood

stop weftd
: >"$LAB_DIR/flood.log"
start flood crowd python3 "$LAB_DIR/flood.py" "$(lab ip right)" 51821 "$pub_r" 1000000
if wait_for 20 logged flood "a cookie came"; then
	on right wg set wgr peer "$pub_l" remove
	on right wg set wgr peer "$pub_l" allowed-ips 10.9.0.1/32
	sed "/AllowedIPs/a Endpoint = $(lab ip right):51821" "$LAB_DIR/wgl.conf" >"$LAB_DIR/two.conf"
	start weftd left "$WEFTD" tunnel --config "$LAB_DIR/two.conf" --interface wgl
	check "weftd reaches a wireguard-go under load" wait_for 90 on left ping -q -c 1 -W 1 10.9.0.2
	check "with a cookie" wait_for 10 counts "cookie replies accepted"
	stop weftd
else
	echo "# wireguard-go felt no load from this flood: weftd's answer to its cookies was not looked at"
fi
stop flood
check_not "no sanitizer complained" grep -E "Sanitizer|runtime error" "$LAB_DIR/weftd.log"
