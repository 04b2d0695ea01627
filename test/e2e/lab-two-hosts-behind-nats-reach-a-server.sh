#!/bin/sh
#     alice -- home (easy) --+
#                            +-- internet -- server
#     bob -- office (hard) --+
# Two hosts behind different NATs reach a public server, which sees the address of the NAT and
# cannot begin a conversation itself.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<EOF
internet 203.0.113.0/24 2001:db8:ffff::/64
host server on internet addresses 2
nat  home   on internet lan 192.168.1.0/24 kind easy
nat  office on internet lan 10.9.0.0/24 kind hard
host alice on home
host bob   on office mtu 1400
link alice delay 20ms loss 1%
EOF
lab_main "$@"

server=$(lab ip server)
start server server probe serve $(lab ip -4 server all)
wait_for 5 logged server ready || die "the server starts"

for host in alice bob; do
	nat=home
	[ $host = bob ] && nat=office
	seen=$(on $host probe map "$server")
	equal "the server sees $host at the address of $nat" "${seen%:*}" "$(lab ip $nat)"
	check "$host downloads from the server by name" on $host probe fetch server 443 50000
	check_not "the server cannot ping $host" on server ping -c 1 -W 0.3 "$(lab ip $host)"
done
