/* Capability maps: of the node itself, and of a peer at the node. */
#include "engine/policy/state.h"

#include <stdlib.h>

#include "base/err.h"

enum { CAPS_MAX = 1 << 16 };

struct caps {
	struct filter_cap *v;
	size_t n, cap;
};

static void add(struct caps *c, struct bytes name, struct bytes values)
{
	mem_reserve(c->v, c->n, c->cap);
	c->v[c->n++] = (struct filter_cap){ name, values };
}

static void add_str(struct caps *c, const char *name, const char *values)
{
	add(c, bytes_str(name), values ? bytes_str(values) : (struct bytes){ 0 });
}

static bool user_is(const struct policy_state *s, const struct node *n, enum policy_role role)
{
	return n->user != NO_USER && s->p->users[n->user].role == role;
}

/* Tagged nodes count as the owner's where the owner may hand out all their tags. */
static bool owned_by_owner(const struct policy_state *s, const struct node *n)
{
	const struct policy *p = s->p;
	struct bytes bad;

	for (uint32_t i = 0; i < p->n_users && n->n.n_tags; i++)
		if (p->users[i].role == POLICY_OWNER)
			return policy_user_may_tag(p, p->users[i].id, n->n.tags, n->n.n_tags, &bad);
	return false;
}

static void add_baseline(const struct policy_state *s, const struct node *n, struct caps *c)
{
	static const char *const every[] = {
		"https://tailscale.com/cap/file-sharing",
		"https://tailscale.com/cap/ssh",
		"https://tailscale.com/cap/tailnet-lock",
		"probe-udp-lifetime",
		"ssh-behavior-v1",
		"ssh-env-vars",
		"store-appc-routes",
	};

	for (size_t i = 0; i < array_len(every); i++)
		add_str(c, every[i], NULL);
	add_str(c, "default-auto-update", s->p->dir.auto_update ? "[true]" : "[false]");
	if (user_is(s, n, POLICY_OWNER) || user_is(s, n, POLICY_ADMIN))
		add_str(c, "https://tailscale.com/cap/is-admin", NULL);
	if (user_is(s, n, POLICY_OWNER) || owned_by_owner(s, n))
		add_str(c, "https://tailscale.com/cap/is-owner", NULL);
	if (s->p->randomize)
		add_str(c, "randomize-client-port", NULL);
}

static bool is_mac(const struct node *n)
{
	for (size_t i = 0; i < n->n.n_attrs; i++)
		if (bytes_equal_str(n->n.attrs[i].name, "node:os"))
			return bytes_equal_str(n->n.attrs[i].text, "macos");
	return false;
}

static void add_entries(const struct policy_state *s, const struct node *n, struct caps *c)
{
	const struct policy *p = s->p;
	bool funnel = false;

	for (uint32_t i = 0; i < n->n_sels; i++) {
		const struct sel *sel = p->sels[n->sels[i].sel];

		for (uint32_t j = 0; j < sel->attrs.n && n->sels[i].how & HOW_ADDR; j++) {
			const struct attr_entry *e = &p->attrs[sel->attrs.v[j]];

			for (uint32_t k = 0; k < e->n_caps; k++)
				add(c, e->caps[k].name, e->caps[k].values);
			funnel |= e->funnel;
		}
	}
	if (funnel)
		add_str(c, "https://tailscale.com/cap/funnel-ports?ports=443,8443,10000", NULL);
	if (funnel && !p->dir.https)
		add_str(c, "https://tailscale.com/cap/warn-funnel-no-https", NULL);
	if (is_mac(n) && bytes_equal_str(p->one_cgnat, "mac-always"))
		add_str(c, "one-cgnat?v=true", NULL);
	if (is_mac(n) && bytes_equal_str(p->one_cgnat, "mac-never"))
		add_str(c, "one-cgnat?v=false", NULL);
}

static int by_name(const void *a, const void *b)
{
	const struct filter_cap *x = a, *y = b;
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
	int d = n ? memcmp(x->name.p, y->name.p, n) : 0;

	if (!d && x->name.n != y->name.n)
		d = x->name.n < y->name.n ? -1 : 1;
	if (!d && x->values.p != y->values.p) /* the same list twice lies at the same place */
		d = x->values.p < y->values.p ? -1 : 1;
	return d;
}

/* Two JSON arrays as one; both compact. */
static struct bytes join_values(struct arena *a, struct bytes x, struct bytes y)
{
	uint8_t *out;

	if (x.n <= 2)
		return y.n ? y : x;
	if (y.n <= 2)
		return x;
	out = arena_alloc(a, x.n + y.n - 1);
	if (!out)
		return x;
	memcpy(out, x.p, x.n - 1);
	out[x.n - 1] = ',';
	memcpy(out + x.n, y.p + 1, y.n - 1);
	return bytes_of(out, x.n + y.n - 1);
}

/* Sorts, joins equal names; once: the very same value list named twice counts once. */
static size_t merge(struct arena *a, struct caps *c, bool once)
{
	size_t kept = 0;

	if (!c->n)
		return 0;
	for (size_t i = 1; i < c->n; i++) {
		const struct bytes last = c->v[i - 1].values;
		struct filter_cap *k = &c->v[kept];

		if (!bytes_equal(k->name, c->v[i].name))
			c->v[++kept] = c->v[i];
		else if (!once || c->v[i].values.p != last.p)
			k->values = join_values(a, k->values, c->v[i].values);
	}
	return kept + 1;
}

static void sort_caps(struct caps *c)
{
	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), by_name);
}

static void publish(struct policy_caps *out, struct caps *c, bool once)
{
	struct filter_cap *v;
	size_t n = merge(&out->arena, c, once);

	v = arena_array(&out->arena, n, sizeof(*v));
	for (size_t i = 0; i < n && v; i++) {
		v[i].name = arena_bytes(&out->arena, c->v[i].name);
		v[i].values = c->v[i].values.n ? arena_bytes(&out->arena, c->v[i].values)
					       : (struct bytes){ 0 };
	}
	out->v = v;
	out->n = v ? n : 0;
	mem_free(c->v);
}

/* [{"svc:web": ["100.99.0.1", "fd7a:..."]}]: the addresses this host answers for. */
static void put_services(const struct policy *p, const struct node *n, struct json_out *o)
{
	char text[IP_TEXT_MAX];

	json_open_array(o);
	json_open_object(o);
	for (size_t i = 0; i < n->n.n_services; i++)
		for (size_t k = 0; k < p->dir.n_services; k++) {
			const struct policy_service *v = &p->dir.services[k];

			if (!bytes_equal(v->name, n->n.services[i]))
				continue;
			json_key_bytes(o, v->name);
			json_open_array(o);
			if (v->v4.family)
				json_put_cstr(o, ip_format(v->v4, text));
			if (v->v6.family)
				json_put_cstr(o, ip_format(v->v6, text));
			json_close_array(o);
		}
	json_close_object(o);
	json_close_array(o);
}

int policy_state_caps(struct policy_state *s, uint64_t id, struct policy_caps *out, struct err *err)
{
	const struct node *n = state_node(s, id);
	struct caps c = { 0 };
	struct json_out o;
	struct buf name, hosted;

	if (!n)
		return err_set(err, ERR_USAGE, "no node %llu", (unsigned long long)id);
	*out = (struct policy_caps){ 0 };
	arena_init(&out->arena, (size_t)1 << 28);
	add_baseline(s, n, &c);
	add_entries(s, n, &c);
	buf_init(&name, CAPS_MAX);
	json_out_init(&o, &name);
	json_open_array(&o);
	json_put_string(&o, s->p->dir.display_name);
	json_close_array(&o);
	if (s->p->dir.display_name.n)
		add(&c, bytes_str("tailnet-display-name"), buf_bytes(&name));
	buf_init(&hosted, CAPS_MAX);
	json_out_init(&o, &hosted);
	put_services(s->p, n, &o);
	if (n->n.n_services)
		add(&c, bytes_str("service-host"), buf_bytes(&hosted));
	sort_caps(&c);
	publish(out, &c, true);
	buf_fini(&hosted);
	buf_fini(&name);
	return 0;
}

void policy_caps_fini(struct policy_caps *c)
{
	arena_fini(&c->arena);
	*c = (struct policy_caps){ 0 };
}

void state_caps_sum(struct policy_state *s, const struct node *n, uint64_t out[2])
{
	struct policy_caps c = { 0 };

	if (policy_state_caps(s, n->n.id, &c, NULL) < 0)
		return;
	for (size_t i = 0; i < c.n; i++) {
		uint64_t one[4] = { 0 };

		content_add(one, c.v[i].name.p, c.v[i].name.n);
		content_add(one + 2, c.v[i].values.p, c.v[i].values.n);
		content_add(out, one, sizeof(one));
	}
	policy_caps_fini(&c);
}

/* ---- what a peer may do here ---- */

static bool text_has(const char *text, struct ip ip)
{
	struct ip_range r;
	struct prefix p;

	if (strcmp(text, "*") == 0)
		return true;
	if (policy_address(bytes_str(text), &p))
		return prefix_contains(p, ip);
	return range_parse(&r, bytes_str(text)) && range_contains(r, ip);
}

static bool rule_joins(const struct filter_rule *r, const struct filter_cap_grant *g,
		       struct ip from, struct ip to)
{
	bool src = false, dst = false;

	if (!from.family || !to.family)
		return false;
	for (size_t i = 0; i < r->n_srcs && !src; i++)
		src = text_has(r->srcs[i], from);
	for (size_t i = 0; i < g->n_dsts && src && !dst; i++)
		dst = prefix_contains(g->dsts[i], to);
	return dst;
}

int policy_state_peer_caps(struct policy_state *s, uint64_t id, uint64_t src,
			   struct policy_caps *out, struct err *err)
{
	const struct node *n = state_node(s, id), *from = state_node(s, src);
	struct policy_filter f = { 0 };
	struct caps c = { 0 };
	struct caps all = { 0 };

	if (!n || !from)
		return err_set(err, ERR_USAGE, "no node %llu", (unsigned long long)(n ? src : id));
	if (policy_state_filter(s, id, &f, err) < 0)
		return -1;
	*out = (struct policy_caps){ 0 };
	arena_init(&out->arena, (size_t)1 << 28);
	for (size_t i = 0; i < f.n; i++)
		for (size_t j = 0; j < f.rules[i].n_grants; j++) {
			const struct filter_cap_grant *g = &f.rules[i].grants[j];

			if (!rule_joins(&f.rules[i], g, from->n.v4, n->n.v4) &&
			    !rule_joins(&f.rules[i], g, from->n.v6, n->n.v6))
				continue;
			for (size_t k = 0; k < g->n_caps; k++)
				add(&all, g->caps[k].name, g->caps[k].values);
		}
	for (size_t i = 0; i < all.n; i++) { /* in rule order within a name, so no sorting by it */
		size_t at = 0;

		while (at < c.n && !bytes_equal(c.v[at].name, all.v[i].name))
			at++;
		if (at == c.n)
			add(&c, all.v[i].name, all.v[i].values);
		else
			c.v[at].values = join_values(&out->arena, c.v[at].values, all.v[i].values);
	}
	mem_free(all.v);
	sort_caps(&c);
	publish(out, &c, false);
	policy_filter_fini(&f);
	return 0;
}
