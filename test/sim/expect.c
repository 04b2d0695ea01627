#include "sim/expect.h"

#include <malloc.h>
#include <stdio.h>

#include "sim/host.h"

#ifdef __SANITIZE_ADDRESS__
/* Debian's gcc has the function and not its header. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

size_t heap_bytes(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

static bool both_in(struct city *c, const struct host *h, const struct peer *p)
{
	return !h->revoked && !c->hosts[p->host].revoked;
}

static const char *behind(struct city *c, uint32_t host)
{
	return nat_name(gateway_worst(c->hosts[host].gateway));
}

void expect_connected(struct city *c, int64_t bound_ms)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct host *h = &c->hosts[i];

		for (size_t k = 0; k < h->peer_count; k++) {
			struct peer *p = &h->peers[k];
			struct peer *sender = host_peer(&c->hosts[p->host], i);

			if (!p->may_receive || !both_in(c, h, p))
				continue;
			if (mono_is_zero(p->first_arrived))
				world_violation(&c->w, "nothing from %u (%s) reached %u (%s)",
						p->host, behind(c, p->host), i, behind(c, i));
			else if (mono_since_ms(p->first_arrived, sender->first_sent) > bound_ms)
				world_violation(
				    &c->w, "first packet from %u to %u took %lld ms", p->host, i,
				    (long long)mono_since_ms(p->first_arrived, sender->first_sent));
		}
	}
}

void expect_heard_since(struct city *c, struct mono since)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct host *h = &c->hosts[i];

		for (size_t k = 0; k < h->peer_count; k++) {
			struct peer *p = &h->peers[k];

			if (p->may_receive && both_in(c, h, p) && p->last_arrived.ns < since.ns)
				world_violation(&c->w, "%u (%s) is no longer heard by %u (%s)",
						p->host, behind(c, p->host), i, behind(c, i));
		}
	}
}

void expect_paths(struct city *c)
{
	uint64_t direct = 0, pairs = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		struct host *h = &c->hosts[i];

		for (size_t k = 0; k < h->peer_count; k++) {
			struct peer *p = &h->peers[k];
			bool can = city_pair_is_direct(c, i, p->host);
			bool is = host_is_direct(h, p->host);

			if (!p->may_send || !both_in(c, h, p))
				continue;
			pairs++;
			direct += is;
			if (can != is)
				world_violation(&c->w, "%u (%s) to %u (%s) is %s", i, behind(c, i),
						p->host, behind(c, p->host),
						is ? "direct, which it cannot be" : "not direct");
		}
	}
	if (!c->w.quiet)
		(void)printf("  %llu of %llu pairs direct\n", (unsigned long long)direct,
			     (unsigned long long)pairs);
}

void expect_calm(struct city *c, unsigned most)
{
	for (uint32_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->hosts[i].peer_count; k++)
			if (c->hosts[i].peers[k].route_changes > most)
				world_violation(&c->w, "path of %u to %u changed %u times", i,
						c->hosts[i].peers[k].host,
						c->hosts[i].peers[k].route_changes);
}

void expect_calm_again(struct city *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->hosts[i].peer_count; k++)
			c->hosts[i].peers[k].route_changes = 0;
}

void expect_bounds(struct city *c)
{
	enum { EVENTS_PER_PEER = 200, EVENTS_PER_HOST = 200, RELAY_QUEUE_MAX = 256 << 20 };
	size_t peers = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		const struct host *h = &c->hosts[i];

		peers += h->peer_count;
		if (h->wg && wg_peer_count(h->wg) > h->peer_count)
			world_violation(&c->w, "host %u has %zu tunnels for %zu peers", i,
					wg_peer_count(h->wg), h->peer_count);
	}
	if (c->w.events.n > peers * EVENTS_PER_PEER + c->n * EVENTS_PER_HOST)
		world_violation(&c->w, "%zu timers and messages wait", c->w.events.n);
	for (int i = 0; i < REGIONS; i++)
		if (region_queued(&c->regions[i]) > RELAY_QUEUE_MAX)
			world_violation(&c->w, "relay %d queues %zu bytes", i + 1,
					region_queued(&c->regions[i]));
}
