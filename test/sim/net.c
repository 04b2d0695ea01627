#include "sim/net.h"

#include "base/mem.h"
#include "sim/world.h"

const char *nat_name(enum nat_kind k)
{
	static const char *const names[] = { "none", "firewall", "easy", "hard", "no-udp" };

	return names[k];
}

bool nat_pair_is_direct(enum nat_kind a, enum nat_kind b)
{
	if (a == NAT_NO_UDP || b == NAT_NO_UDP)
		return false;
	if (a == NAT_NONE || b == NAT_NONE)
		return true;
	if (a == NAT_HARD ||
	    b == NAT_HARD) /* easy filters by address only: the hard side's ping passes */
		return a == NAT_EASY || b == NAT_EASY;
	return true;
}

enum nat_kind gateway_worst(const struct gateway *g)
{
	enum nat_kind worst = NAT_NONE;

	for (; g; g = g->parent)
		worst = g->kind > worst ? g->kind : worst;
	return worst;
}

void gateway_fini(struct gateway *g)
{
	mem_free(g->maps);
	mem_free(g->holes);
	*g = (struct gateway){ 0 };
}

void gateway_restart(struct gateway *g)
{
	g->map_count = g->hole_count = 0;
}

static bool is_nat(const struct gateway *g)
{
	return g->kind == NAT_EASY || g->kind == NAT_HARD;
}

static bool is_dead(struct world *w, struct mono used)
{
	return mono_reached(w->now, mono_add_s(used, MAPPING_LIFE_S));
}

static bool port_is_taken(const struct gateway *g, uint16_t port)
{
	for (size_t i = 0; i < g->map_count; i++)
		if (g->maps[i].port == port)
			return true;
	return false;
}

static void forget_dead_maps(struct world *w, struct gateway *g)
{
	for (size_t i = 0; i < g->map_count;)
		if (is_dead(w, g->maps[i].used))
			g->maps[i] = g->maps[--g->map_count];
		else
			i++;
}

static uint16_t outside_port(struct world *w, struct gateway *g, struct addrport from,
			     struct addrport to)
{
	struct addrport key = g->kind == NAT_HARD ? to : (struct addrport){ 0 };
	uint16_t port;

	if (!is_nat(g))
		return from.port;
	for (size_t i = 0; i < g->map_count; i++) {
		struct mapping *m = &g->maps[i];

		if (!addrport_equal(m->remote, key) || !addrport_equal(m->inside, from) ||
		    is_dead(w, m->used))
			continue;
		m->used = w->now;
		return m->port;
	}
	if (g->map_count == g->map_cap)
		forget_dead_maps(w, g);
	do
		port = (uint16_t)(1024 + rng_below(&w->rng, 60000));
	while (port_is_taken(g, port));
	mem_reserve(g->maps, g->map_count, g->map_cap);
	g->maps[g->map_count++] = (struct mapping){ from, key, port, w->now };
	return port;
}

static void forget_dead_holes(struct world *w, struct gateway *g)
{
	for (size_t i = 0; i < g->hole_count;)
		if (is_dead(w, g->holes[i].used))
			g->holes[i] = g->holes[--g->hole_count];
		else
			i++;
}

static void open_hole(struct world *w, struct gateway *g, struct addrport from, struct addrport to)
{
	for (size_t i = 0; i < g->hole_count; i++)
		if (addrport_equal(g->holes[i].remote, to) &&
		    addrport_equal(g->holes[i].inside, from)) {
			g->holes[i].used = w->now;
			return;
		}
	if (g->hole_count == g->hole_cap)
		forget_dead_holes(w, g);
	mem_reserve(g->holes, g->hole_count, g->hole_cap);
	g->holes[g->hole_count++] = (struct pinhole){ from, to, w->now };
}

bool gateway_out(struct world *w, struct gateway *g, struct addrport from, struct addrport to,
		 struct addrport *seen_as)
{
	if (g->kind == NAT_NO_UDP)
		return false;
	*seen_as = (struct addrport){ g->outside, outside_port(w, g, from, to) };
	if (g->kind != NAT_NONE && !g->forgetful)
		open_hole(w, g, from, to);
	return true;
}

static const struct mapping *mapping_of(struct world *w, const struct gateway *g,
					struct addrport from, uint16_t port)
{
	for (size_t i = 0; i < g->map_count; i++) {
		const struct mapping *m = &g->maps[i];

		if (m->port == port && !is_dead(w, m->used) &&
		    (g->kind == NAT_EASY || addrport_equal(m->remote, from)))
			return m;
	}
	return NULL;
}

static bool is_open(struct world *w, const struct gateway *g, struct addrport from,
		    struct addrport inside)
{
	for (size_t i = 0; i < g->hole_count; i++) {
		const struct pinhole *h = &g->holes[i];

		if (ip_equal(h->remote.ip, from.ip) && addrport_equal(h->inside, inside) &&
		    (g->kind == NAT_EASY || h->remote.port == from.port) && !is_dead(w, h->used))
			return true;
	}
	return false;
}

bool gateway_in(struct world *w, struct gateway *g, struct addrport from, uint16_t to_port,
		struct addrport *inside)
{
	const struct mapping *m;

	if (g->kind == NAT_NO_UDP)
		return false;
	if (!is_nat(g)) {
		*inside = g->inside;
		return to_port == g->inside.port &&
		       (g->kind == NAT_NONE || is_open(w, g, from, *inside));
	}
	m = mapping_of(w, g, from, to_port);
	if (!m)
		return false;
	*inside = m->inside;
	return is_open(w, g, from, *inside);
}
