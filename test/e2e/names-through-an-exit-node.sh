#!/bin/sh
#     alice (ana), carol (eve) --- internet (v4, v6) -- server (weft-control)
#     bob --------- office (easy) --+
#     resolver -----+
# Only bob reaches the office's resolver. alice, who uses him as exit node, has names from there; carol, who may
# not use the internet through him, has not; and what the network withholds nobody gets.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24 2001:db8:ffff::/64
host server   on internet
nat  office   on internet lan 10.9.0.0/24 2001:db8:9::/64 kind easy
host alice    on internet
host carol    on internet
host bob      on office
host resolver on office
EOT
lab_main "$@"

probe=$(dirname "$0")/../lab/dnsprobe
office=$(lab ip resolver)
mesh_server plain
printf '{"grants":[{"src":["*"],"dst":["ana@example.com","eve@example.com"],"ip":["icmp:*"]},
	{"src":["ana@example.com"],"dst":["autogroup:internet"],"ip":["*"]}]}' |
	admin policy set >/dev/null || die "the policy is taken"
start resolver resolver "$probe" serve "$office" 53
echo "nameserver $office" | on bob tee /etc/resolv.conf >/dev/null
on bob sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_ra=2
says() { text=$1; shift; "$@" 2>&1 | grep -q -e "$text"; }
ask() { on alice "$probe" ask 100.100.100.100 "$@"; }

mesh_join alice "$(mesh_key ana@example.com)"
mesh_join bob "$dir/ana@example.com.key"
mesh_join carol "$(mesh_key eve@example.com)"
b=$(weft bob ip -4)
check_not "alice does not reach the office's resolver" on alice "$probe" ask "$office" www.example.org A

# What every node serves.
api() { weft "$1" status --json | tr -d ' \n' | sed -n 's/.*"Self":{[^}]*"PeerAPIURL":\["\([^"]*\)".*/\1/p'; }
url=$(api bob)
get() { host=$1; shift; on "$host" curl -sS -m 3 "$@"; }
status() { get "$1" -o /dev/null -w '%{http_code}' "$2" -H "$3"; }
check "bob says where he serves his peers" says "^http://$b:[0-9]*$" echo "$url"
check "alice is greeted" wait_for 15 says "Hello, alice" get alice "$url/"
check "carol, who may open nothing at bob, too" wait_for 15 says "Hello, carol" get carol "$url/"
equal "by another name he is not spoken to" "$(status alice "$url/" 'Host: bob.example')" 403
equal "nor from a web page" "$(status alice "$url/" 'Origin: http://site.example')" 403
equal "what is not there is not found" "$(status alice "$url/v0/put/x" 'Host: peer')" 404
equal "bob is no exit node and answers no names" "$(status alice "$url/dns-query?dns=AAAA" 'Host: peer')" 403
check_not "bob's own port is closed to his neighbours" get resolver "http://$(lab ip bob):${url##*:}/"
check_not "no program of bob's gets the port" on bob python3 -c "import socket; socket.socket().bind(('$b', ${url##*:}))"
ping_api() { on alice curl -sS -m 12 --unix-socket "$dir/alice.sock" -X POST -H 'Host: local-tailscaled.sock' \
	"http://local-tailscaled.sock/localapi/v0/ping?ip=$b&type=peerapi"; }
check "a ping of the kind peerapi is answered" wait_for 15 says "\"Err\": *\"\".*\"PeerAPIURL\": *\"$url\"" ping_api

check "and shown" wait_for 15 says "pong from bob ($b) via peerapi" weft alice ping --c 1 --peerapi bob
check "bob offers to be an exit node" weft bob set --advertise-exit-node
check "it is approved" admin routes approve bob exit </dev/null
check "alice sees it" wait_for 15 says bob weft alice exit-node list
check "and chooses it" weft alice set --exit-node bob
check "her questions go to bob" wait_for 15 says '"ThroughExitNode": *true' weft alice dns status --json
check "a name that only his resolver knows" wait_for 15 says "A 192.0.2.1" ask www.example.org A
check "over TCP, and long" wait_for 10 says "TXT 3000" ask --tcp big.example.org TXT
check "names of the network are still hers" says "A $b" ask bob.weft.internal A

# A question for www.example.org A, as a client sends it.
printf '\0\0\1\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1' >"$dir/question"
doh() { get "$1" -o /dev/null -w '%{http_code} %{content_type}' -H "Content-Type: ${2:-application/dns-message}" \
	--data-binary "@${3:-$dir/question}" "$url/dns-query"; }
head -c 5000 /dev/zero >"$dir/long"
equal "the question by hand" "$(doh alice)" "200 application/dns-message"
equal "carol is not answered" "$(doh carol | cut -c 1-3)" 403
equal "a question of another type is not taken" "$(doh alice text/plain | cut -c 1-3)" 415
equal "nor one that is too long" "$(doh alice '' "$dir/long" | cut -c 1-3)" 413

check "bob is no exit node any more" weft bob set --advertise-exit-node=false
refused() { [ "$(doh alice | cut -c 1-3)" = 403 ]; }
check "and answers nobody" wait_for 15 refused
for host in alice bob carol; do
	stop $host
	check_not "$host ends without a complaint of the sanitizers" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
done
