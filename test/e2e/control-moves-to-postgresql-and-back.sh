#!/bin/bash
# A network begins in SQLite, goes on in PostgreSQL, and comes back. The server is killed on the way, a second one on
# the same database is refused, and the password of the database is nowhere to be read.
#
#   weft-control --SQLite--> backup --> database import --PostgreSQL--> backup --> database import --> SQLite
set -u
cd "$(dirname "$0")/../.."
control=${WEFT_CONTROL:-$PWD/build/asan/src/prog/weft-control}
[ -x "$control" ] || { echo "skipped: $control is not built"; exit 77; }
if [ -z "${WEFT_TEST_DATABASE:-}" ]; then # a cluster around this script
    exec test/unit/app/control/on_postgres.sh "$PWD/test/e2e/$(basename "$0")"
fi
dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -9 $server 2>/dev/null; rm -rf "$dir"' EXIT
fail() { echo "$1"; tail -n 20 "$dir"/*.log; exit 1; }
url=${WEFT_TEST_DATABASE/weft@/weft:geheim-77@}
configure() { # NAME [DATABASE]
    printf 'state_dir: %s/%s\nlisten: 127.0.0.1:%d\nstun_port: 0\n' "$dir" "$1" $((20000 + RANDOM % 20000)) >"$dir/$1.yaml"
    [ -z "${2:-}" ] || printf 'database: "%s"\n' "$2" >>"$dir/$1.yaml"
}
start() { # NAME
    at=$1
    "$control" --config "$dir/$1.yaml" serve 2>>"$dir/$1.log" &
    server=$!
    for _ in $(seq 150); do admin server status >/dev/null 2>&1 && return; sleep 0.1; done
    fail "the server on $1 did not start"
}
admin() { "$control" --config "$dir/$at.yaml" "$@"; }
stop() { kill "-$1" $server; { wait $server; } 2>/dev/null; server=; }
count() { admin users list -o json | grep -o '"login"' | wc -l; }

configure first
configure pg "$url"
configure second "$url"
configure last
start first
admin users create ana >/dev/null && admin keys create --user ana >/dev/null || fail "the first user"
key=$(admin server status -o json | grep -o 'mkey:[0-9a-f]*')
admin backup create "$dir/first/b.db" >/dev/null || fail "a backup from SQLite"
stop TERM

"$control" --config "$dir/pg.yaml" database import "$dir/first/b.db" || fail "import into PostgreSQL"
"$control" --config "$dir/pg.yaml" database import "$dir/first/b.db" 2>/dev/null && fail "imported over a network"
start pg
[ "$(count)" = 1 ] || fail "the user came along"
[ "$key" = "$(admin server status -o json | grep -o 'mkey:[0-9a-f]*')" ] || fail "the server's key came along"
admin users create bob >/dev/null || fail "a user in PostgreSQL"
stop KILL
start pg
[ "$(count)" = 2 ] || fail "what was acknowledged is there after kill -9"
"$control" --config "$dir/second.yaml" serve 2>"$dir/second.log" && fail "a second server started"
grep -q 'another weft-control works on it' "$dir/second.log" || fail "a second server is told why"
admin backup create "$dir/pg/back.db" >/dev/null || fail "a backup from PostgreSQL"
stop TERM

"$control" --config "$dir/last.yaml" database import "$dir/pg/back.db" || fail "import into SQLite"
start last
[ "$(count)" = 2 ] || fail "both users are back in SQLite"
"$control" --config "$dir/pg.yaml" config show | grep -q '^database: "postgres://' || fail "config show names the database"
! { "$control" --config "$dir/pg.yaml" config show; cat "$dir"/*.log; } | grep -q geheim || fail "the password is shown"
echo "SQLite, PostgreSQL, SQLite: nothing lost"
