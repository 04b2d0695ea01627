/* node/netmap_read.c - questions to a snapshot. */
#include "base/text.h"
#include "node/netmap_map.h"

const struct tailcfg_node *netmap_self(const struct netmap *m)
{
	return m->self->v;
}

size_t netmap_peer_count(const struct netmap *m)
{
	return m->peers.n;
}

const struct tailcfg_node *netmap_peer(const struct netmap *m, size_t i)
{
	return m->peers.v[i]->v;
}

const struct tailcfg_node *netmap_peer_by_id(const struct netmap *m, int64_t id)
{
	size_t low = 0, high = m->peers.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct tailcfg_node *n = netmap_peer(m, mid);

		if (n->id == id)
			return n;
		if (n->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct tailcfg_node *netmap_peer_by_key(const struct netmap *m, const struct key *key)
{
	for (size_t i = 0; i < m->peers.n; i++)
		if (key_equal(&netmap_peer(m, i)->key, key))
			return netmap_peer(m, i);
	return NULL;
}

static bool node_has_ip(const struct tailcfg_node *n, struct ip ip)
{
	for (size_t i = 0; i < n->addresses.n; i++)
		if (ip_equal(n->addresses.v[i].addr, ip))
			return true;
	return false;
}

const struct tailcfg_node *netmap_node_by_ip(const struct netmap *m, struct ip ip)
{
	ip = ip_unmap(ip);
	if (node_has_ip(netmap_self(m), ip))
		return netmap_self(m);
	for (size_t i = 0; i < m->peers.n; i++)
		if (node_has_ip(netmap_peer(m, i), ip))
			return netmap_peer(m, i);
	return NULL;
}

const struct tailcfg_derp_map *netmap_derp(const struct netmap *m)
{
	return m->derp ? m->derp->v : NULL;
}

const struct tailcfg_derp_region *netmap_region(const struct netmap *m, int64_t id)
{
	const struct tailcfg_derp_map *derp = netmap_derp(m);

	for (size_t i = 0; derp && i < derp->regions.n; i++)
		if (derp->regions.v[i].id == id)
			return derp->regions.v[i].object;
	return NULL;
}

const struct tailcfg_dns *netmap_dns(const struct netmap *m)
{
	return m->dns ? m->dns->v : NULL;
}

size_t netmap_profile_count(const struct netmap *m)
{
	return m->profiles.n;
}

const struct tailcfg_user_profile *netmap_profile_at(const struct netmap *m, size_t i)
{
	return m->profiles.v[i]->v;
}

const struct tailcfg_user_profile *netmap_profile(const struct netmap *m, int64_t id)
{
	for (size_t i = 0; i < m->profiles.n; i++)
		if (netmap_profile_at(m, i)->id == id)
			return netmap_profile_at(m, i);
	return NULL;
}

struct bytes netmap_domain(const struct netmap *m)
{
	return m->domain ? m->domain->name : (struct bytes){ NULL, 0 };
}

struct bytes netmap_tka_head(const struct netmap *m)
{
	return m->tka ? m->tka->name : (struct bytes){ NULL, 0 };
}

struct bytes netmap_ssh_policy(const struct netmap *m)
{
	return m->ssh ? m->ssh->text : (struct bytes){ NULL, 0 };
}

static struct named_json named_at(const struct netmap_parts *a, size_t i)
{
	return (struct named_json){ a->v[i]->name, a->v[i]->text };
}

size_t netmap_filter_count(const struct netmap *m)
{
	return m->filters.n;
}

struct named_json netmap_filter(const struct netmap *m, size_t i)
{
	return named_at(&m->filters, i);
}

size_t netmap_message_count(const struct netmap *m)
{
	return m->messages.n;
}

struct named_json netmap_message(const struct netmap *m, size_t i)
{
	return named_at(&m->messages, i);
}

const struct text_list *netmap_health(const struct netmap *m)
{
	static const struct text_list none;

	return m->health ? &((const struct tailcfg_map_response *)m->health->v)->health : &none;
}

int64_t netmap_clock_offset_ns(const struct netmap *m)
{
	return m->clock_offset_ns;
}

bool netmap_node_has_cap(const struct tailcfg_node *n, const char *name)
{
	for (size_t i = 0; i < n->cap_map.n; i++)
		if (bytes_equal_str(n->cap_map.v[i].name, name))
			return true;
	return false;
}

bool netmap_node_is_expired(const struct netmap *m, const struct tailcfg_node *n, struct wall now)
{
	if (n->expired)
		return true;
	return n->key_expiry.ns && n->key_expiry.ns <= now.ns + m->clock_offset_ns;
}

struct bytes netmap_node_label(const struct tailcfg_node *n)
{
	struct bytes rest = n->name, label = { NULL, 0 };

	text_split(&rest, '.', &label);
	return label;
}

struct bytes netmap_node_suffix(const struct tailcfg_node *n)
{
	struct bytes rest = n->name, label;

	if (!text_split(&rest, '.', &label))
		return (struct bytes){ NULL, 0 };
	if (rest.n && rest.p[rest.n - 1] == '.')
		rest.n--;
	return rest;
}

static int64_t sooner(const struct netmap *m, const struct tailcfg_node *n, struct wall now,
		      int64_t best)
{
	int64_t at = n->key_expiry.ns - m->clock_offset_ns;

	return n->key_expiry.ns && at > now.ns && at < best ? at : best;
}

struct wall netmap_next_expiry(const struct netmap *m, struct wall now)
{
	int64_t best = sooner(m, netmap_self(m), now, INT64_MAX);

	for (size_t i = 0; i < m->peers.n; i++)
		best = sooner(m, netmap_peer(m, i), now, best);
	return (struct wall){ best };
}
