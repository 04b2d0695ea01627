#!/bin/sh
#   alice: /etc/resolv.conf leads to systemd-resolved, which runs on a bus of its own
# It asks us for our names and its own server for the rest, also after it was restarted.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/resolver.sh"
topology <<EOT
internet 203.0.113.0/24
host alice on internet
EOT
lab_main "$@"
command -v dbus-daemon >/dev/null || skip "dbus-daemon is not installed"
debian_install systemd-resolved
resolver_net

cat >"$LAB_DIR/bus.conf" <<EOT
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
EOT
bus() {
	start bus alice dbus-daemon --config-file="$LAB_DIR/bus.conf" --nofork --nopidfile
	wait_for 20 on alice test -S /run/dbus/system_bus_socket || die "the bus starts"
}
resolved() {
	start resolved alice /lib/systemd/systemd-resolved
	wait_for 30 ask_resolved || die "systemd-resolved starts"
}
ask_resolved() { on alice resolvectl dns; }
on_link() { on alice resolvectl "$1" weft0 | grep -qF -e "$2"; }

on alice mkdir -p /run/dbus /run/systemd/resolve
if ! on alice getent passwd systemd-resolve >/dev/null; then
	echo 'systemd-resolve:x:991:991::/:/usr/sbin/nologin' | on alice tee -a /etc/passwd >/dev/null
	echo 'systemd-resolve:x:991:' | on alice tee -a /etc/group >/dev/null
fi
on alice chown systemd-resolve:systemd-resolve /run/systemd/resolve
printf '[Resolve]\nDNS=192.0.2.53\nFallbackDNS=\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\n' | on alice tee /etc/systemd/resolved.conf >/dev/null
on alice rm -f /etc/resolv.conf
on alice ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
bus

resolver_start
check "a host whose resolved is not up yet is waited for" wait_for 20 state waiting
resolved
check "and then told" wait_for 20 state set
check "over D-Bus" told "manager=systemd-resolved split=1"
check "the link has our server" on_link dns 100.100.100.100
check "and our domain" on_link domain tail.test
check "a peer resolves by its short name" wait_for 20 resolves peer 100.64.0.2
check "a peer resolves by its long name" resolves peer.tail.test 100.64.0.2
check "the rest is asked elsewhere" resolves www.lan.test 192.0.2.80
check_not "and not from us" logged ours www.lan.test
check "the host's server is handed up" told "upstream 192.0.2.53"
check_not "our own is not" told "upstream 100.100.100.100"

stop resolved
check "a restart is noticed" wait_for 20 state waiting
resolved
check "and our server set again" wait_for 20 on_link dns 100.100.100.100
check "a peer resolves after the restart" wait_for 20 resolves peer 100.64.0.2
stop driver
check_not "at the end the link is as it was" on_link dns 100.100.100.100
check_not "and a peer does not resolve" resolves peer.tail.test 100.64.0.2

resolver_start --all
check "all names can be ours" wait_for 20 state set
check "then the rest is asked from us, too" wait_for 20 resolves www.lan.test 192.0.2.80
check "which our server saw" logged ours www.lan.test
stop driver KILL
resolver_start
check "the next start after a kill sets it again" wait_for 20 state set
check "a peer resolves after the kill" wait_for 20 resolves peer 100.64.0.2
on alice rm /etc/resolv.conf
printf 'nameserver 192.0.2.53\n' | on alice tee /etc/resolv.conf >/dev/null
check "a person who takes the file from resolved is followed" wait_for 20 told "manager=file"
check_not "and the link is as it was" on_link dns 100.100.100.100
check "a peer resolves through the file" wait_for 20 resolves peer 100.64.0.2
stop driver
equal "that person's file is left" "$(conf)" "nameserver 192.0.2.53"
