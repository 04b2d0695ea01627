#!/bin/sh
#   alice: /etc/resolv.conf is mounted, read-only or writable, as in containers
# What can be written is written in place; what cannot is said in one sentence and left alone.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/resolver.sh"
topology <<EOT
internet 203.0.113.0/24
host alice on internet
EOT
lab_main "$@"
resolver_net
printf 'nameserver 192.0.2.53\n' | on alice tee /run/mounted /etc/resolv.conf >/dev/null
on alice mount --bind /run/mounted /etc/resolv.conf

resolver_start
check "a mounted file is set" wait_for 20 state set
check "in place" told "manager=file in place"
check "a peer resolves" resolves peer 100.64.0.2
stop driver
equal "the file is as it was" "$(conf)" "nameserver 192.0.2.53"
resolver_start
wait_for 20 state set || die "the mounted file is set again"
stop driver KILL
check "after a kill it is still ours" conf_has "Written by weft"
resolver_start
wait_for 20 state set || die "the mounted file is set a third time"
stop driver
equal "the file from before the kill is back" "$(conf)" "nameserver 192.0.2.53"

on alice mount -o remount,bind,ro /etc/resolv.conf
resolver_start
check "a read-only file is a failure" wait_for 20 state failed
check "with a sentence" told "It is read-only and cannot be mounted over: names of the network do not resolve on this host, the tunnel works."
check "the host's server is handed up" told "upstream 192.0.2.53"
check "the host's own names still resolve" resolves www.lan.test 192.0.2.80
stop driver
equal "nothing was changed" "$(conf)" "nameserver 192.0.2.53"

# The same, but process 1 sees our mounts: ours goes over it.
cat >"$LAB_DIR/cover.sh" <<EOT
mount -t proc proc /proc
"$driver" --device weft0 --server 100.100.100.100 --search tail.test >>"$LAB_DIR/driver.log" 2>&1 &
until grep -q '^status state=set manager=mount' "$LAB_DIR/driver.log"; do sleep 0.1; done
getent hosts peer
kill \$!
wait \$!
cat /etc/resolv.conf
EOT
: >"$LAB_DIR/driver.log"
covered=$(on alice timeout 60 unshare --pid --fork --mount sh "$LAB_DIR/cover.sh" 2>&1 | awk '{ printf "%s %s, ", $1, $2 }')
equal "a file is mounted over a read-only one, and unmounted" "$covered" "100.64.0.2 peer.tail.test, nameserver 192.0.2.53, "
