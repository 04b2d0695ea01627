#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control with its relay and STUN)
#     bob -- office (easy) ---+
# `weft explain` walks one screen from identity to handshake; `weft status` says why the relay is
# used, and that it is no longer used once the way is direct.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
nat  home   on internet lan 192.168.1.0/24 kind easy
nat  office on internet lan 10.9.0.0/24 kind udp-blocked
host alice on home
host bob   on office
EOT
lab_main "$@"

mesh_server tls
key=$(mesh_key ana)
for host in alice bob; do
	mesh_join "$host" "$key"
done
b=$(weft bob ip -4)
check "alice reaches bob through the relay" wait_for 10 ping4 alice "$b"
explains() { ping4 "$1" "$b" || true; weft "$1" explain "$2" | grep -q "$3"; }
check "bob says that UDP does not get out here" wait_for 20 explains bob alice "UDP does not get out here"
check "alice says that bob has no public address" wait_for 20 explains alice bob "no public address of it is known"
status_says() { ping4 alice "$b" || true; weft alice status | grep -q "relay .* (no public address of it is known"; }
check "status says it, too" wait_for 10 status_says
check "and what to do" explains bob alice "^what to do .*Let this host send UDP"
check "both are named with their owners" explains alice "$b" "^peer  *ok  *bob, $b, ana"
check "the rule that lets bob in is shown" explains alice bob:22 "^in  *ok  *rule .* -> "
weft alice set --shields-up
check "shields here are in the way" explains alice bob "^in  *bad .*shields are up here"
check "shields there are in the way" wait_for 10 explains bob alice "^out  *bad .*alice has its shields up"
check_not "an unknown node is no node" weft alice explain carol
check_not "a port is a number" weft alice explain bob:http
lab nat office kind easy
check "the way becomes direct" wait_for 30 direct alice "$b"
check "and explain says so" wait_for 10 explains alice bob "^path  *ok  *direct to 203"
