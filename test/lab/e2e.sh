# Shell helpers for end-to-end tests: a test is its topology and what must be true in it.
#
#   #!/bin/sh
#   #     server -- internet -- home (easy) -- alice
#   # A host behind a NAT reaches a public server.
#   . "$(dirname "$0")/../lab/e2e.sh"
#   topology <<EOF
#   internet 203.0.113.0/24
#   host server on internet
#   nat  home on internet lan 192.168.1.0/24
#   host alice on home
#   EOF
#   lab_main "$@"            # from here on we are inside the lab
#   start web server python3 -m http.server 80
#   wait_for 5 on alice probe fetch server 80 0
#   check "alice pings the server" on alice ping -c 1 -W 2 server
#
# Up to lab_main the script runs twice: outside, where lab_main builds the lab and runs the
# script again in it, and inside. The end of the script is the end of the lab. Commands:
#
#   check SENTENCE CMD...      ok if CMD succeeds; its output is shown only if it does not
#   check_not SENTENCE CMD...  ok if CMD fails
#   equal SENTENCE GOT WANTED  ok if both texts are the same
#   ok SENTENCE, fail SENTENCE a check decided by the script; 'fail' does not end it
#   die SENTENCE               a failure after which going on makes no sense
#   skip REASON                ends the test as skipped (exit status 77)
#   on NODE CMD...             runs in a host or nat: short for 'lab exec'
#   start NAME NODE CMD...     runs a daemon there until the end; its output is in the log NAME
#   stop NAME [SIGNAL]         ends it, waits until it is gone
#   logged NAME TEXT           whether the log of a daemon contains TEXT
#   wait_for SECONDS CMD...    repeats CMD until it succeeds; false if it never did
#
# and all of 'lab --help'. Prefer wait_for to sleep. Exit status: 0 all checks ok, 1 some
# failed (the logs' ends are shown), 77 skipped. LAB_LOGS=FOLDER keeps all logs of a failure.

lab_home=$(cd "$(dirname "$0")/../lab" && pwd)
lab_failed=0
lab_checks=0

topology() {
	lab_topology=$(cat)
}

lab_main() {
	if [ -z "${LAB:-}" ]; then
		if [ "$(id -u)" -ne 0 ]; then
			echo "skip - needs root"
			exit 77
		fi
		exec "$lab_home/lab" run - -- "$0" "$@" <<-EOF
			$lab_topology
		EOF
	fi
	trap lab_end EXIT
}

lab_end() {
	lab_status=$?
	trap - EXIT
	[ "$lab_status" -eq 77 ] && exit 77
	if [ "$lab_status" -ne 0 ] || [ "$lab_failed" -ne 0 ]; then
		for lab_log in "$LAB_DIR"/*.log; do
			[ -s "$lab_log" ] || continue
			echo "# end of $(basename "$lab_log"):"
			tail -n 15 "$lab_log" | sed 's/^/#   /'
		done
		echo "# $lab_failed of $lab_checks checks failed"
		[ "$lab_status" -ne 0 ] || lab_status=1
	fi
	exit "$lab_status"
}

ok() {
	lab_checks=$((lab_checks + 1))
	echo "ok - $1"
}

fail() {
	lab_checks=$((lab_checks + 1))
	lab_failed=$((lab_failed + 1))
	echo "not ok - $1"
}

die() {
	fail "$1"
	exit 1
}

skip() {
	echo "skip - $1"
	exit 77
}

check() {
	lab_what=$1
	shift
	if lab_try "$@"; then ok "$lab_what"; else lab_show_try "$@"; fi
}

check_not() {
	lab_what=$1
	shift
	if lab_try "$@"; then lab_show_try "$@"; else ok "$lab_what"; fi
}

# In this shell, not in $(...): CMD may be a function that sets variables or waits for a job.
lab_try() {
	"$@" >"$LAB_DIR/said" 2>&1
}

lab_show_try() {
	fail "$lab_what"
	echo "#   $*"
	sed 's/^/#   /' "$LAB_DIR/said"
}

equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		fail "$1"
		echo "#   got    $2"
		echo "#   wanted $3"
	fi
}

on() {
	lab exec "$@"
}

start() {
	lab_name=$1
	shift
	lab exec "$@" >>"$LAB_DIR/$lab_name.log" 2>&1 </dev/null &
	echo $! >"$LAB_DIR/$lab_name.pid"
}

stop() {
	lab_pid=$(cat "$LAB_DIR/$1.pid" 2>/dev/null) || return 0
	rm -f "$LAB_DIR/$1.pid"
	kill -s "${2:-TERM}" "$lab_pid" 2>/dev/null
	wait "$lab_pid" 2>/dev/null
	return 0
}

logged() {
	grep -qF -e "$2" "$LAB_DIR/$1.log"
}

wait_for() {
	lab_until=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$lab_until" ] || return 1
		sleep 0.05
	done
}
