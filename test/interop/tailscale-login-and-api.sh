#!/bin/bash
# An unmodified Tailscale client against weft-control's logins, in a network namespace of its own:
#
#   tailscaled a -- login through an identity provider (test/lab/identity_provider.py over TLS)
#   tailscaled b -- `tailscale up --auth-key=tskey-client-...`: it mints a token, makes a key, joins
#
# usage: TAILSCALE_BIN=DIR [WEFT_CONTROL=PATH] test/interop/tailscale-login-and-api.sh
set -u
cd "$(dirname "$0")/../.."
if [ ! -x "${TAILSCALE_BIN:-}/tailscaled" ] || [ ! -x "${TAILSCALE_BIN:-}/tailscale" ]; then
    echo "skipped: TAILSCALE_BIN names no folder with tailscale and tailscaled"
    exit 77
fi
control=${WEFT_CONTROL:-$PWD/build/asan/src/prog/weft-control}
[ -x "$control" ] || { echo "skipped: $control is not built"; exit 77; }
command -v curl >/dev/null || { echo "skipped: curl is not installed"; exit 77; }
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
# check NAME PATTERN COMMAND...: the output matches within fifteen seconds
check() {
    local name=$1 pattern=$2 out=
    shift 2
    for _ in $(seq 30); do
        out=$("$@" 2>&1)
        if grep -Eq -- "$pattern" <<<"$out"; then echo "ok      $name"; return; fi
        sleep 0.5
    done
    echo "FAILED  $name"
    failed=1
    sed 's/^/        /' <<<"$out" | head -20
}
admin() { "$control" --config "$dir/control.yaml" "$@" </dev/null; }
ts() { "$TAILSCALE_BIN/tailscale" --socket "$dir/$1.sock" "${@:2}"; }
node() {
    "$TAILSCALE_BIN/tailscaled" --tun=userspace-networking --statedir "$dir/$1" --socket "$dir/$1.sock" --port 0 >"$dir/$1.log" 2>&1 &
    pids="$pids $!"
    for _ in $(seq 50); do [ -S "$dir/$1.sock" ] && return; sleep 0.1; done
}

ip link set lo up
# Clients without a default route think that they are offline.
ip link add d0 type veth peer name d1 && ip addr add 10.9.0.1/24 dev d0 && ip link set d0 up && ip link set d1 up
ip route add default via 10.9.0.2
mkdir "$dir/idp"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/idp/key.pem" -out "$dir/idp/cert.pem" \
    -subj /CN=idp -addext "subjectAltName=IP:127.0.0.1" 2>/dev/null
echo '{"sub":"42","email":"ana@example.com","email_verified":true,"name":"Ana","groups":["eng"]}' >"$dir/idp/person.json"
python3 test/lab/identity_provider.py 127.0.0.1:8443 "$dir/idp/cert.pem" "$dir/idp/key.pem" "$dir/idp" >"$dir/idp.log" 2>&1 &
pids="$pids $!"
echo s3cret >"$dir/secret"
cat >"$dir/control.yaml" <<YAML
state_dir: $dir/state
listen: 127.0.0.1:8080
stun_port: 0
oidc_issuer: https://127.0.0.1:8443
oidc_client_id: weft
oidc_client_secret_file: $dir/secret
oidc_ca_file: $dir/idp/cert.pem
oidc_allowed_groups: eng
YAML
"$control" --config "$dir/control.yaml" serve 2>"$dir/control.log" &
pids="$pids $!"
check "the server answers" noise_key admin server status
check "the provider answers" issuer curl -s --cacert "$dir/idp/cert.pem" https://127.0.0.1:8443/.well-known/openid-configuration

node a
ts a up --login-server http://127.0.0.1:8080 >"$dir/up.log" 2>&1 &
pids="$pids $!"
check "the client is told where to log in" 'http://127.0.0.1:8080/a/[0-9a-f]+' cat "$dir/up.log"
url=$(grep -o 'http://127.0.0.1:8080/a/[0-9a-f]*' "$dir/up.log" | head -n 1)
curl -s -L --cacert "$dir/idp/cert.pem" -c "$dir/jar" -b "$dir/jar" "$url" >"$dir/page"
check "the provider sends its person back" 'You are <b>ana@example.com' cat "$dir/page"
confirm=$(sed -n 's/.*name=confirm value=\([0-9a-f]*\).*/\1/p' "$dir/page")
check "the page lets the device in" 'The device is in' curl -s -d "confirm=$confirm" "$url/confirm"
check "the waiting client is logged in" 'Success' cat "$dir/up.log"
check "as that person" 'ana@' ts a status
check "whose group is known" 'eng +ana@example.com' admin groups list

"$control" --config "$dir/control.yaml" policy set <<<'{"tagOwners":{"tag:ci":[]},"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}' >/dev/null
secret=$(admin oauth-clients create --scopes auth_keys --tags tag:ci -o json | sed 's/.*"key":"\([^"]*\)".*/\1/')
node b
check "a client secret is as good as an auth key" '^$' ts b up --login-server http://127.0.0.1:8080 --advertise-tags tag:ci \
    --hostname worker --auth-key "$secret?baseURL=http://127.0.0.1:8080&preauthorized=true"
check "the device has the client's tag" 'worker +tagged-devices' ts b status
check "and ends with its connection" 'ephemeral +yes' admin nodes show worker
exit $failed
