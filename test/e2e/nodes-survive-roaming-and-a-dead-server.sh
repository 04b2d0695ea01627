#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control with its relay and STUN)
#     bob -- office (easy) ---+
# What may happen to a network: a node moves to another one, a NAT forgets everything, the server dies,
# a node is restarted while the server is away. Each time the peers reach each other again.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
mesh_two_homes
lab_main "$@"

mesh_two_join

lab move alice office
check "alice moved to the other network and is reached again" wait_for 15 ping4 bob "$a"
check "and directly" wait_for 20 direct bob "$a"
lab move alice home
check "alice moved back and is reached again" wait_for 15 ping4 bob "$a"
lab nat home restart
check "the NAT forgot everything and alice is reached" wait_for 15 ping4 bob "$a"

stop control KILL
check "the server is dead, packets still flow" wait_for 5 ping4 alice "$b"
stop alice KILL
node alice
wait_for 5 test -S "$dir/alice.sock"
said() { weft alice status | grep -q 'map is from the last run'; }
check "alice was restarted meanwhile and has the last map" wait_for 5 said
start control server "$bin/weft-control" --config "$dir/control.yaml" serve
check "the server is back, so is the way" wait_for 30 ping4 alice "$b"
