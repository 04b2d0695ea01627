# A host whose resolver is told about ours, for test/e2e/dns-*.sh. Source it behind lab/e2e.sh:
#
#   . "$(dirname "$0")/../lab/resolver.sh"
#   topology <<EOT ... EOT        with a host named `alice`
#   lab_main "$@"
#   resolver_net                  a device weft0; we answer on 100.100.100.100 and know `peer` and
#                                 `peer.tail.test`; the host's own server 192.0.2.53 knows www.lan.test
#   resolver_start [OPTION...]    starts resolver-driver, its output is in the log `driver`
#   state NAME                    whether the newest status has this state
#   told TEXT                     whether the newest status contains TEXT
#   resolves NAME ADDRESS         as programs do, through libc
#   debian_install PACKAGE        from where tools/setup unpacked it, for alice alone; skips without

driver=${WEFT_BUILD:-$(realpath "$(dirname "$0")/../../build/asan")}/test/resolver-driver
[ -x "$driver" ] || skip "$driver is not built"

newest() { awk '/^status /{ text = "" } { text = text $0 "\n" } END { printf "%s", text }' "$LAB_DIR/driver.log"; }
told() { newest | grep -qF -e "$1"; }
state() { newest | grep -q "^status state=$1 "; }
resolves() { on alice getent ahostsv4 "$1" | grep -q "^$2 "; }
conf() { on alice cat /etc/resolv.conf; }
conf_has() { conf | grep -qF -e "$1"; }
conf_id() { on alice stat -c '%i %a %F' /etc/resolv.conf; on alice cat /etc/resolv.conf; }

# Puts an unpacked package over alice's /usr and into her /etc.
debian_install() {
	debian "$1"
	mkdir -p "$LAB_DIR/over/usr"
	for debian_part in sbin lib bin; do
		[ ! -d "$debian/$debian_part" ] || cp -a "$debian/$debian_part" "$LAB_DIR/over/usr/"
	done
	[ ! -d "$debian/usr" ] || cp -a "$debian/usr/." "$LAB_DIR/over/usr/"
	on alice rm -rf /etc/resolvconf # hooks of what else this machine has
	on alice cp -a "$debian/etc/." /etc/
	on alice mount -t overlay overlay -o "lowerdir=$LAB_DIR/over/usr:/usr" /usr || skip "no overlays here"
}

debian() {
	debian=${WEFT_DEBIAN:-/var/cache/weft-lab}/$1
	[ -d "$debian" ] || skip "the package $1 was not unpacked by tools/setup test"
}

fakedns() { # LOG ADDRESS NAME=ADDRESS...
	fakedns_log=$1
	shift
	start "$fakedns_log" alice "$lab_home/fakedns" "$@"
	wait_for 20 logged "$fakedns_log" ready || die "the DNS server $1 starts"
}

resolver_net() {
	on alice ip link add weft0 type veth peer name weft1
	on alice ip link set weft0 up
	on alice ip link set weft1 up
	on alice ip addr add 100.64.0.1/32 dev weft0
	on alice ip addr add 100.100.100.100/32 dev weft0
	on alice ip addr add 192.0.2.53/32 dev lo
	fakedns ours 100.100.100.100 peer.tail.test=100.64.0.2 www.lan.test=192.0.2.80
	fakedns theirs 192.0.2.53 www.lan.test=192.0.2.80
}

resolver_start() {
	: >"$LAB_DIR/driver.log"
	# With the rights of weftd's helper, and no more.
	start driver alice setpriv --no-new-privs --inh-caps=-all \
		--bounding-set=-all,+net_admin,+net_raw,+net_bind_service,+kill "$driver" --device weft0 --server 100.100.100.100 --search tail.test \
		--match tail.test "$@"
}
