#include "app/control/fragment.h"

#include "app/control/access.h"
#include "app/control/ipam.h"
#include "app/control/model.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/tailcfg_node.h"

enum {
	HOST_TEXT_MAX = 256,
	HOST_KEY_MAX = 4096,
	SERVICES_MAX = 64,
	HOST_KEYS_MAX = 16,
	NODE_JSON_MAX = 1 << 20,
};

void fragment_unref(struct node_frag *f)
{
	if (f && !--f->refs)
		mem_free(f);
}

/* ---- host information ---- */

/* Nothing that needs an escape in JSON: there are readers that refuse the whole message for one. */
static struct bytes plain(struct bytes text, size_t max)
{
	if (text.n > max || !text_is_utf8(text))
		return (struct bytes){ 0 };
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] == '"' || text.p[i] == '\\' || text.p[i] == 0x7f)
			return (struct bytes){ 0 };
	return text;
}

static void plain_services(struct tailcfg_service_list *out, struct tailcfg_service_list in,
			   struct arena *arena)
{
	size_t n = in.n < SERVICES_MAX ? in.n : SERVICES_MAX;

	out->v = arena_array(arena, n + 1, sizeof(*out->v));
	for (size_t i = 0; out->v && i < n; i++) {
		struct tailcfg_service s = in.v[i];

		s.proto = plain(s.proto, 32);
		s.description = plain(s.description, HOST_TEXT_MAX);
		if (s.proto.n && s.port >= 0 && s.port <= 65535)
			out->v[out->n++] = s;
	}
}

static void plain_texts(struct text_list *out, struct text_list in, size_t max, struct arena *arena)
{
	size_t n = in.n < HOST_KEYS_MAX ? in.n : HOST_KEYS_MAX;

	out->v = arena_array(arena, n + 1, sizeof(*out->v));
	for (size_t i = 0; out->v && i < n; i++)
		if (plain(in.v[i], max).n)
			out->v[out->n++] = in.v[i];
}

void fragment_host(const struct tailcfg_hostinfo *h, struct arena *arena, struct buf *out)
{
	struct tailcfg_hostinfo p = {
		.ipn_version = plain(h->ipn_version, HOST_TEXT_MAX),
		.os = plain(h->os, HOST_TEXT_MAX),
		.os_version = plain(h->os_version, HOST_TEXT_MAX),
		.hostname = plain(h->hostname, HOST_TEXT_MAX),
		.app = plain(h->app, HOST_TEXT_MAX),
		.app_connector = h->app_connector,
		.shields_up = h->shields_up,
		.peer_relay = h->peer_relay,
		.ingress_enabled = h->ingress_enabled,
		.wire_ingress = h->wire_ingress,
	};
	struct tailcfg_location where;
	struct json_out o;

	plain_services(&p.services, h->services, arena);
	plain_texts(&p.ssh_host_keys, h->ssh_host_keys, HOST_KEY_MAX, arena);
	if (h->location) {
		where = *h->location;
		where.country = plain(where.country, HOST_TEXT_MAX);
		where.country_code = plain(where.country_code, HOST_TEXT_MAX);
		where.city = plain(where.city, HOST_TEXT_MAX);
		where.city_code = plain(where.city_code, HOST_TEXT_MAX);
		p.location = &where;
	}
	json_out_init(&o, out);
	schema_encode(&o, &tailcfg_hostinfo_schema, &p);
}

/* ---- nodes ---- */

struct parts { /* memory behind the lists of one tailcfg_node */
	struct prefix addresses[2];
	struct tailcfg_hostinfo host;
	char name[NAME_SIZE + 256];
	struct prefix *allowed;
	struct bytes *tags;
};

static void parts_fini(struct parts *p)
{
	mem_free(p->allowed);
	mem_free(p->tags);
}

static void fill_routes(struct tailcfg_node *out, struct parts *p,
			const struct access_routes *routes)
{
	size_t n = 2;

	if (!routes || !routes->n)
		return;
	p->allowed = mem_alloc((routes->n + 2) * sizeof(*p->allowed));
	memcpy(p->allowed, p->addresses, sizeof(p->addresses));
	for (size_t i = 0; i < routes->n; i++)
		p->allowed[n++] = routes->v[i];
	out->allowed_ips = (struct prefix_list){ p->allowed, n, true };
	if (routes->n_primary)
		out->primary_routes =
		    (struct prefix_list){ p->allowed + 2, routes->n_primary, true };
}

static void fill_tags(struct tailcfg_node *out, struct parts *p, const struct tn_node *n)
{
	if (!n->tags.n)
		return;
	p->tags = mem_alloc(n->tags.n * sizeof(*p->tags));
	for (size_t i = 0; i < n->tags.n; i++)
		p->tags[i] = bytes_str(n->tags.v[i]);
	out->tags = (struct text_list){ p->tags, n->tags.n, true };
}

static void fill(struct tailcfg_node *out, struct parts *p, const struct tn_node *n,
		 const struct access_routes *routes)
{
	/* Tagged nodes belong to no person and do not expire. */
	struct wall expiry = model_node_is_tagged(n) ? wall_from_s(0) : n->expiry;
	struct buf name;

	*p = (struct parts){ .addresses = { prefix_of(n->v4), prefix_of(n->v6) } };
	buf_init(&name, sizeof(p->name) - 1);
	(void)buf_printf(&name, "%s.%s.", n->name, n->tailnet->domain);
	memcpy(p->name, buf_cstr(&name), name.n + 1);
	buf_fini(&name);
	*out = (struct tailcfg_node){
		.id = n->id,
		.stable_id = bytes_str(n->stable_id),
		.name = bytes_str(p->name),
		.user = model_owner_id(n),
		.key = n->key,
		.key_expiry = expiry,
		.machine = n->machine,
		.disco_key = n->disco,
		.addresses = { p->addresses, 2, true },
		.allowed_ips = { p->addresses, 2, true },
		.endpoints = { n->endpoints, n->n_endpoints, false },
		.home_derp = n->home_derp,
		.created = n->created,
		.cap = n->cap,
		.online = n->online ? OPT_TRUE : OPT_FALSE,
		.last_seen = { n->last_seen.ns != 0, n->last_seen },
		.machine_authorized = n->authorized,
	};
	p->host.raw = n->host_public;
	if (n->host_public.n)
		out->hostinfo = &p->host;
	fill_routes(out, p, routes);
	fill_tags(out, p, n);
}

static void encode(const struct tailcfg_node *node, struct buf *out)
{
	struct json_out o;

	json_out_init(&o, out);
	schema_encode(&o, &tailcfg_node_schema, node);
}

static struct node_frag *frag_of(struct buf *text, uint64_t routes_hash)
{
	struct node_frag *f = mem_alloc(sizeof(*f) + text->n);

	f->refs = 1;
	f->routes_hash = routes_hash;
	f->n = text->n;
	memcpy(f->p, text->p, text->n);
	return f;
}

struct node_frag *fragment_peer(struct tn_node *n, const struct access_routes *routes,
				struct wall now)
{
	static const struct named_json exit_cap = { { (const uint8_t *)"suggest-exit-node", 17 },
						    { 0 } };
	uint64_t hash = routes ? routes->hash : 0;
	struct named_json caps[1] = { exit_cap };
	struct tailcfg_node node;
	struct parts parts;
	struct buf text;

	if (n->frag && n->frag->routes_hash == hash) {
		n->frag->refs++;
		return n->frag;
	}
	buf_init(&text, NODE_JSON_MAX);
	fill(&node, &parts, n, routes);
	node.expired = model_node_is_expired(n, now);
	if (n->online)
		node.last_seen = (struct opt_time){ true, { now.ns / 1000000000 * 1000000000 } };
	if (routes && routes->exit_node)
		node.cap_map = (struct named_json_list){ caps, 1, true };
	encode(&node, &text);
	parts_fini(&parts);
	fragment_unref(n->frag);
	n->frag = frag_of(&text, hash);
	buf_fini(&text);
	n->frag->refs++;
	return n->frag;
}

static void with_caps(struct bytes node_json, struct bytes caps, struct buf *out)
{
	/* The object's closing brace gives way to one more member. */
	(void)buf_append(out, bytes_of(node_json.p, node_json.n - 1));
	(void)buf_append_str(out, ",\"CapMap\":");
	(void)buf_append(out, caps);
	(void)buf_append_u8(out, '}');
}

void fragment_self(struct tn_node *n, const struct access_routes *routes, struct bytes caps,
		   int64_t viewer_cap, struct buf *out)
{
	struct tailcfg_node node;
	struct parts parts;
	struct buf text;

	(void)viewer_cap;
	buf_init(&text, NODE_JSON_MAX);
	fill(&node, &parts, n, routes);
	node.online = OPT_TRUE;
	node.last_seen = (struct opt_time){ 0 };
	encode(&node, &text);
	if (caps.n)
		with_caps(buf_bytes(&text), caps, out);
	else
		(void)buf_append(out, buf_bytes(&text));
	buf_fini(&text);
	parts_fini(&parts);
}

void fragment_deleted(const struct tn_node *n, struct wall now, struct buf *out)
{
	struct tailcfg_node node;
	struct parts parts;

	fill(&node, &parts, n, NULL);
	node.key_expiry = (struct wall){ now.ns - 60LL * 1000000000 };
	encode(&node, out);
	parts_fini(&parts);
}

void fragment_unknown(const struct key *key, const char *domain, struct wall now, struct buf *out)
{
	struct tn_node n = { .id = MODEL_TAGGED_USER, .stable_id = "deleted", .key = *key };
	struct tailnet t = { .domain = (char *)domain };

	n.tailnet = &t;
	n.authorized = true;
	n.v4 = ip_v4(100, 64, 0, 0); /* never given to a node */
	n.v6 = ipam_v6_of(n.v4);
	(void)memcpy(n.name, "deleted", sizeof("deleted"));
	fragment_deleted(&n, now, out);
}

bool fragment_patch(const struct tn_node *n, uint64_t rev, struct wall now, struct buf *out)
{
	struct tailcfg_peer_change c = { .node_id = n->id };
	struct json_out o;

	if (n->rev[PART_WHOLE] > rev || (n->rev[PART_DERP] > rev && !n->home_derp))
		return false;
	if (n->rev[PART_ENDPOINTS] > rev)
		c.endpoints = (struct addrport_list){ n->endpoints, n->n_endpoints, true };
	if (n->rev[PART_DERP] > rev)
		c.derp_region = n->home_derp;
	if (n->rev[PART_DISCO] > rev)
		c.disco_key = n->disco;
	if (n->rev[PART_KEY] > rev)
		c.key = n->key;
	if (n->rev[PART_EXPIRY] > rev)
		c.key_expiry = (struct opt_time){ true, n->expiry };
	if (n->rev[PART_CAP] > rev)
		c.cap = n->cap;
	/* A disco key travels with presence: without it clients may take the key for a stale one.
	 */
	if (n->rev[PART_ONLINE] > rev || n->rev[PART_DISCO] > rev) {
		c.online = n->online ? OPT_TRUE : OPT_FALSE;
		c.last_seen = (struct opt_time){ true, n->online ? now : n->last_seen };
		c.last_seen.at.ns -= c.last_seen.at.ns % 1000000000;
	}
	json_out_init(&o, out);
	schema_encode(&o, &tailcfg_peer_change_schema, &c);
	return true;
}
