#include "sim/talk.h"

#include "sim/expect.h"
#include "sim/host.h"

enum { FRIENDS = 50 };

const struct link good = { .delay_ms = 10, .jitter_ms = 4 };
const struct link lossy = { .delay_ms = 30, .jitter_ms = 40, .loss = 0.1 };

void befriend(struct city *c)
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

enum nat_kind some_nat(struct city *c)
{
	static const enum nat_kind mix[] = {
		NAT_EASY, NAT_EASY,     NAT_EASY, NAT_EASY, NAT_HARD,
		NAT_HARD, NAT_FIREWALL, NAT_NONE, NAT_NONE, NAT_NO_UDP
	};

	return mix[rng_below(&c->w.rng, sizeof(mix) / sizeof(mix[0]))];
}

void populate(struct city *c, struct link link)
{
	befriend(c);
	for (uint32_t i = 0; i < c->n; i++) {
		host_start(&c->hosts[i], city_gateway(c, some_nat(c), NULL), link);
		world_run_until(&c->w, mono_add_ms(c->w.now, 1));
	}
	world_run_until(&c->w, mono_add_s(c->w.now, 2));
}

void talk(struct city *c, unsigned seconds)
{
	for (unsigned s = 0; s < seconds; s++) {
		for (uint32_t i = 0; i < c->n; i++) {
			struct host *h = &c->hosts[i];

			for (size_t k = 0; k < h->peer_count; k++)
				if (h->peers[k].may_send && (s + i + k) % c->talk_every == 0)
					host_send(h, h->peers[k].host);
		}
		world_run_until(&c->w, mono_add_s(c->w.now, 1));
		expect_bounds(c);
	}
}
