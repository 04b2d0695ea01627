#include "sim/scenario.h"

#include <stdio.h>

#include "sim/host.h"

enum { FRIENDS = 50 };

static const struct link good = { .delay_ms = 10, .jitter_ms = 4 };
static const struct link lossy = { .delay_ms = 30, .jitter_ms = 40, .loss = 0.1 };

/* Everyone knows some FRIENDS others, half of them only in one direction. */
static void befriend(struct city *c)
{
	size_t links = c->n * (c->n - 1 < FRIENDS ? c->n - 1 : FRIENDS) / 2;

	for (size_t i = 0; i < links; i++) {
		uint32_t a = (uint32_t)rng_below(&c->w.rng, c->n),
			 b = (uint32_t)rng_below(&c->w.rng, c->n);

		if (a == b)
			continue;
		city_allow(c, a, b);
		if (world_chance(&c->w, 0.5))
			city_allow(c, b, a);
	}
}

static enum nat_kind some_nat(struct city *c)
{
	static const enum nat_kind mix[] = {
		NAT_EASY, NAT_EASY,     NAT_EASY, NAT_EASY, NAT_HARD,
		NAT_HARD, NAT_FIREWALL, NAT_NONE, NAT_NONE, NAT_NO_UDP
	};

	return mix[rng_below(&c->w.rng, sizeof(mix) / sizeof(mix[0]))];
}

static void populate(struct city *c, struct link link)
{
	befriend(c);
	for (uint32_t i = 0; i < c->n; i++) {
		host_start(c, i, some_nat(c), link);
		world_run_until(&c->w, mono_add_ms(c->w.now, 1));
	}
	world_run_until(&c->w, mono_add_s(c->w.now, 1));
}

/* Every allowed pair sends a packet a second. */
static void talk(struct city *c, unsigned seconds)
{
	for (unsigned s = 0; s < seconds; s++) {
		for (uint32_t i = 0; i < c->n; i++) {
			struct host *h = &c->hosts[i];

			for (size_t k = 0; k < h->peer_count; k++)
				if (h->peers[k].may_send)
					host_send(h, h->peers[k].host);
		}
		world_run_until(&c->w, mono_add_s(c->w.now, 1));
	}
}

static bool both_up(struct city *c, const struct host *h, const struct peer *p)
{
	return !h->revoked && !c->hosts[p->host].revoked;
}

/* Whoever may talk was heard, by relay at first, within the bound. */
static void expect_connected(struct city *c, int64_t bound_ms)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct host *h = &c->hosts[i];

		for (size_t k = 0; k < h->peer_count; k++) {
			struct peer *p = &h->peers[k];
			struct peer *sender = host_peer(&c->hosts[p->host], i);

			if (!p->may_receive || !both_up(c, h, p))
				continue;
			if (mono_is_zero(p->first_arrived))
				world_violation(&c->w, "nothing from %u (%s) reached %u (%s)",
						p->host, nat_name(c->hosts[p->host].gateway.kind),
						i, nat_name(h->gateway.kind));
			else if (mono_since_ms(p->first_arrived, sender->first_sent) > bound_ms)
				world_violation(
				    &c->w, "first packet from %u to %u took %lld ms", p->host, i,
				    (long long)mono_since_ms(p->first_arrived, sender->first_sent));
		}
	}
}

/* Pairs whose NATs allow it are direct, at least from who sends; the others must not claim to be.
 */
static void expect_paths(struct city *c)
{
	uint64_t direct = 0, pairs = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		struct host *h = &c->hosts[i];

		for (size_t k = 0; k < h->peer_count; k++) {
			struct peer *p = &h->peers[k];
			bool can =
			    nat_pair_is_direct(h->gateway.kind, c->hosts[p->host].gateway.kind);
			bool is = host_is_direct(h, p->host);

			if (!p->may_send || !both_up(c, h, p))
				continue;
			pairs++;
			direct += is;
			if (can != is)
				world_violation(&c->w, "%u (%s) to %u (%s) is %s", i,
						nat_name(h->gateway.kind), p->host,
						nat_name(c->hosts[p->host].gateway.kind),
						is ? "direct, which it cannot be" : "not direct");
		}
	}
	(void)printf("  %llu of %llu pairs direct\n", (unsigned long long)direct,
		     (unsigned long long)pairs);
}

static void expect_calm(struct city *c, unsigned most)
{
	for (uint32_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->hosts[i].peer_count; k++)
			if (c->hosts[i].peers[k].route_changes > most)
				world_violation(&c->w, "path of %u to %u changed %u times", i,
						c->hosts[i].peers[k].host,
						c->hosts[i].peers[k].route_changes);
}

static void cold_start(struct city *c)
{
	populate(c, good);
	talk(c, 15);
	expect_connected(c, 1000);
	expect_paths(c);
	expect_calm(c, 2);
}

static void bad_weather(struct city *c)
{
	populate(c, lossy);
	talk(c, 60);
	expect_connected(c, 6000); /* one lost handshake message costs five seconds */
	expect_calm(c, 40);
}

static void roaming(struct city *c)
{
	populate(c, good);
	talk(c, 15);
	for (uint32_t i = 0; i < c->n; i += 3)
		host_moved(&c->hosts[i], some_nat(c));
	talk(c, 20);
	expect_paths(c);
}

static void nat_restart(struct city *c)
{
	populate(c, good);
	talk(c, 15);
	for (uint32_t i = 0; i < c->n; i += 2)
		gateway_restart(&c->hosts[i].gateway);
	talk(c, 25);
	expect_paths(c);
}

static uint64_t deliveries(struct city *c, unsigned seconds)
{
	uint64_t before = c->delivered;

	talk(c, seconds);
	return c->delivered - before;
}

static void relay_loss(struct city *c)
{
	uint64_t usual, without;

	populate(c, good);
	talk(c, 15);
	usual = deliveries(c, 5);
	c->relay_up = false;
	without = deliveries(c, 20) / 4; /* direct pairs do not need it */
	if (without * 10 < usual * 4 || without > usual)
		world_violation(&c->w, "without relay %llu packets of %llu arrived",
				(unsigned long long)without, (unsigned long long)usual);
	c->relay_up = true;
	talk(c, 15);
	if (deliveries(c, 5) * 100 < usual * 99)
		world_violation(&c->w, "the relay is back, the packets are not");
	expect_paths(c);
}

static void revocation(struct city *c)
{
	populate(c, good);
	talk(c, 10);
	for (uint32_t i = 0; i < c->n; i += 5)
		city_revoke(c, i); /* check_packet() sees what still gets through */
	talk(c, 10);
	expect_paths(c);
}

static void control_outage(struct city *c)
{
	populate(c, good);
	talk(c, 10);
	c->control_up = false;
	for (uint32_t i = 0; i < c->n;
	     i += 4) /* known peers find each other without it, by call-me-maybe */
		host_moved(&c->hosts[i], NAT_EASY);
	talk(c, 20);
	expect_paths(c);
}

/* What a stranger can send: noise, damaged and repeated copies of real datagrams. */
static void hostile(struct city *c)
{
	struct addrport from = { ip_v4(198, 51, 100, 66), 666 };
	uint8_t junk[1500];

	populate(c, good);
	talk(c, 5);
	for (unsigned round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < c->n; i++) {
			size_t n = 1 + (size_t)rng_below(&c->w.rng, sizeof(junk) - 1);

			c->w.rng.fill(&c->w.rng, junk, n);
			if (n > 4 && rng_below(&c->w.rng, 2)) {
				memset(junk, 0, 4);
				junk[0] = (uint8_t)(1 + rng_below(&c->w.rng, 4));
			}
			host_attack(&c->hosts[i], from, bytes_of(junk, n));
		}
		world_run_until(&c->w, mono_add_ms(c->w.now, 10));
	}
	talk(c, 10);
	expect_connected(c, 1000);
	expect_paths(c);
}

/* Hours of light use: idle peers must cost nothing, sessions rekey, nothing piles up. */
static void long_day(struct city *c)
{
	uint64_t fired;

	populate(c, good);
	for (unsigned minutes = 0; minutes < 60; minutes++) {
		talk(c, 2);
		world_run_until(&c->w, mono_add_s(c->w.now, 58));
	}
	world_run_until(&c->w, mono_add_s(c->w.now, 1800));
	fired = c->w.fired;
	world_run_until(&c->w, mono_add_s(c->w.now, 3600));
	if (c->w.fired - fired > c->n)
		world_violation(&c->w, "%llu events in an idle hour",
				(unsigned long long)(c->w.fired - fired));
	talk(c, 15);
	expect_paths(c);
}

const struct scenario scenarios[] = {
	{ "cold-start", "everyone starts and talks to its friends", cold_start },
	{ "bad-weather", "the same with 10 % loss on each link and reordering", bad_weather },
	{ "roaming", "a third of the hosts move to another network", roaming },
	{ "nat-restart", "half of the gateways lose their mappings", nat_restart },
	{ "relay-loss", "the relay goes away and comes back", relay_loss },
	{ "revocation", "a fifth of the hosts is revoked while talking", revocation },
	{ "control-outage", "hosts move while the coordination server is down", control_outage },
	{ "hostile", "strangers send noise and forgeries", hostile },
	{ "long-day", "hours of light use, then silence", long_day, 5 },
};
const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
