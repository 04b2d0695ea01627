#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control with its relay and STUN)
#     bob -- office (easy) ---+
# The walking skeleton: two nodes join our own server with an auth key. They reach each other by
# name of address from the first packet, through the relay, and then directly. With UDP blocked the
# relay alone carries them. The filter is in force, and kill -9, down, up and logout do what they say.
#
# WEFT_BIN: folder with weft-control, weftd and weft (default build/asan/src/prog).
. "$(dirname "$0")/../lab/e2e.sh"
bin=${WEFT_BIN:-$(realpath "$(dirname "$0")/../../build/asan/src/prog")}
for program in weft-control weftd weft; do
	[ -x "$bin/$program" ] || skip "$bin/$program is not built"
done
topology <<EOT
internet 203.0.113.0/24
host server on internet
nat  home   on internet lan 192.168.1.0/24 kind easy
nat  office on internet lan 10.9.0.0/24 kind easy
host alice on home
host bob   on office
EOT
lab_main "$@"

server=$(lab ip server)
dir=$LAB_DIR/skeleton
mkdir -p "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/key.pem" \
	-out "$dir/cert.pem" -subj /CN=weft -addext "subjectAltName=IP:$server" 2>/dev/null
cat >"$dir/control.yaml" <<EOT
state_dir: $dir/control
listen: $server:443
server_url: https://$server
tls_cert: $dir/cert.pem
tls_key: $dir/key.pem
EOT
export SSL_CERT_FILE="$dir/cert.pem"

admin() { on server "$bin/weft-control" --config "$dir/control.yaml" "$@" </dev/null; }
weft() { host=$1; shift; on "$host" timeout 30 "$bin/weft" --socket "$dir/$host.sock" "$@"; }
running() { weft "$1" status --json 2>/dev/null | grep -q '"BackendState":"Running"'; }
ping4() { on "$1" ping -c 1 -W 1 "$2"; }
direct() { weft "$1" ping --c 3 "$2" 2>&1 | grep -q 'via [0-9]'; }
node() { start "$1" "$1" "$bin/weftd" --statedir "$dir/$1" --socket "$dir/$1.sock" --tun weft0 --verbose 2; }

start control server "$bin/weft-control" --config "$dir/control.yaml" serve
wait_for 10 admin server status >/dev/null 2>&1 || die "weft-control answers"
admin users create ana --role owner >/dev/null
key=$(admin keys create --user ana --reusable -o json | sed 's/.*"key":"\([^"]*\)".*/\1/')
echo "$key" >"$dir/authkey"

for host in alice bob; do
	node "$host"
	wait_for 5 test -S "$dir/$host.sock" || die "weftd of $host listens"
	check "$host joins with an auth key" weft "$host" up --login-server "https://$server" \
		--authkey "file:$dir/authkey" --hostname "$host" --timeout 20s
	check "$host is running" wait_for 10 running "$host"
done
a=$(weft alice ip -4)
b=$(weft bob ip -4)
check "alice reaches bob" wait_for 10 ping4 alice "$b"
check "bob reaches alice" wait_for 5 ping4 bob "$a"
check "the way becomes direct" wait_for 15 direct alice "$b"

# UDP is blocked: the relay carries everything.
lab nat home kind udp-blocked
lab nat office kind udp-blocked
check "with UDP blocked the relay takes over" wait_for 20 ping4 alice "$b"
check "and back" wait_for 5 ping4 bob "$a"

# The filter is in force: with shields up nobody opens anything towards bob, but his answers come.
weft bob set --shields-up
closed() { ! ping4 alice "$b"; }
check "shields keep alice out" wait_for 5 closed
check "answers to bob come in" ping4 bob "$a"
weft bob set --shields-up=false
check "without them alice comes in again" wait_for 5 ping4 alice "$b"

# A daemon that was killed finds its way back with what it has on disk.
stop alice KILL
node alice
check "alice is back after kill -9 without a login" wait_for 20 ping4 alice "$b"

check "down takes the addresses away" weft alice down
check_not "and the way with them" ping4 alice "$b"
check "up brings them back without a key" weft alice up --timeout 20s
check "and the way" wait_for 10 ping4 alice "$b"
check "logout forgets the key" weft alice logout
check "and says so" sh -c '! "$0" --socket "$1" status' "$bin/weft" "$dir/alice.sock"

stop alice
stop bob
for host in alice bob; do
	check_not "$host ends without a complaint of the sanitizers" grep -q 'Sanitizer\|runtime error' "$LAB_DIR/$host.log"
	check "$host took its rules back" sh -c '! lab exec "$0" ip rule | grep -q "lookup 52"' "$host"
done
