#!/bin/sh
# The NAT matrix of ../e2e/nat-matrix.sh, its hosts b being unmodified tailscaled.
#
# PEERS_BIN: folder with tailscale and tailscaled. Arguments as there.
for program in tailscaled tailscale; do
	[ -x "${PEERS_BIN:-/nowhere}/$program" ] || {
		echo "skip - $program is not in PEERS_BIN"
		exit 77
	}
done
PEER_BIN=$PEERS_BIN exec "$(dirname "$0")/../e2e/nat-matrix.sh" "$@"
