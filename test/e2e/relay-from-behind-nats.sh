#!/bin/sh
#     alice -- home (easy) ----+-- internet -- one, two (relays)
#     bob -- office (blocked) -+
# Relays are looked at from behind NATs: one that lets UDP through, one that does not. One of them
# admits nobody; the other restarts and its port is taken over without a gap.
. "$(dirname "$0")/../lab/e2e.sh"
topology <<EOF
internet 203.0.113.0/24 2001:db8:ffff::/64
host one on internet
host two on internet
nat  home   on internet lan 192.168.1.0/24 kind easy
nat  office on internet lan 10.9.0.0/24 kind udp-blocked
host alice on home
host bob   on office
link alice delay 10ms
EOF
lab_main "$@"

relay=${WEFT_BUILD:?}/src/prog/weft-relay
[ -x "$relay" ] || skip "weft-relay is not built"
one=$(lab ip -4 one) two=$(lab ip -4 two)
state=$LAB_DIR/state
mkdir -p "$state"
echo "# nobody" >"$state/allow"

start one one "$relay" run --hostname "$one" --state "$state/one" --open --http :80
wait_for 10 logged one "relay is open" || die "the relay starts"
start closed two "$relay" run --hostname "$two" --state "$state/two" --allow "$state/allow" \
	--listen :8443 --stun none --status none
wait_for 10 logged closed "listening on" || die "the closed relay starts"

check "alice finds everything well" on alice "$relay" check --insecure --seconds 1 "$one"
on bob "$relay" check --insecure --seconds 1 "$one" >"$state/bob" || true
check "bob reaches the relay without UDP" grep -q "^ok .*throughput" "$state/bob"
check "bob is told that STUN gets no answer" grep -q "^FAIL .*STUN .*no answer" "$state/bob"
check_not "an unknown certificate is refused" on alice "$relay" check --no-stun "$one"
check_not "nobody relays over the plain port" \
	on alice "$relay" check --plain --no-stun --no-throughput "$one:80"
on alice "$relay" check --insecure --no-stun "$two:8443" >"$state/refused" || true
check "a stranger is told that it is not admitted" grep -q "not admitted" "$state/refused"

# The next process listens before the old one lets go.
start next one "$relay" run --hostname "$one" --state "$state/one" --open --stun none --status none
wait_for 10 logged next "relay is open" || die "the next process listens beside the old one"
stop one TERM
check "the relay answers after its restart" \
	on alice "$relay" check --insecure --no-stun --seconds 1 "$one"
