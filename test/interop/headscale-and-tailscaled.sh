#!/bin/sh
#     alice (weftd) -- home (easy) --------+
#                                          +-- internet -- server (unmodified Headscale)
#     bob (unmodified tailscaled) - office-+
# Our node in a foreign network: it registers, both ends reach each other, the way becomes direct,
# each command line understands the other daemon.
#
# PEERS_BIN: folder with headscale, tailscale and tailscaled. WEFT_BIN: with weftd and weft.
. "$(dirname "$0")/../lab/e2e.sh"
bin=${WEFT_BIN:-$(realpath "$(dirname "$0")/../../build/asan/src/prog")}
for program in "${PEERS_BIN:-/nowhere}/headscale" "$PEERS_BIN/tailscaled" "$PEERS_BIN/tailscale" "$bin/weftd" "$bin/weft"; do
	[ -x "$program" ] || skip "$program is not there"
done
topology <<EOT
internet 203.0.113.0/24
host server on internet
nat  home   on internet lan 192.168.1.0/24 kind easy
nat  office on internet lan 10.9.0.0/24 kind easy
host alice on home
host bob   on office
EOT
lab_main "$@"

server=$(lab ip server)
dir=$LAB_DIR/headscale
mkdir -p "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/key.pem" \
	-out "$dir/cert.pem" -subj /CN=hs -addext "subjectAltName=IP:$server" 2>/dev/null
export SSL_CERT_FILE="$dir/cert.pem"
cat >"$dir/config.yaml" <<EOT
server_url: https://$server
listen_addr: $server:443
metrics_listen_addr: 127.0.0.1:9090
grpc_listen_addr: 127.0.0.1:50443
noise: { private_key_path: $dir/noise.key }
prefixes: { v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential }
derp:
  server: { enabled: true, region_id: 999, region_code: hs, region_name: HS, stun_listen_addr: "$server:3478",
            private_key_path: $dir/derp.key, automatically_add_embedded_derp_region: true, verify_clients: true, ipv4: $server }
  urls: []
  auto_update_enabled: false
database: { type: sqlite, sqlite: { path: $dir/db.sqlite } }
tls_cert_path: $dir/cert.pem
tls_key_path: $dir/key.pem
dns: { magic_dns: true, base_domain: hs.test, nameservers: { global: [1.1.1.1] }, override_local_dns: false }
unix_socket: $dir/hs.sock
unix_socket_permission: "0770"
disable_check_updates: true
EOT
hs() { on server timeout 15 "$PEERS_BIN/headscale" -c "$dir/config.yaml" "$@" </dev/null; }
weft() { host=$1; shift; on "$host" timeout 30 "$bin/weft" --socket "$dir/$host.sock" "$@"; }
ts() { host=$1; shift; on "$host" timeout 30 "$PEERS_BIN/tailscale" --socket "$dir/$host.sock" "$@"; }
says() { text=$1; shift; "$@" 2>&1 | grep -q "$text"; }

start headscale server "$PEERS_BIN/headscale" -c "$dir/config.yaml" serve
wait_for 15 test -S "$dir/hs.sock" || die "headscale answers"
wait_for 5 hs users create ana >/dev/null 2>&1
key=$(hs preauthkeys create -u 1 --reusable 2>/dev/null | tail -n 1)
start alice alice "$bin/weftd" --statedir "$dir/alice" --socket "$dir/alice.sock" --verbose 2
start bob bob "$PEERS_BIN/tailscaled" --statedir="$dir/bob" --socket="$dir/bob.sock" --tun=ts0
wait_for 10 test -S "$dir/alice.sock" || die "weftd listens"
wait_for 10 test -S "$dir/bob.sock" || die "tailscaled listens"
check "weftd joins" weft alice up --login-server "https://$server" --authkey "$key" --hostname alice --timeout 20s
check "tailscaled joins" ts bob up --login-server "https://$server" --authkey "$key" --hostname bob \
	--accept-dns=false --timeout 20s
a=$(weft alice ip -4)
b=$(ts bob ip -4)
check "weftd reaches tailscaled" wait_for 10 on alice ping -c 1 -W 1 "$b"
check "tailscaled reaches weftd" wait_for 5 on bob ping -c 1 -W 1 "$a"
check "our ping is direct" wait_for 10 says 'via [0-9]' weft alice ping --c 3 bob
check "theirs too" wait_for 10 says 'via [0-9]' ts bob ping --c 3 "$a"
check "our command line reads tailscaled" wait_for 5 says 'alice.*direct' weft bob status
check "whois of tailscaled" says 'alice.hs.test' weft bob whois "$a"
check "theirs reads weftd" wait_for 5 says 'bob.*direct' ts alice status
check "whois of weftd" says 'bob.hs.test' ts alice whois "$b"
check "netcheck through weftd" says 'Nearest DERP: HS' ts alice netcheck
check "down" ts alice down
check "status says so" wait_for 5 says 'stopped' ts alice status
check "up" ts alice up
check "the way is back" wait_for 10 on alice ping -c 1 -W 1 "$b"
check "our TSMP ping" wait_for 10 says 'via TSMP' weft alice ping --c 1 --tsmp bob
check "their TSMP ping" wait_for 10 says 'via TSMP' ts bob ping --tsmp -c 1 "$a"
check "their command line asks for a TSMP ping" wait_for 10 says 'via TSMP' ts alice ping --tsmp -c 1 "$b"
check "and for an ICMP ping" wait_for 10 says 'via ICMP' ts alice ping --icmp -c 1 "$b"
# Accounts, by the stock command line. Of another user: to Headscale one machine of one user is one node.
wait_for 5 hs users create ben >/dev/null 2>&1
ben=$(hs preauthkeys create -u 2 --reusable 2>/dev/null | tail -n 1)
check "login adds an account" ts alice login --login-server "https://$server" --auth-key "$ben" --hostname alice2 --timeout 20s
check "switch --list shows both" wait_for 5 says '^[0-9a-f]\{4\} ' ts alice switch --list
two() { [ "$(ts alice switch --list | grep -c '^[0-9a-f]')" = 2 ]; }
check "they are two" two
other=$(ts alice switch --list | grep '^[0-9a-f]' | grep -v '\*$' | cut -d' ' -f1)
check "switch takes the first again" ts alice switch "$other"
equal "with its address" "$(ts alice ip -4)" "$a"
gone=$(ts alice switch --list | grep '^[0-9a-f]' | grep -v '\*$' | cut -d' ' -f1)
check "switch remove takes the second away" ts alice switch remove "$gone"
check_not "they are no longer two" two
check "set" ts alice set --hostname alice3
check "metrics" says 'tailscaled_home_derp_region_id' ts alice metrics
check "exit-node list" says 'no exit nodes\|HOSTNAME' ts alice exit-node list
check "ip" says "^$a" ts alice ip
check "logout" ts alice logout
check "status says so, too" says 'Logged out' ts alice status
