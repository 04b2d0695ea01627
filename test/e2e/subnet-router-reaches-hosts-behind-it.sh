#!/bin/sh
#     alice -- home (easy) ----+
#                              +-- internet -- server (weft-control on plain HTTP, relay pinned)
#     bob ------ office (easy) +
#     printer ---+               printer runs nothing of ours
# bob offers the office's network; alice reaches the printer once the route is approved and accepted. With
# source NAT the printer sees bob, without it sees alice; nobody in the office can pretend to be a node.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server  on internet
nat  home    on internet lan 192.168.1.0/24 kind easy
nat  office  on internet lan 10.9.0.0/24 kind easy
host alice   on home
host bob     on office
host printer on office
EOT
lab_main "$@"

mesh_server plain
printf '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}' | admin policy set >/dev/null
key=$(mesh_key ana@example.com)
mesh_join alice "$key"
mesh_join bob "$key"
a=$(weft alice ip -4)
printer=$(lab ip printer)
says() { text=$1; shift; "$@" 2>&1 | grep -q -e "$text"; }
fetch() { on alice curl -s -m 2 -o /dev/null "http://$printer:8000/"; }
seen() { logged printer "$1 - - "; }
start printer printer python3 -u -m http.server 8000

on bob sysctl -qw net.ipv4.ip_forward=0
check "the command line says what is missing to forward" \
	says "sysctl -w net.ipv4.ip_forward=1" weft bob set --advertise-routes 10.9.0.0/24
check "the status says it, too" says "IP forwarding is disabled" weft bob status
on bob sysctl -qw net.ipv4.ip_forward=1
check_not "when it is done nobody complains" says "forwarding" weft bob status
check_not "an offer alone changes nothing" fetch
check "the route is approved" admin routes approve bob 10.9.0.0/24 </dev/null
check_not "alice does not use it before she accepts routes" fetch
check "and is told so" says "accept-routes is false" weft alice status
check "alice accepts routes" weft alice set --accept-routes
check "alice reaches the printer" wait_for 10 fetch
check "which sees bob" seen "$(lab ip bob)"
check_not "and not alice" seen "$a"

on bob nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'
check "a firewall that drops what is forwarded is named" wait_for 5 says "chain 'ip filter FORWARD' drops" weft bob status
check_not "as it stops alice" fetch
on bob nft 'insert rule ip filter FORWARD iifname weft0 accept; insert rule ip filter FORWARD oifname weft0 accept'
check "the command from the status mends it" fetch
check_not "and the status is content" says "drops" weft bob status
on bob nft delete table ip filter
check "source NAT is switched off" weft bob set --snat-subnet-routes=false
on printer ip route add 100.64.0.0/10 via "$(lab ip bob)"
check "alice reaches the printer still" wait_for 10 fetch
check "which sees alice" seen "$a"
# A datagram from the printer with that source address; bob prints whence it came.
start listener bob python3 -u -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 9999))
while 1: print(s.recvfrom(99)[1][0])'
say_hello() { on printer python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 0)); s.sendto(b"", (sys.argv[2], 9999))' \
	"$1" "$(lab ip bob)"; }
heard() { say_hello "$1" && logged listener "$1"; }
on printer ip addr add 100.64.9.9/32 dev lo
check "bob hears the printer" wait_for 5 heard "$printer"
say_hello 100.64.9.9
check "still" wait_for 5 heard "$printer"
check_not "but not when it pretends to be a node" logged listener 100.64.9.9
on printer ip addr del 100.64.9.9/32 dev lo

opens() { on printer ping -c 1 -W 1 "$a"; }
check "a host of the office opens connections into the tailnet" wait_for 5 opens
check "unless answers only may pass" weft bob set --stateful-filtering
check_not "then it does not" opens
check "while alice still gets hers" fetch
check "the route is revoked" admin routes revoke bob 10.9.0.0/24 </dev/null
gone() { ! fetch; }
check "and the printer out of reach" wait_for 10 gone
pretend() { on printer ip addr replace 100.64.9.9/32 dev lo && wait_for 5 heard 100.64.9.9; }
stop bob
check_not "nothing of the firewall is left" says weft on bob nft list tables
check "and without the rule the pretender would have been heard" pretend
