#include "sim/scenario.h"

#include <stdio.h>

#include "sim/expect.h"
#include "sim/hostile.h"
#include "sim/host.h"
#include "sim/talk.h"

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
	/* A lost handshake message costs five seconds; with seed 16 one pair loses two in a row. */
	expect_connected(c, 16000);
	expect_calm(c, 40);
}

static void roaming(struct city *c)
{
	populate(c, good);
	talk(c, 15);
	for (uint32_t i = 0; i < c->n; i += 3)
		host_moved(&c->hosts[i], city_gateway(c, some_nat(c), NULL));
	talk(c, 20);
	expect_paths(c);
}

static void nat_restart(struct city *c)
{
	populate(c, good);
	talk(c, 15);
	for (uint32_t i = 0; i < c->n; i += 2)
		gateway_restart(c->hosts[i].gateway);
	talk(c, 25);
	expect_paths(c);
}

/* From now on everyone must be heard again. */
static void expect_all_heard(struct city *c, unsigned seconds)
{
	struct mono since = c->w.now;

	talk(c, seconds);
	expect_heard_since(c, since);
}

static uint64_t deliveries(struct city *c, unsigned seconds)
{
	uint64_t before = c->delivered;

	talk(c, seconds);
	return c->delivered - before;
}

static void set_relays(struct city *c, bool up)
{
	for (int i = 0; i < REGIONS; i++)
		region_set_up(&c->regions[i], up);
}

static void relay_loss(struct city *c)
{
	uint64_t usual, without;

	populate(c, good);
	talk(c, 15);
	usual = deliveries(c, 5);
	set_relays(c, false);
	without = deliveries(c, 20) / 4; /* direct pairs do not need it */
	if (without * 10 < usual * 4 || without > usual)
		world_violation(&c->w, "without relay %llu packets of %llu arrived",
				(unsigned long long)without, (unsigned long long)usual);
	set_relays(c, true);
	talk(c, 15);
	if (deliveries(c, 5) * 100 < usual * 99)
		world_violation(&c->w, "the relay is back, the packets are not");
	expect_paths(c);
}

static void revocation(struct city *c)
{
	populate(c, good);
	talk(c, 10);
	c->settled = true;
	for (uint32_t i = 0; i < c->n; i += 5)
		city_revoke(c, i); /* host_check_packet() sees what still gets through */
	talk(c, 10);
	expect_paths(c);
}

static void control_outage(struct city *c)
{
	populate(c, good);
	talk(c, 10);
	control_set_up(&c->control, false);
	for (uint32_t i = 0; i < c->n;
	     i += 4) /* known peers find each other without it, by call-me-maybe */
		host_moved(&c->hosts[i], city_gateway(c, NAT_EASY, NULL));
	talk(c, 20);
	expect_paths(c);
	control_set_up(&c->control, true);
	expect_all_heard(c, 20);
	expect_paths(c);
}

/* Hours of light use: idle peers must cost nothing, sessions rekey, nothing piles up. */
static void long_day(struct city *c)
{
	enum { IDLE_EVENTS = 150 }; /* relays say once a minute that they live: a timer, a frame */
	uint64_t fired;

	populate(c, good);
	for (unsigned minutes = 0; minutes < 60; minutes++) {
		talk(c, 2);
		world_run_until(&c->w, mono_add_s(c->w.now, 58));
	}
	world_run_until(&c->w, mono_add_s(c->w.now, 1800));
	fired = c->w.fired;
	world_run_until(&c->w, mono_add_s(c->w.now, 3600));
	if (c->w.fired - fired > c->n * IDLE_EVENTS)
		world_violation(&c->w, "%llu events in an idle hour",
				(unsigned long long)(c->w.fired - fired));
	talk(c, 15);
	expect_paths(c);
}

static void region_loss(struct city *c)
{
	populate(c, good);
	talk(c, 12);
	c->settled = true;
	region_set_up(&c->regions[0], false);
	talk(c, 8); /* hosts find another home and say so */
	expect_all_heard(c, 10);
	expect_paths(c);
	region_set_up(&c->regions[0], true);
	talk(c, 8);
	expect_all_heard(c, 10);
}

static void key_rotation(struct city *c)
{
	populate(c, good);
	talk(c, 12);
	c->settled = true;
	for (uint32_t i = 0; i < c->n; i += 4)
		host_rotate(&c->hosts[i]);
	talk(c, 10);
	expect_all_heard(c, 12);
	expect_paths(c);
}

/* Offices of four behind one gateway, some behind their provider's, too. */
static void shared_nat(struct city *c)
{
	struct gateway *provider[2], *g = NULL;

	for (int i = 0; i < 2; i++) {
		provider[i] = city_gateway(c, NAT_EASY, NULL);
		provider[i]->hairpin = i;
	}
	befriend(c);
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t office = i / 4;

		if (i % 4 == 0) {
			g = city_gateway(c, office % 3 ? NAT_EASY : NAT_HARD,
					 office % 2 ? provider[office / 2 % 2] : NULL);
			g->hairpin = office % 5 == 0;
		}
		host_start(&c->hosts[i], g, good);
	}
	world_run_until(&c->w, mono_add_s(c->w.now, 2));
	talk(c, 25);
	expect_connected(c, 1000);
	expect_paths(c);
	expect_calm(c, 4); /* a nearer address may be found after the first that works */
}

static void no_udp(struct city *c)
{
	befriend(c);
	for (uint32_t i = 0; i < c->n; i++)
		host_start(&c->hosts[i], city_gateway(c, i % 10 ? NAT_NO_UDP : NAT_NONE, NULL),
			   good);
	world_run_until(&c->w, mono_add_s(c->w.now, 1));
	talk(c, 15);
	expect_connected(c, 1000);
	expect_paths(c);
}

/* The largest packet of a tunnel becomes 1340 bytes: links of that size carry everything. */
static void small_mtu(struct city *c)
{
	struct link narrow = good;
	uint64_t usual;

	narrow.mtu = c->w.fault == FAULT_FULL_MTU ? 1300 : 1340;
	populate(c, narrow);
	talk(c, 15);
	usual = deliveries(c, 5);
	c->packet_len = PACKET_MAX;
	if (deliveries(c, 5) * 100 < usual * 99)
		world_violation(&c->w, "large packets do not fit: %llu were cut off",
				(unsigned long long)c->oversized);
	expect_paths(c);
}

/* Wall clocks jump by days, hosts restart with a clock that has gone back. */
static void clock_steps(struct city *c)
{
	static const int64_t days[] = { -3, 5, -400, 30 };

	populate(c, good);
	talk(c, 10);
	for (unsigned round = 0; round < 4; round++) {
		for (uint32_t i = round % 2; i < c->n; i += 2) {
			c->hosts[i].clock_off_ns += days[round] * 86400 * 1000000000LL;
			if (i % 4 < 2)
				host_restart(&c->hosts[i]);
		}
		talk(c, 15);
		expect_all_heard(c, 10);
	}
	world_run_until(&c->w, mono_add_s(c->w.now, 200)); /* every session is over */
	expect_all_heard(c, 10);
	expect_paths(c);
}

/* Peers send what policy denies; strangers believe to know us. */
static void denied(struct city *c)
{
	for (uint32_t i = 0; i + 7 < c->n; i += 3)
		city_pretend(c, i, i + 7);
	populate(c, good);
	for (unsigned s = 0; s < 15; s++) {
		for (uint32_t i = 0; i < c->n; i++)
			for (size_t k = 0; k < c->hosts[i].peer_count; k++)
				host_send(&c->hosts[i], c->hosts[i].peers[k].host);
		world_run_until(&c->w, mono_add_s(c->w.now, 1));
	}
	expect_connected(c, 1500);
	expect_paths(c);
}

/* Days with work, churn and nights; what is held after a night must not grow. */
static void leak_hunt(struct city *c)
{
	enum { DAYS = 7, SETTLED = 3, SLACK = 32 << 10 };
	size_t base = 0, now = 0;

	populate(c, good);
	for (unsigned day = 0; day < DAYS; day++) {
		for (unsigned hour = 0; hour < 4; hour++) {
			talk(c, 10);
			host_moved(&c->hosts[hour % c->n], c->hosts[hour % c->n].gateway);
			host_restart(&c->hosts[(day + hour) % c->n]);
			world_run_until(&c->w, mono_add_s(c->w.now, 1800));
		}
		world_run_until(&c->w, mono_add_s(c->w.now, (int64_t)22 * 3600));
		now = heap_bytes();
		if (day == SETTLED)
			base = now;
	}
	if (now > base + base / 100 + SLACK)
		world_violation(&c->w, "%zu bytes held after day %d, %zu after day %d", base,
				SETTLED + 1, now, DAYS);
	expect_all_heard(c, 15);
	expect_paths(c);
}

static void mishap(struct city *c)
{
	struct host *h = &c->hosts[rng_below(&c->w.rng, c->n)];
	struct region *r = &c->regions[rng_below(&c->w.rng, REGIONS)];

	if (h->revoked)
		return;
	switch (rng_below(&c->w.rng, 8)) {
	case 0:
		host_moved(h, city_gateway(c, some_nat(c), NULL));
		break;
	case 1:
		host_restart(h);
		break;
	case 2:
		host_rotate(h);
		break;
	case 3:
		gateway_restart(h->gateway);
		break;
	case 4:
		region_set_up(r, !r->up);
		break;
	case 5:
		control_set_up(&c->control, !c->control.up);
		break;
	case 6:
		h->clock_off_ns += ((int64_t)rng_below(&c->w.rng, 20) - 10) * 3600 * 1000000000;
		break;
	default:
		if (c->control.up && rng_below(&c->w.rng, 4) == 0)
			city_revoke(c, h->index);
	}
}

/* Everything that can go wrong, several things at once; then all is well again. */
static void chaos(struct city *c)
{
	populate(c, good);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 1 + c->n / 10; i++)
			mishap(c);
		talk(c, (unsigned)rng_below(&c->w.rng, 8));
	}
	set_relays(c, true);
	control_set_up(&c->control, true);
	talk(c, 40);
	expect_all_heard(c, 15);
	expect_paths(c);
}

const struct scenario scenarios[] = {
	{ "cold-start", "everyone starts and talks to its friends", cold_start },
	{ "bad-weather", "the same with 10 % loss on each link and reordering", bad_weather },
	{ "roaming", "a third of the hosts move to another network", roaming },
	{ "nat-restart", "half of the gateways lose their mappings", nat_restart },
	{ "shared-nat", "several hosts behind one gateway, some of these behind another",
	  shared_nat },
	{ "no-udp", "nearly all hosts have relays alone", no_udp },
	{ "small-mtu", "links just wide enough for a tunnel packet", small_mtu },
	{ "relay-loss", "all relays go away and come back", relay_loss },
	{ "region-loss", "one of three regions goes away and comes back", region_loss },
	{ "revocation", "a fifth of the hosts is revoked while talking", revocation },
	{ "key-rotation", "a quarter of the hosts takes a new node key", key_rotation },
	{ "control-outage", "hosts move while the coordination server is down", control_outage },
	{ "clock-steps", "wall clocks jump, hosts restart with wrong ones", clock_steps },
	{ "denied", "peers send what policy denies, strangers what nobody asked for", denied },
	{ "hostile", "strangers send noise and forgeries", hostile },
	{ "hostile-peer", "a peer replays, forges discovery and lies about addresses",
	  hostile_peer },
	{ "chaos", "all of these at once, then calm", chaos },
	{ "long-day", "hours of light use, then silence", long_day, 5 },
	{ "leak-hunt", "days of use, moves and restarts: memory comes back", leak_hunt, 5 },
};
const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
