#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control with its relay and STUN)
#     bob -- office (easy) ---+
# The walking skeleton: two nodes join our own server with an auth key. They reach each other by
# name of address from the first packet, through the relay, and then directly. With UDP blocked the
# relay alone carries them. The filter is in force, and kill -9, down, up and logout do what they say.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
mesh_two_homes
lab_main "$@"

mesh_two_join

# UDP is blocked: the relay carries everything.
lab nat home kind udp-blocked
lab nat office kind udp-blocked
check "with UDP blocked the relay takes over" wait_for 20 ping4 alice "$b"
check "and back" wait_for 5 ping4 bob "$a"

# The filter is in force: with shields up nobody opens anything towards bob, but his answers come.
weft bob set --shields-up
closed() { ! ping4 alice "$b"; }
check "shields keep alice out" wait_for 5 closed
check "answers to bob come in" ping4 bob "$a"
weft bob set --shields-up=false
check "without them alice comes in again" wait_for 5 ping4 alice "$b"

# A daemon that was killed finds its way back with what it has on disk.
stop alice KILL
node alice
check "alice is back after kill -9 without a login" wait_for 20 ping4 alice "$b"

check "down takes the addresses away" weft alice down
check_not "and the way with them" ping4 alice "$b"
check "up brings them back without a key" weft alice up --timeout 20s
check "and the way" wait_for 10 ping4 alice "$b"
check "logout forgets the key" weft alice logout
check "and says so" sh -c '! "$0" --socket "$1" status' "$bin/weft" "$dir/alice.sock"

stop alice
stop bob
for host in alice bob; do
	check_not "$host ends without a complaint of the sanitizers" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
	check "$host took its rules back" sh -c '! lab exec "$0" ip rule | grep -q "lookup 52"' "$host"
done
