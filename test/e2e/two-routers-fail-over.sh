#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control on plain HTTP, relay pinned)
#     bob ---- office (easy) -+
#     carl ----+
#     printer -+            printer runs nothing of ours
# bob and carl offer the same network. Control gives it to one; when that one dies the other carries on, and
# alice's node moves as soon as it hears of it. A router that offers its own network does not lose it.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server  on internet
nat  home    on internet lan 192.168.1.0/24 kind easy
nat  office  on internet lan 10.9.0.0/24 kind easy
host alice   on home
host bob     on office
host carl    on office
host printer on office
EOT
lab_main "$@"

mesh_server plain
printf '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}],"autoApprovers":{"routes":{"10.9.0.0/24":["ana@example.com"]}}}' |
	admin policy set >/dev/null || die "the policy is taken"
key=$(mesh_key ana@example.com)
for host in alice bob carl; do mesh_join $host "$key"; done
printer=$(lab ip printer)
start printer printer python3 -u -m http.server 8000
fetch() { on alice curl -s -m 1 -o /dev/null "http://$printer:8000/$1"; }
sees() { fetch "by-$1" && grep -q "^$(lab ip "$1") .*GET /by-$1 " "$LAB_DIR/printer.log"; }
via() { on alice ip route get "$printer" | grep -q "dev $1"; }

for host in bob carl; do
	on $host sysctl -qw net.ipv4.ip_forward=1
	check "$host offers the office" weft $host set --accept-routes --advertise-routes 10.9.0.0/24
done
check "alice accepts routes" weft alice set --accept-routes
check "alice reaches the printer" wait_for 10 fetch first
first=bob second=carl
sees bob || first=carl second=bob
check "through one of them" sees $first
straight() { on "$1" ip route get "$printer" | grep -q "dev eth0"; }
check "bob reaches his own network directly" wait_for 5 straight bob
check "and so does carl" straight carl

stop $first KILL
check "$first dies and $second takes over" wait_for 20 sees $second
check "alice's route stays" via weft0
node $first
back() { weft $first status --json --peers=false | grep -q '"BackendState": *"Running"'; }
check "$first comes back" wait_for 20 back
check "the printer is there all the time" fetch then
