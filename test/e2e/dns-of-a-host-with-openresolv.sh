#!/bin/sh
#   alice: /etc/resolv.conf is made by openresolv
# It gets an exclusive record of ours.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/resolver.sh"
topology <<EOT
internet 203.0.113.0/24
host alice on internet
EOT
lab_main "$@"
debian_install openresolv
resolver_net
printf 'nameserver 192.0.2.53\nsearch lan.test\n' | on alice resolvconf -a eth0
before=$(conf)
check "the host's own names resolve" resolves www 192.0.2.80

resolver_start
check "our record is set" wait_for 20 state set
check "through openresolv" told "manager=openresolv"
check "a peer resolves" resolves peer 100.64.0.2
check_not "no other server is named" conf_has 192.0.2.53
check "the host's server is handed up" told "upstream 192.0.2.53"
stop driver
equal "the file is as it was" "$(conf)" "$before"

resolver_start
wait_for 20 state set || die "our record is set again"
stop driver KILL
check "after a kill our record is still there" conf_has 100.100.100.100
resolver_start
check "the next start sets it again" wait_for 20 state set
check "a peer resolves after the kill" resolves peer 100.64.0.2
printf 'nameserver 192.0.2.54\n' | on alice resolvconf -a eth1
check "a new lease changes the upstreams" wait_for 20 told "upstream 192.0.2.54"
check "and leaves ours in place" resolves peer 100.64.0.2
on alice resolvconf -d eth1
on alice resolvconf -d weft
check "who deletes our record is noticed" wait_for 20 told "foreign=1"
check "and a peer resolves again" wait_for 20 resolves peer 100.64.0.2
stop driver
equal "the file is back" "$(conf)" "$before"
