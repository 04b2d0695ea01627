#!/bin/bash
# A full disk: weft-control says so and goes on serving; nothing that it acknowledged is lost, nothing
# that it refused comes back, and when there is room again it goes on without a restart.
#
#   command line --unix socket--> weft-control --SQLite--> tmpfs of 4 MiB, filled up
set -u
if [ "${1:-}" != inside ]; then
    unshare -m true 2>/dev/null || { echo "skipped: needs the right to mount"; exit 77; }
    exec unshare -m "$0" inside
fi
cd "$(dirname "$0")/../.."
control=${WEFT_CONTROL:-$PWD/build/asan/src/prog/weft-control}
[ -x "$control" ] || { echo "skipped: $control is not built"; exit 77; }
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 $server 2>/dev/null; umount "$dir/state" 2>/dev/null; rm -rf "$dir"' EXIT
mkdir "$dir/state"
mount --make-rprivate / && mount -t tmpfs -o size=4m,mode=0700 tmpfs "$dir/state" || { echo "skipped: no tmpfs"; exit 77; }
port=$((20000 + RANDOM % 20000))
printf 'state_dir: %s/state\nlisten: 127.0.0.1:%d\nstun_port: 0\nadmin_socket: %s/admin.sock\n' "$dir" $port "$dir" >"$dir/c.yaml"
admin() { timeout 20 "$control" --config "$dir/c.yaml" "$@"; }
fail() { echo "failed: $*"; tail -5 "$dir/log"; exit 1; }
start() {
    "$control" --config "$dir/c.yaml" serve 2>>"$dir/log" &
    server=$!
    for _ in $(seq 100); do admin server status >/dev/null 2>&1 && return; sleep 0.1; done
    fail "the server did not start"
}
logins() { admin users list -o json | grep -o '"login":"[^"]*"' | sort | tr '\n' ' '; }

start
admin users create before >/dev/null || fail "a user while there is room"
head -c 64m /dev/zero >"$dir/state/ballast" 2>/dev/null
: >"$dir/kept"
refused=0
for i in $(seq 200); do
    if admin users create "full$i" >"$dir/out" 2>&1; then
        echo "full$i" >>"$dir/kept"
    else
        refused=$((refused + 1))
        [ -s "$dir/out" ] || fail "refused without a word"
        [ $refused -ge 5 ] && break
    fi
done
[ $refused -ge 5 ] || fail "a disk without room took 200 users"
echo "$(wc -l <"$dir/kept") users went into what was left, then: $(head -1 "$dir/out")"
kill -0 "$server" || fail "the server died"
admin nodes list >/dev/null || fail "reading while the disk is full"
admin server status >/dev/null || fail "status while the disk is full"
rm "$dir/state/ballast"
admin users create after >/dev/null || fail "no recovery when there was room again"
want=$({ echo before; echo after; cat "$dir/kept"; } | sed 's/.*/"login":"&"/' | sort | tr '\n' ' ')
[ "$(logins)" = "$want" ] || fail "users in memory: $(logins) instead of $want"
kill -9 "$server"
wait "$server" 2>/dev/null
start
[ "$(logins)" = "$want" ] || fail "users after kill -9: $(logins) instead of $want"
