#include "app/control/model.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/control/access.h"
#include "app/control/fragment.h"
#include "app/control/ipam.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"

static const char *const role_names[ROLES] = {
	[ROLE_MEMBER] = "member",     [ROLE_OWNER] = "owner",
	[ROLE_ADMIN] = "admin",       [ROLE_NETWORK_ADMIN] = "network-admin",
	[ROLE_IT_ADMIN] = "it-admin", [ROLE_AUDITOR] = "auditor",
};

const char *model_role_name(enum tn_role role)
{
	return role_names[role];
}

bool model_role_parse(enum tn_role *role, struct bytes name)
{
	for (int i = 0; i < ROLES; i++)
		if (bytes_equal_str(name, role_names[i])) {
			*role = (enum tn_role)i;
			return true;
		}
	return false;
}

/* ---- indices ---- */

static struct bytes key_of_node(const void *item)
{
	return bytes_of(((const struct tn_node *)item)->key.b, 32);
}

static struct bytes id_of_node(const void *item)
{
	return bytes_of(&((const struct tn_node *)item)->id, sizeof(int64_t));
}

static struct bytes name_of_node(const void *item)
{
	return bytes_str(((const struct tn_node *)item)->name);
}

static struct bytes machine_of_node(const void *item)
{
	return bytes_of(((const struct tn_node *)item)->machine.b, 32);
}

static struct bytes ip_of_node(const void *item)
{
	return bytes_of(((const struct tn_node *)item)->v4.b, 4);
}

/* For keys that strangers choose: they must not know which ones collide. */
static void map_init_seeded(struct map *map, struct bytes (*key_of)(const void *item))
{
	struct rng rng = rng_system();
	uint64_t seed[2] = { rng_u64(&rng), rng_u64(&rng) };

	map_init(map, key_of, seed);
}

void model_init(struct model *m)
{
	*m = (struct model){ .rev = 1 };
	list_init(&m->tailnets);
	map_init_seeded(&m->node_by_key, key_of_node);
}

static void identity_free(struct tn_identity *id)
{
	if (!id)
		return;
	mem_free(id->issuer);
	mem_free(id->subject);
	mem_free(id->email);
	mem_free(id->picture);
	text_set_fini(&id->groups);
	mem_free(id);
}

static void user_free(struct tn_user *u)
{
	identity_free(u->identity);
	mem_free(u->login);
	mem_free(u->name);
	mem_free(u->password_hash);
	mem_free(u);
}

static void key_free(struct auth_key *k)
{
	text_set_fini(&k->tags);
	mem_free(k->description);
	mem_free(k);
}

static void tailnet_free(struct tailnet *t)
{
	list_each_safe (it, &t->nodes)
		model_node_free(list_entry(it, struct tn_node, link));
	list_each_safe (it, &t->keys)
		key_free(list_entry(it, struct auth_key, link));
	list_each_safe (it, &t->users)
		user_free(list_entry(it, struct tn_user, link));
	map_fini(&t->node_by_id);
	map_fini(&t->node_by_name);
	map_fini(&t->node_by_ip);
	map_fini(&t->node_by_machine);
	text_set_fini(&t->groups);
	mem_free(t->domain);
	mem_free(t->policy);
	mem_free(t->dns);
	mem_free(t);
}

void model_drop_tailnet(struct tailnet *t)
{
	list_remove(&t->link);
	tailnet_free(t);
}

void model_fini(struct model *m)
{
	list_each_safe (it, &m->tailnets)
		tailnet_free(list_entry(it, struct tailnet, link));
	map_fini(&m->node_by_key);
}

/* ---- tailnets and users ---- */

struct tailnet *model_add_tailnet(struct model *m, int64_t id, const char *name, const char *domain)
{
	struct tailnet *t = mem_alloc(sizeof(*t));

	t->id = id;
	(void)snprintf(t->name, sizeof(t->name), "%s", name);
	t->domain = mem_strdup(domain);
	t->dns_rev = 1;
	list_init(&t->users);
	list_init(&t->keys);
	list_init(&t->nodes);
	map_init(&t->node_by_id, id_of_node, NULL);
	map_init_seeded(&t->node_by_name, name_of_node);
	map_init(&t->node_by_ip, ip_of_node, NULL);
	map_init_seeded(&t->node_by_machine, machine_of_node);
	list_append(&m->tailnets, &t->link);
	return t;
}

static bool as_id(struct bytes text, int64_t *id)
{
	uint64_t n;

	if (!text_u64(text, INT64_MAX, &n))
		return false;
	*id = (int64_t)n;
	return true;
}

struct tailnet *model_tailnet_by_id(const struct model *m, int64_t id)
{
	list_each (it, (struct list *)&m->tailnets) {
		struct tailnet *t = list_entry(it, struct tailnet, link);

		if (t->id == id)
			return t;
	}
	return NULL;
}

struct tailnet *model_tailnet(const struct model *m, struct bytes name_or_id)
{
	int64_t id;

	list_each (it, (struct list *)&m->tailnets) {
		struct tailnet *t = list_entry(it, struct tailnet, link);

		if (bytes_equal_str(name_or_id, t->name))
			return t;
	}
	return as_id(name_or_id, &id) ? model_tailnet_by_id(m, id) : NULL;
}

struct tn_user *model_add_user(struct model *m, struct tailnet *t, int64_t id, const char *login)
{
	struct tn_user *u = mem_alloc(sizeof(*u));

	u->id = id;
	u->tailnet = t;
	u->login = mem_strdup(login);
	u->name = mem_strdup(login);
	u->rev = ++m->rev;
	list_init(&u->nodes);
	list_append(&t->users, &u->link);
	return u;
}

void model_remove_user(struct tn_user *u)
{
	list_remove(&u->link);
	user_free(u);
}

struct tn_user *model_user_by_id(const struct tailnet *t, int64_t id)
{
	list_each (it, (struct list *)&t->users) {
		struct tn_user *u = list_entry(it, struct tn_user, link);

		if (u->id == id)
			return u;
	}
	return NULL;
}

struct tn_user *model_user(const struct tailnet *t, struct bytes login_or_id)
{
	int64_t id;

	list_each (it, (struct list *)&t->users) {
		struct tn_user *u = list_entry(it, struct tn_user, link);

		if (bytes_equal_nocase(login_or_id, bytes_str(u->login)))
			return u;
	}
	return as_id(login_or_id, &id) ? model_user_by_id(t, id) : NULL;
}

struct tn_user *model_user_by_identity(const struct tailnet *t, const char *issuer,
				       const char *subject)
{
	list_each (it, (struct list *)&t->users) {
		struct tn_user *u = list_entry(it, struct tn_user, link);

		if (u->identity && strcmp(u->identity->issuer, issuer) == 0 &&
		    strcmp(u->identity->subject, subject) == 0)
			return u;
	}
	return NULL;
}

struct tn_identity *model_identity(struct tn_user *u)
{
	if (!u->identity) {
		u->identity = mem_alloc(sizeof(*u->identity));
		u->identity->issuer = mem_strdup("");
		u->identity->subject = mem_strdup("");
		u->identity->email = mem_strdup("");
		u->identity->picture = mem_strdup("");
	}
	return u->identity;
}

/* ---- keys ---- */

struct auth_key *model_add_key(struct tailnet *t, int64_t id)
{
	struct auth_key *k = mem_alloc(sizeof(*k));

	k->id = id;
	k->tailnet = t;
	list_append(&t->keys, &k->link);
	return k;
}

void model_remove_key(struct auth_key *k)
{
	list_remove(&k->link);
	key_free(k);
}

struct auth_key *model_key(const struct tailnet *t, int64_t id)
{
	list_each (it, (struct list *)&t->keys) {
		struct auth_key *k = list_entry(it, struct auth_key, link);

		if (k->id == id)
			return k;
	}
	return NULL;
}

/* ---- nodes ---- */

struct tn_node *model_node_new(struct tailnet *t)
{
	struct tn_node *n = mem_alloc(sizeof(*n));

	n->tailnet = t;
	list_init(&n->link);
	list_init(&n->user_link);
	list_init(&n->machine_link);
	list_init(&n->streams);
	return n;
}

void model_node_free(struct tn_node *n)
{
	list_remove(&n->link);
	list_remove(&n->user_link);
	list_remove(&n->machine_link);
	text_set_fini(&n->tags);
	prefix_set_fini(&n->advertised);
	prefix_set_fini(&n->approved);
	fragment_unref(n->frag);
	mem_free(n->endpoints);
	mem_free(n->attributes);
	model_forget_peers(n);
	mem_free((void *)n->hostinfo.p);
	mem_free((void *)n->host_public.p);
	mem_free(n);
}

static void index_machine(struct tailnet *t, struct tn_node *n)
{
	struct tn_node *other = map_get(&t->node_by_machine, machine_of_node(n));

	if (other)
		list_append(&other->machine_link, &n->machine_link);
	else
		(void)map_put(&t->node_by_machine, n);
}

static void forget_machine(struct tailnet *t, struct tn_node *n)
{
	struct list *other = list_first(&n->machine_link);

	if (other)
		(void)map_put(&t->node_by_machine, list_entry(other, struct tn_node, machine_link));
	else
		(void)map_remove(&t->node_by_machine, machine_of_node(n));
	list_remove(&n->machine_link);
}

void model_add_node(struct model *m, struct tn_node *n)
{
	struct tailnet *t = n->tailnet;

	list_append(&t->nodes, &n->link);
	if (n->user && !model_node_is_tagged(n))
		list_append(&n->user->nodes, &n->user_link);
	(void)map_put(&m->node_by_key, n);
	(void)map_put(&t->node_by_id, n);
	(void)map_put(&t->node_by_name, n);
	(void)map_put(&t->node_by_ip, n);
	index_machine(t, n);
	t->n_nodes++;
	for (int i = 0; i < NODE_PARTS; i++)
		model_touch(m, n, (enum node_part)i);
}

void model_remove_node(struct model *m, struct tn_node *n)
{
	struct tailnet *t = n->tailnet;

	list_remove(&n->link);
	list_remove(&n->user_link);
	(void)map_remove(&m->node_by_key, key_of_node(n));
	(void)map_remove(&t->node_by_id, id_of_node(n));
	(void)map_remove(&t->node_by_name, name_of_node(n));
	(void)map_remove(&t->node_by_ip, ip_of_node(n));
	forget_machine(t, n);
	t->n_nodes--;
	n->gone = true;
}

struct tn_node *model_node_by_key(const struct model *m, const struct key *k)
{
	return map_get(&m->node_by_key, bytes_of(k->b, 32));
}

struct tn_node *model_node_by_id(const struct tailnet *t, int64_t id)
{
	return map_get(&t->node_by_id, bytes_of(&id, sizeof(id)));
}

struct tn_node *model_node(const struct tailnet *t, struct bytes which)
{
	struct tn_node *n = map_get(&t->node_by_name, which);
	struct ip ip;
	int64_t id;

	if (n)
		return n;
	if (as_id(which, &id))
		return model_node_by_id(t, id);
	if (ip_parse(&ip, which) && ip.family == 4)
		return map_get(&t->node_by_ip, bytes_of(ip.b, 4));
	list_each (it, (struct list *)&t->nodes) {
		n = list_entry(it, struct tn_node, link);
		if (bytes_equal_str(which, n->stable_id))
			return n;
	}
	return NULL;
}

static bool is_owned_by(const struct tn_node *n, const struct tn_user *user)
{
	return user ? !model_node_is_tagged(n) && n->user == user : model_node_is_tagged(n);
}

struct tn_node *model_node_of_machine(const struct tailnet *t, const struct key *machine,
				      const struct tn_user *user)
{
	struct tn_node *n = map_get(&t->node_by_machine, bytes_of(machine->b, 32));

	if (!n || is_owned_by(n, user))
		return n;
	list_each (it, &n->machine_link)
		if (is_owned_by(list_entry(it, struct tn_node, machine_link), user))
			return list_entry(it, struct tn_node, machine_link);
	return NULL;
}

void model_rekey(struct model *m, struct tn_node *n, const struct key *key)
{
	(void)map_remove(&m->node_by_key, key_of_node(n));
	n->key = *key;
	(void)map_put(&m->node_by_key, n);
	model_touch(m, n, PART_KEY);
}

void model_free_name(const struct tailnet *t, const struct tn_node *n, struct bytes host,
		     char out[NAME_SIZE])
{
	char base[NAME_SIZE];

	names_sanitise(host, base);
	for (unsigned i = 0;; i++) {
		const struct tn_node *other;

		names_with_suffix(base, i, out);
		other = map_get(&t->node_by_name, bytes_str(out));
		if (!other || other == n)
			return;
	}
}

void model_rename(struct tn_node *n, const char *name)
{
	struct tailnet *t = n->tailnet;

	(void)map_remove(&t->node_by_name, name_of_node(n));
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	(void)map_put(&t->node_by_name, n);
}

static bool ip_is_used(void *arg, struct ip v4)
{
	struct tailnet *t = arg;

	return map_get(&t->node_by_ip, bytes_of(v4.b, 4)) != NULL;
}

bool model_next_ip(struct tailnet *t, struct ip *v4, struct ip *v6)
{
	return ipam_next(&t->ip_cursor, ip_is_used, t, v4, v6);
}

const struct access_peers *model_peers(struct tn_node *n)
{
	if (!n->peers) {
		n->peers = mem_alloc(sizeof(*n->peers));
		access_peers(n, n->peers);
	}
	return n->peers;
}

void model_forget_peers(struct tn_node *n)
{
	if (!n->peers)
		return;
	access_peers_fini(n->peers);
	mem_free(n->peers);
	n->peers = NULL;
}

/* Where id is, or belongs. */
static size_t peer_place(const struct access_peers *p, int64_t id)
{
	size_t low = 0, high = p->n;

	/* Who came last has the largest id. */
	if (p->n && p->v[p->n - 1].node->id < id)
		return p->n;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (p->v[middle].node->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct access_peer *model_find_peer(const struct access_peers *p, int64_t id)
{
	size_t at = peer_place(p, id);

	return at < p->n && p->v[at].node->id == id ? &p->v[at] : NULL;
}

void model_mend_peers(struct tn_node *viewer, struct tn_node *n, bool sees)
{
	struct access_peers *p = viewer->peers;
	size_t at = p ? peer_place(p, n->id) : 0;
	bool there = p && at < p->n && p->v[at].node == n;

	if (!p || there == sees)
		return;
	if (sees) {
		mem_reserve(p->v, p->n, p->cap);
		memmove(&p->v[at + 1], &p->v[at], (p->n - at) * sizeof(*p->v));
		p->v[at] = (struct access_peer){ n, NULL };
		p->n++;
	} else {
		access_routes_unref(p->v[at].routes);
		p->n--;
		memmove(&p->v[at], &p->v[at + 1], (p->n - at) * sizeof(*p->v));
	}
}

void model_touch(struct model *m, struct tn_node *n, enum node_part part)
{
	n->rev[part] = n->rev_last = ++m->rev;
	fragment_unref(n->frag);
	n->frag = NULL;
}

bool model_is_urgent(const struct tn_node *n, uint64_t rev)
{
	return n->rev[PART_ENDPOINTS] > rev || n->rev[PART_DERP] > rev ||
	       n->rev[PART_DISCO] > rev || n->rev[PART_KEY] > rev;
}

bool model_node_is_expired(const struct tn_node *n, struct wall now)
{
	return n->expiry.ns && n->expiry.ns <= now.ns;
}

int64_t model_owner_id(const struct tn_node *n)
{
	return model_node_is_tagged(n) || !n->user ? MODEL_TAGGED_USER : n->user->id;
}

/* ---- small sets ---- */

void text_set_fini(struct text_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		mem_free(set->v[i]);
	mem_free(set->v);
	*set = (struct text_set){ 0 };
}

bool text_set_has(const struct text_set *set, struct bytes v)
{
	for (size_t i = 0; i < set->n; i++)
		if (bytes_equal_str(v, set->v[i]))
			return true;
	return false;
}

bool text_set_add(struct text_set *set, struct bytes v)
{
	if (text_set_has(set, v))
		return false;
	set->v = mem_resize(set->v, set->n + 1, sizeof(*set->v));
	set->v[set->n++] = bytes_strdup(v);
	return true;
}

void text_set_drop(struct text_set *set, struct bytes v)
{
	for (size_t i = 0; i < set->n; i++)
		if (bytes_equal_str(v, set->v[i])) {
			mem_free(set->v[i]);
			set->v[i] = set->v[--set->n];
			return;
		}
}

bool text_set_assign(struct text_set *set, const struct bytes *v, size_t n)
{
	struct text_set next = { mem_alloc((n + 1) * sizeof(char *)), 0 };
	bool changed;

	for (size_t i = 0; i < n; i++)
		if (!text_set_has(&next, v[i]))
			next.v[next.n++] = bytes_strdup(v[i]);
	changed = next.n != set->n;
	for (size_t i = 0; !changed && i < n; i++)
		changed = !text_set_has(set, v[i]);
	text_set_fini(set);
	*set = next;
	return changed;
}

void prefix_set_fini(struct prefix_set *set)
{
	mem_free(set->v);
	*set = (struct prefix_set){ 0 };
}

bool prefix_set_has(const struct prefix_set *set, struct prefix p)
{
	for (size_t i = 0; i < set->n; i++)
		if (prefix_equal(set->v[i], p))
			return true;
	return false;
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_compare(*(const struct prefix *)a, *(const struct prefix *)b);
}

bool prefix_set_assign(struct prefix_set *set, const struct prefix *v, size_t n)
{
	struct prefix_set next = { mem_alloc((n + 1) * sizeof(*v)), 0 };
	bool changed;

	for (size_t i = 0; i < n; i++) {
		struct prefix p = prefix_masked(v[i]);

		if (ip_is_valid(p.addr) && !prefix_set_has(&next, p))
			next.v[next.n++] = p;
	}
	if (next.n)
		qsort(next.v, next.n, sizeof(*next.v), by_prefix);
	changed = next.n != set->n;
	for (size_t i = 0; !changed && i < next.n; i++)
		changed = !prefix_equal(next.v[i], set->v[i]);
	prefix_set_fini(set);
	*set = next;
	return changed;
}
