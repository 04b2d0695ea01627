#!/bin/sh
#     alice (weftd) ----------- home ---+
#                                       +-- internet -- server (weft-control) -- site
#     bob (unmodified tailscaled) office+
#     printer ----------------- office     runs nothing
#     desk ------------------- home        runs nothing
# Subnet routers and exit nodes across implementations: each side uses the other's subnet and exit node, and the
# unmodified command line speaks to our daemon about both.
#
# PEERS_BIN: folder with tailscale and tailscaled.
. "$(dirname "$0")/../lab/e2e.sh"
for program in tailscaled tailscale; do
	[ -x "${PEERS_BIN:-/nowhere}/$program" ] || skip "PEERS_BIN names no folder with $program"
done
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server  on internet
host site    on internet
nat  home    on internet lan 192.168.1.0/24 kind easy
nat  office  on internet lan 10.9.0.0/24 kind easy
host alice   on home
host desk    on home
host bob     on office
host printer on office
EOT
lab_main "$@"

mesh_server tls
printf '{"grants":[{"src":["*"],"dst":["*","autogroup:internet"],"ip":["*"]}],"autoApprovers":{
	"routes":{"10.9.0.0/24":["ana@example.com"],"192.168.1.0/24":["ana@example.com"]},"exitNode":["ana@example.com"]}}' |
	admin policy set >/dev/null || die "the policy is taken"
key=$(mesh_key ana@example.com)
ts() { host=$1; shift; on "$host" timeout 30 "$PEERS_BIN/tailscale" --socket "$dir/$host.sock" "$@"; }
says() { text=$1; shift; "$@" 2>&1 | grep -q -e "$text"; }
for host in alice bob; do on $host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; done
for host in site printer desk; do start $host $host python3 -u -m http.server 8000; done
fetch() { on "$1" curl -s -m 2 -o /dev/null "http://$2:8000/$3"; }
came() { fetch "$1" "$(lab ip "$2")" "$3" && grep "GET /$3" "$LAB_DIR/$2.log" | grep -q "^$4 "; }

mesh_join alice "$key"
start bob bob "$PEERS_BIN/tailscaled" --statedir="$dir/bob" --socket="$dir/bob.sock" --tun=ts0
wait_for 10 test -S "$dir/bob.sock" || die "tailscaled listens"
check "bob joins" ts bob up --login-server "$url" --authkey "file:$key" --accept-routes --accept-dns=false \
	--advertise-routes 10.9.0.0/24 --advertise-exit-node
check "the unmodified command line sets routes of ours" ts alice set --advertise-routes 192.168.1.0/24 --accept-routes
check "and gets its check of forwarding" says '"Warning":""' on alice curl -s --unix-socket "$dir/alice.sock" \
	http://local-tailscaled.sock/localapi/v0/check-ip-forwarding
check "alice reaches the printer through bob" wait_for 20 came alice printer a1 "$(lab ip bob)"
check "bob reaches the desk through alice" wait_for 20 came bob desk b1 "$(lab ip alice)"
check "the unmodified command line lists exit nodes" wait_for 10 says "bob" ts alice exit-node list
check "and chooses one" ts alice set --exit-node bob
check "alice reaches the site through bob" wait_for 20 came alice site a2 "$(lab ip office)"
check "the printer still" came alice printer a3 "$(lab ip bob)"
check "alice chooses none" ts alice set --exit-node=
check "alice reaches the site from home" wait_for 10 came alice site a4 "$(lab ip home)"
check "the unmodified command line offers an exit node" ts alice set --advertise-exit-node
chooses() { ts bob set --exit-node alice; }
check "bob stops offering" ts bob set --advertise-exit-node=false
check "bob chooses alice" wait_for 15 chooses
check "bob reaches the site through alice" wait_for 20 came bob site b2 "$(lab ip home)"
