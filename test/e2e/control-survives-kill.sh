#!/bin/bash
# What weft-control acknowledged is there after kill -9: users, keys and policies, twelve times over.
#
#   command line --unix socket--> weft-control --SQLite--> disk       kill -9 right after each answer
set -u
cd "$(dirname "$0")/../.."
control=${WEFT_CONTROL:-$PWD/build/asan/src/prog/weft-control}
[ -x "$control" ] || { echo "skipped: $control is not built"; exit 77; }
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 $server 2>/dev/null; rm -rf "$dir"' EXIT
printf 'state_dir: %s/state\nlisten: 127.0.0.1:%d\nstun_port: 0\n' "$dir" $((20000 + RANDOM % 20000)) >"$dir/c.yaml"
admin() { "$control" --config "$dir/c.yaml" "$@"; }
start() {
    "$control" --config "$dir/c.yaml" serve 2>>"$dir/log" &
    server=$!
    for _ in $(seq 50); do admin server status >/dev/null 2>&1 && return; sleep 0.1; done
    echo "the server did not start"; cat "$dir/log"; exit 1
}
for i in $(seq 12); do
    start
    admin users create "u$i" >/dev/null || exit 1
    admin keys create --user "u$i" >/dev/null || exit 1
    printf '{"grants":[{"src":["u%d@"],"dst":["*"],"ip":["*"]}]}' "$i" | admin policy set >/dev/null || exit 1
    kill -9 "$server"
    wait "$server" 2>/dev/null
done
start
users=$(admin users list -o json | grep -o '"login"' | wc -l)
keys=$(admin keys list -o json | grep -o '"reusable"' | wc -l)
policies=$(admin policy history -o json | grep -o '"author"' | wc -l)
echo "users $users, keys $keys, policies $policies of 12"
admin policy get | grep -q 'u12@' || { echo "the last policy is not in force"; exit 1; }
[ "$users" = 12 ] && [ "$keys" = 12 ] && [ "$policies" = 12 ]
