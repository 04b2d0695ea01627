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

void gateway_init(struct gateway *g, enum nat_kind kind, struct ip outside)
{
	*g = (struct gateway){ .kind = kind, .outside = outside };
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

static bool is_dead(struct world *w, struct mono used)
{
	return mono_reached(w->now, mono_add_s(used, MAPPING_LIFE_S));
}

static uint16_t outside_port(struct world *w, struct gateway *g, struct addrport to)
{
	struct addrport key = g->kind == NAT_HARD ? to : (struct addrport){ 0 };

	if (g->kind != NAT_EASY && g->kind != NAT_HARD)
		return INSIDE_PORT;
	for (size_t i = 0; i < g->map_count; i++) {
		struct mapping *m = &g->maps[i];

		if (!addrport_equal(m->remote, key) || is_dead(w, m->used))
			continue;
		m->used = w->now;
		return m->port;
	}
	mem_reserve(g->maps, g->map_count, g->map_cap);
	g->maps[g->map_count] =
	    (struct mapping){ key, (uint16_t)(1024 + rng_below(&w->rng, 60000)), w->now };
	return g->maps[g->map_count++].port;
}

static void open_hole(struct world *w, struct gateway *g, struct addrport to)
{
	for (size_t i = 0; i < g->hole_count; i++)
		if (addrport_equal(g->holes[i].remote, to)) {
			g->holes[i].used = w->now;
			return;
		}
	mem_reserve(g->holes, g->hole_count, g->hole_cap);
	g->holes[g->hole_count++] = (struct pinhole){ to, w->now };
}

bool gateway_out(struct world *w, struct gateway *g, struct addrport to, struct addrport *seen_as)
{
	if (g->kind == NAT_NO_UDP)
		return false;
	*seen_as = (struct addrport){ g->outside, outside_port(w, g, to) };
	if (g->kind != NAT_NONE)
		open_hole(w, g, to);
	return true;
}

static bool is_mapped(struct world *w, const struct gateway *g, struct addrport from, uint16_t port)
{
	if (g->kind != NAT_EASY && g->kind != NAT_HARD)
		return port == INSIDE_PORT;
	for (size_t i = 0; i < g->map_count; i++) {
		const struct mapping *m = &g->maps[i];

		if (m->port == port && !is_dead(w, m->used) &&
		    (g->kind == NAT_EASY || addrport_equal(m->remote, from)))
			return true;
	}
	return false;
}

bool gateway_in(struct world *w, struct gateway *g, struct addrport from, uint16_t to_port)
{
	if (g->kind == NAT_NO_UDP || !is_mapped(w, g, from, to_port))
		return false;
	if (g->kind == NAT_NONE)
		return true;
	for (size_t i = 0; i < g->hole_count; i++) {
		const struct pinhole *h = &g->holes[i];
		bool port_counts = g->kind != NAT_EASY;

		if (ip_equal(h->remote.ip, from.ip) &&
		    (!port_counts || h->remote.port == from.port) && !is_dead(w, h->used))
			return true;
	}
	return false;
}
