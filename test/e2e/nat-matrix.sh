#!/bin/sh
#     a-KIND -- gateway of that KIND ---+
#                                       +-- internet -- server (weft-control with its relay and STUN)
#     b-KIND -- gateway of that KIND ---+               for each kind of the lab
# Whatever two nodes sit behind, the first packet arrives through the relay, and the way becomes direct where two
# NATs allow it. Prints the table. Arguments: --strict (times count, too), --kinds=easy,hard
#
# PEER_BIN: folder with an unmodified tailscale and tailscaled, which then run on the hosts b.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
matrix=$(dirname "$0")/../lab/natmatrix.py
kinds=
strict=
for word in "$@"; do
	case $word in
	--strict) strict=--strict ;;
	--kinds=*) kinds=${word#--kinds=} ;;
	*) echo "nat-matrix: '$word' is not an option; accepted: --strict, --kinds=KIND,KIND" >&2; exit 2 ;;
	esac
done
# Without a miniupnpd there is no gateway that maps ports, and the rest is still worth knowing.
if [ -z "$kinds" ] && ! "$lab_home/lab" has pmp; then
	kinds=open,full-cone,easy,port-restricted,firewall,hard,udp-blocked
fi
topology <<EOT
$("$matrix" topology --kinds "$kinds")
EOT
lab_main "$@"

mesh_server tls
key=$(mesh_key ana)
hosts=$("$matrix" topology --kinds "$kinds" | sed -n 's/^host \([ab][0-9]*\) .*/\1/p')
for host in $hosts; do
	case $host in
	b*) [ -z "${PEER_BIN:-}" ] || {
		start "$host" "$host" "$PEER_BIN/tailscaled" --statedir="$dir/$host" --socket="$dir/$host.sock" --tun=ts0
		continue
	} ;;
	esac
	node "$host"
done
"$matrix" run --dir "$dir" --url "$url" --key "$key" --weft "$bin/weft" --kinds "$kinds" \
	$strict ${PEER_BIN:+--peer "$PEER_BIN/tailscale"} ||
	lab_failed=1
