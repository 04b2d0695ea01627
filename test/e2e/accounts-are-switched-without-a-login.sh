#!/bin/sh
#     alice, bob -- internet -- server
# alice has two accounts on one daemon, one active: login adds the second, switch takes either in
# turn without a key, kill -9 keeps the choice, remove and logout forget one and leave the other.
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
ana=$(mesh_key ana)
ben=$(mesh_key ben)
mesh_join alice "$ana"
mesh_join bob "$ana"
b=$(weft bob ip -4)
first=$(weft alice ip -4)
check "alice reaches bob as ana" wait_for 10 ping4 alice "$b"
check "login adds an account" weft alice login --login-server "$url" --authkey "file:$ben" --hostname alice2 --timeout 20s
second=$(weft alice ip -4)
check "it has an address of its own" test "$first" != "$second"
two() { [ "$(weft alice switch --list | wc -l)" = 3 ]; }
check "both are listed" two
check "the second is the active one" sh -c '"$0" --socket "$1" switch --list | grep -q "ben\*"' "$bin/weft" "$dir/alice.sock"
check "back to the first by its name" weft alice switch ana
equal "with its address" "$(weft alice ip -4)" "$first"
check "alice reaches bob as ana again" wait_for 10 ping4 alice "$b"
check "switching to what is active says so" sh -c '"$0" --socket "$1" switch ana | grep -q "Already on"' "$bin/weft" "$dir/alice.sock"
check_not "an unknown account is no account" weft alice switch carol
check "to the second" weft alice switch ben
stop alice KILL
node alice
check "kill -9 keeps the choice" wait_for 20 running alice
equal "the second is active" "$(weft alice ip -4)" "$second"
check "the first is removed" weft alice switch remove ana
check_not "and gone" weft alice switch ana
check "the second goes on" running alice
check "logout forgets the second" weft alice logout
none() { [ "$(weft alice switch --list | wc -l)" = 1 ]; }
check "no account is left" none
stop alice
check_not "no complaint of the sanitizers" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/alice.log"
