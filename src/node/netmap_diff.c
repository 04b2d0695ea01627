/* node/netmap_diff.c - what changed between two snapshots; and a snapshot as one frame. */
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/netmap_map.h"

static bool prefixes_equal(const struct prefix_list *a, const struct prefix_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!prefix_equal(a->v[i], b->v[i]))
			return false;
	return true;
}

static bool endpoints_equal(const struct addrport_list *a, const struct addrport_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!addrport_equal(a->v[i], b->v[i]))
			return false;
	return true;
}

static bool caps_equal(const struct tailcfg_node *a, const struct tailcfg_node *b)
{
	if (a->cap_map.n != b->cap_map.n || a->is_jailed != b->is_jailed ||
	    !ip_equal(a->self_node_v4_masq_addr_for_this_peer,
		      b->self_node_v4_masq_addr_for_this_peer) ||
	    !ip_equal(a->self_node_v6_masq_addr_for_this_peer,
		      b->self_node_v6_masq_addr_for_this_peer))
		return false;
	for (size_t i = 0; i < a->cap_map.n; i++)
		if (!bytes_equal(a->cap_map.v[i].name, b->cap_map.v[i].name) ||
		    !bytes_equal(a->cap_map.v[i].json, b->cap_map.v[i].json))
			return false;
	return true;
}

static unsigned node_changes(const struct netmap_part *pa, const struct netmap_part *pb)
{
	const struct tailcfg_node *a = pa->v, *b = pb->v;
	unsigned what = 0;

	if (pa == pb || bytes_equal(pa->text, pb->text))
		return 0;
	if (!key_equal(&a->key, &b->key))
		what |= NETMAP_KEY;
	if (!key_equal(&a->disco_key, &b->disco_key))
		what |= NETMAP_DISCO;
	if (!endpoints_equal(&a->endpoints, &b->endpoints))
		what |= NETMAP_ENDPOINTS;
	if (a->home_derp != b->home_derp)
		what |= NETMAP_HOME;
	if (!prefixes_equal(&a->allowed_ips, &b->allowed_ips) ||
	    !prefixes_equal(&a->addresses, &b->addresses))
		what |= NETMAP_ALLOWED;
	if (a->online != b->online)
		what |= NETMAP_ONLINE;
	if (a->key_expiry.ns != b->key_expiry.ns || a->expired != b->expired)
		what |= NETMAP_EXPIRY;
	if (!caps_equal(a, b))
		what |= NETMAP_CAPS;
	return what ? what : NETMAP_OTHER;
}

static void add_peer(struct netmap_diff *d, size_t *cap, const struct netmap_part *before,
		     const struct netmap_part *after, unsigned what)
{
	mem_reserve(d->peers, d->peer_count, *cap);
	d->peers[d->peer_count++] =
	    (struct netmap_peer_diff){ before ? before->v : NULL, after ? after->v : NULL, what };
}

static int64_t part_id(const struct netmap_part *p)
{
	return ((const struct tailcfg_node *)p->v)->id;
}

/* Both are sorted by ID: one walk. */
static void diff_peers(const struct netmap_parts *a, const struct netmap_parts *b,
		       struct netmap_diff *d)
{
	size_t i = 0, j = 0, cap = 0;

	while (i < a->n || j < b->n) {
		bool take_a = j == b->n || (i < a->n && part_id(a->v[i]) <= part_id(b->v[j]));
		bool take_b = i == a->n || (j < b->n && part_id(b->v[j]) <= part_id(a->v[i]));

		if (take_a && take_b) {
			unsigned what = node_changes(a->v[i], b->v[j]);

			if (what)
				add_peer(d, &cap, a->v[i], b->v[j], what);
		} else {
			add_peer(d, &cap, take_a ? a->v[i] : NULL, take_b ? b->v[j] : NULL, 0);
		}
		i += take_a;
		j += take_b;
	}
}

void netmap_diff(const struct netmap *before, const struct netmap *after, struct netmap_diff *d)
{
	static const struct netmap nothing;

	*d = (struct netmap_diff){ 0 };
	d->self = before ? node_changes(before->self, after->self) : ~0u;
	if (!before)
		before = &nothing;
	diff_peers(&before->peers, &after->peers, d);
	d->filter = before == &nothing || !netmap_parts_equal(&before->filters, &after->filters);
	d->derp = !netmap_part_equal(before->derp, after->derp);
	d->dns = !netmap_part_equal(before->dns, after->dns);
	d->profiles = !netmap_parts_equal(&before->profiles, &after->profiles);
	d->domain = !netmap_part_equal(before->domain, after->domain);
	d->ssh = !netmap_part_equal(before->ssh, after->ssh);
	d->tka = !netmap_part_equal(before->tka, after->tka);
	d->messages = !netmap_parts_equal(&before->messages, &after->messages) ||
		      !netmap_part_equal(before->health, after->health);
}

void netmap_diff_fini(struct netmap_diff *d)
{
	mem_free(d->peers);
	*d = (struct netmap_diff){ 0 };
}

/* ---- the cache ---- */

static void *flat_copy(const struct netmap_parts *a, size_t size)
{
	uint8_t *v = mem_alloc((a->n + 1) * size);

	for (size_t i = 0; i < a->n; i++)
		memcpy(v + i * size, a->v[i]->v, size);
	return v;
}

static struct named_json *named_copy(const struct netmap_parts *a)
{
	struct named_json *v = mem_alloc((a->n + 1) * sizeof(*v));

	for (size_t i = 0; i < a->n; i++)
		v[i] = (struct named_json){ a->v[i]->name, a->v[i]->text };
	return v;
}

bool netmap_encode(const struct netmap *m, struct buf *out)
{
	struct tailcfg_tka_info tka = { .head = netmap_tka_head(m) };
	struct tailcfg_map_response f = {
		.node = m->self->v,
		.derp_map = m->derp ? m->derp->v : NULL,
		.dns_config = m->dns ? m->dns->v : NULL,
		.domain = netmap_domain(m),
		.ssh_policy = netmap_ssh_policy(m),
		.tka_info = tka.head.n ? &tka : NULL,
		.peers = { flat_copy(&m->peers, sizeof(struct tailcfg_node)), m->peers.n, true },
		.user_profiles = { flat_copy(&m->profiles, sizeof(struct tailcfg_user_profile)),
				   m->profiles.n, true },
		.packet_filters = { named_copy(&m->filters), m->filters.n, true },
		.display_messages = { named_copy(&m->messages), m->messages.n, true },
		.health = *netmap_health(m),
	};
	struct json_out o;

	json_out_init(&o, out);
	schema_encode(&o, &tailcfg_map_response_schema, &f);
	mem_free(f.peers.v);
	mem_free(f.user_profiles.v);
	mem_free(f.packet_filters.v);
	mem_free(f.display_messages.v);
	return !out->bad;
}

struct netmap *netmap_decode(struct bytes json, struct wall now, struct err *err)
{
	struct tailcfg_map_response f = { 0 };
	struct netmap *m = NULL;
	struct arena arena;

	arena_init(&arena, json.n * 24 + (64 << 10));
	if (schema_decode(&f, &tailcfg_map_response_schema, &arena, json, err) == 0)
		m = netmap_apply(NULL, true, &f, now, err);
	arena_fini(&arena);
	return m;
}
