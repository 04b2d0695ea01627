#!/bin/sh
#     server (weft-control) ---+--- internet ---+--- idp (a small OpenID provider over TLS)
#                                               +--- alice (weftd, and curl as her browser)
# A node joins because its person logged in elsewhere: the page leads to the provider and back, asks
# once more, and the node is running. Groups of the provider count in the policy. Strangers, wrong
# algorithms, wrong audiences, replays and a provider that says no are turned away with a sentence.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host idp    on internet
host alice  on internet
EOT
command -v curl >/dev/null || skip "curl is not installed"
command -v python3 >/dev/null || skip "python3 is not installed"
lab_main "$@"

idp=$(lab ip idp)
server=$(lab ip server)
dir=$LAB_DIR/mesh
mkdir -p "$dir/idp"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/idp/key.pem" \
	-out "$dir/idp/cert.pem" -subj /CN=idp -addext "subjectAltName=IP:$idp" 2>/dev/null
person() { printf '%s' "$1" >"$dir/idp/person.json"; }
ana='"sub":"42","email":"ana@example.com","email_verified":true,"name":"Ana","groups":["eng"]'
person "{$ana}"
start idp idp python3 "$(dirname "$0")/../lab/identity_provider.py" "$idp:443" "$dir/idp/cert.pem" \
	"$dir/idp/key.pem" "$dir/idp"
wait_for 10 logged idp ready || die "the provider runs"

echo s3cret >"$dir/secret"
url=http://$server
cat >"$dir/control.yaml" <<EOT
listen: $server:80
state_dir: $dir/control
server_url: $url
stun_port: 0
oidc_issuer: https://$idp:443
oidc_client_id: weft
oidc_client_secret_file: $dir/secret
oidc_ca_file: $dir/idp/cert.pem
oidc_allowed_domains: example.com
EOT
mesh_start_server
node alice
wait_for 5 test -S "$dir/alice.sock" || die "weftd of alice listens"

up() { : >"$LAB_DIR/up.log"; start up alice "$bin/weft" --socket "$dir/alice.sock" up --login-server "$url" --timeout 120s; }
auth_url() { sed -n "s|.*\($url/a/[0-9a-f]*\).*|\1|p" "$LAB_DIR/up.log" | head -n 1; }
has_url() { [ -n "$(auth_url)" ]; }
# Follows the browser's way to the page at its end.
browse() { on alice curl -s -L --cacert "$dir/idp/cert.pem" -c "$dir/jar" -b "$dir/jar" "$1" >"$dir/page"; }
page_says() { grep -q "$1" "$dir/page"; }
turned_away() { # PERSON SENTENCE
	person "$1"
	rm -f "$dir/jar"
	browse "$(auth_url)"
	page_says "$2" || { cat "$dir/page"; false; }
}

up
wait_for 20 has_url || die "the node is told where to log in"
check "someone of another domain is turned away" \
	turned_away '{"sub":"66","email":"eve@evil.example","email_verified":true}' "not among those"
check "so is an address nobody verified" \
	turned_away '{"sub":"66","email":"ana@example.com"}' "has not verified your address"
check "a token for another application is refused" turned_away "{$ana,\"aud\":\"other\"}" "another application"
check "a token that has expired is refused" turned_away "{$ana,\"exp\":1000}" "has expired"
check "a token of another login is refused" turned_away "{$ana,\"nonce\":\"old\"}" "another login"
check "a token without a signature is refused" turned_away "{$ana,\"_alg\":\"none\"}" "algorithm none"
check "a MAC in place of a signature is refused" turned_away "{$ana,\"_alg\":\"HS256\"}" "algorithm HS256"
check "the provider's no is shown" turned_away "{$ana,\"_deny\":\"access_denied\"}" "access_denied"

person "{$ana}"
rm -f "$dir/jar"
location=$(on alice curl -s -o /dev/null -w '%{redirect_url}' -c "$dir/jar" "$(auth_url)")
back=$(on alice curl -s -o /dev/null -w '%{redirect_url}' --cacert "$dir/idp/cert.pem" "$location")
on alice curl -s "$back" >"$dir/page"
check "a browser without the cookie is refused" page_says "another browser"
rm -f "$dir/jar"
browse "$(auth_url)"
check "the right person is asked once more" page_says "You are <b>ana@example.com</b>"
check "nobody was let in by that" test "$(admin nodes list -o json </dev/null)" = "[]"
confirm=$(sed -n 's/.*name=confirm value=\([0-9a-f]*\).*/\1/p' "$dir/page")
on alice curl -s -d "confirm=00000000000000000000000000000000" "$(auth_url)/confirm" >"$dir/page"
check "a forged confirmation is refused" page_says "older than the login"
on alice curl -s -d "confirm=$confirm" "$(auth_url)/confirm" >"$dir/page"
check "the page says that the device is in" page_says "The device is in"
check "the node runs" wait_for 20 running alice
is_hers() { admin nodes list -o json </dev/null | grep -q '"user":"ana@example.com"'; }
check "it is hers" is_hers
names_her() { admin policy preview ana@example.com -o json </dev/null | grep -q '"lineNumber":1'; }
printf '{"grants":[{"src":["group:eng"],"dst":["*"],"ip":["*"]}]}' >"$dir/policy"
set_policy() { admin policy set <"$dir/policy"; }
check "a policy may speak of the provider's group" set_policy
check "and means her by it" names_her
printf '{"grants":[{"src":["group:ops"],"dst":["*"],"ip":["*"]}]}' >"$dir/policy"
check_not "a group that nobody was ever in is a mistake" set_policy
