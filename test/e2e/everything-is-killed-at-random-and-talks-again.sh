#!/bin/sh
#     alice -- home (easy) -------------+
#     carol -- flat (port-restricted) --+-- internet -- server (weft-control with its relay and STUN)
#     bob ---- office (hard) -----------+
# Any process may be killed at any moment: the server, a daemon, only its helper, only its engine. Whoever starts the
# rest again (here this script, else systemd) gets a network in which everybody talks to everybody.
#
# Arguments: SECONDS (25), and a SEED to repeat a run.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
nat  home   on internet lan 192.168.1.0/24 kind easy
nat  flat   on internet lan 192.168.2.0/24 kind port-restricted
nat  office on internet lan 10.9.0.0/24 kind hard
host alice on home
host carol on flat
host bob   on office
EOT
lab_main "$@"
seconds=${1:-25}
seed=${2:-$$}
echo "# seed $seed, $seconds s"

mesh_server tls
key=$(mesh_key ana)
hosts="alice carol bob"
for host in $hosts; do
	mesh_join "$host" "$key"
	eval "ip_$host=$(weft "$host" ip -4)"
done
address() { eval "echo \$ip_$1"; }
all_talk() {
	for from in $hosts; do
		for to in $hosts; do
			[ "$from" = "$to" ] || ping4 "$from" "$(address "$to")" >/dev/null || return 1
		done
	done
}
check "everybody talks to everybody" wait_for 20 all_talk

flow() { # a ping process ends when its interface goes: it is traffic, too, and starts again
	while :; do
		on "$1" ping -q -i 0.1 -w 600 "$2"
		sleep 0.2
	done >/dev/null 2>&1
}
flows=
for pair in "alice bob" "bob carol" "carol alice"; do
	flow "${pair% *}" "$(address "${pair#* }")" &
	flows="$flows $!"
done

# Sets picked to a number below $1; the same ones for the same seed.
pick() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	picked=$((seed / 65536 % $1))
}
alive() { [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
dead() { ! alive "$1"; }
kill_one() { # NAME: the main process, or one of its children
	main=$(cat "$LAB_DIR/$1.pid")
	victims="$main $(pgrep -P "$main" | sort -n)"
	# shellcheck disable=SC2086
	set -- "$1" $victims
	pick $(($# - 1))
	eval "victim=\$$((picked + 2))"
	kill -KILL "$victim" 2>/dev/null
	for part in $victims; do
		wait_for 15 dead "$part" || {
			fail "no process of $1 outlives its other half"
			kill -KILL "$part" 2>/dev/null
		}
	done
	wait "$main" 2>/dev/null
}
kills=0
end=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$end" ]; do
	pick 4
	case $picked in
	0) name=control ;;
	1) name=alice ;;
	2) name=bob ;;
	*) name=carol ;;
	esac
	kill_one "$name"
	kills=$((kills + 1))
	if [ "$name" = control ]; then
		start control server "$bin/weft-control" --config "$dir/control.yaml" serve
	else
		node "$name"
	fi
	pick 8
	sleep "0.$picked"
done
echo "# $kills processes were killed"
check "enough was killed to mean something" test "$kills" -gt "$((seconds / 5))"
for pid in $flows; do
	kill "$pid" 2>/dev/null
done
check "the server answers" wait_for 20 admin server status
for host in $hosts; do
	check "$host is running without a login" wait_for 30 running "$host"
	equal "$host kept its address" "$(weft "$host" ip -4)" "$(address "$host")"
done
check "everybody talks to everybody again" wait_for 60 all_talk
check "and directly where the NATs allow it" wait_for 30 direct alice "$(address carol)"
for host in $hosts control; do
	check_not "no complaint of the sanitizers from $host" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
done
