#!/bin/sh
#     alice --- home (easy) ----+
#     neighbour +               +-- internet (v4, v6) -- server (weft-control, relay pinned)
#     bob ----- office (easy) --+                     -- site (a web server)
# alice sends everything through bob: the site sees the office's address, in IPv4 and IPv6; the LAN only if
# she allows it; bob's LAN is not offered along. When bob is gone nothing leaves alice, until she chooses.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24 2001:db8:ffff::/64
host server    on internet
host site      on internet
nat  home      on internet lan 192.168.1.0/24 2001:db8:1::/64 kind easy
nat  office    on internet lan 10.9.0.0/24 2001:db8:9::/64 kind easy
host alice     on home
host neighbour on home
host bob       on office
host printer   on office
EOT
lab_main "$@"

mesh_server plain
printf '{"grants":[{"src":["*"],"dst":["*","autogroup:internet"],"ip":["*"]}]}' | admin policy set >/dev/null ||
	die "the policy is taken"
key=$(mesh_key ana@example.com)
mesh_join alice "$key"
mesh_join bob "$key"
b=$(weft bob ip -4)
site4=$(lab ip site)
site6=$(lab ip -6 site)
says() { text=$1; shift; "$@" 2>&1 | grep -q -e "$text"; }
start site site python3 -u -m http.server --bind :: 8000
start neighbour neighbour python3 -u -m http.server 8000
start printer printer python3 -u -m http.server 8000
page() { on alice curl -gs -m 2 -o /dev/null "http://$1:8000/$2"; }
from() { logged site "$1 - - "; }
came() { page "$1" "$2" && grep "GET /$2" "$LAB_DIR/site.log" | grep -q "^$3"; }
hidden() { ! on alice curl -gs -m 1 -o /dev/null "http://$1:8000/hidden"; }

on bob sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.accept_ra=2
check "bob offers to be an exit node" weft bob set --advertise-exit-node
check "alice reaches the site from home" wait_for 5 came "$site4" before "::ffff:$(lab ip home)"
check_not "bob is no exit node before it is approved" weft alice set --exit-node bob
check "it is approved" admin routes approve bob exit </dev/null
check "alice sees it" wait_for 10 says "bob" weft alice exit-node list
on alice sysctl -qw net.ipv4.conf.all.rp_filter=1
check "and chooses it" weft alice set --exit-node bob
check "the site sees the office" wait_for 10 came "$site4" exit4 "::ffff:$(lab ip office)"
check "in IPv6 it sees bob" wait_for 10 came "[$site6]" exit6 "$(lab ip -6 bob)"
check "the list says so" says selected weft alice exit-node list
check "a strict reverse path check looks at marks while it lasts" \
	equal "" 1 "$(on alice cat /proc/sys/net/ipv4/conf/eth0/src_valid_mark)"
check "the neighbour is out of reach" hidden "$(lab ip neighbour)"
check "alice allows her own network" weft alice set --exit-node-allow-lan-access
check "the neighbour is there" wait_for 5 page "$(lab ip neighbour)" lan
check "bob's neighbours are not part of the offer" hidden "$(lab ip printer)"
check "the control server is still heard" says '"Online": *true' weft alice status --json --peers=false

stop bob KILL
check "bob dies: the site is out of reach" hidden "$site4"
check "in IPv6, too" hidden "[$site6]"
check "the status says what is wrong" wait_for 20 says "exit node is offline" weft alice status
stop alice KILL
node alice
wait_for 5 test -S "$dir/alice.sock"
up() { weft alice status --json | grep -q '"BackendState": *"\(Starting\|Running\)"'; }
check "alice dies and starts again" wait_for 10 up
check "and keeps closed" hidden "$site4"
check_not "nothing of hers went out directly" grep -q "hidden" "$LAB_DIR/site.log"
node bob
check "bob comes back and so does the site" wait_for 20 page "$site4" again
check "alice chooses none" weft alice set --exit-node=
check "the site sees the home" wait_for 5 came "$site4" after "::ffff:$(lab ip home)"
check "the reverse path check is as before" \
	equal "" 0 "$(on alice cat /proc/sys/net/ipv4/conf/eth0/src_valid_mark)"
