#!/bin/sh
#     left: weftd tunnel -- internet -- right: weftd tunnel
# What the tunnel stands on is taken away, piece by piece: it recovers when it comes back, or it ends
# with one clear sentence and leaves nothing behind. Configurations that make no sense change nothing.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<END
internet 203.0.113.0/24
host left on internet
host right on internet
END
WEFTD=${WEFT_BUILD:?}/src/prog/weftd
lab_main "$@"
command -v wg >/dev/null || skip "wg is not installed"
[ -c /dev/net/tun ] || skip "/dev/net/tun is missing"
umask 077

key_l=$(wg genkey) key_r=$(wg genkey)
pub_l=$(echo "$key_l" | wg pubkey) pub_r=$(echo "$key_r" | wg pubkey)
left=$(lab ip left) right=$(lab ip right)
cat >"$LAB_DIR/wgl.conf" <<END
[Interface]
PrivateKey = $key_l
ListenPort = 51820
Address = 10.9.0.1/24
[Peer]
PublicKey = $pub_r
AllowedIPs = 10.9.0.2/32
Endpoint = $right:51821
END
cat >"$LAB_DIR/wgr.conf" <<END
[Interface]
PrivateKey = $key_r
ListenPort = 51821
Address = 10.9.0.2/24
[Peer]
PublicKey = $pub_l
AllowedIPs = 10.9.0.1/32
Endpoint = $left:51820
END
run_left() {
	: >"$LAB_DIR/weftd.log"
	start weftd left "$WEFTD" tunnel --config "$LAB_DIR/wgl.conf"
	wait_for 30 logged weftd "interface wgl up"
}
reach() { wait_for 30 on left ping -q -c 1 -W 1 10.9.0.2; }
reach_back() { wait_for 30 on right ping -q -c 1 -W 1 10.9.0.1; }
wg_left() { on left wg "$@"; }
device=$(on left ip -o -4 route get "$right" | sed 's/.* dev \([^ ]*\).*/\1/')
device_r=$(on right ip -o -4 route get "$left" | sed 's/.* dev \([^ ]*\).*/\1/')

run_left || die "weftd starts"
start peer right "$WEFTD" tunnel --config "$LAB_DIR/wgr.conf"
check "the tunnel comes up" reach

# --- the interface
on left ip link set dev wgl down
check_not "nothing passes an interface that is down" on left ping -q -c 1 -W 1 10.9.0.2
on left ip link set dev wgl up
check "up again, it works" reach
check "both ways" reach_back
on left ip link set dev wgl mtu 1280
check "a smaller MTU is taken over" wait_for 10 logged weftd "MTU changed from 1420 to 1280"
check "and packets of it pass" wait_for 30 on left ping -q -c 1 -W 1 -M do -s 1252 10.9.0.2
on left ip link set dev wgl mtu 9000
check "a larger MTU is taken over" wait_for 10 logged weftd "MTU changed from 1280 to 9000"
check "and large packets leave" wait_for 30 on left ping -q -c 1 -W 1 -s 8000 10.9.0.2
on left ip link set dev wgl mtu 1420

# --- the sockets' ground
lab link left down
check_not "nothing passes without a cable" on left ping -q -c 1 -W 1 10.9.0.2
lab link left up
check "with the cable back, it works" reach
on left ip route add unreachable "$right/32"
check_not "nothing passes without a route" on left ping -q -c 1 -W 1 10.9.0.2
on left ip route del unreachable "$right/32"
check "with the route back, it works" reach
on left nft -f - <<END
table inet wall {
	chain out {
		type filter hook output priority 0
		udp dport 51821 drop
	}
}
END
check_not "nothing passes a firewall that forbids sending" on left ping -q -c 1 -W 1 10.9.0.2
on left nft delete table inet wall
check "with the firewall gone, it works" reach
on left ip link set dev "$device" mtu 1300
on right ip link set dev "$device_r" mtu 1300
check "a smaller MTU below does not stop it" wait_for 30 on left ping -q -c 1 -W 1 -s 1200 10.9.0.2
check "nor large packets, which are cut" wait_for 30 on left ping -q -c 1 -W 1 -s 1372 10.9.0.2
on left ip link set dev "$device" mtu 1500
on right ip link set dev "$device_r" mtu 1500
check "errors were counted, not logged one by one" test "$(wc -l <"$LAB_DIR/weftd.log")" -lt 12

# --- configurations
check "nothing but what is asked changes" wg_left set wgl fwmark 0x77 peer "$pub_r" persistent-keepalive 9
equal "wg shows the mark" "$(wg_left show wgl fwmark)" 0x77
check "the mark goes" wg_left set wgl fwmark off
equal "wg shows none" "$(wg_left show wgl fwmark)" off
before=$(wg_left showconf wgl)
for bad in "fwmark elephants" "peer short allowed-ips 10.0.0.0/8" \
	"peer $pub_r allowed-ips 10.0.0.0/33" "peer $pub_r endpoint 192.0.2.1" \
	"peer $pub_r persistent-keepalive 70000"; do
	# shellcheck disable=SC2086 # words on purpose
	check_not "wg set refuses $bad" wg_left set wgl $bad
done
echo "[Peer]" >"$LAB_DIR/bad.conf"
check_not "syncconf refuses a peer without a key" wg_left syncconf wgl "$LAB_DIR/bad.conf"
equal "all that changed nothing" "$(wg_left showconf wgl)" "$before"
printf '%s\n' "$before" >"$LAB_DIR/same.conf"
check "syncconf with what is there is taken" wg_left syncconf wgl "$LAB_DIR/same.conf"
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.50.0.0/16\n' "$pub_l" >"$LAB_DIR/add.conf"
check "our own key is skipped" wg_left addconf wgl "$LAB_DIR/add.conf"
equal "one peer remains" "$(wg_left show wgl peers)" "$pub_r"
wg genpsk >"$LAB_DIR/psk"
check "a pre-shared key is set" wg_left set wgl peer "$pub_r" preshared-key "$LAB_DIR/psk"
check_not "which the other side does not know" on left ping -q -c 1 -W 1 10.9.0.2
check "and is taken away" wg_left set wgl peer "$pub_r" preshared-key /dev/null
check "the tunnel works again" reach
check "the private key can go" sh -c "lab exec left wg set wgl private-key /dev/null"
check_not "without it nothing passes" on left ping -q -c 1 -W 1 10.9.0.2
echo "$key_l" >"$LAB_DIR/key"
check "and come back" wg_left set wgl private-key "$LAB_DIR/key"
check "the tunnel works again with it" reach

# --- the end
stop weftd KILL
check_not "kill -9 leaves no interface" on left ip link show dev wgl
check "and no obstacle to the next start" run_left
check "which works" reach
pid=$(cat "$LAB_DIR/weftd.pid")
on left ip link del dev wgl
wait "$pid"
equal "without its interface it ends with status 1" $? 1
equal "and says one sentence" "$(grep -c error "$LAB_DIR/weftd.log")" 1
check "which says why" grep -q "tunnel stopped: .*\(deleted\|is gone\)" "$LAB_DIR/weftd.log"
check_not "its socket is gone" on left test -e /var/run/wireguard/wgl.sock
sed -i 's/^AllowedIPs.*/AllowedIPs = 10.9.0.2\/33/' "$LAB_DIR/wgl.conf"
on left "$WEFTD" tunnel --config "$LAB_DIR/wgl.conf" >"$LAB_DIR/said" 2>&1
equal "a bad file is refused with status 2" $? 2
equal "and one line that names the place" "$(cat "$LAB_DIR/said")" \
	"weftd tunnel: $LAB_DIR/wgl.conf:7: AllowedIPs: must be prefixes like 10.0.0.0/24, ::/0"
check_not "no sanitizer complained" grep -hE "Sanitizer|runtime error" "$LAB_DIR/weftd.log" "$LAB_DIR/peer.log"
