# Our own server and nodes in a lab, for end-to-end tests. Source it behind lab/e2e.sh:
#
#   . "$(dirname "$0")/../lab/e2e.sh"
#   . "$(dirname "$0")/../lab/mesh.sh"
#   topology <<EOT ... EOT        a host named `server` and as many others as wanted
#   lab_main "$@"
#   mesh_server tls               or: mesh_server plain
#   key=$(mesh_key ana)           the path of a file with a reusable auth key of that new user
#   mesh_join alice "$key"        starts a node on the host alice and logs it in (two checks)
#
# and then: admin (weft-control), weft HOST (its command line), running HOST, ping4 HOST ADDRESS,
# direct HOST ADDRESS (the path is), node HOST (starts its daemon again), $server, $url, $dir.
#
# The shape of many tests, alice and bob each behind an easy NAT, is mesh_two_homes (the topology) and, behind
# lab_main, mesh_two_join: server, both nodes joined, reached and direct; their addresses are $a and $b.
#
# WEFT_BIN: folder with weft-control, weftd and weft (default build/asan/src/prog).

bin=${WEFT_BIN:-$(realpath "$(dirname "$0")/../../build/asan/src/prog")}
for program in weft-control weftd weft; do
	[ -x "$bin/$program" ] || skip "$bin/$program is not built"
done

admin() { on server "$bin/weft-control" --config "$dir/control.yaml" "$@"; }
weft() { host=$1; shift; on "$host" timeout 30 "$bin/weft" --socket "$dir/$host.sock" "$@"; }
running() { weft "$1" status --json 2>/dev/null | grep -q '"BackendState":"Running"'; }
ping4() { on "$1" ping -c 1 -W 1 "$2"; }
direct() { weft "$1" ping --c 3 "$2" 2>&1 | grep -q 'via [0-9]'; }
node() { start "$1" "$1" "$bin/weftd" --statedir "$dir/$1" --socket "$dir/$1.sock" --tun weft0 --verbose 2; }

mesh_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/key.pem" \
		-out "$dir/cert.pem" -subj /CN=weft -addext "subjectAltName=IP:$server" 2>/dev/null
	export SSL_CERT_FILE="$dir/cert.pem"
	url=https://$server
	cat <<-EOT
		listen: $server:443
		tls_cert: $dir/cert.pem
		tls_key: $dir/key.pem
	EOT
}

mesh_server() {
	server=$(lab ip server)
	dir=$LAB_DIR/mesh
	mkdir -p "$dir"
	url=http://$server
	if [ "$1" = tls ]; then
		mesh_certificate >"$dir/control.yaml"
	else
		echo "listen: $server:80" >"$dir/control.yaml"
	fi
	printf 'state_dir: %s\nserver_url: %s\n' "$dir/control" "$url" >>"$dir/control.yaml"
	mesh_start_server
}

mesh_start_server() {
	start control server "$bin/weft-control" --config "$dir/control.yaml" serve
	wait_for 10 admin server status </dev/null >/dev/null 2>&1 || die "weft-control answers"
}

mesh_key() {
	admin users create "$1" </dev/null >/dev/null
	admin keys create --user "$1" --reusable -o json </dev/null |
		sed 's/.*"key":"\([^"]*\)".*/\1/' >"$dir/$1.key"
	echo "$dir/$1.key"
}

mesh_join() { # HOST KEYFILE
	node "$1"
	wait_for 5 test -S "$dir/$1.sock" || die "weftd of $1 listens"
	check "$1 joins with an auth key" weft "$1" up --login-server "$url" --authkey "file:$2" \
		--hostname "$1" --timeout 20s
	check "$1 is running" wait_for 10 running "$1"
}

mesh_two_homes() {
	topology <<-EOT
		internet 203.0.113.0/24
		host server on internet
		nat  home   on internet lan 192.168.1.0/24 kind easy
		nat  office on internet lan 10.9.0.0/24 kind easy
		host alice on home
		host bob   on office
	EOT
}

mesh_two_join() {
	mesh_server tls
	key=$(mesh_key ana)
	for host in alice bob; do
		mesh_join "$host" "$key"
	done
	a=$(weft alice ip -4)
	b=$(weft bob ip -4)
	check "alice reaches bob" wait_for 10 ping4 alice "$b"
	check "bob reaches alice" wait_for 5 ping4 bob "$a"
	check "the way becomes direct" wait_for 15 direct alice "$b"
}
