#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control with its relay and STUN)
#     bob ---- office (easy) -+
# A link that loses every fifth packet in each direction slows a network down and stops nothing: packets pass, nodes
# stay connected, a daemon that starts on such a link comes up, and the direct way is there in the end.
#
# Arguments: SECONDS (20) of loss under traffic.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
mesh_two_homes
lab_main "$@"
seconds=${1:-20}

mesh_two_join

lab link alice netem delay 20ms loss 20%
on bob ping -q -i 0.1 -w "$seconds" "$a" >"$LAB_DIR/flow" 2>&1
got=$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$LAB_DIR/flow")
sent=$(sed -n 's/^\([0-9]*\) packets transmitted.*/\1/p' "$LAB_DIR/flow")
echo "# of $sent pings $got were answered; the link alone would pass 64 %"
# Two crossings leave 64 %; less than half of that would be our doing.
check "packets pass" test "$((got * 100))" -gt "$((sent * 32))"
check "bob still reaches alice" wait_for 20 ping4 bob "$a"
check "alice is running" running alice
stop alice KILL
node alice
check "a daemon starts on such a link" wait_for 40 running alice
check "and is reached" wait_for 40 ping4 bob "$a"

lab link alice netem off
check "without loss the way is direct" wait_for 30 direct bob "$a"
for host in alice bob; do
	check_not "no complaint of the sanitizers from $host" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
done
