#!/bin/bash
# What a bad policy gets is one sentence with a place, and nothing changes; what a good one says, its
# tests included, is in force again after a restart.
#
#   command line --unix socket--> weft-control      no network, no nodes
set -u
cd "$(dirname "$0")/../.."
control=${WEFT_CONTROL:-$PWD/build/asan/src/prog/weft-control}
[ -x "$control" ] || { echo "skipped: $control is not built"; exit 77; }
dir=$(mktemp -d)
server=
failed=0
trap '[ -z "$server" ] || kill $server 2>/dev/null; rm -rf "$dir"' EXIT
printf 'state_dir: %s/state\nlisten: 127.0.0.1:%d\nstun_port: 0\n' "$dir" $((20000 + RANDOM % 20000)) >"$dir/c.yaml"
admin() { "$control" --config "$dir/c.yaml" "$@" </dev/null; }
start() {
    "$control" --config "$dir/c.yaml" serve 2>>"$dir/log" &
    server=$!
    for _ in $(seq 300); do admin server status >/dev/null 2>&1 && return; sleep 0.1; done
    echo "the server did not start"; cat "$dir/log"; exit 1
}
fails() { echo "not ok: $1"; failed=1; }
# refused NAME WORDS: check and set say it in one line, name a place, exit 1; the policy stays
refused() {
    for verb in check set diff; do
        said=$(admin policy "$verb" "$dir/$1" 2>&1) && fails "$1 passes $verb"
        [ "$(printf %s "$said" | wc -l)" = 0 ] || fails "$1: $verb says more than a line"
        case $said in *"line "*", column "*) ;; *) fails "$1: no place in: ${said:0:300}" ;; esac
        case $said in *"$2"*) ;; *) fails "$1: ${said:0:300}" ;; esac
    done
    [ "$(admin policy get)" = "$before" ] || fails "$1 changed the policy"
}

start
admin users create ana@example.com >/dev/null
cat >"$dir/good" <<'EOT'
{
  // comments stay
  "hosts": {"printer": "10.20.0.9", "unused": "10.0.0.1"},
  "grants": [{"src": ["*", "*"], "dst": ["printer"], "ip": ["tcp:631"]}],
  "ssh": [{"action": "check", "src": ["user:*@example.com"], "dst": ["autogroup:self"], "users": ["localpart:*@example.com"]}],
  "tests": [{"src": "100.64.0.1", "accept": ["printer:631"], "deny": ["printer:22"]}],
}
EOT
admin policy set "$dir/good" >/dev/null || fails "the good policy is refused"
before=$(admin policy get)

printf '{"acls": [' >"$dir/truncated"
{ printf '{"acls": '; head -c 10000 /dev/zero | tr '\0' '['; } >"$dir/deep"
{ printf '{"acls": ['; head -c 10485760 /dev/zero | tr '\0' ' '; printf ']}'; } >"$dir/big"
printf '{"acls": [\0]}' >"$dir/nul"
printf '{"groups": {},\n "groups": {}}' >"$dir/duplicate"
printf '{"acl": []}' >"$dir/unknown"
printf '{"grants": [{"src": ["group:none"], "dst": ["*"], "ip": ["*"]}]}' >"$dir/undefined"
printf '{"ipsets": {"ipset:a": ["ipset:b"], "ipset:b": ["ipset:a"]}}' >"$dir/cycle"
printf '{"tests": [{"src": "100.64.0.1", "deny": ["100.64.0.2:22"]}]}' >"$dir/failing"
refused truncated "never closed"
refused deep "nested too deeply"
refused big "at most"
refused nul "expected a value"
refused duplicate 'duplicate key: "groups"'
refused unknown 'did you mean "acls"?'
refused undefined 'group not defined in policy: "group:none"'
refused cycle "contains itself"
refused failing "expected DENIED, got ALLOWED"
printf '{"tagOwners": {"tag:a": ["tag:b"], "tag:b": ["tag:a"]}}' >"$dir/tags"
admin policy check "$dir/tags" >/dev/null || fails "tags that own each other are legal"
said=$(admin policy check "$dir/none" 2>&1) && fails "a file that is not there passes"
case $said in *"$dir/none could not be read"*) ;; *) fails "no file: $said" ;; esac

admin policy lint -o json | grep -q '"kind":"duplicate","line":4' || fails "lint sees the word said twice"
admin policy fix | grep -q '"src": \["\*", *\],' || fails "fix takes it out"
admin policy fix | grep -q unused && fails "fix takes out the host nobody names"
admin policy format "$dir/good" >"$dir/formatted"
admin policy format "$dir/formatted" | cmp -s - "$dir/formatted" || fails "the canonical layout is not its own"
grep -q 'comments stay' "$dir/formatted" || fails "format drops comments"

kill "$server"
wait "$server" 2>/dev/null
start
[ "$(admin policy get)" = "$before" ] || fails "another policy after a restart: $(cat "$dir/log")"
grep -q "does not load" "$dir/log" && fails "the policy did not load: $(cat "$dir/log")"
admin policy lint -o json | grep -q '"kind":"duplicate","line":4' || fails "it is not in force"
[ "$failed" = 0 ] && echo "ok"
exit "$failed"
