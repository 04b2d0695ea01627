#!/bin/sh
#     alice -- home (UDP blocked) ----+-- internet -- server (our relay, headscale, their relay)
#     bob ---- office (UDP blocked) --+
# Unmodified clients meet through our relay, admitted by their control server's /verify, and stay
# connected while the relay restarts. Our client passes through their relay.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<EOF
internet 203.0.113.0/24 2001:db8:ffff::/64
host server on internet
nat  home   on internet lan 192.168.1.0/24 kind udp-blocked
nat  office on internet lan 10.9.0.0/24 kind udp-blocked
host alice on home
host bob   on office
EOF
lab_main "$@"

relay=${WEFT_BUILD:?}/src/prog/weft-relay
[ -x "${TAILSCALE_BIN:-}" ] || skip "TAILSCALE_BIN does not name a tailscale program"
[ -x "${HEADSCALE_BIN:-}" ] || skip "HEADSCALE_BIN does not name a headscale program"
[ -x "${TAILSCALE_BIN}d" ] || skip "there is no tailscaled beside TAILSCALE_BIN"
server=$(lab ip -4 server)
dir=$LAB_DIR/interop
mkdir -p "$dir"

cat >"$dir/derp.yaml" <<EOF
regions:
  900:
    regionid: 900
    regioncode: ours
    regionname: ours
    nodes:
      - {name: 900a, regionid: 900, hostname: $server, ipv4: $server, ipv6: none, derpport: 443, insecurefortests: true}
EOF
cat >"$dir/headscale.yaml" <<EOF
server_url: http://$server
listen_addr: 0.0.0.0:80
metrics_listen_addr: 127.0.0.1:9090
grpc_listen_addr: 127.0.0.1:50443
grpc_allow_insecure: true
noise: {private_key_path: $dir/noise.key}
prefixes: {v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential}
derp: {server: {enabled: false}, urls: [], paths: [$dir/derp.yaml], auto_update_enabled: false, update_frequency: 24h}
disable_check_updates: true
database: {type: sqlite, sqlite: {path: $dir/db.sqlite}}
dns: {magic_dns: false, base_domain: example.net, override_local_dns: false, nameservers: {global: []}}
unix_socket: $dir/headscale.sock
unix_socket_permission: "0770"
EOF

run_relay() {
	start "$1" server "$relay" run --hostname "$server" --state "$dir/relay" --verbose \
		--verify "http://$server/verify" --status "127.0.0.1:$2" --stun "$3"
	wait_for 10 logged "$1" "listening on 127.0.0.1" || die "the relay starts"
}
headscale() {
	on server "$HEADSCALE_BIN" -c "$dir/headscale.yaml" "$@"
}
ts() {
	host=$1
	shift
	on "$host" timeout 30 "$TAILSCALE_BIN" --socket="$dir/$host.sock" "$@"
}

start headscale server "$HEADSCALE_BIN" -c "$dir/headscale.yaml" serve
wait_for 20 logged headscale "listening and serving HTTP" || die "headscale starts"
run_relay first 9109 :3478
headscale users create people >/dev/null 2>&1 || die "headscale makes a user"
key=$(headscale preauthkeys create --user 1 --reusable --expiration 1h 2>/dev/null | tail -n 1)
for host in alice bob; do
	start "tailscaled-$host" $host "${TAILSCALE_BIN}d" --tun=userspace-networking --state="$dir/$host.state" \
		--statedir="$dir/$host" --socket="$dir/$host.sock" --no-logs-no-support
	wait_for 10 test -S "$dir/$host.sock" || die "tailscaled starts on $host"
	ts $host up --login-server "http://$server" --authkey "$key" --hostname $host --accept-dns=false \
		>/dev/null 2>&1 || die "$host joins"
done

reached() {
	ts alice ping -c 1 --timeout 3s --until-direct=false bob | grep -q "via DERP(ours)"
}
check "alice reaches bob through our relay" wait_for 30 reached
numbers=$(on server curl -s http://127.0.0.1:9109/metrics)
case $numbers in
*"weft_relay_admission_allowed_total 2"*) ok "their control server was asked and let both in" ;;
*) fail "their control server was asked and let both in" ;;
esac
on server "$relay" check --insecure --no-stun "$server" >"$dir/stranger" || true
check "a stranger is not admitted" grep -q "not admitted" "$dir/stranger"

run_relay second 9110 none
stop first TERM
check "alice reaches bob after the relay restarted" wait_for 20 reached

[ -x "${DERPER_BIN:-}" ] || exit 0
start derper server "$DERPER_BIN" -a "$server:8443" -http-port -1 -certmode manual -certdir "$dir" \
	-hostname "$server" -stun-port 3479 -c "$dir/derper.json"
wait_for 10 logged derper "serving on" || die "their relay starts"
check "our client passes through their relay, and their STUN answers" \
	on server "$relay" check --insecure --stun-port 3479 --seconds 1 "$server:8443"
