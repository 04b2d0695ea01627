/* Two engines, a virtual clock, and a network in between that drops what a firewall would drop. */
#include "engine/magic/magic.h"

#include <stdlib.h>

#include "crypto/box.h"
#include "crypto/x25519.h"
#include "kit/kit.h"
#include "wire/disco.h"

enum { REGION = 900, DELAY_MS = 20, FLIGHTS_MAX = 4096 };

struct side {
	struct magic *m;
	struct key node, disco;
	struct addrport addr; /* the only address it sends from and is reachable at */
	struct magic_route route;
	unsigned route_changes, endpoints_wanted;
	struct magic_ping_result result;
	unsigned results;
	bool opened; /* its firewall: it has sent to the other side's address */
	bool firewall;
};

struct flight {
	struct magic_datagram d;
	unsigned to;
	struct mono at;
};

static struct {
	struct side side[2];
	struct mono now;
	struct flight *flights;
	size_t n;
	bool relay_down, udp_down;
	unsigned direct_sent, relay_sent;
} net;

static void on_route(void *arg, uint32_t peer, const struct magic_route *route)
{
	struct side *s = arg;

	CHECK(peer == 1);
	s->route = *route;
	s->route_changes++;
}

static void on_endpoints_wanted(void *arg)
{
	((struct side *)arg)->endpoints_wanted++;
}

static void on_ping_result(void *arg, const struct magic_ping_result *r)
{
	((struct side *)arg)->result = *r;
	((struct side *)arg)->results++;
}

static void know_each_other(unsigned i, bool with_endpoint)
{
	struct side *me = &net.side[i], *other = &net.side[!i];
	struct magic_peer_conf conf = { .id = 1,
					.node_key = other->node,
					.disco_key = other->disco,
					.region = REGION,
					.endpoints = &other->addr,
					.endpoint_count = with_endpoint };

	magic_peer_set(me->m, net.now, &conf);
}

static void set_up(bool with_endpoints)
{
	memset(&net, 0, sizeof(net));
	net.flights = calloc(FLIGHTS_MAX, sizeof(*net.flights));
	net.now = (struct mono){ 1000000000 };
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &net.side[i];
		struct magic_conf conf = { .rng = rng_seeded(i + 1),
					   .on_route = on_route,
					   .on_endpoints_wanted = on_endpoints_wanted,
					   .on_ping_result = on_ping_result,
					   .arg = s };

		memset(s->node.b, 0x10 + (int)i, 32);
		conf.node_key = s->node;
		x25519_generate(&conf.disco_private, &conf.rng);
		s->addr = (struct addrport){ ip_v4(203, 0, 113, (uint8_t)(i + 1)), 41641 };
		s->m = magic_create(&conf);
		s->disco = magic_disco_key(s->m);
	}
	know_each_other(0, with_endpoints);
	know_each_other(1, with_endpoints);
}

static void tear_down(void)
{
	magic_destroy(net.side[0].m);
	magic_destroy(net.side[1].m);
	free(net.flights);
}

static void collect(unsigned i)
{
	struct magic_datagram d;

	while (magic_next_datagram(net.side[i].m, &d)) {
		bool direct = d.to.kind == MAGIC_DIRECT;

		net.direct_sent += direct;
		net.relay_sent += !direct;
		if (direct) {
			net.side[i].opened = true;
			if (net.udp_down || !addrport_equal(d.to.addr, net.side[!i].addr))
				continue;
		} else if (net.relay_down) {
			continue;
		}
		if (CHECK(net.n < FLIGHTS_MAX))
			net.flights[net.n++] =
			    (struct flight){ d, !i, mono_add_ms(net.now, DELAY_MS) };
	}
}

static void deliver(struct flight f)
{
	struct side *to = &net.side[f.to], *from = &net.side[!f.to];
	struct magic_path path = {
		.kind = f.d.to.kind, .addr = from->addr, .region = f.d.to.region, .node = from->node
	};

	if (path.kind == MAGIC_DIRECT && to->firewall && !to->opened)
		return;
	magic_input(to->m, net.now, &path, kit_copy(bytes_of(f.d.bytes, f.d.n)));
}

static void run_ms(int64_t ms)
{
	struct mono end = mono_add_ms(net.now, ms);

	for (; net.now.ns < end.ns; net.now = mono_add_ms(net.now, 1)) {
		for (size_t i = 0; i < net.n;) {
			struct flight f = net.flights[i];

			if (!mono_reached(net.now, f.at)) {
				i++;
				continue;
			}
			net.flights[i] = net.flights[--net.n];
			deliver(f);
		}
		for (unsigned i = 0; i < 2; i++) {
			if (mono_reached(net.now, magic_deadline(net.side[i].m)))
				magic_tick(net.side[i].m, net.now);
			collect(i);
		}
	}
}

static bool is_direct(unsigned i)
{
	struct magic_peer_status st;

	CHECK(magic_peer_status(net.side[i].m, net.now, 1, &st));
	return st.trusted;
}

TEST(open_hosts_become_direct_in_one_round_trip)
{
	set_up(true);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(2 * DELAY_MS + 2);
	CHECK(is_direct(0));
	CHECK(addrport_equal(net.side[0].route.direct, net.side[1].addr));
	CHECK(net.side[0].endpoints_wanted == 1); /* it knows none of its own yet */
	tear_down();
}

TEST(call_me_maybe_opens_both_firewalls)
{
	set_up(true);
	net.side[0].firewall = net.side[1].firewall = true;
	magic_set_endpoints(net.side[0].m, net.now, &net.side[0].addr, 1);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(200);
	CHECK(magic_counters(net.side[1].m)->call_me_maybe_received == 1);
	CHECK(is_direct(1)); /* its pings met an open firewall */
	magic_output(net.side[1].m, net.now, 1);
	run_ms(6000);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(200);
	CHECK(is_direct(0) && is_direct(1));
	tear_down();
}

/* The other side answers call-me-maybe with pings, has its path then and does not call back. */
TEST(a_ping_through_a_firewall_opens_it_for_ours)
{
	unsigned sent;

	set_up(true);
	net.side[1].firewall = true;
	magic_set_endpoints(net.side[0].m, net.now, &net.side[0].addr, 1);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(200);
	CHECK(is_direct(0) && is_direct(1));
	tear_down();
	/* Without packets of ours to the peer nothing is asked back. */
	set_up(true);
	net.side[0].firewall = true;
	net.side[0].opened = true;
	magic_output(net.side[1].m, net.now, 1);
	run_ms(DELAY_MS + 2);
	sent = net.direct_sent;
	run_ms(DELAY_MS);
	CHECK_INT(sent, 2); /* a ping and its pong */
	CHECK_INT(net.direct_sent, 2);
	tear_down();
}

TEST(endpoints_are_asked_for_when_stale)
{
	set_up(true);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(10);
	CHECK(net.side[0].endpoints_wanted == 1 && net.relay_sent == 0);
	magic_set_endpoints(net.side[0].m, net.now, &net.side[0].addr, 1);
	run_ms(10);
	CHECK(net.relay_sent == 1 && magic_counters(net.side[0].m)->call_me_maybe_sent == 1);
	tear_down();
}

TEST(trust_runs_out_without_pongs_and_comes_back)
{
	set_up(true);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(100);
	CHECK(is_direct(0));
	for (int s = 0; s < 10; s++) { /* heartbeats keep it */
		magic_output(net.side[0].m, net.now, 1);
		run_ms(1000);
	}
	CHECK(is_direct(0));
	net.udp_down = true;
	run_ms(7000);
	CHECK(!is_direct(0));
	run_ms(5000);
	CHECK(!ip_is_valid(
	    net.side[0].route.direct.ip)); /* a lost ping after trust ran out clears it */
	net.udp_down = false;
	for (int s = 0; s < 9; s++) {
		magic_output(net.side[0].m, net.now, 1);
		run_ms(1000);
	}
	CHECK(is_direct(0));
	tear_down();
}

TEST(an_idle_peer_costs_nothing)
{
	unsigned sent;

	set_up(true);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(60000);
	sent = net.direct_sent + net.relay_sent;
	CHECK(magic_deadline(net.side[0].m).ns == MONO_NEVER.ns);
	run_ms(60000);
	CHECK(net.direct_sent + net.relay_sent == sent);
	tear_down();
}

TEST(ping_sources_become_candidates)
{
	struct magic_peer_status st;

	set_up(false);
	know_each_other(0, true); /* only 0 knows an address */
	magic_output(net.side[0].m, net.now, 1);
	run_ms(100);
	CHECK(magic_peer_status(net.side[1].m, net.now, 1, &st) && st.candidates == 1 &&
	      !st.trusted);
	magic_output(net.side[1].m, net.now, 1);
	run_ms(100);
	CHECK(is_direct(1));
	tear_down();
}

TEST(a_peer_without_known_addresses_is_told_ours)
{
	set_up(false);
	magic_set_endpoints(net.side[0].m, net.now, &net.side[0].addr, 1);
	for (int i = 0; i < 20; i++) { /* not with every packet */
		magic_output(net.side[0].m, net.now, 1);
		run_ms(100);
	}
	CHECK_INT(net.relay_sent, 1);
	magic_output(net.side[1].m, net.now, 1);
	run_ms(100);
	CHECK(is_direct(1));
	tear_down();
}

TEST(rebind_seeks_at_once)
{
	set_up(true);
	magic_set_endpoints(net.side[0].m, net.now, &net.side[0].addr, 1);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(100);
	CHECK(is_direct(0));
	net.side[0].addr.port = 50000;
	magic_rebind(net.side[0].m, net.now);
	CHECK(!is_direct(0));
	run_ms(2 * DELAY_MS + 5);
	CHECK(is_direct(0));
	tear_down();
}

TEST(a_person_pings)
{
	set_up(true);
	magic_ping(net.side[0].m, net.now, 1, 77);
	run_ms(50);
	CHECK(net.side[0].results == 1 && net.side[0].result.token == 77);
	CHECK(net.side[0].result.path.kind != MAGIC_NONE &&
	      net.side[0].result.latency_ns >= 40000000);
	net.udp_down = net.relay_down = true;
	magic_ping(net.side[0].m, net.now, 1, 78);
	run_ms(6000);
	CHECK(net.side[0].results == 2 && net.side[0].result.path.kind == MAGIC_NONE);
	magic_ping(net.side[0].m, net.now, 99, 79);
	CHECK(net.side[0].results == 3 && net.side[0].result.token == 79);
	magic_ping(net.side[0].m, net.now, 1, 80);
	magic_peer_remove(net.side[0].m, 1); /* who waits is told */
	CHECK(net.side[0].results == 4 && net.side[0].result.token == 80);
	tear_down();
}

TEST(a_restarted_peer_keeps_its_path)
{
	struct magic_peer_conf conf = { .id = 1, .region = REGION };

	set_up(true);
	magic_output(net.side[0].m, net.now, 1);
	run_ms(100);
	conf.node_key = net.side[1].node;
	memset(conf.disco_key.b, 9, 32);
	conf.endpoints = &net.side[1].addr;
	conf.endpoint_count = 1;
	magic_peer_set(net.side[0].m, net.now, &conf);
	CHECK(is_direct(0));
	memset(conf.node_key.b, 0x33, 32); /* another node: nothing known about the old one holds */
	magic_peer_set(net.side[0].m, net.now, &conf);
	CHECK(!is_direct(0));
	tear_down();
}

/* ---- hostile senders ---- */

static void craft(struct bytes body, struct magic_path from)
{
	struct secret32 priv, shared;
	struct rng rng = rng_seeded(2); /* side 1's */
	uint8_t out[300], nonce[24] = { 0 };

	x25519_generate(&priv, &rng);
	CHECK(box_shared(&shared, &priv, net.side[0].disco.b));
	magic_input(
	    net.side[0].m, net.now, &from,
	    kit_copy(bytes_of(out, disco_seal(out, &net.side[1].disco, &shared, nonce, body))));
}

TEST(call_me_maybe_counts_only_over_the_relay_from_its_node)
{
	struct bytes body = kit_hex("030000000000000000000000ffffc000020aa2a9");
	struct magic_path path = { .kind = MAGIC_DIRECT, .addr = { ip_v4(198, 51, 100, 9), 5 } };
	const struct magic_counters *c;

	set_up(false);
	c = magic_counters(net.side[0].m);
	craft(body, path);
	CHECK(c->dropped_wrong_way == 1);
	path =
	    (struct magic_path){ .kind = MAGIC_RELAY, .region = REGION, .node = net.side[0].node };
	craft(body, path);
	CHECK(c->dropped_wrong_way == 2 && c->call_me_maybe_received == 0);
	path.node = net.side[1].node;
	craft(body, path);
	CHECK(c->call_me_maybe_received == 1);
	tear_down();
}

TEST(strays_and_forgeries_are_counted_not_answered)
{
	struct magic_path path = { .kind = MAGIC_DIRECT, .addr = { ip_v4(198, 51, 100, 9), 5 } };
	const struct magic_counters *c;
	struct magic_datagram d;
	uint8_t junk[100] = { 'T', 'S', 0xf0, 0x9f, 0x92, 0xac };

	set_up(false);
	c = magic_counters(net.side[0].m);
	magic_input(net.side[0].m, net.now, &path, bytes_of(junk, sizeof(junk)));
	CHECK(c->dropped_unknown_key == 1);
	memcpy(junk + 6, net.side[1].disco.b, 32);
	magic_input(net.side[0].m, net.now, &path, bytes_of(junk, sizeof(junk)));
	CHECK(c->dropped_not_authentic == 1);
	craft(kit_hex("02000102030405060708090a0b0c00000000000000000000ffffcb007107a2a9"), path);
	CHECK(c->dropped_stray_pong == 1);
	craft(kit_hex("010001"), path);
	CHECK(c->dropped_malformed == 1);
	craft(kit_hex("4400"), path); /* a type of the future */
	CHECK(!magic_next_datagram(net.side[0].m, &d));
	tear_down();
}

TEST(a_replayed_ping_is_answered_once_and_candidates_are_bounded)
{
	struct magic_path path = { .kind = MAGIC_DIRECT, .addr = { ip_v4(198, 51, 100, 9), 5 } };
	struct bytes ping = kit_hex("01000102030405060708090a0b0c");
	struct magic_peer_status st;

	set_up(false);
	craft(ping, path);
	craft(ping, path);
	CHECK(magic_counters(net.side[0].m)->pongs_sent == 1);
	for (uint16_t port = 1; port < 500; port++) {
		path.addr.port = port;
		craft(ping, path);
	}
	CHECK(magic_peer_status(net.side[0].m, net.now, 1, &st) && st.candidates <= 100);
	tear_down();
}

static enum magic_why why(unsigned i)
{
	struct magic_peer_status st;

	CHECK(magic_peer_status(net.side[i].m, net.now, 1, &st));
	return st.why;
}

static void talk_for(unsigned seconds)
{
	while (seconds--) {
		magic_output(net.side[0].m, net.now, 1);
		run_ms(1000);
	}
}

TEST(says_why_a_peer_is_relayed)
{
	set_up(true);
	CHECK_INT(why(0), MAGIC_WHY_IDLE);
	net.udp_down = true;
	talk_for(2);
	CHECK_INT(why(0), MAGIC_WHY_SEEKING);
	talk_for(9);
	CHECK_INT(why(0), MAGIC_WHY_NO_ANSWER);
	net.udp_down = false;
	talk_for(6);
	CHECK_INT(why(0), MAGIC_WHY_DIRECT);
	net.udp_down = true;
	talk_for(9);
	CHECK_INT(why(0), MAGIC_WHY_SEEKING);
	talk_for(12);
	CHECK_INT(why(0), MAGIC_WHY_LOST);
	run_ms(50000);
	CHECK_INT(why(0), MAGIC_WHY_IDLE);
	tear_down();
	set_up(false);
	talk_for(11);
	CHECK_INT(why(0), MAGIC_WHY_NO_ADDRESS);
	tear_down();
}
