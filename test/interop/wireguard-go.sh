#!/bin/sh
# weftd tunnel against wireguard-go, and under the hands of wg(8).
#
#   namespace A: weftd tunnel, interface wfA*     10.77.N.1 --- veth --- 10.77.N.2   namespace B:
#                                                                        wireguard-go, interface wgB*
#
# Two pairs run side by side: in pair 1 weftd starts the handshake, in pair 2 wireguard-go does. Both
# live long enough (125 s) to see a rekey by whoever has to do it. Then roaming on both sides, the wg
# commands, and what happens when things are taken away.
#
# WEFT_QUICK=1 leaves the rekey out.
# Exit status 0: passed, 77: skipped (the reason is the last line), else failed.
set -u

skip() { echo "$*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
for tool in ip wg wireguard-go ping python3; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -c /dev/net/tun ] || skip "/dev/net/tun is missing"
WEFTD=${WEFT_BUILD:?}/src/prog/weftd
[ -x "$WEFTD" ] || skip "$WEFTD was not built"
unshare -n true 2>/dev/null || skip "network namespaces are not allowed here"

id=$$
work=$(mktemp -d)
pids=
failed=0
cleanup() {
    for p in $pids; do kill "$p" 2>/dev/null; done
    for n in 1 2; do
        ip netns del "wfA$n-$id" 2>/dev/null
        ip netns del "wfB$n-$id" 2>/dev/null
        rm -f "/var/run/wireguard/wfA$n.sock" "/var/run/wireguard/wgB$n.sock"
    done
    rm -rf "$work"
}
trap cleanup EXIT INT TERM
umask 077

ok() { echo "ok   $*"; }
bad() { echo "FAIL $*"; failed=1; }
check() { # check "what" command...
    what=$1; shift
    if "$@" >"$work/out" 2>&1; then ok "$what"; else bad "$what"; sed 's/^/     /' "$work/out" | tail -5; fi
}
in_a() { n=$1; shift; ip netns exec "wfA$n-$id" "$@"; }
in_b() { n=$1; shift; ip netns exec "wfB$n-$id" "$@"; }
wait_for() { # wait_for tries command...: up to tries * 0.1 s
    i=$1; shift
    while [ "$i" -gt 0 ]; do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1; i=$((i - 1))
    done
    return 1
}
handshake_of() { in_a "$1" wg show "wfA$1" latest-handshakes | cut -f2; }
endpoint_is() { [ "$("in_$1" "$2" wg show "$3" endpoints | cut -f2)" = "$4" ]; }

start_weftd() { # pair
    ip netns exec "wfA$1-$id" "$WEFTD" tunnel --config "$work/wfA$1.conf" 2>>"$work/weftd$1.log" &
    eval "weftd$1=$!"
    pids="$pids $!"
    wait_for 50 test -S "/var/run/wireguard/wfA$1.sock"
}

for n in 1 2; do
    ip netns add "wfA$n-$id"; ip netns add "wfB$n-$id"
    ip link add "wfv0" netns "wfA$n-$id" type veth peer name "wfv1" netns "wfB$n-$id"
    in_a $n ip addr add 10.77.$n.1/24 dev wfv0; in_a $n ip link set dev wfv0 up; in_a $n ip link set dev lo up
    in_b $n ip addr add 10.77.$n.2/24 dev wfv1; in_b $n ip link set dev wfv1 up; in_b $n ip link set dev lo up
    ka=$(wg genkey); kb=$(wg genkey); psk=$(wg genpsk)
    pa=$(echo "$ka" | wg pubkey); pb=$(echo "$kb" | wg pubkey)
    eval "pub_a$n=$pa pub_b$n=$pb"
    cat >"$work/wfA$n.conf" <<END
[Interface]
PrivateKey = $ka
ListenPort = 51820
Address = 10.9.$n.1/24, fd09:$n::1/64
[Peer]
PublicKey = $pb
PresharedKey = $psk
AllowedIPs = 10.9.$n.2/32, fd09:$n::2/128
$([ $n = 1 ] && echo "Endpoint = 10.77.$n.2:51821")
END
    cat >"$work/wgB$n.conf" <<END
[Interface]
PrivateKey = $kb
ListenPort = 51821
[Peer]
PublicKey = $pa
PresharedKey = $psk
AllowedIPs = 10.9.$n.1/32, fd09:$n::1/128
$([ $n = 2 ] && echo "Endpoint = 10.77.$n.1:51820")
END
    in_b $n env LOG_LEVEL=silent WG_PROCESS_FOREGROUND=1 wireguard-go "wgB$n" >"$work/go$n.log" 2>&1 &
    pids="$pids $!"
    wait_for 50 test -S "/var/run/wireguard/wgB$n.sock" || { bad "wireguard-go $n starts"; exit 1; }
    in_b $n wg setconf "wgB$n" "$work/wgB$n.conf"
    in_b $n ip addr add 10.9.$n.2/24 dev "wgB$n"; in_b $n ip addr add fd09:$n::2/64 dev "wgB$n" nodad
    in_b $n ip link set dev "wgB$n" mtu 1420 up
    start_weftd $n || { bad "weftd $n starts"; cat "$work/weftd$n.log"; exit 1; }
done

check "weftd starts the handshake" in_a 1 ping -q -c 3 -i 0.2 -W 2 10.9.1.2
check "wireguard-go starts the handshake" in_b 2 ping -q -c 3 -i 0.2 -W 2 10.9.2.1
check "IPv6 inside, 1" in_a 1 ping -q -c 2 -i 0.2 -W 2 fd09:1::2
check "IPv6 inside, 2" in_b 2 ping -q -c 2 -i 0.2 -W 2 fd09:2::1
check "every size from the smallest packet to a fragmented one" sh -c "
    for s in 0 1 7 15 16 17 100 1000 1371 1392 1393 2000 8000 30000; do
        ip netns exec wfA1-$id ping -q -c 1 -W 2 -s \$s 10.9.1.2 || exit 1
    done"

cat >"$work/stream.py" <<'END'
import hashlib, socket, sys
mode, host, size = sys.argv[1], sys.argv[2], 40 << 20
block = bytes(range(256)) * 256
if mode == "serve":
    s = socket.create_server((host, 7777)); s.settimeout(20); c, _ = s.accept(); h = hashlib.sha256(); n = 0
    while (d := c.recv(1 << 16)): h.update(d); n += len(d)
    want = hashlib.sha256(block * (size // len(block))).hexdigest()
    sys.exit(0 if n == size and h.hexdigest() == want else 1)
c = socket.create_connection((host, 7777), 5)
for _ in range(size // len(block)): c.sendall(block)
END
stream() { # from-side pair server-address
    to=$([ "$1" = a ] && echo b || echo a)
    "in_$to" "$2" python3 "$work/stream.py" serve "$3" & server=$!
    sleep 0.5
    "in_$1" "$2" python3 "$work/stream.py" send "$3" && wait $server
}
check "40 MB of TCP from weftd arrive unchanged" stream a 1 10.9.1.2
check "40 MB of TCP from wireguard-go arrive unchanged" stream b 1 10.9.1.1

# Rekey after 120 s, by the one who started: no packet may be lost in it.
if [ -z "${WEFT_QUICK:-}" ]; then
    first1=$(handshake_of 1); first2=$(handshake_of 2)
    in_a 1 ping -q -i 0.1 -w 125 10.9.1.2 >"$work/ping1" & p1=$!
    in_b 2 ping -q -i 0.1 -w 125 10.9.2.1 >"$work/ping2" & p2=$!
    wait $p1; wait $p2
    check "no packet lost over a rekey by weftd" grep -q " 0% packet loss" "$work/ping1"
    check "no packet lost over a rekey by wireguard-go" grep -q " 0% packet loss" "$work/ping2"
    check "weftd rekeyed" test "$(handshake_of 1)" -ge $((first1 + 119))
    check "wireguard-go rekeyed" test "$(handshake_of 2)" -ge $((first2 + 119))
fi

# Roaming: each side moves to another address; the other follows its first authenticated packet.
in_b 1 ip addr add 10.77.1.3/24 dev wfv1; in_b 1 ip addr del 10.77.1.2/24 dev wfv1
in_b 1 ip addr add 10.77.1.3/24 dev wfv1 2>/dev/null
in_b 1 wg set wgB1 listen-port 51822 # it clings to its old source address otherwise
check "wireguard-go moves" in_b 1 ping -q -c 3 -i 0.3 -W 2 10.9.1.1
check "weftd follows" endpoint_is a 1 wfA1 10.77.1.3:51822
check "weftd sends to the new address" in_a 1 ping -q -c 2 -i 0.2 -W 2 10.9.1.2
in_a 1 ip addr add 10.77.1.9/24 dev wfv0; in_a 1 ip addr del 10.77.1.1/24 dev wfv0
in_a 1 ip addr add 10.77.1.9/24 dev wfv0 2>/dev/null
check "weftd moves" in_a 1 ping -q -c 3 -i 0.3 -W 2 10.9.1.2
check "wireguard-go follows" endpoint_is b 1 wgB1 10.77.1.9:51820

# wg(8)
eval "peer=\$pub_b1"
check "wg show prints the interface" sh -c "wg show wfA1 | grep -q 'listening port: 51820'"
check "wg show dump has one peer" test "$(wg show wfA1 dump | wc -l)" = 2
check "wg set listen-port" wg set wfA1 listen-port 51999
check "the tunnel follows a new port" in_a 1 ping -q -c 3 -i 0.3 -W 2 10.9.1.2
check "wg set persistent-keepalive" wg set wfA1 peer "$peer" persistent-keepalive 7
check "wg show persistent-keepalive" sh -c "wg show wfA1 persistent-keepalive | grep -q '7\$'"
other=$(wg genkey | wg pubkey)
check "wg set adds a peer" wg set wfA1 peer "$other" allowed-ips 10.50.0.0/16,fd50::/32 endpoint 192.0.2.1:9
check "its allowed addresses are there" sh -c "wg show wfA1 allowed-ips | grep -q '10.50.0.0/16 fd50::/32'"
check "an address moves to the peer that got it last" sh -c "
    wg set wfA1 peer '$peer' allowed-ips 10.9.1.2/32,fd09:1::2/128,10.50.0.0/16 &&
    ! wg show wfA1 allowed-ips | grep '$other' | grep -q 10.50.0.0/16"
sed "s/^ListenPort.*/ListenPort = 51820/; /^Address/d" "$work/wfA1.conf" >"$work/sync.conf"
sed -i "s/10.77.1.2:51821/10.77.1.3:51822/" "$work/sync.conf"
check "wg syncconf" wg syncconf wfA1 "$work/sync.conf"
check "syncconf took the extra peer away" test "$(wg show wfA1 peers | wc -l)" = 1
check "syncconf kept the session" in_a 1 ping -q -c 2 -i 0.2 -W 2 10.9.1.2
check "wg showconf comes back as it was" sh -c "wg showconf wfA1 | grep -q '$peer'"
check "wg set remove" wg set wfA1 peer "$peer" remove
check "a removed peer is gone" sh -c "! ip netns exec wfA1-$id ping -q -c 1 -W 1 10.9.1.2"
check "wg setconf brings it back" wg setconf wfA1 "$work/sync.conf"
in_a 1 wg set wfA1 peer "$peer" endpoint 10.77.1.3:51822
check "and it works" in_a 1 ping -q -c 3 -i 0.3 -W 3 10.9.1.2
in_a 1 python3 -c 'import socket,time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 4444)); time.sleep(60)' & holder=$!
wait_for 100 sh -c "ip netns exec wfA1-$id ss -Hlun | grep -q :4444"
check "a port in use is refused" sh -c "! wg set wfA1 listen-port 4444"
kill $holder

# Peers come and go under traffic.
in_a 1 ping -q -i 0.02 -w 6 10.9.1.2 >"$work/ping3" & p3=$!
i=0
while [ $i -lt 60 ]; do
    k=$(printf '%043d=' $i | tr '0-9' 'A-J')
    wg set wfA1 peer "$k" allowed-ips 10.60.$i.0/24 endpoint 192.0.2.1:9 2>/dev/null
    wg set wfA1 peer "$k" remove 2>/dev/null
    i=$((i + 1))
done
wait $p3
check "peers come and go without harm to others" grep -q " 0% packet loss" "$work/ping3"

# Things are taken away.
check "interface down and up" sh -c "
    ip -n wfA1-$id link set dev wfA1 down; sleep 0.3; ip -n wfA1-$id link set dev wfA1 up
    ip -n wfA1-$id route replace 10.9.1.0/24 dev wfA1
    ip netns exec wfA1-$id ping -q -c 3 -i 0.3 -W 2 10.9.1.2"
check "another MTU" sh -c "
    ip -n wfA1-$id link set dev wfA1 mtu 1280
    ip netns exec wfA1-$id ping -q -c 2 -i 0.2 -W 2 -s 1252 -M do 10.9.1.2 &&
    ! ip netns exec wfA1-$id ping -q -c 1 -W 1 -s 1253 -M do 10.9.1.2"
check "wire down and up" sh -c "
    ip -n wfA1-$id link set dev wfv0 down; sleep 0.5; ip -n wfA1-$id link set dev wfv0 up
    sleep 0.5; ip netns exec wfA1-$id ping -q -c 3 -i 0.3 -W 3 10.9.1.2"
# shellcheck disable=SC2154
kill -9 "$weftd1"; wait "$weftd1" 2>/dev/null
check "kill -9 leaves no interface" sh -c "! ip -n wfA1-$id link show dev wfA1"
sed -i 's/10.77.1.2:51821/10.77.1.3:51822/' "$work/wfA1.conf"
start_weftd 1
check "it starts again where it was killed" wait_for 50 in_a 1 ping -q -c 1 -W 1 10.9.1.2
in_a 1 ip link del dev wfA1
wait "$weftd1"; status=$?
check "a deleted interface ends it with status 1 ($status)" test $status = 1
check "and one sentence" grep -q "interface wfA1 was deleted\|the TUN device is gone" "$work/weftd1.log"
# shellcheck disable=SC2154
kill "$weftd2"; wait "$weftd2"; status=$?
check "SIGTERM ends it with status 0 ($status)" test $status = 0
check "and its socket is gone" test ! -e /var/run/wireguard/wfA2.sock
check "no sanitizer complained" sh -c "! grep -E 'Sanitizer|runtime error' '$work'/weftd?.log"
[ $failed = 0 ] || { echo "--- weftd 1"; tail -n 20 "$work/weftd1.log"; echo "--- weftd 2"; tail -n 20 "$work/weftd2.log"; }
exit $failed
