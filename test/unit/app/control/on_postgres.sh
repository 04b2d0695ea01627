#!/bin/sh
# usage: on_postgres.sh PROGRAM [TEST]: runs the tests of the control server on PostgreSQL, on a
# cluster of its own in a temporary folder, reached by a unix socket. Exit 77: not installed.
set -eu

bin=
for d in /usr/lib/postgresql/*/bin; do
    [ ! -x "$d/initdb" ] || bin=$d
done
[ -n "$bin" ] || { echo "skipped: PostgreSQL is not installed (apt-get install postgresql)"; exit 77; }

dir=$(mktemp -d /tmp/weft-postgres-XXXXXX)
as=
chmod 755 "$dir" # a fenced server has no right to go where it may not
if [ "$(id -u)" -eq 0 ]; then # the server refuses to be root
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups"
    chown nobody:nogroup "$dir"
fi
stop() {
    $as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' INT TERM

cd "$dir"
$as "$bin/initdb" -D "$dir/data" -U weft -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
    { cat "$dir/log"; exit 1; }
$as "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -w -t 60 \
    -o "-k $dir -c listen_addresses= -c fsync=off -c max_connections=20" start >>"$dir/log" 2>&1 ||
    { cat "$dir/log" "$dir/data/log"; exit 1; }
export WEFT_TEST_DATABASE="postgres://weft@/postgres?host=$dir"
"$@"
