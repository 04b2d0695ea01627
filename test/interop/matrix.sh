#!/bin/sh
#     w1, w2 (weftd) ------ gateways -----+-- internet -- server (control server at its first address,
#     t1, t2 (tailscaled) - gateways -----+                       relay at its second)
# {our server, Headscale} x {our relay, derper} x {our node, unmodified tailscaled}: with UDP blocked each pair meets in
# the relay, without that the way becomes direct. Prints the table.
#
# PEERS_BIN: folder with headscale, derper, tailscale and tailscaled; what is not there is left out of the table.
# Arguments: none for the table, or SERVER RELAY (weft-control or headscale, weft-relay or derper) for one row.
. "$(dirname "$0")/../lab/e2e.sh"
bin=${WEFT_BIN:-$(realpath "$(dirname "$0")/../../build/asan/src/prog")}
peers=${PEERS_BIN:-/nowhere}
for program in weft-control weft-relay weftd weft; do
	[ -x "$bin/$program" ] || skip "$bin/$program is not built"
done

# ---- the table ----

row() { # SERVER RELAY
	for program in "$1" "$2"; do
		case $program in
		weft-*) ;;
		*) [ -x "$peers/$program" ] || {
			echo "# $(printf '%-12s  %-10s' "$1" "$2")  skipped: $program is not in PEERS_BIN"
			return 0
		} ;;
		esac
	done
	said=$("$0" "$1" "$2" 2>&1)
	result=$?
	echo "$said" | grep -v '^# row'
	echo "$said" | sed -n 's/^# row/#/p'
	return "$result"
}

if [ $# -eq 0 ]; then
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	failed=0
	# The labs do not know each other: the two rows of a server run side by side.
	other=$(mktemp)
	trap 'rm -f "$other"' EXIT
	for control in weft-control headscale; do
		row "$control" derper >"$other" &
		row "$control" weft-relay || failed=1
		wait $! || failed=1
		cat "$other"
	done
	exit "$failed"
fi

# ---- one row ----

nodes="w1 w2"
[ -x "$peers/tailscaled" ] && [ -x "$peers/tailscale" ] && nodes="w1 w2 t1 t2"
topology <<EOT
internet 203.0.113.0/24
host server on internet addresses 2
$(n=0; for node in $nodes; do
	n=$((n + 1))
	echo "nat g$node on internet lan 192.168.$n.0/24 kind udp-blocked"
	echo "host $node on g$node"
done)
EOT
lab_main "$@"

# shellcheck disable=SC2046
set -- "$1" "$2" $(lab ip -4 server all)
control=$1 relay=$2 server=$3 relay_at=$4
dir=$LAB_DIR/matrix
mkdir -p "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/key.pem" \
	-out "$dir/cert.pem" -subj /CN=matrix -addext "subjectAltName=IP:$server,IP:$relay_at" 2>/dev/null
export SSL_CERT_FILE="$dir/cert.pem"
url=https://$server
client() { # HOST WORD...
	host=$1
	shift
	case $host in
	w*) on "$host" timeout 40 "$bin/weft" --socket "$dir/$host.sock" "$@" ;;
	*) on "$host" timeout 40 "$peers/tailscale" --socket "$dir/$host.sock" "$@" ;;
	esac
}

cat >"$dir/derp.json" <<EOT
{"Regions": {"901": {"RegionID": 901, "RegionCode": "one", "RegionName": "One", "Nodes": [{"Name": "901a", "RegionID": 901,
 "HostName": "$relay_at", "IPv4": "$relay_at", "IPv6": "none", "DERPPort": 443, "STUNPort": 3478, "InsecureForTests": true}]}}}
EOT
cat >"$dir/derp.yaml" <<EOT
regions:
  901:
    regionid: 901
    regioncode: one
    regionname: One
    nodes:
      - {name: 901a, regionid: 901, hostname: $relay_at, ipv4: $relay_at, ipv6: none, derpport: 443, stunport: 3478, insecurefortests: true}
EOT
cat >"$dir/weft-control.yaml" <<EOT
listen: $server:443
server_url: $url
tls_cert: $dir/cert.pem
tls_key: $dir/key.pem
state_dir: $dir/control
relay: no
derp_map: $dir/derp.json
EOT
cat >"$dir/headscale.yaml" <<EOT
server_url: $url
listen_addr: $server:443
metrics_listen_addr: 127.0.0.1:9090
grpc_listen_addr: 127.0.0.1:50443
noise: { private_key_path: $dir/noise.key }
prefixes: { v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential }
derp: { server: { enabled: false }, urls: [], paths: [$dir/derp.yaml], auto_update_enabled: false, update_frequency: 24h }
database: { type: sqlite, sqlite: { path: $dir/db.sqlite } }
tls_cert_path: $dir/cert.pem
tls_key_path: $dir/key.pem
dns: { magic_dns: true, base_domain: hs.test, nameservers: { global: [] }, override_local_dns: false }
unix_socket: $dir/hs.sock
unix_socket_permission: "0770"
disable_check_updates: true
EOT

if [ "$relay" = weft-relay ]; then
	start relay server "$bin/weft-relay" run --listen "$relay_at:443" --stun "$relay_at:3478" --open --state "$dir/relay" \
		--cert "$dir/cert.pem" --key "$dir/key.pem" --threads 1 --verbose
	wait_for 15 logged relay "listening on" || die "the relay starts"
else
	start relay server "$peers/derper" -a "$relay_at:443" -http-port -1 -certmode manual -certdir "$dir" -hostname "$relay_at" \
		-stun-port 3478 -c "$dir/derper.json"
	wait_for 15 logged relay "serving on" || die "the relay starts"
fi
if [ "$control" = weft-control ]; then
	admin() { on server "$bin/weft-control" --config "$dir/weft-control.yaml" "$@" </dev/null; }
	start control server "$bin/weft-control" --config "$dir/weft-control.yaml" serve
	wait_for 15 admin server status || die "the server answers"
	admin users create ana >/dev/null
	key=$(admin keys create --user ana --reusable -o json | sed 's/.*"key":"\([^"]*\)".*/\1/')
else
	hs() { on server timeout 20 "$peers/headscale" -c "$dir/headscale.yaml" "$@" </dev/null; }
	start control server "$peers/headscale" -c "$dir/headscale.yaml" serve
	wait_for 20 hs users create ana || die "the server answers"
	key=$(hs preauthkeys create -u 1 --reusable 2>/dev/null | tail -n 1)
fi
echo "$key" >"$dir/key"

for host in $nodes; do
	case $host in
	w*) start "$host" "$host" "$bin/weftd" --statedir "$dir/$host" --socket "$dir/$host.sock" --tun weft0 --verbose 2 ;;
	*) start "$host" "$host" "$peers/tailscaled" --statedir="$dir/$host" --socket="$dir/$host.sock" --tun=ts0 \
		--no-logs-no-support ;;
	esac
done
for host in $nodes; do
	dns=
	case $host in t*) dns=--accept-dns=false ;; esac
	wait_for 15 test -S "$dir/$host.sock" || die "the daemon of $host listens"
	# shellcheck disable=SC2086
	check "$host joins $control" client "$host" up --login-server "$url" --authkey "file:$dir/key" --hostname "$host" \
		--timeout 30s $dns
	eval "ip_$host=$(client "$host" ip -4)"
done
address() { eval "echo \$ip_$1"; }
ping_one() { on "$1" ping -c 1 -W 2 "$(address "$2")"; }
# Ours gives up after five seconds, theirs after what it is told.
pings() { # HOST HOST COUNT
	case $1 in
	w*) client "$1" ping --c "$3" --until-direct=false "$(address "$2")" ;;
	*) client "$1" ping --c "$3" --until-direct=false --timeout 3s "$(address "$2")" ;;
	esac 2>&1
}
relayed() { pings "$1" "$2" 1 | grep -q 'via relay "one"\|via DERP(one)'; }
direct() { pings "$1" "$2" 2 | grep -q 'via [0-9]'; }

pairs="w1:w2"
[ "$nodes" = "w1 w2" ] || pairs="w1:w2 w1:t1 t1:w1 t1:t2"
for pair in $pairs; do
	check "$pair with UDP blocked" wait_for 30 ping_one "${pair%:*}" "${pair#*:}"
	if wait_for 15 relayed "${pair%:*}" "${pair#*:}"; then
		eval "way_${pair%:*}_${pair#*:}=relay"
	else
		fail "$pair goes through $relay"
	fi
done
for host in $nodes; do
	lab nat "g$host" kind easy
done
cells=
for pair in $pairs; do
	eval "way=\${way_${pair%:*}_${pair#*:}:-lost}"
	if wait_for 60 direct "${pair%:*}" "${pair#*:}"; then way=$way+direct; else fail "$pair becomes direct"; fi
	case $pair in
	w1:w2) name=weftd-weftd ;;
	w1:t1) name=weftd-tailscaled ;;
	t1:w1) name=tailscaled-weftd ;;
	*) name=tailscaled-tailscaled ;;
	esac
	cells="$cells  $name $way"
done
for host in w1 w2; do
	check_not "no complaint of the sanitizers from $host" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
done
echo "# row $(printf '%-12s  %-10s' "$control" "$relay")$cells"
