#!/bin/bash
# The database of the first release (schema 1, data/control-schema-1.sql) is taken over at the start: users, nodes, keys,
# policy and the server's key are there, a copy from before lies beside it, and the copy starts as well.
set -u
cd "$(dirname "$0")/../.."
control=${WEFT_CONTROL:-$PWD/build/asan/src/prog/weft-control}
[ -x "$control" ] || { echo "skipped: $control is not built"; exit 77; }
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 $server 2>/dev/null; rm -rf "$dir"' EXIT
fail() { echo "$1"; cat "$dir/log"; exit 1; }
admin() { "$control" --config "$dir/c.yaml" "$@"; }
start() {
    "$control" --config "$dir/c.yaml" serve 2>>"$dir/log" &
    server=$!
    for _ in $(seq 150); do admin server status >/dev/null 2>&1 && return; sleep 0.1; done
    fail "the server did not start"
}
holds_all() {
    admin users list | grep -q 'bob@example.com' || fail "the users are there"
    admin nodes show laptop | grep -q '100.64.0.1' || fail "the laptop keeps its address"
    admin nodes show db | grep -q 'tag:db' || fail "the server keeps its tag"
    admin routes list | grep -q '10.0.0.0/24' || fail "its route is approved"
    admin keys list | grep -q 'ana@example.com' || fail "the auth key is there"
    admin policy get | grep -q 'tcp:5432' || fail "the policy is in force"
    admin server status | grep -q "$public" || fail "the server's key is the old one"
}

mkdir -m 700 "$dir/state"
python3 -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.executescript(open(sys.argv[2]).read()); d.commit()' \
    "$dir/state/control.db" test/e2e/data/control-schema-1.sql || fail "the old database is made"
public=mkey:8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f # X25519 of 00 01 02 .. 1f
printf 'state_dir: %s/state\nlisten: 127.0.0.1:%d\nstun_port: 0\n' "$dir" $((20000 + RANDOM % 20000)) >"$dir/c.yaml"
start
holds_all
admin users create new >/dev/null || fail "and it can be written"
{ kill "$server"; wait "$server"; } 2>/dev/null
copy=$(echo "$dir"/state/before-schema-*.db)
[ -s "$copy" ] || fail "a copy from before was put aside"
rm "$dir"/state/control.db*
mv "$copy" "$dir/state/control.db"
start
holds_all
! admin users list | grep -q 'new' || fail "the copy is from before"
echo "schema 1 was taken over"
