#!/bin/sh
#     alice --+
#     bob ----+-- internet -- server (weft-control), upstream (resolvers of our own making)
# Programs on a node ask 100.100.100.100: names of the network, forwards and backwards, over UDP and
# TCP; what does not exist; names of others through split and global resolvers; records that an
# admin changes while everybody runs.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host upstream on internet
host alice on internet
host bob on internet
EOT
lab_main "$@"

probe=$(dirname "$0")/../lab/dnsprobe
upstream=$(lab ip upstream)

mesh_server plain
start upstream upstream "$probe" serve "$upstream" 53
key=$(mesh_key ana)
mesh_join alice "$key"
mesh_join bob "$key"
b=$(weft bob ip -4)
ask() { on alice "$probe" ask 100.100.100.100 "$@"; }
says() { ask "$1" "$2" | grep -qxF "$3"; }

check "a peer's full name has its address" wait_for 15 says bob.weft.internal A "A $b"
check "a single label is enough" says bob A "A $b"
check "over TCP as well" sh -c '"$@" | grep -qxF "A '"$b"'"' - lab exec alice "$probe" ask --tcp 100.100.100.100 bob.weft.internal A
check "our own name" says alice.weft.internal A "A $(weft alice ip -4)"
back=$(echo "$b" | awk -F. '{ print $4 "." $3 "." $2 "." $1 ".in-addr.arpa" }')
check "and backwards" says "$back" PTR "PTR bob.weft.internal."
check "the zone has an authority" sh -c '"$@" | grep -q "^SOA weft.internal. "' - lab exec alice "$probe" ask 100.100.100.100 weft.internal SOA
check "what is not there does not exist" says nobody.weft.internal A NXDOMAIN
check "the service has IPv6, too" sh -c '"$@" | grep -qxF "A '"$b"'"' - lab exec alice "$probe" ask fd7a:115c:a1e0::53 bob.weft.internal A

# Resolvers: one for everything, one for a suffix; both are the same program here.
admin dns nameservers "$upstream" </dev/null >/dev/null || fail "nameservers are set"
check "other names go to the global resolver" wait_for 15 says www.example.org A "A 192.0.2.1"
admin dns split corp.example "$upstream" </dev/null >/dev/null || fail "a suffix is set"
check "a suffix goes to its own resolver" wait_for 15 says db.corp.example A "A 192.0.2.1"
check "a long answer is cut over UDP" sh -c '"$@" | grep -qx TRUNCATED' - lab exec alice "$probe" ask 100.100.100.100 big.example.org TXT
check "and whole over TCP" sh -c '"$@" | grep -qx "TXT 3000"' - lab exec alice "$probe" ask --tcp 100.100.100.100 big.example.org TXT
check "a resolver without EDNS is asked without it" wait_for 15 says old.example.org A "A 192.0.2.1"
check "settings that changed are in force for all names" says www.example.org A "A 192.0.2.1"
asked=$(on upstream "$probe" ask "$upstream" count.example.org A)
says www.example.org A "A 192.0.2.1"
equal "an answer is kept" "$(on upstream "$probe" ask "$upstream" count.example.org A)" "$asked"

admin dns record add printer.home.example 10.1.2.3 </dev/null >/dev/null || fail "a record is added"
check "a new record is there at once" wait_for 15 says printer.home.example A "A 10.1.2.3"
admin dns record remove printer.home.example </dev/null >/dev/null || fail "a record is removed"
gone() { ! says printer.home.example A "A 10.1.2.3"; }
check "and gone again" wait_for 15 gone

# Programs that know nothing of us ask whoever /etc/resolv.conf names.
resolves() { on alice getent ahostsv4 "$1" | grep -q "^$2 "; }
check "ordinary programs find a peer" wait_for 20 resolves bob.weft.internal "$b"
check "weft dns query prints the answer" sh -c '"$@" | grep -qF "'"$b"'"' - lab exec alice "$bin/weft" --socket "$dir/alice.sock" dns query bob.weft.internal A
check "weft dns status names the resolvers" sh -c '"$@" | grep -qF "'"$upstream"'"' - lab exec alice "$bin/weft" --socket "$dir/alice.sock" dns status

weft alice set --accept-dns=false >/dev/null
own() { ! on alice grep -q "100\.100\.100\.100" /etc/resolv.conf; }
check "who does not want our settings keeps the host's own" wait_for 20 own
check "and is answered all the same when asked" says bob.weft.internal A "A $b"

stop alice
stop bob
for host in alice bob; do
	check_not "$host ends without a complaint of the sanitizers" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
done
