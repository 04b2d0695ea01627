#!/bin/sh
#   alice: /etc/resolv.conf belongs to nobody
# The file is ours while we run, what others write is respected, and it comes back after the end and after a kill.
. "$(dirname "$0")/../lab/e2e.sh"
. "$(dirname "$0")/../lab/resolver.sh"
topology <<EOT
internet 203.0.113.0/24
host alice on internet
EOT
lab_main "$@"
resolver_net
printf 'nameserver 192.0.2.53\noptions timeout:1\n' | on alice tee /etc/resolv.conf >/dev/null
before=$(conf_id)
check "the host's own names resolve" resolves www.lan.test 192.0.2.80
check_not "ours do not yet" resolves peer 100.64.0.2

resolver_start
check "the file is set" wait_for 20 state set
check "by replacing it" told "manager=file"
check "a peer resolves by its short name" resolves peer 100.64.0.2
check "and by its long one" resolves peer.tail.test 100.64.0.2
check "the host's server is handed up" told "upstream 192.0.2.53"
check "the host's options stay" conf_has "options timeout:1"
stop driver
equal "the very same file is back" "$(conf_id)" "$before"
check_not "there is no backup left" on alice test -e /etc/resolv.pre-weft-backup.conf

resolver_start
wait_for 20 state set || die "the file is set again"
stop driver KILL
check "after a kill the file is still ours" conf_has "Written by weft"
resolver_start
check "the next start sets it again" wait_for 20 state set
check "knows the host's server" told "upstream 192.0.2.53"
check "and a peer resolves" resolves peer 100.64.0.2
stop driver
equal "the file from before the kill is back" "$(conf_id)" "$before"

resolver_start
wait_for 20 state set || die "the file is set a third time"
printf 'nameserver 192.0.2.54\n' | on alice tee /etc/resolv.conf >/dev/null
check "a foreign change is noticed" wait_for 20 told "foreign=1"
check "and reported" told "trouble another program changed /etc/resolv.conf (its first server: 192.0.2.54)"
check "its server is handed up" told "upstream 192.0.2.54"
check "a peer still resolves" resolves peer 100.64.0.2
stop driver
equal "what the other program wrote stays" "$(conf)" "nameserver 192.0.2.54"
