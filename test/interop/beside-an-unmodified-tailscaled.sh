#!/bin/sh
#     alice (unmodified tailscaled, and then weftd, too) -- internet -- server (weft-control), bob (weftd)
# Both daemons use the same routing table and the same policy rules. Ours says so, leaves the other one's routes
# alone and takes back only its own.
#
# PEERS_BIN: folder with tailscale and tailscaled.
. "$(dirname "$0")/../lab/e2e.sh"
for program in tailscaled tailscale; do
	[ -x "${PEERS_BIN:-/nowhere}/$program" ] || skip "PEERS_BIN names no folder with $program"
done
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host alice  on internet
host bob    on internet
EOT
lab_main "$@"

mesh_server tls
printf '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}' | admin policy set >/dev/null || die "the policy is taken"
key=$(mesh_key ana@example.com)
ts() { on alice timeout 30 "$PEERS_BIN/tailscale" --socket "$dir/ts.sock" "$@"; }
says() { text=$1; shift; "$@" 2>&1 | grep -q -e "$text"; }
rules() { on alice ip rule | grep -c '^52[1357]0:'; }
start ts alice "$PEERS_BIN/tailscaled" --statedir="$dir/ts" --socket="$dir/ts.sock" --tun=ts0 --port 41700
wait_for 10 test -S "$dir/ts.sock" || die "tailscaled listens"
check "tailscaled joins" ts up --login-server "$url" --authkey "file:$key" --accept-dns=false --hostname other
mesh_join bob "$key"
b=$(weft bob ip -4)
check "it reaches bob" wait_for 10 ping4 alice "$b"
mesh_join alice "$key"
check "ours says that there are two" wait_for 10 says "ts0 has routes in routing table 52" weft alice status
check "the other one reaches bob still" wait_for 10 ping4 alice "$b"
equal "the rules are there once" "$(rules)" 4
stop alice
equal "and stay when ours ends" "$(rules)" 4
check "the other one reaches bob afterwards" wait_for 10 ping4 alice "$b"
