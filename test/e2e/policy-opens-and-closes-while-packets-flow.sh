#!/bin/sh
#     alice -- home (easy) ---+
#                             +-- internet -- server (weft-control on plain HTTP, relay pinned)
#     bob -- office (easy) ---+
# What the policy says holds at once, in each direction by itself, for nodes that are connected: denied,
# allowed one way, denied again; a policy with a mistake changes nothing; a deleted node is cut off.
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
dir=$LAB_DIR/policy
mkdir -p "$dir"
cat >"$dir/control.yaml" <<EOT
state_dir: $dir/control
listen: $server:80
server_url: http://$server
EOT

admin() { on server "$bin/weft-control" --config "$dir/control.yaml" "$@"; }
weft() { host=$1; shift; on "$host" timeout 30 "$bin/weft" --socket "$dir/$host.sock" "$@"; }
policy() { printf '%s' "$1" | admin policy set; }
open_() { on "$1" ping -c 1 -W 1 "$2"; }
closed() { ! on "$1" ping -c 1 -W 1 "$2"; }

start control server "$bin/weft-control" --config "$dir/control.yaml" serve
wait_for 10 admin server status </dev/null >/dev/null 2>&1 || die "weft-control answers"
for user in ana ben; do
	admin users create "$user@example.com" </dev/null >/dev/null
	admin keys create --user "$user@example.com" -o json </dev/null |
		sed 's/.*"key":"\([^"]*\)".*/\1/' >"$dir/$user.key"
done
join() { # HOST USER
	start "$1" "$1" "$bin/weftd" --statedir "$dir/$1" --socket "$dir/$1.sock" --tun weft0
	wait_for 5 test -S "$dir/$1.sock" || die "weftd of $1 listens"
	check "$1 joins" weft "$1" up --login-server "http://$server" --authkey "file:$dir/$2.key" \
		--hostname "$1" --timeout 20s
}
join alice ana
join bob ben
a=$(weft alice ip -4)
b=$(weft bob ip -4)

check "without a policy people are strangers" closed alice "$b"
check "a policy is taken" policy '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}'
check "what it allows is open" wait_for 10 open_ alice "$b"
check "in both directions" wait_for 10 open_ bob "$a"
check "a policy that allows one direction is taken" \
	policy '{"grants":[{"src":["ana@example.com"],"dst":["ben@example.com"],"ip":["*"]}]}'
check "the other direction closes while nodes are connected" wait_for 10 closed bob "$a"
check "the allowed one stays" open_ alice "$b"
says() { admin policy explain "$2" "$3" -o json </dev/null | grep -q "\"allowed\":$1"; }
check "explain says why it is open" says true ana@example.com "ben@example.com:22/tcp"
check "and why the other way is not" says false ben@example.com "ana@example.com:22/tcp"
check_not "a policy with a mistake is refused" policy '{"grants":[{"src":["group:none"],"dst":["*"],"ip":["*"]}]}'
check "and changes nothing" open_ alice "$b"
check "a policy that allows nothing is taken" policy '{"grants":[]}'
check "everything closes" wait_for 10 closed alice "$b"
check "it opens again" policy '{"grants":[{"src":["*"],"dst":["*"],"ip":["*"]}]}'
check "and packets flow" wait_for 10 open_ alice "$b"
check "a node is deleted" admin nodes delete bob </dev/null
check "and cut off" wait_for 10 closed alice "$b"
