#!/bin/sh
#     alice (weftd) --------------+
#                                 +-- internet -- server (weft-control), upstream (a resolver)
#     bob (unmodified tailscaled) +
# Both answer the same questions alike, bob carries our questions as exit node through his PeerAPI, and the unmodified
# command line shows what our daemon knows.
#
# PEERS_BIN: folder with tailscale and tailscaled.
. "$(dirname "$0")/../lab/e2e.sh"
for program in tailscaled tailscale; do
	[ -x "${PEERS_BIN:-/nowhere}/$program" ] || skip "PEERS_BIN names no folder with $program"
done
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server   on internet
host upstream on internet
host alice    on internet
host bob      on internet
EOT
lab_main "$@"

probe=$(dirname "$0")/../lab/dnsprobe
upstream=$(lab ip upstream)
mesh_server tls
printf '{"grants":[{"src":["*"],"dst":["*","autogroup:internet"],"ip":["*"]}],
	"autoApprovers":{"exitNode":["ana@example.com"]}}' |
	admin policy set >/dev/null || die "the policy is taken"
start upstream upstream "$probe" serve "$upstream" 53
key=$(mesh_key ana@example.com)
ts() { host=$1; shift; on "$host" timeout 30 "$PEERS_BIN/tailscale" --socket "$dir/$host.sock" "$@"; }
says() { text=$1; shift; "$@" 2>&1 | grep -q -e "$text"; }
ask() { on "$1" "$probe" ask 100.100.100.100 "$2" "$3"; }
for host in alice bob; do
	echo "nameserver $upstream" | on $host tee /etc/resolv.conf >/dev/null
	on $host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
done

mesh_join alice "$key"
start bob bob "$PEERS_BIN/tailscaled" --statedir="$dir/bob" --socket="$dir/bob.sock" --tun=ts0
wait_for 10 test -S "$dir/bob.sock" || die "tailscaled listens"
check "bob joins" ts bob up --login-server "$url" --authkey "file:$key" --advertise-exit-node
admin dns record add printer.home.example 10.1.2.3 </dev/null >/dev/null || fail "a record is added"
admin dns split corp.example "$upstream" </dev/null >/dev/null || fail "a suffix is set"

same() { [ -n "$(ask alice "$1" "$2")" ] && [ "$(ask alice "$1" "$2")" = "$(ask bob "$1" "$2")" ]; }
for what in "bob.weft.internal A" "alice.weft.internal A" "printer.home.example A" "db.corp.example A" \
	"nobody.weft.internal A" "bob.weft.internal TXT" "1.0.64.100.in-addr.arpa PTR" "10-1-2-3-via-7 AAAA"; do
	check "both say the same about $what" wait_for 15 same $what
done

check "the unmodified command line asks our daemon" says "$(ts bob ip -4)" ts alice dns query bob.weft.internal A
check "and shows our settings" says "corp.example" ts alice dns status

check "alice uses bob as exit node" wait_for 20 weft alice set --exit-node bob
check "her questions go to bob" wait_for 20 says '"ThroughExitNode": *true' weft alice dns status --json
check "who finds the answers" wait_for 20 says "A 192.0.2.1" ask alice www.example.org A
check "names of the network are still hers" says "A $(ts bob ip -4)" ask alice bob.weft.internal A
