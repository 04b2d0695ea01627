#!/bin/sh
#     alice (unmodified tailscaled) --+
#     server (weft-control) ----------+-- internet (v4, v6) -- office (easy) --+-- bob (weftd)
#                                                                              +-- resolver
# An unmodified client uses bob as exit node: it finds his PeerAPI by our Hostinfo, pings it, and gets names that only
# his resolver knows.
#
# PEERS_BIN: folder with tailscale and tailscaled.
. "$(dirname "$0")/../lab/e2e.sh"
for program in tailscaled tailscale; do
	[ -x "${PEERS_BIN:-/nowhere}/$program" ] || skip "PEERS_BIN names no folder with $program"
done
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24 2001:db8:ffff::/64
host server   on internet
nat  office   on internet lan 10.9.0.0/24 2001:db8:9::/64 kind easy
host alice    on internet
host bob      on office
host resolver on office
EOT
lab_main "$@"

probe=$(dirname "$0")/../lab/dnsprobe
office=$(lab ip resolver)
mesh_server tls
printf '{"grants":[{"src":["*"],"dst":["*","autogroup:internet"],"ip":["*"]}],
	"autoApprovers":{"exitNode":["ana@example.com"]}}' |
	admin policy set >/dev/null || die "the policy is taken"
start resolver resolver "$probe" serve "$office" 53
echo "nameserver $office" | on bob tee /etc/resolv.conf >/dev/null
on bob sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_ra=2
key=$(mesh_key ana@example.com)
ts() { host=$1; shift; on "$host" timeout 30 "$PEERS_BIN/tailscale" --socket "$dir/$host.sock" "$@"; }
says() { text=$1; shift; "$@" 2>&1 | grep -q -e "$text"; }
ask() { on alice "$probe" ask 100.100.100.100 "$@"; }

mesh_join bob "$key"
start alice alice "$PEERS_BIN/tailscaled" --statedir="$dir/alice" --socket="$dir/alice.sock" --tun=ts0
wait_for 10 test -S "$dir/alice.sock" || die "tailscaled listens"
check "alice joins" ts alice up --login-server "$url" --authkey "file:$key"
b=$(weft bob ip -4)
check "her ping of his PeerAPI is answered" wait_for 20 says "hit peerapi of $b" ts alice ping --peerapi --c 1 bob
check "and ours of hers" wait_for 20 says '"Err":""' on bob curl -sS -m 12 --unix-socket "$dir/bob.sock" -X POST \
	-H 'Host: local-tailscaled.sock' "http://local-tailscaled.sock/localapi/v0/ping?ip=$(ts alice ip -4)&type=peerapi"
check "bob offers to be an exit node" weft bob set --advertise-exit-node
check "alice sees it" wait_for 20 says bob ts alice exit-node list
check "and chooses it" ts alice set --exit-node bob
check "a name that only his resolver knows" wait_for 20 says "A 192.0.2.1" ask www.example.org A
check "over TCP, and long" wait_for 10 says "TXT 3000" ask --tcp big.example.org TXT
check "names of the network are still hers" says "A $b" ask bob.weft.internal A
check "bob was asked" logged bob "POST /dns-query answered 200"
