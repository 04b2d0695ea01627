#include "app/control/mapview.h"

#include <stdlib.h>

#include "app/control/access.h"
#include "app/control/fragment.h"
#include "app/control/model.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "wire/tailcfg_dns.h"
#include "wire/tailcfg_node.h"

enum { FRAME_MAX = 256 << 20, PART_MAX = 64 << 20, DUE_MAX = 4096 };

uint64_t mapview_hash(struct bytes b)
{
	static const uint64_t seed[2] = { 0x7765667420636f6eULL, 0x74726f6c206d6170ULL };
	uint64_t h = map_hash(seed, b);

	return h ? h : 1; /* 0 means: nothing was sent yet */
}

void mapview_init(struct mapview *v, struct tn_node *node, int64_t cap)
{
	*v = (struct mapview){ .node = node, .cap = cap };
}

void mapview_fini(struct mapview *v)
{
	for (size_t i = 0; i < v->n_peers; i++)
		access_routes_unref(v->peers[i].routes);
	mem_free(v->peers);
	mem_free(v->profiles);
	mem_free(v->due);
	filterparts_fini(&v->filter);
	*v = (struct mapview){ 0 };
}

void mapview_peer_due(struct mapview *v, int64_t id)
{
	if (v->access_due || (v->n_due && v->due[v->n_due - 1] == id))
		return;
	if (v->n_due == DUE_MAX) {
		v->access_due = true; /* all peers are compared */
		v->n_due = 0;
		return;
	}
	mem_reserve(v->due, v->n_due, v->cap_due);
	v->due[v->n_due++] = id;
}

/* ---- the parts of one frame ---- */

struct frame {
	struct mapview *v;
	const struct mapview_world *w;
	struct buf whole, patches, removed, profiles; /* array elements, with commas between */
	struct json_out o;
	bool first, any;
};

static void frame_init(struct frame *f, struct mapview *v, const struct mapview_world *w,
		       struct buf *out)
{
	*f = (struct frame){ .v = v, .w = w, .first = !v->started, .any = !v->started };
	buf_init(&f->whole, FRAME_MAX);
	buf_init(&f->patches, PART_MAX);
	buf_init(&f->removed, PART_MAX);
	buf_init(&f->profiles, PART_MAX);
	json_out_init(&f->o, out);
}

static void frame_fini(struct frame *f)
{
	buf_fini(&f->whole);
	buf_fini(&f->patches);
	buf_fini(&f->removed);
	buf_fini(&f->profiles);
}

static void comma(struct buf *b)
{
	if (b->n)
		(void)buf_append_u8(b, ',');
}

static void put_array(struct frame *f, const char *name, const struct buf *elements)
{
	if (!elements->n)
		return; /* never an empty list: readers differ in what it means */
	f->any = true;
	json_key(&f->o, name);
	json_open_array(&f->o);
	json_put_raw(&f->o, buf_bytes(elements));
	json_close_array(&f->o);
}

static void put_json(struct frame *f, const char *name, struct bytes json)
{
	f->any = true;
	json_key(&f->o, name);
	json_put_raw(&f->o, json);
}

/* ---- user profiles ---- */

static bool profile_is_due(struct mapview *v, int64_t id, uint64_t rev)
{
	for (size_t i = 0; i < v->n_profiles; i++)
		if (v->profiles[i].id == id) {
			bool due = v->profiles[i].rev != rev;

			v->profiles[i].rev = rev;
			return due;
		}
	mem_reserve(v->profiles, v->n_profiles, v->cap_profiles);
	v->profiles[v->n_profiles++] = (struct mapview_profile){ id, rev };
	return true;
}

static void put_profile(struct frame *f, int64_t id, const char *login, const char *name,
			const char *picture)
{
	struct tailcfg_user_profile p = { .id = id,
					  .login_name = bytes_str(login),
					  .display_name = bytes_str(name),
					  .profile_pic_url = bytes_str(picture) };
	struct json_out o;

	comma(&f->profiles);
	json_out_init(&o, &f->profiles);
	schema_encode(&o, &tailcfg_user_profile_schema, &p);
}

static const char *picture_of(const struct tn_user *u)
{
	return u->identity ? u->identity->picture : "";
}

static void want_profile(struct frame *f, const struct tn_node *n)
{
	if (model_owner_id(n) == MODEL_TAGGED_USER) {
		if (profile_is_due(f->v, MODEL_TAGGED_USER, 1))
			put_profile(f, MODEL_TAGGED_USER, "tagged-devices", "Tagged Devices", "");
	} else if (profile_is_due(f->v, n->user->id, n->user->rev)) {
		put_profile(f, n->user->id, n->user->login, n->user->name, picture_of(n->user));
	}
}

static void refresh_profiles(struct frame *f)
{
	struct tailnet *t = f->v->node->tailnet;

	for (size_t i = 0; i < f->v->n_profiles; i++) {
		struct tn_user *u = model_user_by_id(t, f->v->profiles[i].id);

		if (u && profile_is_due(f->v, u->id, u->rev))
			put_profile(f, u->id, u->login, u->name, picture_of(u));
	}
}

/* ---- peers ---- */

static bool put_patch(struct frame *f, struct mapview_peer *p, struct tn_node *n)
{
	size_t mark = f->patches.n;

	comma(&f->patches);
	if (!fragment_patch(n, p->rev, f->w->now, &f->patches)) {
		f->patches.n = mark;
		return false;
	}
	p->rev = n->rev_last;
	return true;
}

static void put_peer(struct frame *f, struct mapview_peer *p, struct tn_node *n)
{
	struct node_frag *frag;

	if (n->rev_last <= p->rev || (p->rev && put_patch(f, p, n)))
		return;
	frag = fragment_peer(n, p->routes, f->w->now);
	comma(&f->whole);
	(void)buf_append(&f->whole, bytes_of(frag->p, frag->n));
	fragment_unref(frag);
	want_profile(f, n);
	p->rev = n->rev_last;
}

static void forget_peer(struct frame *f, const struct mapview_peer *p)
{
	comma(&f->removed);
	(void)buf_printf(&f->removed, "%lld", (long long)p->id);
	access_routes_unref(p->routes);
}

static struct mapview_peer carry_over(const struct mapview_peer *old, const struct access_peer *now)
{
	struct mapview_peer p = *old;
	uint64_t was = old->routes ? old->routes->hash : 0,
		 is = now->routes ? now->routes->hash : 0;

	if (was != is)
		p.rev = 0;
	p.routes = access_routes_ref(now->routes);
	access_routes_unref(old->routes);
	return p;
}

/* Both lists ascend by id: one walk finds who came, who stayed and who left. */
static void put_all_peers(struct frame *f, const struct access_peers *now)
{
	struct mapview *v = f->v;
	struct mapview_peer *next = mem_alloc((now->n + 1) * sizeof(*next));
	size_t old = 0;

	for (size_t i = 0; i < now->n; i++) {
		struct tn_node *n = now->v[i].node;

		while (old < v->n_peers && v->peers[old].id < n->id)
			forget_peer(f, &v->peers[old++]);
		if (old < v->n_peers && v->peers[old].id == n->id)
			next[i] = carry_over(&v->peers[old++], &now->v[i]);
		else
			next[i] =
			    (struct mapview_peer){ n->id, 0, access_routes_ref(now->v[i].routes) };
		put_peer(f, &next[i], n);
	}
	while (old < v->n_peers)
		forget_peer(f, &v->peers[old++]);
	mem_free(v->peers);
	v->peers = next;
	v->n_peers = v->cap_peers = now->n;
}

/* Where id is, or belongs. */
static size_t place_of(const struct mapview *v, int64_t id)
{
	size_t low = 0, high = v->n_peers;

	if (v->n_peers && v->peers[v->n_peers - 1].id < id)
		return v->n_peers;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (v->peers[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct mapview_peer *find_peer(const struct mapview *v, int64_t id)
{
	size_t at = place_of(v, id);

	return at < v->n_peers && v->peers[at].id == id ? &v->peers[at] : NULL;
}

static void put_due_peer(struct frame *f, const struct access_peers *now, int64_t id)
{
	const struct access_peer *is = model_find_peer(now, id);
	struct mapview *v = f->v;
	size_t at = place_of(v, id);
	bool was = at < v->n_peers && v->peers[at].id == id;

	if (is && was) {
		v->peers[at] = carry_over(&v->peers[at], is);
	} else if (is) {
		mem_reserve(v->peers, v->n_peers, v->cap_peers);
		memmove(&v->peers[at + 1], &v->peers[at], (v->n_peers - at) * sizeof(*v->peers));
		v->peers[at] = (struct mapview_peer){ id, 0, access_routes_ref(is->routes) };
		v->n_peers++;
	} else if (was) {
		forget_peer(f, &v->peers[at]);
		v->n_peers--;
		memmove(&v->peers[at], &v->peers[at + 1], (v->n_peers - at) * sizeof(*v->peers));
	}
	if (is)
		put_peer(f, &v->peers[at], is->node);
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void put_peers(struct frame *f)
{
	struct mapview *v = f->v;

	if (v->access_due || f->first) {
		put_all_peers(f, model_peers(v->node));
	} else if (v->n_due) {
		const struct access_peers *now = model_peers(v->node);

		qsort(v->due, v->n_due, sizeof(*v->due), ascending);
		for (size_t i = 0; i < v->n_due; i++)
			put_due_peer(f, now, v->due[i]);
	}
	v->n_due = 0;
	put_array(f, f->first ? "Peers" : "PeersChanged", &f->whole);
	put_array(f, "PeersRemoved", &f->removed);
	put_array(f, "PeersChangedPatch", &f->patches);
}

/* ---- the rest ---- */

static void put_if_new(struct frame *f, const char *name, struct bytes json, uint64_t *seen)
{
	uint64_t h = mapview_hash(json);

	if (*seen != h && json.n)
		put_json(f, name, json);
	*seen = h;
}

static void put_self(struct frame *f)
{
	struct mapview *v = f->v;
	struct buf caps, self;

	buf_init(&caps, PART_MAX);
	buf_init(&self, PART_MAX);
	access_caps(v->node, &caps);
	fragment_self(v->node, model_peers(v->node)->self, buf_bytes(&caps), v->cap, &self);
	if (f->first)
		v->self_hash = 0;
	put_if_new(f, "Node", buf_bytes(&self), &v->self_hash);
	want_profile(f, v->node);
	buf_fini(&caps);
	buf_fini(&self);
}

static void put_dns(struct frame *f)
{
	const struct tailnet *t = f->v->node->tailnet;
	struct named_json route[65] = { 0 };
	struct bytes domain[17] = { bytes_str(t->domain) };
	struct tailcfg_dns dns = { 0 };
	struct arena arena;
	struct json_out o;
	struct buf text;
	size_t n = 1;

	arena_init(&arena, 4 << 20);
	buf_init(&text, PART_MAX);
	if (t->dns && schema_decode(&dns, &tailcfg_dns_schema, &arena, bytes_str(t->dns), NULL) < 0)
		dns = (struct tailcfg_dns){ 0 };
	for (size_t i = 0; i < dns.domains.n && n < array_len(domain); i++)
		domain[n++] = dns.domains.v[i];
	dns.domains = (struct text_list){ domain, n, true };
	route[0] = (struct named_json){ bytes_str(t->domain), { 0 } };
	n = 1;
	for (size_t i = 0; i < dns.routes.n && n < array_len(route); i++)
		route[n++] = dns.routes.v[i];
	dns.routes = (struct named_json_list){ route, n, true };
	dns.proxied = true;
	json_out_init(&o, &text);
	schema_encode(&o, &tailcfg_dns_schema, &dns);
	put_if_new(f, "DNSConfig", buf_bytes(&text), &f->v->dns_hash);
	buf_fini(&text);
	arena_fini(&arena);
}

static void put_rules(struct frame *f)
{
	struct buf text;

	buf_init(&text, PART_MAX);
	access_filter(f->v->node, &f->v->filter, &text);
	if (text.n) {
		f->any = true;
		json_key(&f->o, "PacketFilters");
		json_open_object(&f->o);
		json_put_raw(&f->o, buf_bytes(&text));
		json_close_object(&f->o);
	}
	buf_clear(&text);
	access_ssh(f->v->node, f->w->base_url, &text);
	if (!text.n && f->v->ssh_hash > 1) /* there was one: take it back */
		(void)buf_append_str(&text, "{\"rules\":[]}");
	if (text.n)
		put_if_new(f, "SSHPolicy", buf_bytes(&text), &f->v->ssh_hash);
	buf_fini(&text);
}

static void put_first(struct frame *f)
{
	const struct tailnet *t = f->v->node->tailnet;
	char at[WALL_TEXT_MAX];

	json_key(&f->o, "Domain");
	json_put_cstr(&f->o, t->domain);
	json_key(&f->o, "CollectServices");
	json_put_bool(&f->o, false);
	json_key(&f->o, "ControlTime");
	json_put_cstr(&f->o, wall_format(f->w->now, at));
}

bool mapview_next(struct mapview *v, const struct mapview_world *w, bool with_peers,
		  struct buf *out)
{
	struct frame f;

	frame_init(&f, v, w, out);
	json_open_object(&f.o);
	if (f.first || v->self_due || v->access_due)
		put_self(&f);
	if (f.first || v->derp_due)
		put_if_new(&f, "DERPMap", w->derp_map, &v->derp_hash);
	if (with_peers)
		put_peers(&f);
	if (f.first || v->dns_due)
		put_dns(&f);
	if (f.first || v->access_due || v->rules_due)
		put_rules(&f);
	if (v->profiles_due)
		refresh_profiles(&f);
	put_array(&f, "UserProfiles", &f.profiles);
	if (f.first)
		put_first(&f);
	json_close_object(&f.o);
	v->started = true;
	v->self_due = v->access_due = v->rules_due = v->derp_due = v->dns_due = v->profiles_due =
	    false;
	frame_fini(&f);
	return f.any;
}

bool mapview_urgent(struct mapview *v, const struct mapview_world *w, struct buf *out)
{
	struct frame f;

	if (!v->started)
		return false;
	frame_init(&f, v, w, out);
	json_open_object(&f.o);
	for (size_t i = 0; i < v->n_due; i++) {
		struct mapview_peer *p = find_peer(v, v->due[i]);
		struct tn_node *n = p ? model_node_by_id(v->node->tailnet, p->id) : NULL;

		if (n && p->rev && model_is_urgent(n, p->rev))
			(void)put_patch(&f, p, n);
	}
	put_array(&f, "PeersChangedPatch", &f.patches);
	json_close_object(&f.o);
	frame_fini(&f);
	return f.any;
}

void mapview_goodbye(const struct mapview *v, const struct mapview_world *w, struct buf *out)
{
	(void)buf_append_str(out, "{\"Node\":");
	fragment_deleted(v->node, w->now, out);
	(void)buf_append_str(out, "}");
	(void)v;
}
