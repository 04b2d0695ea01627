#!/bin/sh
#     app (two nodes of libweft, as nobody) -- internet -- server (weft-control)
# A program embeds two nodes: they join without root or a device, and a packet goes both ways.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/mesh.sh"
topology <<EOT
internet 203.0.113.0/24
host server on internet
host app on internet
EOT
lab_main "$@"
program=${WEFT_BIN:-$bin}/../../test/two-nodes
[ -x "$program" ] || skip "test/two-nodes is not built"

mesh_server plain
key=$(mesh_key ana)
state=$(mktemp -d)
cp "$key" "$state/key"
chown -R nobody "$state"
program_copy=$state/two-nodes
cp "$program" "$program_copy"
chmod 755 "$state" "$program_copy"
unprivileged() { on app setpriv --reuid nobody --clear-groups --inh-caps -all -- "$@"; }

check "two nodes in one unprivileged process exchange packets" unprivileged "$program_copy" "$url" "$state/key" "$state"
nodes() { admin nodes list </dev/null | grep -c inner-; }
equal "the server lists both" "$(nodes)" 2
check_not "a wrong key is refused" unprivileged "$program_copy" "$url" /dev/null "$state/second"
rm -rf "$state"
