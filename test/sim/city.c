/* All hosts, gateways, relays and control together. */
#include <stdlib.h>

#include "base/mem.h"
#include "crypto/x25519.h"
#include "sim/host.h"

enum { INSIDE_BASE = 0x0a000001, OUTSIDE_BASE = 0x0b000001, BETWEEN_BASE = 0xac100001 };

static struct bytes outside_key(const void *item)
{
	return bytes_of(((const struct gateway *)item)->outside.b, 4);
}

void city_init(struct city *c, uint64_t seed, size_t n)
{
	*c = (struct city){
		.n = n, .relay_delay_ms = 10, .talk_every = 1, .packet_len = PACKET_MIN
	};
	world_init(&c->w, seed);
	map_init(&c->by_outside, outside_key, NULL);
	c->hosts = mem_alloc(n * sizeof(*c->hosts));
	control_init(&c->control, c);
	for (int i = 0; i < REGIONS; i++)
		region_init(&c->regions[i], c, i + 1);
	for (uint32_t i = 0; i < n; i++) {
		struct host *h = &c->hosts[i];

		h->city = c;
		h->index = i;
		h->inside = ip_v4_of(INSIDE_BASE + i);
		h->rng = rng_seeded(rng_u64(&c->w.rng));
		x25519_generate(&h->node_private, &h->rng);
		x25519_public(h->node_key.b, &h->node_private);
		x25519_generate(&h->disco_private, &h->rng);
		for (int k = 0; k < REGIONS; k++)
			wire_init(&h->wires[k], h, &c->regions[k]);
	}
}

static int compare_peers(const void *a, const void *b)
{
	uint32_t x = ((const struct peer *)a)->host, y = ((const struct peer *)b)->host;

	return (x > y) - (x < y);
}

static struct peer *know(struct host *h, uint32_t other)
{
	struct peer *p = host_peer(h, other);

	if (p)
		return p;
	mem_reserve(h->peers, h->peer_count, h->peer_cap);
	h->peers[h->peer_count++] = (struct peer){ .host = other };
	qsort(h->peers, h->peer_count, sizeof(*h->peers), compare_peers);
	return host_peer(h, other);
}

void city_allow(struct city *c, uint32_t a, uint32_t b)
{
	know(&c->hosts[a], b)->may_send = true;
	know(&c->hosts[b], a)->may_receive = true;
}

void city_pretend(struct city *c, uint32_t a, uint32_t b)
{
	(void)know(&c->hosts[a], b);
}

struct gateway *city_gateway(struct city *c, enum nat_kind kind, struct gateway *parent)
{
	uint32_t base = parent ? BETWEEN_BASE : OUTSIDE_BASE;
	struct gateway *g = mem_alloc(sizeof(*g));

	*g = (struct gateway){ .kind = kind,
			       .parent = parent,
			       .outside = ip_v4_of(base + (uint32_t)c->gateway_count) };
	g->forgetful = c->w.fault == FAULT_CLOSED_NAT && c->gateway_count < 8;
	if (parent)
		parent->users++;
	(void)map_put(&c->by_outside, g);
	mem_reserve(c->gateways, c->gateway_count, c->gateway_cap);
	c->gateways[c->gateway_count++] = g;
	return g;
}

struct host *city_neighbour(struct city *c, const struct gateway *g, struct ip ip)
{
	uint32_t v =
	    (uint32_t)ip.b[0] << 24 | (uint32_t)ip.b[1] << 16 | (uint32_t)ip.b[2] << 8 | ip.b[3];

	if (v < INSIDE_BASE || v - INSIDE_BASE >= c->n)
		return NULL;
	return c->hosts[v - INSIDE_BASE].gateway == g ? &c->hosts[v - INSIDE_BASE] : NULL;
}

bool city_pair_is_direct(struct city *c, uint32_t a, uint32_t b)
{
	const struct gateway *x = c->hosts[a].gateway, *y = c->hosts[b].gateway;

	if (x == y)
		return true;
	while (x->parent)
		x = x->parent;
	while (y->parent)
		y = y->parent;
	if (x == y && !x->hairpin)
		return false; /* behind one big NAT that does not turn them back */
	return nat_pair_is_direct(gateway_worst(c->hosts[a].gateway),
				  gateway_worst(c->hosts[b].gateway));
}

void city_revoke(struct city *c, uint32_t index)
{
	struct host *h = &c->hosts[index];

	h->revoked = true;
	h->revoked_at = c->w.now;
	world_note(&c->w, "revoked", index, 0);
	control_revoke(&c->control, index);
	for (int i = 0; i < REGIONS; i++)
		region_expel(&c->regions[i], &h->node_key);
}

static void drop_event(struct event *e)
{
	/* The three kinds that live on the heap begin with their event. */
	if (udp_owns(e) || region_owns(e) || control_owns(e))
		mem_free(e);
}

static void host_fini(struct host *h)
{
	for (int i = 0; i < REGIONS; i++) {
		wire_close(&h->wires[i]);
		buf_fini(&h->wires[i].waiting);
	}
	wg_destroy(h->wg);
	magic_destroy(h->magic);
	wg_allowed_unref(h->allowed);
	filter_unref(h->filter);
	filter_flows_destroy(h->flows);
	mem_free(h->peers);
}

void city_fini(struct city *c)
{
	struct heap_node *node;

	for (size_t i = 0; i < c->n; i++) {
		c->hosts[i].up = false;
		host_fini(&c->hosts[i]);
	}
	while ((node = heap_first(&c->w.events))) {
		heap_remove(&c->w.events, node);
		drop_event(container_of(node, struct event, node));
	}
	for (int i = 0; i < REGIONS; i++)
		region_fini(&c->regions[i]);
	for (size_t i = 0; i < c->gateway_count; i++) {
		gateway_fini(c->gateways[i]);
		mem_free(c->gateways[i]);
	}
	for (size_t i = 0; i < c->leaked_count; i++)
		mem_free(c->leaked[i]);
	mem_free(c->leaked);
	mem_free(c->gateways);
	map_fini(&c->by_outside);
	control_fini(&c->control);
	mem_free(c->hosts);
	world_fini(&c->w);
}
