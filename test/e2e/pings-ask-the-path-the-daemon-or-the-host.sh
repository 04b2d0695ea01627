#!/bin/sh
#     alice, bob -- internet -- server
# Three kinds of ping: disco finds the way, TSMP asks the other daemon through the tunnel whatever
# its rules say, ICMP asks the other host and so needs a rule. The host's own pings go on beside them.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host alice on internet
host bob   on internet
EOT
lab_main "$@"

mesh_server tls
key=$(mesh_key ana)
for host in alice bob; do
	mesh_join "$host" "$key"
done
b=$(weft bob ip -4)
pong() { kind=$1; shift; weft alice ping --c 1 "$@" 2>&1 | grep -q "pong from bob.*via $kind"; }
check "disco finds a way" wait_for 15 pong "" bob
check "TSMP is answered by the daemon" wait_for 10 pong TSMP --tsmp bob
check "ICMP is answered by the host" wait_for 10 pong ICMP --icmp bob
check "the host's own pings are not disturbed" ping4 alice "$b"
weft bob set --shields-up
closed() { ! ping4 alice "$b"; }
check "shields go up" wait_for 5 closed
check "TSMP is answered behind shields" pong TSMP --tsmp bob
check_not "ICMP is not" weft alice ping --c 1 --icmp bob
peerapi() { weft alice ping --c 1 --peerapi bob 2>&1 | grep -q "via peerapi"; }
check "by its PeerAPI" wait_for 15 peerapi
stop bob
check_not "nobody answers for a daemon that is gone" weft alice ping --c 1 --tsmp bob
stop alice
for host in alice bob; do
	check_not "$host ends without a complaint of the sanitizers" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
done
