#!/bin/sh
#     alice -- internet -- server
# What people get wrong: each time one sentence that says what to do, and nothing is lost by it.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host alice on internet
EOT
lab_main "$@"

# says SENTENCE STATUS PATTERN COMMAND...: it ends with this status, and its last line matches.
says() {
	what=$1 wanted=$2 pattern=$3
	shift 3
	status=0
	on alice timeout 20 "$@" >"$LAB_DIR/out" 2>&1 </dev/null || status=$?
	if [ "$status" = "$wanted" ] && tail -n 1 "$LAB_DIR/out" | grep -q -- "$pattern"; then
		ok "$what"
	else
		fail "$what (status $status, wanted $wanted and '$pattern')"
		sed 's/^/#   /' "$LAB_DIR/out"
	fi
}
weftd="$bin/weftd" weft="$bin/weft"
dir=$LAB_DIR/mesh
mkdir -p "$dir"
cli() { sentence=$1 status=$2 pattern=$3; shift 3; says "$sentence" "$status" "$pattern" "$weft" --socket "$dir/alice.sock" "$@"; }

cli "without a daemon the command line asks for one" 1 "no daemon answers at .*is weftd running" status
says "an unknown option of the daemon gets a suggestion" 2 "did you mean.*statedir" "$weftd" --statdir x
cli "an unknown option gets a suggestion" 2 "did you mean.*accept-routes" set --acept-routes
cli "an unknown command gets a suggestion" 2 "did you mean.*status" stauts

# The daemon's own troubles.
mesh_server plain
key=$(mesh_key ana)
mesh_join alice "$key"
says "two daemons on one state are refused" 1 "another daemon uses" \
	"$weftd" --statedir "$dir/alice" --socket "$dir/other.sock" --tun weft1 --port 0
says "two daemons on one socket are refused" 1 "alice.sock belongs to a running process" \
	"$weftd" --statedir "$dir/other" --socket "$dir/alice.sock" --tun weft1 --port 0
check "the first daemon runs on" running alice
cli "a bad prefix is named" 1 "needs a prefix such as" set --advertise-routes 10.0.0.0/99
cli "a node that nobody knows" 1 "there is no node 'carol'" ping carol
cli "a bad address" 1 "." whois 1.2.3
cli "an account that nobody has" 1 "there is no account 'carol'" switch carol

# Keys and servers.
weft alice logout
printf 'weft-auth-nonsense' >"$dir/bad.key"
cli "a wrong key is refused" 1 "key" up --login-server "$url" --authkey "file:$dir/bad.key" --timeout 15s
cli "a key file that is not there" 1 "No such file" up --authkey "file:$dir/none.key"
cli "a server that nobody runs" 1 "connect $server:9: Connection refused" \
	up --login-server "http://$server:9" --authkey "file:$key" --timeout 5s
cli "a server that is no address" 1 "http" up --login-server "nonsense://x" --timeout 5s
check "after all that the right key is let in" weft alice up --login-server "$url" --authkey "file:$key" --timeout 20s
admin nodes expire alice </dev/null
expired() { weft alice status 2>&1 | grep -q "key.*expired\|logged out"; }
check "an expired key is said" wait_for 10 expired
check "and the way back is open" weft alice up --authkey "file:$key" --force-reauth --timeout 20s

# What the host lacks. A second daemon takes its place.
start port alice python3 -c 'import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("",5555)); print("bound", flush=True); time.sleep(60)'
wait_for 10 logged port bound || die "the port is taken"
start bad alice "$bin/weftd" --statedir "$dir/bad" --socket "$dir/bad.sock" --tun weft0 --port 5555
check "a daemon starts while its device is taken" wait_for 10 test -S "$dir/bad.sock"
bad() { sentence=$1 pattern=$2; shift 2; says "$sentence" 1 "$pattern" "$weft" --socket "$dir/bad.sock" "$@"; }
bad "a taken device is named" "device weft0 is in use by another program" up --login-server "$url" --authkey "file:$key" --timeout 5s
check "a taken port is said and another one taken" logged bad "port 5555 is not free"
stop bad
start bad alice unshare -m sh -c "mount -t tmpfs none /dev/net; exec '$bin/weftd' --statedir '$dir/bad' --socket '$dir/bad.sock' --tun weft7 --port 0"
check "a daemon starts without /dev/net/tun" wait_for 10 test -S "$dir/bad.sock"
bad "a host without TUN is told" "modprobe tun.*--tun none" up --timeout 3s
stop bad
mkdir "$dir/ro"
start ro alice unshare -m sh -c "mount -t tmpfs none '$dir/ro'; mount -o remount,ro '$dir/ro'; exec '$bin/weftd' --statedir '$dir/ro' --socket '$dir/ro.sock' --port 0"
check "a read-only state folder is said" wait_for 10 logged ro "Read-only file system"
stop alice

# The state.
printf '{"machineKey":' >"$dir/alice/weftd.state"
says "a corrupt state is kept aside" 1 "moved to weftd.state.corrupt-.*put it back repaired" \
	"$weftd" --statedir "$dir/alice" --socket "$dir/alice.sock" --tun weft1 --port 0
equal "with what was in it" "$(cat "$dir"/alice/weftd.state.corrupt-*)" '{"machineKey":'
touch "$dir/file"
says "a state folder that is a file" 1 "file" "$weftd" --statedir "$dir/file" --socket "$dir/x.sock" --port 0
says "without root and without a device it says what is missing" 1 "\(root\|permitted\|tun\|denied\)" \
	setpriv --reuid 65534 --regid 65534 --clear-groups \
	"$weftd" --statedir /tmp/weft-nobody-$$ --socket /nowhere/x.sock
