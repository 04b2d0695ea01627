/* Who is where: keys, duplicate connections, mesh routes, and who must hear that someone left. */
#include "base/mem.h"
#include "engine/relay/relay_state.h"

enum {
	TRAILS_MAX = 1 << 20, /* past it a peer's leaving is no longer announced to everyone */
	REMOTE_KEYS_MAX = 1 << 20,
};

static struct bytes peer_key(const void *item)
{
	return bytes_of(((const struct peer *)item)->key.b, DERP_KEY_LEN);
}

static struct bytes trail_key(const void *item)
{
	return bytes_of(&((const struct trail *)item)->id, sizeof(struct trail_id));
}

void peers_init(struct relay *r)
{
	uint8_t seed[2][16];

	r->conf.rng->fill(r->conf.rng, seed, sizeof(seed));
	map_init(&r->peers, peer_key, seed[0]);
	map_init(&r->trails, trail_key, seed[1]);
	list_init(&r->watchers);
	list_init(&r->siblings);
}

void peers_fini(struct relay *r)
{
	map_fini(&r->peers);
	map_fini(&r->trails);
}

struct peer *peer_find(const struct relay *r, const struct key *key)
{
	return map_get(&r->peers, bytes_of(key->b, DERP_KEY_LEN));
}

static struct peer *peer_get(struct relay *r, const struct key *key)
{
	struct peer *p = peer_find(r, key);

	if (p)
		return p;
	p = mem_alloc(sizeof(*p));
	p->key = *key;
	list_init(&p->conns);
	list_init(&p->routes);
	list_init(&p->trails);
	(void)map_put(&r->peers, p);
	return p;
}

static void trail_free(struct relay *r, struct trail *t)
{
	(void)map_remove(&r->trails, trail_key(t));
	list_remove(&t->in_src);
	list_remove(&t->in_dst);
	mem_free(t);
}

static void tell_gone(struct relay *r, struct conn *c, const struct key *key)
{
	uint8_t frame[DERP_HEADER_LEN + DERP_KEY_LEN + 1];
	struct writer w = writer_of(frame, sizeof(frame));

	derp_put_peer_gone(&w, key, DERP_GONE_DISCONNECTED);
	if (conn_notice(r, c, bytes_of(frame, writer_done(&w))))
		r->stats.peer_gone_disconnected++;
}

/* Gone from the region: all who have heard from it are told, and the peer is forgotten. */
static void peer_forget(struct relay *r, struct peer *p)
{
	struct list *it;

	if (!list_is_empty(&p->conns) || !list_is_empty(&p->routes))
		return;
	while ((it = list_first(&p->trails)) != NULL) {
		struct trail *t = list_entry(it, struct trail, in_src);

		tell_gone(r, t->dst, &p->key);
		trail_free(r, t);
	}
	(void)map_remove(&r->peers, peer_key(p));
	mem_free(p);
}

uint8_t peer_present_flags(const struct conn *c)
{
	return (uint8_t)((c->mesh ? DERP_PRESENT_MESH : 0) | (c->prober ? DERP_PRESENT_PROBER : 0) |
			 (c->not_ideal ? DERP_PRESENT_NOT_IDEAL : 0) |
			 (!c->mesh && !c->prober ? DERP_PRESENT_REGULAR : 0));
}

static struct derp_present present_of(const struct conn *c)
{
	return (struct derp_present){ c->key, c->from, peer_present_flags(c) };
}

static void tell_present(struct relay *r, struct conn *watcher, const struct derp_present *p)
{
	uint8_t frame[DERP_HEADER_LEN + 51];
	struct writer w = writer_of(frame, sizeof(frame));

	if (key_equal(&watcher->key, &p->peer))
		return;
	derp_put_peer_present(&w, &p->peer, p->from, p->flags);
	/* A watcher that missed something would send packets into the void: it must start anew. */
	if (!conn_notice(r, watcher, bytes_of(frame, writer_done(&w))))
		conn_close(r, watcher, "watcher did not read");
}

static void watchers_hear_present(struct relay *r, const struct derp_present *p)
{
	list_each (it, &r->watchers)
		tell_present(r, list_entry(it, struct conn, watching), p);
}

static void watchers_hear_gone(struct relay *r, const struct key *key)
{
	list_each (it, &r->watchers) {
		struct conn *watcher = list_entry(it, struct conn, watching);

		if (!key_equal(&watcher->key, key))
			tell_gone(r, watcher, key);
	}
}

/* A sibling that has it comes first. */
static struct route *sibling_route(const struct peer *p)
{
	struct list *first = p->routes.next;
	struct route *t = first != &p->routes ? list_entry(first, struct route, in_peer) : NULL;

	return t && t->link->state == CONN_SIBLING && !t->remote ? t : NULL;
}

static struct conn *first_conn(const struct peer *p)
{
	return list_is_empty(&p->conns) ? NULL : list_entry(p->conns.next, struct conn, in_peer);
}

/* Connected to this relay, at whichever shard. */
static bool is_here(const struct peer *p)
{
	return !list_is_empty(&p->conns) || sibling_route(p);
}

static struct conn *link_to(const struct peer *p)
{
	list_each (it, &p->routes) {
		struct route *t = list_entry(it, struct route, in_peer);

		if (t->link->state == CONN_LINK)
			return t->link;
	}
	return NULL;
}

struct conn *peer_target(const struct peer *p, enum origin origin)
{
	struct conn *here = first_conn(p);
	struct route *t;

	if (origin == FROM_SIBLING || origin == FROM_SIBLING_LAST)
		return here || origin == FROM_SIBLING_LAST ? here : link_to(p);
	t = sibling_route(p);
	if (here && !(p->away && t))
		return here;
	if (t || origin == FROM_RELAY)
		return t ? t->link : NULL;
	return list_is_empty(&p->routes) ? NULL
					 : list_entry(p->routes.next, struct route, in_peer)->link;
}

void peer_join(struct relay *r, struct conn *c)
{
	struct peer *p = c->peer = peer_get(r, &c->key);
	bool was_here = is_here(p);
	struct derp_present present = present_of(c);

	if (list_is_empty(&p->conns) || p->away)
		siblings_tell_present(r, c);
	p->away = false;
	list_prepend(&p->conns, &c->in_peer);
	if (!was_here) /* else a duplicate: the key is known to be here */
		watchers_hear_present(r, &present);
}

void peer_leave(struct relay *r, struct conn *c)
{
	struct peer *p = c->peer;

	if (!p)
		return;
	list_remove(&c->in_peer);
	c->peer = NULL;
	if (!list_is_empty(&p->conns))
		return;
	siblings_tell_gone(r, &p->key);
	if (!is_here(p))
		watchers_hear_gone(r, &p->key);
	peer_forget(r, p);
}

void peer_activate(struct relay *r, struct conn *c)
{
	if (c->peer->away) {
		c->peer->away = false;
		siblings_tell_present(r, c);
	}
	if (c->peer->conns.next == &c->in_peer)
		return;
	list_remove(&c->in_peer);
	list_prepend(&c->peer->conns, &c->in_peer);
}

void peer_watch(struct relay *r, struct conn *c)
{
	size_t it = 0;
	struct peer *p;

	if (!list_is_empty(&c->watching))
		return;
	list_append(&r->watchers, &c->watching);
	while (c->state != CONN_CLOSING && (p = map_next(&r->peers, &it)) != NULL) {
		const struct conn *here = first_conn(p);
		const struct route *t = sibling_route(p);
		struct derp_present present = { p->key };

		if (here)
			present = present_of(here);
		else if (t)
			present = (struct derp_present){ p->key, t->from, t->flags };
		if (here || t)
			tell_present(r, c, &present);
	}
}

static struct route *route_find(struct peer *p, const struct conn *link, bool remote)
{
	list_each (it, &p->routes) {
		struct route *t = list_entry(it, struct route, in_peer);

		if (t->link == link && t->remote == remote)
			return t;
	}
	return NULL;
}

static void route_free(struct relay *r, struct route *t)
{
	struct peer *p = t->peer;
	bool is_link = t->via_link, was_here = is_here(p);

	list_remove(&t->in_peer);
	list_remove(&t->in_link);
	mem_free(t);
	r->stats.remote_keys -= is_link;
	if (is_link && !link_to(p))
		siblings_tell_remote(r, &p->key, false);
	if (!sibling_route(p))
		p->away = false;
	if (was_here && !is_here(p))
		watchers_hear_gone(r, &p->key);
	peer_forget(r, p);
}

static struct route *route_create(struct relay *r, struct peer *p, struct conn *link, bool remote)
{
	struct route *t = mem_alloc(sizeof(*t));

	t->peer = p;
	t->link = link;
	t->remote = remote;
	list_init(&t->in_peer);
	list_append(&link->routes, &t->in_link);
	t->via_link = link->state == CONN_LINK;
	r->stats.remote_keys += t->via_link;
	return t;
}

/* A sibling has it, or has heard from it since it last told us. */
static void sibling_has(struct relay *r, struct conn *sibling, const struct derp_present *present)
{
	struct peer *p = peer_get(r, &present->peer);
	struct route *t = route_find(p, sibling, false);
	bool was_here = is_here(p);

	if (!t)
		t = route_create(r, p, sibling, false);
	t->from = present->from;
	t->flags = present->flags;
	list_remove(&t->in_peer);
	list_prepend(&p->routes, &t->in_peer);
	p->away = !list_is_empty(&p->conns);
	if (!was_here)
		watchers_hear_present(r, present);
}

/* The first link that announced a key stays in use until it withdraws it. */
void route_add(struct relay *r, struct conn *link, const struct derp_present *present)
{
	bool is_link = link->state == CONN_LINK, remote = present->flags & RELAY_PRESENT_REMOTE;
	struct peer *p;
	struct route *t;

	if (key_equal(&present->peer, &r->key) ||
	    (is_link && r->stats.remote_keys >= REMOTE_KEYS_MAX))
		return;
	if (!is_link && !remote) {
		sibling_has(r, link, present);
		return;
	}
	remote = remote && !is_link;
	p = peer_get(r, &present->peer);
	if (route_find(p, link, remote))
		return;
	if (is_link && !link_to(p))
		siblings_tell_remote(r, &p->key, true);
	t = route_create(r, p, link, remote);
	list_append(&p->routes, &t->in_peer);
}

void route_remove(struct relay *r, struct conn *link, const struct key *key, bool remote)
{
	struct peer *p = peer_find(r, key);
	struct route *t = p ? route_find(p, link, remote) : NULL;

	if (t)
		route_free(r, t);
}

void routes_drop(struct relay *r, struct conn *link)
{
	struct list *it;

	while ((it = list_first(&link->routes)) != NULL)
		route_free(r, list_entry(it, struct route, in_link));
}

void trail_note(struct relay *r, const struct key *src, struct conn *dst)
{
	struct trail_id id = { dst->id, *src };
	struct trail *t = map_get(&r->trails, bytes_of(&id, sizeof(id)));
	struct peer *p;

	if (t || r->trails.n >= TRAILS_MAX)
		return;
	p = peer_find(r, src);
	if (!p)
		return; /* forwarded ahead of its announcement */
	t = mem_alloc(sizeof(*t));
	t->id = id;
	t->src = p;
	t->dst = dst;
	list_append(&p->trails, &t->in_src);
	list_append(&dst->trails, &t->in_dst);
	(void)map_put(&r->trails, t);
}

void trails_drop(struct relay *r, struct conn *dst)
{
	struct list *it;

	while ((it = list_first(&dst->trails)) != NULL)
		trail_free(r, list_entry(it, struct trail, in_dst));
}
