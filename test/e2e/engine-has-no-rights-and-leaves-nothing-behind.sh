#!/bin/sh
#     alice --- internet --- server (weft-control)
# The daemon is two processes: a helper that may change the network, an engine that may nothing. However
# one of them or both end, no routes and rules stay, at the latest after the next start.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host alice on internet
EOT
lab_main "$@"

# alice's daemon, its parent half and the other one
helper() { cat "$LAB_DIR/alice.pid"; }
engine() { ps -o pid= --ppid "$(helper)" | tr -d ' '; }
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
rules() { on alice ip rule | sed 's/^/4 /'; on alice ip -6 rule | sed 's/^/6 /'; }
has_rules() { rules | grep -q 'lookup 52'; }
has_device() { on alice ip link show weft0; }
clean() { ! has_rules && ! has_device >/dev/null 2>&1; }
gone() { ! [ -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"; } # perhaps nobody reaps it

mesh_server plain
key=$(mesh_key ana)

# What a version that ran as root left behind is taken over.
mkdir -m 755 "$dir/alice"
mesh_join alice "$key"
engine=$(engine)
helper=$(helper)

equal "the engine has no capabilities" "$(status_of "$engine" CapEff) $(status_of "$engine" CapPrm) $(status_of "$engine" CapBnd)" \
	"0000000000000000 0000000000000000 0000000000000000"
check_not "the engine is not root" grep -q '^Uid:.*[[:space:]]0[[:space:]]' "/proc/$engine/status"
equal "the engine has no groups" "$(status_of "$engine" Groups | tr -d ' ')" ""
equal "the engine gets no new privileges" "$(status_of "$engine" NoNewPrivs)" 1
equal "every thread of the engine is filtered" "$(cat "/proc/$engine"/task/*/status | grep '^Seccomp:' | sort -u | tr -d '[:space:]')" "Seccomp:2"
equal "the helper keeps four capabilities" "$(status_of "$helper" CapEff)" 0000000000003420
equal "the helper is filtered, too" "$(status_of "$helper" Seccomp)" 2
equal "the state is the engine's alone" "$(stat -c '%a %u' "$dir/alice")" "700 $(status_of "$engine" Uid | cut -f 1)"
equal "the secrets, too" "$(stat -c '%a %u' "$dir/alice/weftd.state")" "600 $(status_of "$engine" Uid | cut -f 1)"
check "the command line is served" running alice
check_not "whoever is not root may not change anything" \
	on alice setpriv --reuid 12345 --clear-groups "$bin/weft" --socket "$dir/alice.sock" down
check "there are rules and a device" has_rules
check "and a device" has_device

kill -9 "$engine"
check "the engine was killed, the helper ends, too" wait_for 10 gone "$helper"
check "and leaves neither rules nor a device" clean
check_not "nor the socket" test -e "$dir/alice.sock"
check "it said so" logged alice "engine was ended by signal 9"

rm -f "$LAB_DIR/alice.pid"
node alice
check "started again, alice is running without a login" wait_for 20 running alice
engine=$(engine)
stop alice KILL
check "the helper was killed, the engine ends, too" wait_for 10 gone "$engine"
check_not "the device went with it" has_device
node alice
check "the next start puts things in order" wait_for 20 running alice
equal "no rule is there twice" "$(rules | sort | uniq -d)" ""
stop alice
check "a daemon that is stopped leaves nothing behind" wait_for 10 clean

# What the service manager hears, by way of the helper.
cat >"$LAB_DIR/manager.py" <<'EOT'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o600)
while True:
    print(s.recv(64).decode(), flush=True)
EOT
start manager alice python3 "$LAB_DIR/manager.py" "$LAB_DIR/manager.sock"
wait_for 10 test -S "$LAB_DIR/manager.sock" || die "the manager listens"
start told alice env NOTIFY_SOCKET="$LAB_DIR/manager.sock" WATCHDOG_USEC=200000 \
	"$bin/weftd" --statedir "$dir/told" --socket "$dir/told.sock" --port 0 --tun weft7
check "the service manager hears that the daemon is ready" wait_for 10 logged manager READY=1
check "and again and again that it is alive" wait_for 10 logged manager WATCHDOG=1
stop told
check "and that it stops" wait_for 10 logged manager STOPPING=1
stop manager

# As weftd.service starts it: no root at all, one capability.
mkdir -m 755 "$dir/unit"
chown 12345 "$dir/unit"
start unit alice setpriv --reuid 12345 --clear-groups --no-new-privs --bounding-set=-all,+net_admin \
	--inh-caps=-all,+net_admin --ambient-caps=-all,+net_admin \
	"$bin/weftd" --statedir "$dir/unit/state" --socket "$dir/unit/sock" --port 0
wait_for 10 logged unit "started, socket" || die "the daemon starts as the unit does it"
helper=$(cat "$LAB_DIR/unit.pid")
engine=$(ps -o pid= --ppid "$helper" | tr -d ' ')
equal "without root the helper has the one capability" "$(status_of "$helper" CapEff)" 0000000000001000
equal "and the engine none" "$(status_of "$engine" CapEff) $(status_of "$engine" CapPrm) $(status_of "$engine" CapAmb)" \
	"0000000000000000 0000000000000000 0000000000000000"
stop unit

start naked alice "$bin/weftd" --statedir "$dir/naked" --socket "$dir/naked.sock" --port 0 --no-sandbox
wait_for 5 test -S "$dir/naked.sock" || die "weftd without a sandbox listens"
naked() { on alice "$bin/weft" --socket "$dir/naked.sock" status | grep -q 'without its sandbox'; }
check "without its sandbox the daemon says so in status" wait_for 5 naked
check "and in the log" logged naked "WITHOUT the sandbox"
stop naked

start bare alice setpriv --reuid 12345 --clear-groups --inh-caps=-all --bounding-set=-all \
	"$bin/weftd" --statedir /tmp/weft-bare.$$ --socket /tmp/weft-bare.$$.sock --port 0 --tun none
wait_for 5 test -S /tmp/weft-bare.$$.sock || die "weftd without root listens"
bare() { on alice "$bin/weft" --socket /tmp/weft-bare.$$.sock "$@"; }
check "without root there is one process, fenced in" wait_for 5 logged bare "fenced in as user 12345"
equal "with filtered calls" "$(status_of "$(cat "$LAB_DIR/bare.pid")" Seccomp)" 2
check "which joins" bare up --login-server "$url" --authkey "file:$key" --hostname bare --timeout 20s
stop bare
rm -rf /tmp/weft-bare.$$ /tmp/weft-bare.$$.sock

# A state folder that the engine's user cannot walk to, as below /root.
mkdir -m 700 "$dir/closed"
start inner alice "$bin/weftd" --statedir "$dir/closed/state" --socket "$dir/inner.sock" --port 0 --tun weft8
check "a state folder below a closed one serves as well" wait_for 10 logged inner "started, socket"
check "and the state is in it" test -s "$dir/closed/state/weftd.state"
stop inner
