#!/bin/sh
#     alice -- internet -- server (weft-control on plain HTTP, relay pinned)
# alice uses an exit node and offers a network, so her host has addresses, routes, policy rules, a firewall
# and a changed switch. After kill -9 the next start takes back what the kernel did not, even when that start
# wants none of it; a clean end leaves the host as it was. Rules that somebody else removes come back.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host alice  on internet
host bob    on internet
EOT
lab_main "$@"

mesh_server plain
printf '{"grants":[{"src":["*"],"dst":["*","autogroup:internet"],"ip":["*"]}]}' | admin policy set >/dev/null ||
	die "the policy is taken"
on alice sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1
# Everything of the host's network that we could leave behind.
traces() {
	on alice sh -c 'ip rule; ip -6 rule; ip route show table all; ip -6 route show table 52; nft list ruleset
		ip -o addr show scope global; cat /proc/sys/net/ipv4/conf/*/src_valid_mark' 2>/dev/null | sed 's/ *$//' |
		grep -v '^ff00::\|multicast'
}
on alice ip rule add priority 5210 fwmark 0x80000/0xff0000 lookup main
on alice ip rule del priority 5210
traces >"$dir/before"
rule() { on alice ip rule | grep -q "^$1:"; }
table() { on alice nft list table inet weft >/dev/null; }
mark_check() { [ "$(on alice cat /proc/sys/net/ipv4/conf/eth0/src_valid_mark)" = "$1" ]; }
clean() { traces | diff "$dir/before" -; }

key=$(mesh_key ana@example.com)
mesh_join alice "$key"
mesh_join bob "$key"
weft bob set --advertise-exit-node >/dev/null 2>&1
admin routes approve bob exit </dev/null >/dev/null
chooses() { weft alice set --exit-node bob; }
check "alice chooses an exit node" wait_for 10 chooses
check "rules, routes, firewall and switch are there" \
	on alice sh -c 'ip rule | grep -q ^5270: && ip route show table 52 | grep -q ^default && nft list table inet weft'
check "and the reverse path check looks at marks" wait_for 5 mark_check 1
check "a foreign hand removes a rule" on alice ip rule del priority 5270
check "it comes back" wait_for 10 rule 5270

stop alice KILL
check "after kill -9 rules and firewall are left" table
check "and the switch" mark_check 1
# A start that wants nothing: another state folder, nobody logged in.
start fresh alice "$bin/weftd" --statedir "$dir/other" --socket "$dir/other.sock" --tun weft0
check "the next start takes it all back" wait_for 10 clean
stop fresh
check "and its end leaves nothing" clean
node alice
wait_for 10 running alice
check "the old state starts again and uses the exit node" wait_for 10 rule 5270
check "with its firewall" wait_for 5 table
stop alice
check "a clean end leaves the host as it was" clean
