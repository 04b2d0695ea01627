#!/bin/bash
# Two unmodified Tailscale clients against weft-control, in a network namespace of its own:
#
#   tailscaled 1 --+                     +-- relay and STUN inside
#                  +-- https 10.9.0.1 --weft-control
#   tailscaled 2 --+
#
# usage: TAILSCALE_BIN=DIR [WEFT_CONTROL=PATH] test/interop/tailscale-client.sh
set -u
cd "$(dirname "$0")/../.."
if [ ! -x "${TAILSCALE_BIN:-}/tailscaled" ] || [ ! -x "${TAILSCALE_BIN:-}/tailscale" ]; then
    echo "skipped: TAILSCALE_BIN names no folder with tailscale and tailscaled"
    exit 77
fi
control=${WEFT_CONTROL:-$PWD/build/asan/src/prog/weft-control}
[ -x "$control" ] || { echo "skipped: $control is not built"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "skipped: needs root for a network namespace"; exit 77; }
if [ -z "${INSIDE:-}" ]; then
    INSIDE=1 TAILSCALE_BIN=$(realpath "$TAILSCALE_BIN") WEFT_CONTROL=$(realpath "$control") exec unshare -n "$0"
fi

dir=$(mktemp -d)
pids=
failed=0
finish() {
    # shellcheck disable=SC2086
    [ -z "$pids" ] || kill $pids 2>/dev/null
    wait 2>/dev/null
    if [ "$failed" = 0 ]; then rm -rf "$dir"; else echo "logs: $dir"; fi
}
trap finish EXIT
ok() { echo "ok      $1"; }
bad() { echo "FAILED  $1"; failed=1; }
# check NAME PATTERN COMMAND...: the output matches within ten seconds
check() {
    local name=$1 pattern=$2 out=
    shift 2
    for _ in $(seq 20); do
        out=$("$@" 2>&1)
        if grep -Eq -- "$pattern" <<<"$out"; then ok "$name"; return; fi
        sleep 0.5
    done
    bad "$name"
    sed 's/^/        /' <<<"$out" | head -20
}

ip link set lo up
ip link add d0 type veth peer name d1 && ip addr add 10.9.0.1/24 dev d0 && ip link set d0 up && ip link set d1 up
ip route add default via 10.9.0.2
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/key.pem" -out "$dir/cert.pem" \
    -subj /CN=weft -addext "subjectAltName=IP:10.9.0.1" 2>/dev/null
cat >"$dir/control.yaml" <<YAML
state_dir: $dir/state
listen: 10.9.0.1:443
server_url: https://10.9.0.1
tls_cert: $dir/cert.pem
tls_key: $dir/key.pem
YAML
export SSL_CERT_FILE=$dir/cert.pem
admin() { "$control" --config "$dir/control.yaml" "$@"; }
ts() { local i=$1; shift; timeout 20 "$TAILSCALE_BIN/tailscale" --socket="$dir/$i.sock" "$@"; }
up() { timeout 30 "$TAILSCALE_BIN/tailscale" --socket="$dir/$1.sock" up --login-server https://10.9.0.1 --authkey "$key" --hostname "node$1" "${@:2}"; }

"$control" --config "$dir/control.yaml" serve 2>"$dir/control.log" &
server=$!
check "the server answers" '"?status"?.*pass|server_url' admin server status
admin users create alice --role owner >/dev/null
key=$(admin keys create --user alice --reusable -o json | sed 's/.*"key":"\([^"]*\)".*/\1/')
for i in 1 2 3; do
    "$TAILSCALE_BIN/tailscaled" --no-logs-no-support --tun=userspace-networking --statedir="$dir/ts$i" \
        --socket="$dir/$i.sock" --port=$((41640 + i)) >"$dir/ts$i.log" 2>&1 &
    pids="$pids $!"
done
check "daemons run" 'Logged out|stopped' ts 2 status
for i in 1 2; do if up $i >/dev/null 2>&1; then ok "node $i logs in by key"; else bad "node $i logs in by key"; fi; done
check "they see each other" 'node2 .*alice' ts 1 status
check "ping" 'pong from node2' ts 1 ping -c 3 node2
check "the server asks a node" '^status +200' admin nodes ping node1
check "and gets its answer" '^status +200' admin nodes c2n node2 GET /debug/health
check "a path that it does not know" '^status +400' admin nodes c2n node2 GET /nothing
check "whois" 'Name: +node2\.' ts 1 whois 100.64.0.2
check "netcheck finds the relay" 'Nearest DERP: Weft' ts 1 netcheck
echo '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}],"autoApprovers":{"routes":{"10.77.0.0/16":["alice@"]}}}' |
    admin policy set >/dev/null || bad "policy set"
ts 1 set --advertise-routes=10.77.1.0/24,10.88.0.0/16
check "a route is approved by policy" '10.77.1.0/24,10.88.0.0/16 +10.77.1.0/24$' admin routes list
admin routes approve node1 10.88.0.0/16 >/dev/null
check "a route is approved by hand" '10.88.0.0/16' ts 2 status --json
ts 1 set --hostname=renamed
check "a new host name reaches the peer" 'renamed' ts 2 status

# Node 3 logs in by the page: wrong password, then the right one.
echo correct-horse | admin users password alice >/dev/null || bad "users password"
timeout 60 "$TAILSCALE_BIN/tailscale" --socket="$dir/3.sock" up --login-server https://10.9.0.1 --hostname node3 \
    >"$dir/up3" 2>&1 &
up3=$!
check "the client shows a login page" 'https://10.9.0.1/a/[0-9a-f]{32}' cat "$dir/up3"
url=$(grep -Eo 'https://10.9.0.1/a/[0-9a-f]{32}' "$dir/up3" | head -1)
csrf=$(curl -s --cacert "$dir/cert.pem" "$url" | grep -Eo 'name=csrf value=[0-9a-f]+' | cut -d= -f3)
post() { curl -s --cacert "$dir/cert.pem" --data-urlencode "csrf=$csrf" --data-urlencode user=alice --data-urlencode "password=$1" "$url"; }
check "a wrong password is refused" 'password is wrong' post battery-staple
check "the right one lets the device in" 'The device is in' post correct-horse
if wait $up3; then ok "the parked client comes up"; else bad "the parked client comes up"; fi
check "its peers see it" 'node3 .*alice' ts 1 status

ts 2 logout
check "logout" 'Logged out' ts 2 status
if up 2 >/dev/null 2>&1; then ok "login again"; else bad "login again"; fi
admin nodes expire node2 >/dev/null
check "expiry" 'Logged out' ts 2 status
admin nodes extend node2 >/dev/null
check "the expiry is lifted without a login" 'renamed' ts 2 status
kill $server
wait $server 2>/dev/null
"$control" --config "$dir/control.yaml" serve 2>>"$dir/control.log" &
server=$!
pids="$pids $server"
check "both come back after a restart" '"online":true.*"online":true' admin nodes list -o json
check "ping after the restart" 'pong from renamed' ts 2 ping -c 2 renamed
admin nodes delete node2 >/dev/null
check "a deleted node is told" 'Logged out' ts 2 status
grep -E 'Sanitizer|runtime error' "$dir/control.log" && bad "the server is clean"
exit $failed
