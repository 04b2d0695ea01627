/* node/tunnel_peers.c - the map's peers as wg, magic, datapath and filter know them. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/routes.h"
#include "node/tunnel_state.h"

/* A freed owner number may still be in a packet on its way through a ring. */
enum { OWNERS_RESTING = 1024 };

struct bytes tunnel_peer_key(const void *item)
{
	return bytes_of(((const struct peer *)item)->key.b, 32);
}

static struct bytes id_key(const void *item)
{
	const struct peer *p = item;

	return bytes_of(&p->id, sizeof(p->id));
}

struct peer *tunnel_peer_at(const struct tunnel *t, uint32_t owner)
{
	return owner < t->peer_cap ? t->peers[owner] : NULL;
}

struct peer *tunnel_peer_by_key(const struct tunnel *t, const struct key *key)
{
	return map_get(&t->by_key, bytes_of(key->b, 32));
}

struct peer *tunnel_peer_by_id(const struct tunnel *t, int64_t id)
{
	return t->by_id.key_of ? map_get(&t->by_id, bytes_of(&id, sizeof(id))) : NULL;
}

static uint32_t take_owner(struct tunnel *t)
{
	uint32_t owner;

	if (t->free_count <= OWNERS_RESTING) {
		uint32_t more = t->peer_cap ? t->peer_cap : OWNERS_RESTING * 2;
		uint32_t cap = t->peer_cap + more;

		if (cap > WG_OWNER_MAX)
			return WG_OWNER_NONE;
		t->peers = mem_resize(t->peers, cap, sizeof(*t->peers));
		t->free_owners = mem_resize(t->free_owners, cap, sizeof(*t->free_owners));
		for (uint32_t i = t->peer_cap; i < cap; i++) {
			t->peers[i] = NULL;
			t->free_owners[t->free_count++] = i;
		}
		t->peer_cap = cap;
	}
	owner = t->free_owners[0];
	t->free_count--;
	memmove(t->free_owners, t->free_owners + 1, t->free_count * sizeof(*t->free_owners));
	return owner;
}

static void remove_peer(struct tunnel *t, struct peer *p)
{
	struct wg_peer_id id;

	if (wg_peer_of_owner(t->wg, p->owner, &id))
		(void)wg_peer_remove(t->wg, id);
	magic_peer_remove(t->magic, p->owner);
	datapath_forget(t->dp, p->owner);
	(void)map_remove(&t->by_key, tunnel_peer_key(p));
	(void)map_remove(&t->by_id, id_key(p));
	list_remove(&p->retry);
	t->peers[p->owner] = NULL;
	t->free_owners[t->free_count++] = p->owner;
	mem_free(p);
}

void tunnel_free_peers(struct tunnel *t)
{
	for (uint32_t i = 0; i < t->peer_cap; i++)
		mem_free(t->peers[i]);
	mem_free(t->peers);
	mem_free(t->free_owners);
	map_fini(&t->by_key);
	map_fini(&t->by_id);
}

static struct peer *add_peer(struct tunnel *t, const struct tailcfg_node *n)
{
	uint32_t owner = take_owner(t);
	struct peer *p;

	if (owner == WG_OWNER_NONE)
		return NULL;
	p = mem_alloc(sizeof(*p));
	list_init(&p->retry);
	p->owner = owner;
	p->id = n->id;
	p->key = n->key;
	p->disco = n->disco_key;
	p->watching = true;
	t->peers[owner] = p;
	(void)map_put(&t->by_key, p);
	(void)map_put(&t->by_id, p);
	datapath_watch_send(t->dp, owner);
	return p;
}

static bool is_reachable(const struct tunnel *t, const struct netmap *map,
			 const struct tailcfg_node *n)
{
	if (key_is_zero(&n->key) || key_equal(&n->key, &t->self_key))
		return false;
	/* Nothing can be said to somebody without a disco key but through a plain address. */
	if (key_is_zero(&n->disco_key) && !n->is_wireguard_only)
		return false;
	return !netmap_node_is_expired(map, n, wall_now());
}

static void set_paths(struct tunnel *t, struct peer *p, const struct tailcfg_node *n)
{
	struct magic_peer_conf conf = { .id = p->owner,
					.node_key = n->key,
					.disco_key = n->disco_key,
					.region = (int)n->home_derp,
					.endpoints = n->endpoints.v,
					.endpoint_count = n->endpoints.n };
	struct wg_peer_id id;

	if (!key_equal(&p->disco, &n->disco_key)) {
		/* It was restarted: its sessions are gone. */
		p->disco = n->disco_key;
		if (wg_peer_of_owner(t->wg, p->owner, &id))
			wg_peer_nudge(t->wg, id);
	}
	magic_peer_set(t->magic, loop_now(t->loop), &conf);
}

static void set_peer(struct tunnel *t, const struct netmap *map, const struct tailcfg_node *n)
{
	struct peer *p = tunnel_peer_by_id(t, n->id);

	/* Another node key is another peer. */
	if (p && (!key_equal(&p->key, &n->key) || !is_reachable(t, map, n))) {
		remove_peer(t, p);
		p = NULL;
	}
	if (!is_reachable(t, map, n))
		return;
	/* One key for two nodes: the later one waits until the first is gone. */
	if (!p && tunnel_peer_by_key(t, &n->key))
		return;
	if (!p)
		p = add_peer(t, n);
	if (p)
		set_paths(t, p, n);
}

static void remove_missing(struct tunnel *t, const struct netmap *map)
{
	for (uint32_t i = 0; i < t->peer_cap; i++)
		if (t->peers[i] && (!map || !netmap_peer_by_id(map, t->peers[i]->id)))
			remove_peer(t, t->peers[i]);
}

static void set_allowed(struct tunnel *t, const struct netmap *map, const struct prefs *prefs)
{
	struct wg_allowed_entry *v = NULL;
	struct wg_allowed *allowed;
	size_t n = 0, cap = 0;

	/* From the highest ID down: of two owners of a prefix the lowest wins. */
	for (size_t i = map ? netmap_peer_count(map) : 0; i-- > 0;) {
		const struct tailcfg_node *node = netmap_peer(map, i);
		const struct peer *p = tunnel_peer_by_id(t, node->id);

		for (size_t j = 0; p && j < node->allowed_ips.n; j++) {
			if (!routes_wants(node, node->allowed_ips.v[j], prefs))
				continue;
			mem_reserve(v, n, cap);
			v[n++] = (struct wg_allowed_entry){ node->allowed_ips.v[j], p->owner };
		}
	}
	allowed = wg_allowed_create(v, n);
	datapath_set_allowed(t->dp, allowed);
	wg_allowed_unref(allowed);
	mem_free(v);
}

static void drop_gate(void *arg)
{
	gate_destroy(arg);
}

static void set_gate(struct tunnel *t, const struct netmap *map, const struct prefs *prefs)
{
	struct gate_peer *peers = mem_alloc((t->peer_cap + 1) * sizeof(*peers));
	struct gate *fresh, *old;

	for (uint32_t i = 0; map && i < t->peer_cap; i++)
		if (t->peers[i])
			peers[i].node = netmap_peer_by_id(map, t->peers[i]->id);
	fresh = gate_create(map, prefs, t->conf.lan, peers, t->peer_cap, t->flows, &t->conf.log);
	gate_serve(fresh, t->services, t->service_count);
	old = atomic_exchange_explicit(&t->gate, fresh, memory_order_acq_rel);
	/* Data threads may be reading it. */
	if (old)
		datapath_when_quiet(t->dp, drop_gate, old);
	mem_free(peers);
}

void tunnel_apply(struct tunnel *t, const struct netmap *map, const struct prefs *prefs,
		  const struct netmap_diff *diff)
{
	struct netmap *old = t->map;

	if (!t->by_id.key_of)
		map_init(&t->by_id, id_key, NULL);
	remove_missing(t, map);
	if (diff) {
		for (size_t i = 0; i < diff->peer_count; i++)
			if (diff->peers[i].after)
				set_peer(t, map, diff->peers[i].after);
	} else {
		for (size_t i = 0; map && i < netmap_peer_count(map); i++)
			set_peer(t, map, netmap_peer(map, i));
	}
	set_allowed(t, map, prefs);
	set_gate(t, map, prefs);
	if (!diff || diff->derp) {
		relays_set_map(t->relays, map ? netmap_derp(map) : NULL);
		netcheck_set_map(t->netcheck, map ? netmap_derp(map) : NULL);
		if (map)
			netcheck_run(t->netcheck, true);
	}
	t->map = netmap_ref(map);
	netmap_unref(old);
	tunnel_flush_magic(t);
	tunnel_turn(t);
}

/* ---- questions ---- */

bool tunnel_ping(struct tunnel *t, int64_t node_id, uint64_t token)
{
	const struct peer *p = tunnel_peer_by_id(t, node_id);

	if (!p)
		return false;
	magic_ping(t->magic, loop_now(t->loop), p->owner, token);
	tunnel_flush_magic(t);
	return true;
}

bool tunnel_peer_may_send(const struct tunnel *t, int64_t node_id, const struct ippkt *pkt)
{
	const struct peer *p = tunnel_peer_by_id(t, node_id);

	return p &&
	       gate_allows(atomic_load_explicit(&t->gate, memory_order_acquire), p->owner, pkt);
}

static int64_t ms_ago(struct mono now, struct mono then)
{
	return mono_is_zero(then) ? -1 : mono_since_ms(now, then);
}

static bool has_public_address(const struct tailcfg_node *n)
{
	for (size_t i = 0; i < n->endpoints.n; i++)
		if (!ip_is_private(n->endpoints.v[i].ip) && !ip_is_link_local(n->endpoints.v[i].ip))
			return true;
	return false;
}

static enum pathwhy path_why(const struct tunnel *t, int64_t node_id, enum magic_why pings)
{
	const struct tailcfg_node *n = t->map ? netmap_peer_by_id(t->map, node_id) : NULL;
	struct pathwhy_facts facts = { .pings = pings, .ours = netcheck_last(t->netcheck) };

	if (n) {
		facts.no_public = !has_public_address(n);
		facts.offline = n->online == OPT_FALSE;
		facts.theirs = n->hostinfo ? n->hostinfo->netinfo : NULL;
	}
	return pathwhy_of(&facts);
}

bool tunnel_peer_status(const struct tunnel *t, int64_t node_id, struct tunnel_peer_status *out)
{
	const struct peer *p = tunnel_peer_by_id(t, node_id);
	struct mono now = loop_now(t->loop);
	struct magic_peer_status m;
	struct wg_peer_status w;
	struct wg_peer_id id;

	*out = (struct tunnel_peer_status){
		.handshake_ms_ago = -1, .write_ms_ago = -1, .reject_ms_ago = -1, .why = PATHWHY_IDLE
	};
	if (!p)
		return false;
	if (magic_peer_status(t->magic, now, p->owner, &m)) {
		out->region = m.route.region;
		out->latency_ns = m.latency_ns;
		out->candidates = m.candidates;
		out->answered = m.answered;
		out->why = path_why(t, node_id, m.why);
		if (m.trusted)
			out->direct = m.route.direct;
	}
	out->write_ms_ago = ms_ago(now, p->last_send);
	out->reject = p->reject;
	out->reject_ms_ago = ms_ago(now, p->rejected_at);
	out->active = out->write_ms_ago >= 0 && out->write_ms_ago < 120000;
	if (wg_peer_of_owner(t->wg, p->owner, &id) && wg_peer_status(t->wg, now, id, &w)) {
		out->has_session = w.has_session;
		out->tx_bytes = w.tx_bytes;
		out->rx_bytes = w.rx_bytes;
		out->handshake_ms_ago = ms_ago(now, w.last_handshake);
	}
	return true;
}
