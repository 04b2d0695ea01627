/* The engine's table of peers and the way in: every disco message meets its checks here. */
#include "engine/magic/magic.h"

#include "crypto/box.h"
#include "crypto/x25519.h"
#include "engine/magic/magic_peer.h"

static struct bytes peer_key(const void *item)
{
	const struct magic_peer *p = item;

	return bytes_of(&p->id, sizeof(p->id));
}

static struct bytes peer_node_key(const void *item)
{
	const struct magic_peer *p = item;

	return bytes_of(p->node_key.b, sizeof(p->node_key.b));
}

static struct bytes disco_key_key(const void *item)
{
	const struct disco_key *d = item;

	return bytes_of(d->key.b, sizeof(d->key.b));
}

static struct bytes ping_key(const void *item)
{
	const struct sent_ping *ping = item;

	return bytes_of(ping->txid, sizeof(ping->txid));
}

struct magic *magic_create(const struct magic_conf *conf)
{
	struct magic *m = mem_alloc(sizeof(*m));
	uint8_t seed[16];

	m->conf = *conf;
	x25519_public(m->disco_public.b, &conf->disco_private);
	m->conf.rng.fill(&m->conf.rng, seed, sizeof(seed));
	map_init(&m->peers, peer_key, seed);
	map_init(&m->node_keys, peer_node_key, seed);
	map_init(&m->disco_keys, disco_key_key, seed);
	map_init(&m->pings, ping_key, seed);
	heap_init(&m->heartbeats);
	heap_init(&m->timeouts);
	list_init(&m->queue);
	return m;
}

static void leave_disco(struct magic_peer *p)
{
	struct disco_key *d = p->disco;

	if (!d)
		return;
	list_remove(&p->disco_link);
	p->disco = NULL;
	if (!list_is_empty(&d->peers))
		return;
	(void)map_remove(&p->m->disco_keys, disco_key_key(d));
	secret32_wipe(&d->shared);
	mem_free(d);
}

static void join_disco(struct magic_peer *p, const struct key *key)
{
	struct magic *m = p->m;
	struct disco_key *d;

	if (key_is_zero(key))
		return;
	d = map_get(&m->disco_keys, bytes_of(key->b, sizeof(key->b)));
	if (!d) {
		d = mem_alloc(sizeof(*d));
		d->key = *key;
		list_init(&d->peers);
		if (!box_shared(&d->shared, &m->conf.disco_private, key->b)) {
			mem_free(d); /* a key of low order: as good as none */
			return;
		}
		(void)map_put(&m->disco_keys, d);
	}
	list_append(&d->peers, &p->disco_link);
	p->disco = d;
}

static void peer_free(struct magic_peer *p)
{
	magic_forget_pings(p);
	leave_disco(p);
	heap_remove(&p->m->heartbeats, &p->heartbeat);
	mem_free(p->candidates);
	mem_free(p);
}

void magic_destroy(struct magic *m)
{
	struct magic_peer *p;

	if (!m)
		return;
	for (size_t it = 0; (p = map_next(&m->peers, &it));)
		peer_free(p);
	for (struct list *q; (q = list_pop(&m->queue));)
		mem_free(list_entry(q, struct queued, link));
	map_fini(&m->peers);
	map_fini(&m->node_keys);
	map_fini(&m->disco_keys);
	map_fini(&m->pings);
	heap_fini(&m->heartbeats);
	heap_fini(&m->timeouts);
	secret32_wipe(&m->conf.disco_private);
	mem_free(m);
}

struct key magic_disco_key(const struct magic *m)
{
	return m->disco_public;
}

static struct magic_peer *find(const struct magic *m, uint32_t id)
{
	return map_get(&m->peers, bytes_of(&id, sizeof(id)));
}

static struct magic_peer *peer_new(struct magic *m, const struct magic_peer_conf *conf)
{
	struct magic_peer *p = mem_alloc(sizeof(*p));

	p->m = m;
	p->id = conf->id;
	p->node_key = conf->node_key;
	list_init(&p->disco_link);
	list_init(&p->pings);
	(void)map_put(&m->peers, p);
	(void)map_put(&m->node_keys, p);
	return p;
}

void magic_peer_set(struct magic *m, struct mono now, const struct magic_peer_conf *conf)
{
	struct magic_peer *p = find(m, conf->id);
	bool moved;

	if (p && !key_equal(&p->node_key, &conf->node_key)) {
		magic_peer_remove(m, conf->id);
		p = NULL;
	}
	if (!p)
		p = peer_new(m, conf);
	if (!p->disco || !key_equal(&p->disco->key, &conf->disco_key)) {
		/* The peer may have restarted behind the same address: its best path stays. */
		magic_forget_pings(p);
		leave_disco(p);
		join_disco(p, &conf->disco_key);
	}
	moved = p->route.region != conf->region;
	p->route.region = conf->region;
	magic_peer_candidates(p, now, conf->endpoints, conf->endpoint_count, FROM_MAP);
	if (moved)
		magic_peer_changed(p);
}

void magic_peer_remove(struct magic *m, uint32_t id)
{
	struct magic_peer *p = map_remove(&m->peers, bytes_of(&id, sizeof(id)));

	if (!p)
		return;
	if (map_get(&m->node_keys, peer_node_key(p)) == p)
		(void)map_remove(&m->node_keys, peer_node_key(p));
	peer_free(p);
}

/* ---- in ---- */

static void send_pong(struct magic *m, const struct magic_path *from, const struct disco_key *d,
		      const struct disco_ping *ping)
{
	struct disco_pong pong = { .src = from->addr };
	uint8_t out[64];

	if (from->kind ==
	    MAGIC_RELAY) /* as upstream: 127.3.3.40 and the region stand for a relay */
		pong.src = (struct addrport){ ip_v4(127, 3, 3, 40), (uint16_t)from->region };
	memcpy(pong.txid, ping->txid, sizeof(pong.txid));
	magic_send_body(m, from, d, bytes_of(out, disco_pong_encode(&pong, out, sizeof(out))));
	m->counters.pongs_sent++;
}

/* False when this very ping came from this address before. */
static bool learn_source(struct disco_key *d, struct mono now, struct addrport from,
			 const struct disco_ping *ping)
{
	bool fresh = false;

	list_each (it, &d->peers) {
		struct magic_peer *p = list_entry(it, struct magic_peer, disco_link);
		struct candidate *c = magic_candidate_add(p, now, from, FROM_PING);

		if (!c)
			continue;
		c->last_got_ping = now;
		if (!memcmp(c->last_txid, ping->txid, sizeof(c->last_txid)))
			continue;
		memcpy(c->last_txid, ping->txid, sizeof(c->last_txid));
		fresh = true;
		magic_peer_heard(p, now, c);
	}
	return fresh;
}

static void on_ping(struct magic *m, struct mono now, const struct magic_path *from,
		    struct disco_key *d, struct bytes body)
{
	struct disco_ping ping;

	if (!disco_ping_decode(&ping, body)) {
		m->counters.dropped_malformed++;
		return;
	}
	if (from->kind == MAGIC_RELAY && !map_get(&m->node_keys, bytes_of(from->node.b, 32))) {
		m->counters.dropped_wrong_way++;
		return;
	}
	m->counters.pings_received++;
	if (from->kind == MAGIC_RELAY || learn_source(d, now, from->addr, &ping))
		send_pong(m, from, d, &ping);
}

static void on_pong(struct magic *m, struct mono now, struct disco_key *d, struct bytes body)
{
	struct sent_ping *ping;
	struct disco_pong pong;

	if (!disco_pong_decode(&pong, body)) {
		m->counters.dropped_malformed++;
		return;
	}
	ping = map_get(&m->pings, bytes_of(pong.txid, sizeof(pong.txid)));
	if (!ping || ping->peer->disco != d) {
		m->counters.dropped_stray_pong++;
		return;
	}
	m->counters.pongs_received++;
	magic_peer_pong(ping->peer, now, ping);
	magic_forget_ping(ping);
}

/* Only over a relay, whose server vouches for the sender's node key; it must be this disco key's
 * peer. */
static void on_call_me_maybe(struct magic *m, struct mono now, const struct magic_path *from,
			     struct disco_key *d, struct bytes body)
{
	struct magic_peer *p = map_get(&m->node_keys, bytes_of(from->node.b, 32));
	struct disco_call_me_maybe cmm;

	if (from->kind != MAGIC_RELAY || !p || p->disco != d) {
		m->counters.dropped_wrong_way++;
		return;
	}
	if (!disco_call_me_maybe_decode(&cmm, body)) {
		m->counters.dropped_malformed++;
		return;
	}
	m->counters.call_me_maybe_received++;
	magic_peer_candidates(p, now, cmm.endpoints, cmm.n, FROM_CALL_ME_MAYBE);
	magic_peer_ping_now(p, now);
}

void magic_input(struct magic *m, struct mono now, const struct magic_path *from,
		 struct bytes datagram)
{
	struct disco_key *d;
	uint8_t body[DISCO_MESSAGE_MAX];
	struct key sender;
	size_t n;

	if (!disco_is_envelope(datagram) || datagram.n > sizeof(body)) {
		m->counters.dropped_malformed++;
		return;
	}
	sender = disco_sender(datagram);
	d = map_get(&m->disco_keys, bytes_of(sender.b, sizeof(sender.b)));
	if (!d) {
		m->counters.dropped_unknown_key++;
		return;
	}
	n = disco_open(body, datagram, &d->shared);
	if (!n) {
		m->counters.dropped_not_authentic++;
		return;
	}
	switch (body[0]) {
	case DISCO_PING:
		on_ping(m, now, from, d, bytes_of(body, n));
		break;
	case DISCO_PONG:
		on_pong(m, now, d, bytes_of(body, n));
		break;
	case DISCO_CALL_ME_MAYBE:
		on_call_me_maybe(m, now, from, d, bytes_of(body, n));
		break;
	default: /* newer peers know more types */
		break;
	}
}

/* ---- out, time ---- */

void magic_output(struct magic *m, struct mono now, uint32_t peer)
{
	struct magic_peer *p = find(m, peer);

	if (p)
		magic_peer_sending(p, now);
}

bool magic_next_datagram(struct magic *m, struct magic_datagram *out)
{
	struct list *node = list_pop(&m->queue);
	struct queued *q;

	if (!node)
		return false;
	q = list_entry(node, struct queued, link);
	*out = q->d;
	m->queued--;
	mem_free(q);
	return true;
}

static struct mono first_of(const struct heap *h)
{
	struct heap_node *first = heap_first(h);

	return first ? first->at : MONO_NEVER;
}

struct mono magic_deadline(const struct magic *m)
{
	return mono_min(first_of(&m->heartbeats), first_of(&m->timeouts));
}

void magic_tick(struct magic *m, struct mono now)
{
	struct heap_node *node;

	while ((node = heap_pop_due(&m->timeouts, now))) {
		struct sent_ping *ping = container_of(node, struct sent_ping, timeout);

		magic_peer_ping_lost(ping->peer, now, ping);
		magic_forget_ping(ping);
	}
	while ((node = heap_pop_due(&m->heartbeats, now)))
		magic_peer_heartbeat(container_of(node, struct magic_peer, heartbeat), now);
}

void magic_set_endpoints(struct magic *m, struct mono now, const struct addrport *endpoints,
			 size_t n)
{
	struct magic_peer *p;

	m->endpoint_count = n < DISCO_ENDPOINTS_MAX ? n : DISCO_ENDPOINTS_MAX;
	for (size_t i = 0; i < m->endpoint_count; i++)
		m->endpoints[i] = endpoints[i];
	m->endpoints_at = now;
	for (size_t it = 0; (p = map_next(&m->peers, &it));)
		if (p->wants_call_me_maybe)
			magic_send_call_me_maybe(p);
}

void magic_rebind(struct magic *m, struct mono now)
{
	struct magic_peer *p;

	m->endpoints_at = (struct mono){ 0 };
	for (size_t it = 0; (p = map_next(&m->peers, &it));) {
		magic_peer_forget_best(p);
		magic_forget_pings(p);
		for (size_t i = 0; i < p->n; i++)
			p->candidates[i].last_ping = (struct mono){ 0 };
		if (heap_has(
			&p->heartbeat)) /* it was in use: seek at once, not at the next packet */
			magic_peer_heartbeat(p, now);
	}
}

void magic_path_failed(struct magic *m, struct mono now, uint32_t peer, struct addrport addr)
{
	struct magic_peer *p = find(m, peer);
	struct candidate *c = p ? magic_candidate(p, addr) : NULL;

	(void)now;
	if (c)
		c->last_ping = (struct mono){ 0 };
	if (p && addrport_equal(p->route.direct, addr))
		magic_peer_forget_best(p);
}

void magic_ping(struct magic *m, struct mono now, uint32_t peer, uint64_t token)
{
	struct magic_peer *p = find(m, peer);
	struct magic_ping_result none = { .token = token };

	if (p)
		magic_peer_person(p, now, token);
	else if (m->conf.on_ping_result)
		m->conf.on_ping_result(m->conf.arg, &none);
}

bool magic_peer_status(const struct magic *m, struct mono now, uint32_t peer,
		       struct magic_peer_status *out)
{
	const struct magic_peer *p = find(m, peer);

	if (!p)
		return false;
	*out = (struct magic_peer_status){
		.route = p->route,
		.trusted = ip_is_valid(p->route.direct.ip) && now.ns <= p->route.trusted_until.ns,
		.why = magic_peer_why(p, now),
		.latency_ns = p->best_latency_ns,
		.last_send = p->last_send,
		.direct_since = p->direct_since,
		.candidates = p->n,
	};
	for (size_t i = 0; i < p->n; i++)
		out->answered += p->candidates[i].latency_ns != 0;
	return true;
}

const struct magic_counters *magic_counters(const struct magic *m)
{
	return &m->counters;
}
