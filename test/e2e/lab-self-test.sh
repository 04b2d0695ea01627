#!/bin/sh
#     internet --+-- server (two addresses)      sixhost (IPv6 only)
#                +-- easy, cone, strict, hard, keep, fw, open, blocked -- h-<name>
#                +-- isp (CGNAT) -- cpe -- h-cpe
#                +-- small (MTU 1300, ICMP told), hole (MTU 1300, ICMP lost)
# Each part of the lab does what its name says, seen from inside by a program that knows only
# packets, and no lab leaves anything behind.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<EOF
internet 203.0.113.0/24 2001:db8:ffff::/64
host server   on internet addresses 2
host sixhost  on internet v6only
nat  easy     on internet lan 192.168.1.0/24 2001:db8:1::/64 kind easy hairpin
nat  cone     on internet lan 192.168.1.0/24 kind full-cone
nat  strict   on internet lan 192.168.1.0/24 kind port-restricted
nat  hard     on internet lan 10.9.0.0/24 kind hard
nat  keep     on internet lan 192.168.1.0/24 ports preserve timeout 1
firewall fw   on internet lan 198.51.100.0/24 2001:db8:2::/64
router open   on internet lan 198.18.0.0/24 2001:db8:3::/64
nat  blocked  on internet lan 192.168.1.0/24 kind udp-blocked
nat  isp      on internet lan 100.64.0.0/24
nat  cpe      on isp lan 192.168.1.0/24
nat  small    on internet lan 192.168.1.0/24 mtu 1300
nat  hole     on internet lan 192.168.1.0/24 2001:db8:4::/64 mtu 1300 blackhole
host h-easy on easy
host h-two  on easy
host h-cone on cone
host h-strict on strict
host h-hard on hard
host h-keep on keep
host h-fw on fw
host h-open on open
host h-blocked on blocked
host h-cpe on cpe
host h-small on small
host h-hole on hole
forward hard udp 41641 h-hard:5000
dns server
EOF

# The labs within the lab know nothing of the one around them.
other_lab() {
	env -u LAB -u LAB_DIR -u LAB_HOST "$lab_home/lab" "$@"
}

interfaces=${interfaces:-$(ip -o link show | wc -l)} # as it was before the lab
export interfaces
lab_main "$@"

# shellcheck disable=SC2046 # two addresses are two words
set -- $(lab ip -4 server all)
a=$1 b=$2
start server server probe serve "$a" "$b"
start server6 server probe serve $(lab ip -6 server all)
wait_for 5 logged server ready && wait_for 5 logged server6 ready || die "the probe serves"

# Kinds ------------------------------------------------------------------------------------

eim="mapping endpoint-independent"
for kind in easy cone strict hard keep fw open blocked cpe; do
	start "kind-$kind" "h-$kind" probe nat "$a" "$b"
done
start kind6-fw h-fw probe nat $(lab ip -6 server all)
start kind6-easy h-easy probe nat $(lab ip -6 server all)
kind_of() {
	wait "$(cat "$LAB_DIR/kind$1.pid")"
	cat "$LAB_DIR/kind$1.log"
	rm "$LAB_DIR/kind$1.log"
}
kind() {
	kind_of "$2" >"$LAB_DIR/answer"
	equal "$1" "$(cat "$LAB_DIR/answer")" "$3"
}
kind "full-cone maps one port per socket, anyone may answer" -cone \
	"$eim, filtering endpoint-independent"
kind "easy maps one port per socket, known addresses may answer" -easy \
	"$eim, filtering address-dependent"
kind "port-restricted maps one port per socket, only answers pass" -strict \
	"$eim, filtering address-and-port-dependent"
kind "hard maps a port per destination, only answers pass" -hard \
	"mapping address-and-port-dependent, filtering address-and-port-dependent"
kind "easy with preserved ports is still easy" -keep "$eim, filtering address-dependent"
kind "firewall does not translate, only answers pass" -fw \
	"mapping none, filtering address-and-port-dependent"
kind "router neither translates nor filters" -open \
	"mapping none, filtering endpoint-independent"
kind "two NATs in a row (CGNAT) behave like an easy one" -cpe "$eim, filtering address-dependent"
kind "udp-blocked lets no UDP through" -blocked "udp blocked"
kind "firewall keeps IPv6 addresses, only answers pass" 6-fw \
	"mapping none, filtering address-and-port-dependent"
kind "a NAT does not translate IPv6, only answers pass" 6-easy \
	"mapping none, filtering address-and-port-dependent"

seen_of() {
	on "$@" | sed 's/:[0-9]*$//'
}
equal "CGNAT shows the address of the outer NAT" "$(seen_of h-cpe probe map "$a")" "$(lab ip isp)"
equal "a preserved port is the same outside" "$(on h-keep probe map "$a" 4242)" "$(lab ip keep):4242"
check_not "a random port is another one outside" \
	test "$(on h-easy probe map "$a" 4242)" = "$(lab ip easy):4242"
check "udp-blocked lets TCP to port 443 through" on h-blocked probe fetch "$a" 443 1000
check "udp-blocked lets TCP to port 80 through" on h-blocked probe fetch "$a" 80 1000

# What passes from outside -----------------------------------------------------------------

# heard HOST PORT ADDR TO FROM-NODE: does a datagram sent to ADDR:TO arrive at HOST:PORT?
heard() {
	on "$1" probe listen "$2" 1 >"$LAB_DIR/heard" &
	heard_pid=$!
	wait_for 5 grep -q listening "$LAB_DIR/heard"
	on "$5" probe send 777 "$3" "$4" hello
	wait $heard_pid
}
public_of() { # HOST PORT: the public port of a mapping
	on "$1" probe map "$a" "$2" | sed 's/.*://'
}
check "a forwarded port is open from outside" heard h-hard 5000 "$(lab ip hard)" 41641 server
check_not "any other port is not" heard h-hard 5001 "$(lab ip hard)" 41642 server

port=$(public_of h-easy 5100)
check "hairpin: a neighbour reaches the public address of a mapping" \
	heard h-easy 5100 "$(lab ip easy)" "$port" h-two
equal "hairpin: it is seen at the public address too" \
	"$(sed -n '2s/:.*//p' "$LAB_DIR/heard")" "$(lab ip easy)"
lab nat easy hairpin off
port=$(public_of h-easy 5101)
check_not "no hairpin: the neighbour's datagram is lost" \
	heard h-easy 5101 "$(lab ip easy)" "$port" h-two
check "neighbours reach each other inside" heard h-easy 5102 "$(lab ip h-easy)" 5102 h-two

# Sizes ------------------------------------------------------------------------------------

too_big() { # does a ping of this size come back, is it refused, or is it lost?
	said=$(on "$1" ping -M "do" -c 1 -W 1 -s "$3" "$2" 2>&1)
	case $said in
	*"Frag needed"* | *"Packet too big"* | *"essage too long"*) echo refused ;;
	*" 0% packet loss"*) echo answered ;;
	*) echo lost ;;
	esac
}
equal "small MTU: 1300 bytes pass" "$(too_big h-small "$a" 1272)" answered
equal "small MTU: 1301 bytes are refused" "$(too_big h-small "$a" 1273)" refused
equal "small MTU: from outside it is refused too" "$(too_big server "$(lab ip small)" 1273)" refused
check "small MTU: a TCP download adapts to it" on h-small probe fetch "$a" 443 100000
equal "blackhole: 1300 bytes pass" "$(too_big h-hole "$a" 1272)" answered
equal "blackhole: 1301 bytes vanish" "$(too_big h-hole "$a" 1273)" lost
equal "blackhole: from outside they vanish too" "$(too_big server "$(lab ip hole)" 1273)" lost
equal "blackhole: so do those of IPv6" "$(too_big h-hole "$(lab ip -6 server)" 1253)" lost
check_not "blackhole: a TCP download gets stuck" on h-hole probe fetch "$a" 443 100000

# Links ------------------------------------------------------------------------------------

rtt() {
	on "$1" ping -c 5 -i 0.05 -W 1 -q "$2" | sed -n 's|^rtt[^=]*= \([0-9]*\).*|\1|p'
}
received() {
	on "$1" ping -c 100 -i 0.004 -W 1 -q "$2" | sed -n 's/.* \([0-9]*\) received.*/\1/p'
}
between() {
	check "$1 (measured ${2:-nothing}, expected $3 to $4)" \
		test "${2:-0}" -ge "$3" -a "${2:-999999}" -le "$4"
}
between "without impairment a ping takes no time" "$(rtt h-open "$a")" 0 15
on h-open ping -c 1 "$a" >/dev/null
lab link h-open netem delay 40ms
between "delay 40ms adds 80 ms to a ping" "$(rtt h-open "$a")" 80 100
lab link h-open netem loss 30%
between "loss 30% each way leaves half of the pings" "$(received h-open "$a")" 25 75
lab link h-open netem delay 20ms reorder 30%
early=$(on h-open ping -c 60 -i 0.005 -W 1 "$a" | sed -n 's/.*icmp_seq=\([0-9]*\).*/\1/p' |
	awk '$1 < last { n++ } { last = $1 } END { print n + 0 }')
between "reorder 30% lets some overtake others" "$early" 1 60
lab link h-open netem rate 2mbit
took=$(on h-open probe fetch "$a" 443 100000)
between "rate 2mbit takes 400 ms for 100 kB" "$(echo "${took%.*}${took#*.}" | sed 's/^0*//')" 350 900
lab link h-open netem off
check "without impairment the link is fast again" on h-open probe fetch "$a" 443 1000000

lab link h-open down
equal "a dropped link has no carrier" "$(on h-open cat /sys/class/net/eth0/carrier)" 0
check_not "a dropped link carries nothing" on h-open ping -c 1 -W 0.3 "$a"
lab link h-open up
check "a link that is back carries again" wait_for 3 on h-open ping -c 1 -W 0.3 "$a"
check "IPv6 is back as well" wait_for 3 on h-open ping -c 1 -W 0.3 "$(lab ip -6 server)"

# Changes of NATs --------------------------------------------------------------------------

first=$(on h-easy probe map "$a" 5200)
equal "a mapping stays while it is used" "$(on h-easy probe map "$b" 5200)" "$first"
lab nat easy restart
check_not "a restarted NAT gives another port" test "$(on h-easy probe map "$a" 5200)" = "$first"
check_not "and has forgotten the old one" heard h-easy 5200 "$(lab ip easy)" "${first##*:}" server
on h-keep probe map "$a" 5300 >/dev/null
sleep 1.3
check_not "timeout: an unused mapping closes by itself" \
	heard h-keep 5300 "$(lab ip keep)" 5300 server
lab nat easy public 203.0.113.99
equal "a new public address is used" "$(seen_of h-easy probe map "$a")" 203.0.113.99
check_not "the old one is gone" on server ping -c 1 -W 0.3 "${first%:*}"
lab nat easy kind hard
equal "an easy NAT can become a hard one" "$(on h-easy probe nat "$a" "$b")" \
	"mapping address-and-port-dependent, filtering address-and-port-dependent"

# Moving, families -------------------------------------------------------------------------

index=$(on h-two cat /sys/class/net/eth0/ifindex)
lab move h-two hard
equal "a moved host is seen at its new NAT" "$(seen_of h-two probe map "$a")" "$(lab ip hard)"
equal "its interface is still the same" "$(on h-two cat /sys/class/net/eth0/ifindex)" "$index"
lab move h-two internet
equal "moved to the internet it has no NAT" "$(on h-two probe map "$a" 99)" "$(lab ip h-two):99"
lab move cpe internet
equal "a NAT moves as well" "$(seen_of h-cpe probe map "$a")" "$(lab ip cpe)"
check "others find its new address by name" on h-open ping -c 1 -W 1 h-two

check_not "an IPv6-only host has no IPv4" on sixhost ping -c 1 -W 0.3 "$a"
check "an IPv6-only host reaches the server" on sixhost ping -c 1 -W 1 server
check "dual stack reaches it over IPv4" on h-open ping -c 1 -W 1 "$a"
check "dual stack reaches it over IPv6" on h-open ping -c 1 -W 1 "$(lab ip -6 server)"

# What a host owns -------------------------------------------------------------------------

equal "a host has its own name" "$(on h-fw hostname)" h-fw
equal "its resolver is the one of 'dns'" "$(on h-fw head -n 1 /etc/resolv.conf)" "nameserver $a"
on h-fw sh -c 'echo nameserver 100.100.100.100 >/etc/resolv.new && mv /etc/resolv.new /etc/resolv.conf'
on h-fw mkdir /run/weft
equal "its /etc is writable, and stays" "$(on h-fw cat /etc/resolv.conf)" "nameserver 100.100.100.100"
check_not "others do not see it" on h-open grep -q 100.100.100.100 /etc/resolv.conf
check_not "nor does the machine" grep -q 100.100.100.100 /etc/resolv.conf
check "its /run is its own" test ! -e /run/weft
check "it can create a tun device" on h-fw ip tuntap add dev tun7 mode tun
# Ports on request -------------------------------------------------------------------------

# miniupnpd wants a public address that is not reserved, so this is a lab of its own.
pmp_lab="internet 11.0.0.0/24
host server on internet
nat  home on internet lan 192.168.1.0/24 kind hard pmp
host alice on home"
if lab has pmp; then
	said=$(printf '%s\n' "$pmp_lab" | other_lab run - -- sh -c '
		lab exec alice python3 -c "
import socket, struct
gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gateway.settimeout(2)
gateway.sendto(struct.pack(\">BBHHHI\", 0, 1, 0, 5000, 40000, 7200), (\"192.168.1.1\", 5351))
print(struct.unpack(\">BBHIHHI\", gateway.recv(99))[2::3])"
		lab exec alice probe listen 5000 2 & sleep 0.7
		lab exec server probe send 777 $(lab ip home) 40000 hello; wait')
	equal "pmp: a port opens on request (NAT-PMP)" "$(echo $said)" "(0, 40000) listening 11.0.0.10:777 hello"
else
	echo "# no miniupnpd (Debian: miniupnpd-nftables): the option pmp was not tested"
fi

# Other labs -------------------------------------------------------------------------------

two="internet 203.0.113.0/24
host left on internet
host right on internet"
run_two() {
	printf '%s\n' "$two" | other_lab run - -- "$@"
}
ping_right="lab exec left ping -c 1 -W 1 right && echo \$LAB"
run_two sh -c "$ping_right" >"$LAB_DIR/one" 2>&1 &
one=$!
run_two sh -c "$ping_right" >"$LAB_DIR/two" 2>&1 &
two_pid=$!
check "a lab runs while this one does" wait $one
check "and a third at the same time" wait $two_pid
check_not "they have different names" \
	test "$(tail -n 1 "$LAB_DIR/one")" = "$(tail -n 1 "$LAB_DIR/two")"
left_of() { # namespaces, folders and processes of a lab
	ls /run/netns | grep -c "^weftlab-$1-"
	ls -d "/tmp/weftlab-$1" 2>/dev/null | wc -l
	grep -lzxs "LAB=$1" /proc/[0-9]*/environ | wc -l
}
equal "both are gone afterwards" "$(left_of "$(tail -n 1 "$LAB_DIR/one")" | tr '\n' ' ')" "0 0 0 "

# A lab that is asked to end, with a script that starts a daemon and will not stop.
endless="lab exec left sleep 1000 & setsid sleep 1000 & echo \$LAB; exec sleep 1000"
started() {
	test -s "$1"
}
victim() {
	printf '%s\n' "$two" >"$LAB_DIR/two.lab"
	env -u LAB -u LAB_DIR "$lab_home/lab" run "$LAB_DIR/two.lab" -- sh -c "$endless" >"$1" 2>&1 &
	victim=$!
	wait_for 5 started "$1"
	ident=$(head -n 1 "$1")
}
victim "$LAB_DIR/term"
kill "$victim"
wait $victim
equal "SIGTERM ends a lab with all that is in it" "$(left_of "$ident" | tr '\n' ' ')" "0 0 0 "
victim "$LAB_DIR/kill"
kill -9 "$victim"
wait $victim 2>/dev/null
# Not a check: any lab that starts on this machine right now may already have tidied up.
echo "# left by kill -9: $(left_of "$ident" | tr '\n' ' ')(namespaces, folders, processes)"
other_lab clean >"$LAB_DIR/cleaned"
equal "the next lab removes it" "$(left_of "$ident" | tr '\n' ' ')" "0 0 0 "
check "and only what has no owner" on h-open ping -c 1 -W 1 "$a"

# Mistakes ---------------------------------------------------------------------------------

mistake() { # SENTENCE TOPOLOGY EXPECTED
	printf '%s\n' "$2" >"$LAB_DIR/mistake.lab"
	said=$(other_lab check "$LAB_DIR/mistake.lab" 2>&1)
	equal "$1" "status $?, $said" "status 2, lab: $3"
}
mistake "an unknown kind is answered with the known ones" "internet 203.0.113.0/24
nat home on internet lan 192.168.1.0/24 kind soft" \
	"mistake.lab:2: 'soft' is not a kind of NAT; accepted: full-cone, easy, port-restricted, hard, firewall, open, udp-blocked"
mistake "a network must be declared first" "internet 203.0.113.0/24
host alice on home" "mistake.lab:2: there is no network 'home'; there is internet"
equal "the machine's own network is untouched" "$(ip -o link show | wc -l)" "$interfaces"
