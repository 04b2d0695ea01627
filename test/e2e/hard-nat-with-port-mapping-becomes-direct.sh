#!/bin/sh
#     alice -- home (hard, maps ports by NAT-PMP and PCP) --+
#                                                           +-- internet -- server (weft-control)
#     bob ---- office (hard) -------------------------------+
# Two hard NATs never meet, but one gateway that opens a port is enough. The port is asked for again
# when the gateway forgot it, goes with the gateway, and is given back at the end.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
"$lab_home/lab" has pmp || skip "there is no miniupnpd"
topology <<EOT
internet 11.0.0.0/24
host server on internet
nat  home   on internet lan 192.168.1.0/24 kind hard pmp
nat  office on internet lan 10.9.0.0/24 kind hard
nat  cafe   on internet lan 192.168.7.0/24 kind hard
host alice on home
host bob   on office
EOT
lab_main "$@"

mesh_server tls
key=$(mesh_key ana)
for host in alice bob; do
	mesh_join "$host" "$key"
done
a=$(weft alice ip -4)
b=$(weft bob ip -4)
public=$(lab ip home)
says() { text=$1; shift; "$@" 2>&1 | grep -q "$text"; }
rules() { on home nft list chain inet lab_pmp ports_in | grep -q "dnat ip to $(lab ip alice):"; }
no_rules() { ! rules; }

check "the gateway opened a port" wait_for 10 rules
check "alice tells it to others" wait_for 10 says "  $public:" weft alice netcheck
check "netcheck shows how" says 'PortMapping: NAT-PMP.*a port is open' weft alice netcheck
check "netcheck behind the other gateway says none" wait_for 10 says 'PortMapping: none' weft bob netcheck
check "bob reaches alice" wait_for 10 ping4 bob "$a"
check "the way becomes direct, seen from bob" wait_for 15 direct bob "$a"
check "and from alice" wait_for 15 direct alice "$b"

# The gateway forgets everything. Nobody asks for netcheck, so a moved cable has to tell.
lab nat home restart
check "it is forgotten" no_rules
lab link alice down
check "the daemon sees that the cable is out" wait_for 10 logged alice "network changed"
lab link alice up
check "after a link change the port is open again" wait_for 20 rules
check "and the way is direct" wait_for 20 direct bob "$a"

# Another network, whose gateway maps nothing.
lab move alice cafe
gone() { ! weft alice netcheck | grep -q "  $public:"; }
check "away from that gateway its address is not told any more" wait_for 20 gone
check "bob still reaches alice" wait_for 20 ping4 bob "$a"
lab move alice home
check "back home it is" wait_for 30 says "  $public:" weft alice netcheck

stop alice
check "the port is given back at the end" wait_for 5 no_rules
check_not "no complaint of the sanitizers" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/alice.log"
