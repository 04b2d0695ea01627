#!/bin/sh
#     alice -- home (UDP blocked) ----+-- internet -- server (weft-control, without a relay)
#     bob ---- office (UDP blocked) --+               one, two, three (a region of relays)
# Alice sits at relay one, bob cannot reach it and sits at another: the mesh carries their packets. Relay
# one is killed, then another; each time they find each other again within five seconds.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host one on internet
host two on internet
host three on internet
nat  home   on internet lan 192.168.1.0/24 kind udp-blocked
nat  office on internet lan 10.9.0.0/24 kind udp-blocked
host alice on home
host bob   on office
EOT
lab_main "$@"

relay=$bin/weft-relay
[ -x "$relay" ] || skip "weft-relay is not built"
[ -n "$(command -v openssl)" ] || skip "there is no openssl to make a certificate with"
server=$(lab ip server) one=$(lab ip one) two=$(lab ip two) three=$(lab ip three)
dir=$LAB_DIR/mesh
mkdir -p "$dir"
url=http://$server

member() { # NAME ADDRESS
	echo "{\"Name\":\"$1\",\"RegionID\":901,\"HostName\":\"$2\",\"IPv4\":\"$2\",\"DERPPort\":443,\"InsecureForTests\":true}"
}
echo "{\"Regions\":{\"901\":{\"RegionID\":901,\"RegionCode\":\"three\",\"RegionName\":\"three\",\"Nodes\":[\
$(member one "$one"),$(member two "$two"),$(member three "$three")]}}}" >"$dir/derp.json"
printf 'listen: %s:80\nstate_dir: %s\nserver_url: %s\nrelay: no\nderp_map: %s\n' \
	"$server" "$dir/control" "$url" "$dir/derp.json" >"$dir/control.yaml"
mesh_start_server

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$dir/key.pem" -out "$dir/cert.pem" \
	-subj /CN=weft -addext "subjectAltName=IP:$one,IP:$two,IP:$three" 2>/dev/null
openssl rand -hex 32 >"$dir/mesh.key"
relay_at() { # NAME OTHERS
	start "$1" "$1" "$relay" run --state "$dir/$1" --cert "$dir/cert.pem" --key "$dir/key.pem" --threads 3 \
		--verify "$url/verify" --mesh-key "$dir/mesh.key" --mesh-ca "$dir/cert.pem" --mesh-with "$2" --mesh-with "$3"
}
relay_at one "$two" "$three"
relay_at two "$one" "$three"
relay_at three "$one" "$two"
links_up() {
	[ "$(on "$1" curl -s http://127.0.0.1:9109/metrics | sed -n 's/^weft_relay_links //p')" = 2 ]
}
for host in one two three; do
	wait_for 20 links_up $host || die "relay $host has links to both others"
done

key=$(mesh_key ana)
on bob ip route add unreachable "$one" # bob's first choice is not alice's
for host in alice bob; do
	mesh_join "$host" "$key"
done
a=$(weft alice ip -4)
b=$(weft bob ip -4)
check "alice reaches bob from relay to relay" wait_for 20 ping4 alice "$b"
check "bob reaches alice" wait_for 5 ping4 bob "$a"
forwarded() {
	[ "$(on one curl -s http://127.0.0.1:9109/metrics | sed -n 's/^weft_relay_packets_forwarded_out_total //p')" -gt 0 ]
}
check "it was the mesh that carried them" forwarded
asked() {
	on one curl -s http://127.0.0.1:9109/metrics | grep -q '^weft_relay_admission_allowed_total [1-9]'
}
check "the server was asked and let alice in" asked
stranger() {
	on server "$relay" check --insecure --no-stun "$one" | grep -q "not admitted"
}
check "a stranger is not admitted" stranger
region_page() {
	page=$(on one curl -s http://127.0.0.1:9109/)
	case $page in *"$two"*up*"$three"*) true ;; *) false ;; esac
}
check "the page of the region shows the other relays" region_page

stop one KILL
check "relay one was killed: alice reaches bob again within 5 s" wait_for 5 ping4 alice "$b"
check "and bob alice" wait_for 5 ping4 bob "$a"
relay_at one "$two" "$three"
wait_for 20 links_up one || die "relay one is back"
stop two KILL
check "relay two was killed: alice reaches bob again within 5 s" wait_for 5 ping4 alice "$b"
check "and bob alice" wait_for 5 ping4 bob "$a"
