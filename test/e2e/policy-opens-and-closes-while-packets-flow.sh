#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control on plain HTTP, relay pinned)
#     bob -- office (easy) ---+
# What the policy says holds at once, in each direction by itself, for nodes that are connected: denied,
# allowed one way, denied again; a policy with a mistake changes nothing; a deleted node is cut off.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
nat  home   on internet lan 192.168.1.0/24 kind easy
nat  office on internet lan 10.9.0.0/24 kind easy
host alice on home
host bob   on office
EOT
lab_main "$@"

mesh_server plain
policy() { printf '%s' "$1" | admin policy set; }
closed() { ! ping4 "$1" "$2"; }

mesh_join alice "$(mesh_key ana@example.com)"
mesh_join bob "$(mesh_key ben@example.com)"
a=$(weft alice ip -4)
b=$(weft bob ip -4)

check "without a policy people are strangers" closed alice "$b"
check "a policy is taken" policy '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}'
check "what it allows is open" wait_for 10 ping4 alice "$b"
check "in both directions" wait_for 10 ping4 bob "$a"
check "a policy that allows one direction is taken" \
	policy '{"grants":[{"src":["ana@example.com"],"dst":["ben@example.com"],"ip":["*"]}]}'
check "the other direction closes while nodes are connected" wait_for 10 closed bob "$a"
check "the allowed one stays" ping4 alice "$b"
says() { admin policy explain "$2" "$3" -o json </dev/null | grep -q "\"allowed\":$1"; }
check "explain says why it is open" says true ana@example.com "ben@example.com:22/tcp"
check "and why the other way is not" says false ben@example.com "ana@example.com:22/tcp"
check_not "a policy with a mistake is refused" policy '{"grants":[{"src":["group:none"],"dst":["*"],"ip":["*"]}]}'
check "and changes nothing" ping4 alice "$b"
check "a policy that allows nothing is taken" policy '{"grants":[]}'
check "everything closes" wait_for 10 closed alice "$b"
check "it opens again" policy '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}'
check "and packets flow" wait_for 10 ping4 alice "$b"
check "a node is deleted" admin nodes delete bob </dev/null
check "and cut off" wait_for 10 closed alice "$b"
