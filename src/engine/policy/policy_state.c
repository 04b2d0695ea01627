/* Nodes come, change and go; selectors, classes and subnets learn of it. */
#include "engine/policy/state.h"

#include <stdlib.h>

#include "base/err.h"

static struct bytes id_key(const void *item)
{
	return bytes_of(&((const struct node *)item)->n.id, sizeof(uint64_t));
}

static struct bytes v4_key(const void *item)
{
	return bytes_of(((const struct node *)item)->n.v4.b, 4);
}

static struct bytes v6_key(const void *item)
{
	return bytes_of(((const struct node *)item)->n.v6.b, 16);
}

static struct bytes subnet_key(const void *item)
{
	return bytes_of(((const struct subnet *)item)->key, 18);
}

static void make_key(struct prefix p, uint8_t key[18])
{
	key[0] = p.addr.family;
	key[1] = p.len;
	memcpy(key + 2, p.addr.b, 16);
}

struct subnet *state_subnet(const struct policy_state *s, struct prefix p)
{
	uint8_t key[18];

	make_key(prefix_masked(p), key);
	return map_get(&s->subnets, bytes_of(key, sizeof(key)));
}

struct policy_state *policy_state_create(struct policy *p)
{
	struct policy_state *s = mem_alloc(sizeof(*s));

	s->p = policy_ref(p);
	map_init(&s->by_id, id_key, NULL);
	map_init(&s->by_v4, v4_key, NULL);
	map_init(&s->by_v6, v6_key, NULL);
	map_init(&s->subnets, subnet_key, NULL);
	s->members = mem_resize(NULL, p->n_sels + 1, sizeof(*s->members));
	memset(s->members, 0, (p->n_sels + 1) * sizeof(*s->members));
	s->classes = mem_alloc((p->n_classes + 1) * sizeof(*s->classes));
	s->user_nodes = mem_alloc((p->n_users + 1) * sizeof(*s->user_nodes));
	s->selves = mem_alloc((p->n_users + 1) * sizeof(*s->selves));
	s->sel_stamp = mem_alloc((p->n_sels + 1) * sizeof(uint32_t));
	s->sel_at = mem_alloc((p->n_sels + 1) * sizeof(uint32_t));
	s->sel_how = mem_alloc(p->n_sels + 1);
	s->cls_stamp = mem_alloc((p->n_classes + 1) * sizeof(uint32_t));
	s->cls_at = mem_alloc((p->n_classes + 1) * sizeof(uint32_t));
	s->cls_hit = mem_alloc((p->n_classes + 1) * sizeof(*s->cls_hit));
	return s;
}

static void free_node(struct node *n)
{
	if (!n)
		return;
	mem_free(n->blob);
	mem_free(n->subnets);
	mem_free(n->sels);
	mem_free(n->postures);
	mem_free(n);
}

static void free_subnet(struct subnet *n)
{
	mem_free(n->nodes.v);
	mem_free(n->sels);
	mem_free(n);
}

void srcs_unref(struct policy_srcs *srcs)
{
	if (!srcs || --srcs->refs > 0)
		return;
	mem_free(srcs->v);
	mem_free(srcs->text);
	mem_free(srcs);
}

void policy_state_destroy(struct policy_state *s)
{
	struct subnet *n;
	size_t it = 0;

	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_slots; i++)
		free_node(s->nodes[i]);
	while ((n = map_next(&s->subnets, &it)))
		free_subnet(n);
	for (uint32_t i = 0; i < s->p->n_sels; i++)
		mem_free(s->members[i].v);
	for (uint32_t i = 0; i < s->p->n_classes; i++) {
		srcs_unref(s->classes[i].srcs);
		srcs_unref(s->classes[i].via_srcs);
	}
	for (uint32_t i = 0; i < s->p->n_users; i++) {
		state_forget_selves(s, i);
		mem_free(s->user_nodes[i].v);
	}
	mem_free(s->selves);
	map_fini(&s->by_id);
	map_fini(&s->by_v4);
	map_fini(&s->by_v6);
	map_fini(&s->subnets);
	mem_free(s->nodes);
	mem_free(s->free_slots.v);
	mem_free(s->members);
	mem_free(s->classes);
	mem_free(s->user_nodes);
	mem_free(s->wide.v);
	mem_free(s->exits.v);
	mem_free(s->order);
	mem_free(s->sel_stamp);
	mem_free(s->sel_at);
	mem_free(s->sel_how);
	mem_free(s->cls_stamp);
	mem_free(s->cls_at);
	mem_free(s->cls_hit);
	mem_free(s->node_stamp);
	mem_free(s->mark_list.v);
	mem_free(s->viewer_classes.v);
	mem_free(s->row.v);
	policy_unref(s->p);
	mem_free(s);
}

struct policy *policy_state_policy(const struct policy_state *s)
{
	return s->p;
}

size_t policy_state_count(const struct policy_state *s)
{
	return s->count;
}

struct node *state_node(const struct policy_state *s, uint64_t id)
{
	return map_get(&s->by_id, bytes_of(&id, sizeof(id)));
}

/* Four thousand million calls later the stamps start over, and nothing old may look new. */
uint32_t state_next_stamp(struct policy_state *s)
{
	if (++s->stamp == 0) {
		memset(s->sel_stamp, 0, (s->p->n_sels + 1) * sizeof(uint32_t));
		memset(s->cls_stamp, 0, (s->p->n_classes + 1) * sizeof(uint32_t));
		memset(s->node_stamp, 0, s->cap_slots * sizeof(uint32_t));
		s->stamp = 1;
	}
	return s->stamp;
}

bool node_overlaps(const struct node *n, struct ip_range r)
{
	for (uint32_t i = 0; i < n->n_subnets; i++)
		if (ranges_overlap(prefix_range(n->subnets[i]), r))
			return true;
	return false;
}

bool node_has_addr(const struct node *n, struct ip_range r)
{
	return (n->n.v4.family && range_contains(r, n->n.v4)) ||
	       (n->n.v6.family && range_contains(r, n->n.v6));
}

bool node_has_sel(const struct node *n, uint32_t sel, uint8_t how)
{
	for (uint32_t i = 0; i < n->n_sels; i++)
		if (n->sels[i].sel == sel)
			return n->sels[i].how & how;
	return false;
}

bool state_passes(const struct cls *k, const struct node *n)
{
	for (uint32_t i = 0; i < k->postures.n; i++)
		if (n->postures[k->postures.v[i]])
			return true;
	return k->postures.n == 0;
}

/* ---- a node as the policy sees it ---- */

struct sel_sink {
	struct policy_state *s;
	struct node *n;
	uint8_t how;
	uint32_t stamp, cap;
};

static void add_sel(void *arg, uint32_t sel)
{
	struct sel_sink *k = arg;
	struct policy_state *s = k->s;

	if (s->sel_stamp[sel] != k->stamp) {
		mem_reserve(k->n->sels, k->n->n_sels, k->cap);
		s->sel_stamp[sel] = k->stamp;
		s->sel_at[sel] = k->n->n_sels;
		k->n->sels[k->n->n_sels++] = (struct nsel){ .sel = sel };
	}
	k->n->sels[s->sel_at[sel]].how |= k->how;
}

static void find_identity(struct sel_sink *k, uint32_t any, uint32_t tagged)
{
	struct node *n = k->n;
	const struct policy *p = k->s->p;

	k->how = HOW_ADDR | (n->n_subnets ? HOW_ROUTE : 0) | (node_exits(n) ? HOW_EXIT : 0);
	add_sel(k, any);
	k->how = HOW_ADDR;
	if (n->n.n_tags)
		add_sel(k, tagged);
	for (size_t i = 0; i < n->n.n_tags; i++) {
		const struct sel *t = policy_find_sel(p, n->n.tags[i]);

		if (t && t->kind == SEL_TAG)
			add_sel(k, t->id);
	}
	if (n->user != NO_USER)
		for (uint32_t i = 0; i < p->users[n->user].sels.n; i++)
			add_sel(k, p->users[n->user].sels.v[i]);
}

static void find_literals(struct sel_sink *k)
{
	struct node *n = k->n;
	const struct policy *p = k->s->p;

	k->how = HOW_V4;
	if (n->n.v4.family)
		policy_spans_at(p, n->n.v4, add_sel, k);
	k->how = HOW_V6;
	if (n->n.v6.family)
		policy_spans_at(p, n->n.v6, add_sel, k);
	k->how = HOW_ROUTE;
	for (uint32_t i = 0; i < n->n_subnets; i++)
		policy_spans_meeting(p, n->subnets[i], add_sel, k);
	for (uint32_t i = 0; i < p->n_sels && node_exits(n); i++) {
		k->how = HOW_EXIT;
		if (sel_is_literal(p->sels[i]) && p->sels[i]->is_internet)
			add_sel(k, i);
	}
	k->how = HOW_PUBLIC;
	for (uint32_t i = 0; i < p->publics.n && node_exits(n); i++)
		add_sel(k, p->publics.v[i]);
	k->how = HOW_SERVICE;
	for (size_t i = 0; i < n->n.n_services; i++) {
		const struct sel *v = policy_find_sel(p, n->n.services[i]);

		if (v && v->kind == SEL_SERVICE)
			add_sel(k, v->id);
	}
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_compare(*(const struct prefix *)a, *(const struct prefix *)b);
}

static bool is_wide(const struct policy *p, struct prefix route)
{
	static const struct prefix via6 = {
		{ 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0x0b, 0x1a } }, 64
	};

	return ipset_overlaps(&p->tailnet, prefix_range(route)) && !prefix_covers(via6, route);
}

static void sort_routes(const struct policy *p, struct node *n)
{
	uint32_t kept = 0;

	n->subnets = mem_alloc((n->n.n_routes + 1) * sizeof(*n->subnets));
	for (size_t i = 0; i < n->n.n_routes; i++) {
		struct prefix r = prefix_masked(n->n.routes[i]);

		if (r.len == 0 && r.addr.family == 4)
			n->exit4 = true;
		else if (r.len == 0)
			n->exit6 = true;
		else
			n->subnets[n->n_subnets++] = r;
	}
	qsort(n->subnets, n->n_subnets, sizeof(*n->subnets), by_prefix);
	for (uint32_t i = 1; i < n->n_subnets; i++)
		if (!prefix_equal(n->subnets[i], n->subnets[kept]))
			n->subnets[++kept] = n->subnets[i];
	if (n->n_subnets)
		n->n_subnets = kept + 1;
	for (uint32_t i = 0; i < n->n_subnets; i++)
		n->wide |= is_wide(p, n->subnets[i]);
}

/* One block holds everything a node's struct points to. */
static void copy_node(const struct policy_node *from, struct node *n)
{
	size_t need = from->n_tags * sizeof(struct bytes) +
		      from->n_services * sizeof(struct bytes) +
		      from->n_routes * sizeof(struct prefix) +
		      from->n_attrs * sizeof(struct policy_posture_attr);
	struct policy_posture_attr *attrs;
	struct bytes *tags, *services;
	struct prefix *routes;
	uint8_t *text;

	for (size_t i = 0; i < from->n_tags; i++)
		need += from->tags[i].n;
	for (size_t i = 0; i < from->n_services; i++)
		need += from->services[i].n;
	for (size_t i = 0; i < from->n_attrs; i++)
		need += from->attrs[i].name.n + from->attrs[i].text.n;
	n->n = *from;
	n->blob = mem_alloc(need + 1);
	n->n.attrs = attrs = n->blob;
	n->n.tags = tags = (struct bytes *)(attrs + from->n_attrs);
	n->n.services = services = tags + from->n_tags;
	n->n.routes = routes = (struct prefix *)(services + from->n_services);
	text = (uint8_t *)(routes + from->n_routes);
#define TAKE(b)                                                                                    \
	((b).n ? memcpy(text, (b).p, (b).n) : NULL, text += (b).n, bytes_of(text - (b).n, (b).n))
	for (size_t i = 0; i < from->n_attrs; i++) {
		attrs[i] = from->attrs[i];
		attrs[i].name = TAKE(from->attrs[i].name);
		attrs[i].text = TAKE(from->attrs[i].text);
	}
	for (size_t i = 0; i < from->n_tags; i++)
		tags[i] = TAKE(from->tags[i]);
	for (size_t i = 0; i < from->n_services; i++)
		services[i] = TAKE(from->services[i]);
#undef TAKE
	if (from->n_routes)
		memcpy(routes, from->routes, from->n_routes * sizeof(*routes));
}

static uint32_t user_place(const struct policy *p, uint64_t id)
{
	uint32_t lo = 0, hi = p->n_users;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (p->users[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->n_users && p->users[lo].id == id ? lo : NO_USER;
}

static bool attr_disables(const struct policy *p, const struct node *n)
{
	for (uint32_t i = 0; i < n->n_sels; i++)
		for (uint32_t j = 0; j < p->sels[n->sels[i].sel]->attrs.n; j++)
			if (n->sels[i].how & HOW_ADDR &&
			    p->attrs[p->sels[n->sels[i].sel]->attrs.v[j]].disable_ipv4)
				return true;
	return p->disable_ipv4;
}

/* Builds what the policy makes of the node; nobody else hears of it yet. */
struct node *state_make_node(struct policy_state *s, const struct policy_node *from)
{
	struct node *n = mem_alloc(sizeof(*n));
	struct sel_sink k = { .s = s, .n = n };

	copy_node(from, n);
	n->slot = NO_NODE;
	n->user = from->n_tags ? NO_USER : user_place(s->p, from->user);
	sort_routes(s->p, n);
	k.stamp = state_next_stamp(s);
	find_identity(&k, policy_find_sel(s->p, bytes_str("*"))->id,
		      policy_find_sel(s->p, bytes_str("autogroup:tagged"))->id);
	find_literals(&k);
	n->postures = mem_alloc(s->p->n_postures + 1);
	for (uint32_t i = 0; i < s->p->n_postures; i++)
		n->postures[i] = posture_holds(&s->p->postures[i], &n->n);
	n->no_ipv4 = attr_disables(s->p, n);
	state_plain_sums(n);
	return n;
}

void state_drop_node(struct node *n)
{
	free_node(n);
}

/* ---- sources ---- */

/* Those of the node's addresses that the literal names, and not just contains. */
static uint8_t exactly(const struct sel *sel, const struct node *n)
{
	return (uint8_t)((n->n.v4.family && sel_names_address(sel, n->n.v4) ? HOW_V4 : 0) |
			 (n->n.v6.family && sel_names_address(sel, n->n.v6) ? HOW_V6 : 0));
}

static void merge_hit(const struct policy *p, const struct node *n, const struct nsel *m,
		      struct src_hit *h)
{
	const struct sel *sel = p->sels[m->sel];
	const struct cls *k = p->classes[h->cls];

	if (k->postures.n && !state_passes(k, n))
		h->route |= (m->how & HOW_ROUTE) && (k->any_posture || sel_is_literal(sel));
	else if (sel->kind == SEL_ANY && !k->postures.n) {
		h->any = true;
		h->route |= (m->how & HOW_ROUTE) != 0;
	} else if (sel_is_literal(sel) && !k->postures.n) {
		h->lit |= k->any ? exactly(sel, n) : m->how & HOW_ADDR;
		h->route |= (m->how & HOW_ROUTE) != 0;
	} else {
		h->adds |= m->how & HOW_ADDR;
		h->route |= (m->how & HOW_ROUTE) != 0;
	}
}

/* The classes of a node lie in cls_hit under the stamp; their numbers in list. */
static uint32_t stamp_hits(struct policy_state *s, const struct node *n, struct ids *list)
{
	const struct policy *p = s->p;
	uint32_t stamp = state_next_stamp(s);

	list->n = 0;
	for (uint32_t i = 0; i < n->n_sels; i++) {
		const struct sel *sel = p->sels[n->sels[i].sel];

		for (uint32_t j = 0; j < sel->classes.n; j++) {
			uint32_t cls = sel->classes.v[j];

			if (s->cls_stamp[cls] != stamp) {
				s->cls_stamp[cls] = stamp;
				s->cls_hit[cls] = (struct src_hit){ .cls = cls };
				ids_add(list, cls);
			}
			merge_hit(p, n, &n->sels[i], &s->cls_hit[cls]);
		}
	}
	for (uint32_t i = 0; i < p->danger.n; i++) {
		uint32_t cls = p->danger.v[i];

		if (s->cls_stamp[cls] != stamp) {
			s->cls_stamp[cls] = stamp;
			s->cls_hit[cls] = (struct src_hit){ .cls = cls };
			ids_add(list, cls);
		}
		s->cls_hit[cls].any = true;
		s->cls_hit[cls].route = n->n_subnets > 0;
	}
	return stamp;
}

uint32_t state_src_hits(struct policy_state *s, const struct node *n, struct src_hit **out)
{
	struct ids list = { 0 };
	uint32_t kept = 0;

	(void)stamp_hits(s, n, &list);
	*out = mem_alloc((list.n + 1) * sizeof(**out));
	for (uint32_t i = 0; i < list.n; i++) {
		const struct src_hit *h = &s->cls_hit[list.v[i]];

		if (src_hit_addr(h) || h->route)
			(*out)[kept++] = *h;
	}
	mem_free(list.v);
	return kept;
}

void state_load(struct policy_state *s, struct node *viewer)
{
	s->viewer = viewer;
	s->vstamp = stamp_hits(s, viewer, &s->viewer_classes);
	s->viewer_internet = false;
	for (uint32_t i = 0; i < s->viewer_classes.n && !s->viewer_internet; i++) {
		const struct src_hit *h = &s->cls_hit[s->viewer_classes.v[i]];

		s->viewer_internet =
		    (src_hit_addr(h) || h->route) && s->p->classes[h->cls]->to_internet;
	}
}

struct src_hit state_src_hit(const struct policy_state *s, const struct node *n, uint32_t cls)
{
	const struct cls *k = s->p->classes[cls];
	struct src_hit h = { .cls = cls };

	for (uint32_t i = 0; i < n->n_sels; i++) {
		uint32_t lo = 0, hi = k->sels.n;

		while (lo < hi) {
			uint32_t mid = lo + (hi - lo) / 2;

			if (k->sels.v[mid] < n->sels[i].sel)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < k->sels.n && k->sels.v[lo] == n->sels[i].sel)
			merge_hit(s->p, n, &n->sels[i], &h);
	}
	if (k->danger) {
		h.any = true;
		h.route = n->n_subnets > 0;
	}
	return h;
}

/* ---- linking ---- */

static void content_node(uint64_t sum[2], const struct node *n, uint8_t which, bool add)
{
	struct ip ips[2] = { n->n.v4, n->n.v6 };

	for (int i = 0; i < 2; i++) {
		struct ip_range r = { ips[i], ips[i] };

		if (!(which & (1 << i)) || !ips[i].family)
			continue;
		if (add)
			content_add_range(sum, r);
		else
			content_sub_range(sum, r);
	}
}

static unsigned bits(uint8_t which)
{
	return (which & 1u) + (which >> 1 & 1u);
}

static void forget_srcs(struct class_state *k)
{
	srcs_unref(k->srcs);
	srcs_unref(k->via_srcs);
	k->srcs = k->via_srcs = NULL;
}

/* Who the node is for an SSH principal: its user, or how often it is listed as a tagged one. */
static void content_ssh(uint64_t sum[2], const struct node *n, bool add)
{
	struct {
		uint8_t v4[16], v6[16];
		uint64_t user, tags;
	} who = { .user = n->n.n_tags ? 0 : n->n.user, .tags = n->n.n_tags };

	memcpy(who.v4, n->n.v4.b, 16);
	memcpy(who.v6, n->n.v6.b, 16);
	if (add)
		content_add(sum, &who, sizeof(who));
	else
		content_sub(sum, &who, sizeof(who));
}

static void count_sources(struct policy_state *s, const struct node *n, bool add)
{
	struct src_hit *hits;
	uint32_t count = state_src_hits(s, n, &hits);

	for (uint32_t i = 0; i < count; i++) {
		struct class_state *k = &s->classes[hits[i].cls];
		uint8_t new = hits[i].adds &(uint8_t)~hits[i].lit;

		if (hits[i].adds)
			content_ssh(k->ssh_sum, n, add);
		if (!new)
			continue;
		content_node(k->sum, n, new, add);
		k->adds = add ? k->adds + bits(new) : k->adds - bits(new);
		forget_srcs(k);
	}
	mem_free(hits);
	s->order_known = false;
}

static void note_sel(void *arg, uint32_t sel)
{
	struct sel_sink *k = arg;

	if (k->s->sel_stamp[sel] == k->stamp)
		return;
	k->s->sel_stamp[sel] = k->stamp;
	ids_add(&k->s->mark_list, sel);
}

static struct subnet *open_subnet(struct policy_state *s, struct prefix p)
{
	struct sel_sink k = { .s = s, .stamp = state_next_stamp(s) };
	struct subnet *n = mem_alloc(sizeof(*n));

	n->prefix = p;
	n->primary = NO_NODE;
	n->wide = is_wide(s->p, p);
	make_key(p, n->key);
	s->mark_list.n = 0;
	note_sel(&k, policy_find_sel(s->p, bytes_str("*"))->id);
	policy_spans_meeting(s->p, p, note_sel, &k);
	n->sels = mem_alloc(s->mark_list.n * sizeof(*n->sels));
	n->n_sels = s->mark_list.n;
	memcpy(n->sels, s->mark_list.v, n->n_sels * sizeof(*n->sels));
	(void)map_put(&s->subnets, n);
	content_add_range(s->subnets_sum, prefix_range(p));
	return n;
}

/* Lists that print every subnet are out of date. */
static void subnets_changed(struct policy_state *s)
{
	for (uint32_t i = 0; i < s->p->n_classes; i++)
		if (s->p->classes[i]->any || s->p->classes[i]->any_posture)
			forget_srcs(&s->classes[i]);
	s->order_known = false;
}

static void drop_id(struct ids *l, uint32_t id)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i] == id) {
			l->v[i] = l->v[--l->n];
			return;
		}
}

static void link_routes(struct policy_state *s, const struct node *n)
{
	for (uint32_t i = 0; i < n->n_subnets; i++) {
		struct subnet *net = state_subnet(s, n->subnets[i]);

		if (!net) {
			net = open_subnet(s, n->subnets[i]);
			subnets_changed(s);
		}
		ids_add(&net->nodes, n->slot);
	}
	if (node_exits(n))
		ids_add(&s->exits, n->slot);
	if (n->wide)
		ids_add(&s->wide, n->slot);
}

static void unlink_routes(struct policy_state *s, const struct node *n)
{
	for (uint32_t i = 0; i < n->n_subnets; i++) {
		struct subnet *net = state_subnet(s, n->subnets[i]);

		drop_id(&net->nodes, n->slot);
		if (net->primary == n->slot)
			net->primary = NO_NODE;
		if (net->nodes.n)
			continue;
		content_sub_range(s->subnets_sum, prefix_range(net->prefix));
		(void)map_remove(&s->subnets, bytes_of(net->key, sizeof(net->key)));
		free_subnet(net);
		subnets_changed(s);
	}
	drop_id(&s->exits, n->slot);
	drop_id(&s->wide, n->slot);
}

static uint32_t take_slot(struct policy_state *s)
{
	if (s->free_slots.n)
		return s->free_slots.v[--s->free_slots.n];
	if (s->n_slots == s->cap_slots) {
		uint32_t cap = s->cap_slots ? s->cap_slots * 2 : 64;

		s->nodes = mem_resize(s->nodes, cap, sizeof(*s->nodes));
		s->node_stamp = mem_resize(s->node_stamp, cap, sizeof(*s->node_stamp));
		memset(s->node_stamp + s->cap_slots, 0,
		       (cap - s->cap_slots) * sizeof(*s->node_stamp));
		s->cap_slots = cap;
	}
	return s->n_slots++;
}

/* Everybody hears of the node; slot: the one to take again, or NO_NODE. */
void state_link(struct policy_state *s, struct node *n, uint32_t slot)
{
	n->slot = slot == NO_NODE ? take_slot(s) : slot;
	s->nodes[n->slot] = n;
	s->count++;
	(void)map_put(&s->by_id, n);
	if (n->n.v4.family)
		(void)map_put(&s->by_v4, n);
	if (n->n.v6.family)
		(void)map_put(&s->by_v6, n);
	for (uint32_t i = 0; i < n->n_sels; i++) {
		struct members *m = &s->members[n->sels[i].sel];

		mem_reserve(m->v, m->n, m->cap);
		n->sels[i].pos = m->n;
		m->v[m->n++] = (struct member){ n->slot, i };
	}
	if (n->user != NO_USER) {
		ids_add(&s->user_nodes[n->user], n->slot);
		state_forget_selves(s, n->user);
	}
	link_routes(s, n);
	count_sources(s, n, true);
}

void state_unlink(struct policy_state *s, struct node *n)
{
	count_sources(s, n, false);
	unlink_routes(s, n);
	if (n->user != NO_USER) {
		drop_id(&s->user_nodes[n->user], n->slot);
		state_forget_selves(s, n->user);
	}
	for (uint32_t i = 0; i < n->n_sels; i++) {
		struct members *m = &s->members[n->sels[i].sel];
		struct member last = m->v[--m->n];

		m->v[n->sels[i].pos] = last;
		s->nodes[last.node]->sels[last.back].pos = n->sels[i].pos;
	}
	(void)map_remove(&s->by_id, id_key(n));
	if (n->n.v4.family)
		(void)map_remove(&s->by_v4, v4_key(n));
	if (n->n.v6.family)
		(void)map_remove(&s->by_v6, v6_key(n));
	s->nodes[n->slot] = NULL;
	s->count--;
}

void state_free_slot(struct policy_state *s, uint32_t slot)
{
	ids_add(&s->free_slots, slot);
}

static const struct node *holder(const struct policy_state *s, struct ip ip)
{
	return map_get(ip.family == 4 ? &s->by_v4 : &s->by_v6, bytes_of(ip.b, ip_len(ip)));
}

int state_check_node(const struct policy_state *s, const struct policy_node *n, struct err *err)
{
	char text[IP_TEXT_MAX];
	struct ip ips[2] = { n->v4, n->v6 };

	if (!n->v4.family && !n->v6.family)
		return err_set(err, ERR_USAGE, "node %llu has no address",
			       (unsigned long long)n->id);
	for (int i = 0; i < 2; i++) {
		const struct node *other = ips[i].family ? holder(s, ips[i]) : NULL;

		if (ips[i].family &&
		    (ips[i].family != (i ? 6 : 4) || !ipset_contains(&s->p->tailnet, ips[i])))
			return err_set(err, ERR_USAGE, "node %llu: %s lies outside the tailnet",
				       (unsigned long long)n->id, ip_format(ips[i], text));
		if (other && other->n.id != n->id)
			return err_set(err, ERR_USAGE, "node %llu: %s belongs to node %llu",
				       (unsigned long long)n->id, ip_format(ips[i], text),
				       (unsigned long long)other->n.id);
	}
	return 0;
}

struct policy_state *policy_state_with(const struct policy_state *old, struct policy *p)
{
	struct policy_state *s = policy_state_create(p);
	struct subnet *net;
	size_t it = 0;

	for (uint32_t i = 0; i < old->n_slots; i++)
		if (old->nodes[i])
			state_link(s, state_make_node(s, &old->nodes[i]->n), NO_NODE);
	while ((net = map_next(&s->subnets, &it))) {
		const struct subnet *was = state_subnet(old, net->prefix);

		if (was && was->primary != NO_NODE)
			net->primary = state_node(s, old->nodes[was->primary]->n.id)->slot;
		state_elect(s, net);
	}
	return s;
}
