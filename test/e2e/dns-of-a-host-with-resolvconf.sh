#!/bin/sh
#   alice: /etc/resolv.conf is made by Debian's resolvconf
# It gets a record of ours, and a hook keeps the others' servers out while we run.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/resolver.sh"
topology <<EOT
internet 203.0.113.0/24
host alice on internet
EOT
lab_main "$@"
debian_install resolvconf
resolver_net
on alice mkdir -p /run/resolvconf/interface
on alice ln -sf /run/resolvconf/resolv.conf /etc/resolv.conf
on alice resolvconf --enable-updates
# Another program's hook that always fails, and with it every call of resolvconf.
printf '#!/bin/sh\nexit 1\n' | on alice tee /etc/resolvconf/update.d/zz-broken >/dev/null
on alice chmod 755 /etc/resolvconf/update.d/zz-broken
record() { printf 'nameserver %s\nsearch lan.test\n' "$2" | on alice resolvconf -a "$1" 2>/dev/null; true; }
record eth0.inet 192.0.2.53
before=$(conf)
check "the host's own names resolve" resolves www 192.0.2.80

resolver_start
check "our record is set" wait_for 20 state set
check "through resolvconf" told "manager=resolvconf"
check "a peer resolves" resolves peer 100.64.0.2
check_not "no other server is named" conf_has 192.0.2.53
check "the host's server is handed up" told "upstream 192.0.2.53"
check "and its search domain" told "upstream-search lan.test"
record eth1.inet 192.0.2.54
check "a new lease changes the upstreams" wait_for 20 told "upstream 192.0.2.54"
check_not "but not the servers" conf_has 192.0.2.54
check "a peer still resolves" resolves peer 100.64.0.2
on alice resolvconf -d eth1.inet 2>/dev/null
stop driver
equal "the file is as it was" "$(conf)" "$before"
check_not "the hook is gone" on alice test -e /etc/resolvconf/update-libc.d/weft

resolver_start
wait_for 20 state set || die "our record is set again"
stop driver KILL
check "after a kill our record is still there" conf_has 100.100.100.100
resolver_start
check "the next start sets it again" wait_for 20 state set
check "a peer resolves after the kill" resolves peer 100.64.0.2
stop driver
equal "the file from before the kill is back" "$(conf)" "$before"

resolver_start
wait_for 20 state set || die "our record is set a third time"
on alice rm /etc/resolv.conf
printf 'nameserver 192.0.2.53\n' | on alice tee /etc/resolv.conf >/dev/null
check "a person who takes the file from resolvconf is followed" wait_for 20 told "manager=file"
check "a peer resolves through the file" wait_for 20 resolves peer 100.64.0.2
stop driver
equal "that person's file is left" "$(conf)" "nameserver 192.0.2.53"
check_not "our record is gone, too" on alice test -e /run/resolvconf/interface/tun-weft.inet
