#include "app/control/hostinfo.h"

#include <stdlib.h>

#include "app/control/fragment.h"
#include "app/control/mapview.h"
#include "app/control/model.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/tailcfg_map.h"

enum { ENDPOINTS_MAX = 64, ROUTES_MAX = 512, DERP_REGION_MAX = 65535 };

static void own(struct bytes *at, struct bytes text)
{
	uint8_t *copy = mem_alloc(text.n + 1);

	if (text.n)
		memcpy(copy, text.p, text.n);
	mem_free((void *)at->p);
	*at = bytes_of(copy, text.n);
}

static bool own_if_new(struct bytes *at, struct bytes text)
{
	if (bytes_equal(*at, text))
		return false;
	own(at, text);
	return true;
}

/* The report as JSON, with the NetInfo of old where it has none. */
static void merged_text(const struct tailcfg_hostinfo *h, struct bytes old, struct arena *arena,
			struct buf *out)
{
	struct tailcfg_hostinfo before;
	struct json_out o;

	if (!h->netinfo && old.n &&
	    schema_decode(&before, &tailcfg_hostinfo_schema, arena, old, NULL) == 0 &&
	    before.netinfo && h->raw.n > 2 && h->raw.p[1] == '"') {
		(void)buf_append(out, bytes_of(h->raw.p, h->raw.n - 1));
		(void)buf_append_str(out, ",\"NetInfo\":");
		json_out_init(&o, out);
		schema_encode(&o, &tailcfg_netinfo_schema, before.netinfo);
		(void)buf_append_u8(out, '}');
		return;
	}
	(void)buf_append(out, h->raw);
}

static void take_public(struct model *m, struct tn_node *n, const struct tailcfg_hostinfo *h,
			struct arena *arena, struct hostinfo_change *change)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	fragment_host(h, arena, &text);
	if (own_if_new(&n->host_public, buf_bytes(&text)) && m) {
		model_touch(m, n, PART_WHOLE);
		change->seen = true;
	}
	buf_fini(&text);
}

static void take_name(struct model *m, struct tn_node *n, const struct tailcfg_hostinfo *h,
		      struct hostinfo_change *change)
{
	char name[NAME_SIZE];

	if (n->name_fixed || !h->hostname.n)
		return;
	model_free_name(n->tailnet, n, h->hostname, name);
	if (strcmp(name, n->name) == 0)
		return;
	model_rename(n, name);
	model_touch(m, n, PART_WHOLE);
	change->seen = change->stored = true;
}

static void take_routes(struct tn_node *n, const struct tailcfg_hostinfo *h,
			struct hostinfo_change *change)
{
	size_t count = h->routable_ips.n < ROUTES_MAX ? h->routable_ips.n : ROUTES_MAX;

	if (prefix_set_assign(&n->advertised, h->routable_ips.v, count))
		change->routes = change->stored = true;
}

static void take_derp(struct model *m, struct tn_node *n, const struct tailcfg_hostinfo *h,
		      struct hostinfo_change *change)
{
	int64_t home = h->netinfo ? h->netinfo->preferred_derp : 0;

	if (home <= 0 || home > DERP_REGION_MAX || home == n->home_derp)
		return;
	n->home_derp = home;
	model_touch(m, n, PART_DERP);
	change->seen = change->stored = true;
}

void hostinfo_apply(struct model *m, struct tn_node *n, const struct tailcfg_hostinfo *h,
		    struct hostinfo_change *change)
{
	struct arena arena;
	struct buf text;

	if (!h || !h->raw.n || h->raw.n > HOSTINFO_MAX)
		return;
	arena_init(&arena, 8 << 20);
	buf_init(&text, 2 * HOSTINFO_MAX);
	merged_text(h, n->hostinfo, &arena, &text);
	if (!text.bad && own_if_new(&n->hostinfo, buf_bytes(&text)))
		change->stored = true;
	take_public(m, n, h, &arena, change);
	take_name(m, n, h, change);
	take_routes(n, h, change);
	take_derp(m, n, h, change);
	buf_fini(&text);
	arena_fini(&arena);
}

void hostinfo_restore(struct tn_node *n)
{
	struct hostinfo_change change = { 0 };
	struct tailcfg_hostinfo h;
	struct arena arena;

	arena_init(&arena, 8 << 20);
	if (n->hostinfo.n &&
	    schema_decode(&h, &tailcfg_hostinfo_schema, &arena, n->hostinfo, NULL) == 0)
		take_public(NULL, n, &h, &arena, &change);
	arena_fini(&arena);
}

/* ---- endpoints ---- */

static bool is_usable(struct addrport a)
{
	return ip_is_valid(a.ip) && a.port && !ip_is_unspecified(a.ip) && !ip_is_multicast(a.ip) &&
	       !(a.ip.family == 6 && ip_is_link_local(a.ip));
}

static bool take_endpoints(struct tn_node *n, struct addrport_list list)
{
	struct addrport next[ENDPOINTS_MAX];
	size_t count = 0;
	bool same;

	for (size_t i = 0; i < list.n && count < ENDPOINTS_MAX; i++)
		if (is_usable(list.v[i]))
			next[count++] = list.v[i];
	same = count == n->n_endpoints;
	for (size_t i = 0; same && i < count; i++)
		same = addrport_equal(next[i], n->endpoints[i]);
	if (same)
		return false;
	mem_free(n->endpoints);
	n->endpoints = mem_alloc((count + 1) * sizeof(*next));
	memcpy(n->endpoints, next, count * sizeof(*next));
	n->n_endpoints = count;
	return true;
}

static void seen_change(struct model *m, struct tn_node *n, enum node_part part,
			struct hostinfo_change *change)
{
	model_touch(m, n, part);
	change->seen = change->stored = true;
}

void hostinfo_apply_update(struct model *m, struct tn_node *n, const struct tailcfg_map_request *r,
			   struct hostinfo_change *change)
{
	if (r->version != n->cap) {
		n->cap = r->version;
		seen_change(m, n, PART_CAP, change);
	}
	/* Tools send a zero key: that is no news. */
	if (!key_is_zero(&r->disco_key) && !key_equal(&r->disco_key, &n->disco)) {
		n->disco = r->disco_key;
		seen_change(m, n, PART_DISCO, change);
	}
	if (take_endpoints(n, r->endpoints))
		seen_change(m, n, PART_ENDPOINTS, change);
	hostinfo_apply(m, n, r->hostinfo, change);
}
