/*
 * Connections of a relay: greeting, admission, what each frame does, timers, output.
 *
 *   GREETING --ClientInfo--> ADMISSION --relay_admit()--> UP --> CLOSING
 *        (mesh members skip ADMISSION)          LINK, SIBLING: outbound, up at once
 *
 * No optional frame goes to a client that did not ask for it: strict readers hang up on Health, on
 * Restarting and on PeerPresent. Server pings are never sent.
 */
#include "engine/relay/relay.h"

#include "base/mem.h"
#include "crypto/x25519.h"
#include "engine/relay/relay_state.h"

enum {
	HANDSHAKE_S = 10,
	KEEPALIVE_S = 60,
	KEEPALIVE_JITTER_MS = 5000,
	BURST_MIN = DERP_HEADER_LEN + 2 * DERP_KEY_LEN + DERP_PACKET_MAX,
	NOT_HERE_RATE = 1,
	NOT_HERE_BURST = 3,
	NOTICES_MAX = 64 << 10,         /* one client: some 1600 PeerGone */
	WATCHER_NOTICES_MAX = 64 << 20, /* a mesh member: a million keys */
	QUEUE_BYTES = 512 << 10,
	MEMORY_BYTES = 256 << 20,
	MAX_AGE_MS = 1000,
	CONNECTIONS_MAX = 65536,
};

const char *relay_drop_name(enum relay_drop d)
{
	static const char *const names[] = {
#define X(id, name, text) name,
		RELAY_DROPS(X)
#undef X
	};
	return names[d];
}

const char *relay_drop_text(enum relay_drop d)
{
	static const char *const texts[] = {
#define X(id, name, text) text,
		RELAY_DROPS(X)
#undef X
	};
	return texts[d];
}

/* ---- create ---- */

void relay_set_rates(struct relay *r, uint64_t client_rate, uint64_t client_burst,
		     uint64_t total_rate, uint64_t total_burst)
{
	r->conf.client_rate = client_rate;
	r->conf.client_burst = client_burst < BURST_MIN ? BURST_MIN : client_burst;
	r->conf.total_rate = total_rate;
	r->conf.total_burst = total_burst < BURST_MIN ? BURST_MIN : total_burst;
}

struct relay *relay_create(const struct relay_conf *conf)
{
	struct relay *r = mem_alloc(sizeof(*r));
	uint8_t seed[16];

	r->conf = *conf;
	if (!r->conf.connections_max)
		r->conf.connections_max = CONNECTIONS_MAX;
	r->has_mesh = !secret_is_zero(conf->mesh_key.b, sizeof(conf->mesh_key.b));
	x25519_public(r->key.b, &conf->private_key);
	relay_set_rates(r, conf->client_rate, conf->client_burst, conf->total_rate,
			conf->total_burst);
	r->total = conf->total ? conf->total : &r->own_total;
	list_init(&r->attention);
	heap_init(&r->timers);
	peers_init(r);
	conf->rng->fill(conf->rng, seed, sizeof(seed));
	relay_flows_init(&r->flows, seed);
	r->flows.bytes_max = conf->memory_bytes ? conf->memory_bytes : MEMORY_BYTES;
	r->flows.queue_max = conf->queue_bytes ? conf->queue_bytes : QUEUE_BYTES;
	r->flows.max_age_ms = conf->max_age_ms ? conf->max_age_ms : MAX_AGE_MS;
	r->flows.drops = r->stats.drops;
	return r;
}

void relay_destroy(struct relay *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->slot_count; i++)
		if (r->slots[i].conn)
			relay_remove(r, (struct mono){ 0 }, r->slots[i].conn->id);
	relay_flows_fini(&r->flows);
	peers_fini(r);
	heap_fini(&r->timers);
	mem_free(r->slots);
	secret32_wipe(&r->conf.private_key);
	secret32_wipe(&r->conf.mesh_key);
	mem_free(r);
}

const struct key *relay_key(const struct relay *r)
{
	return &r->key;
}

/* ---- connections by id: slot + 1 in the low half, how often the slot was used in the high ---- */

struct conn *conn_of(const struct relay *r, uint64_t id)
{
	uint32_t at = (uint32_t)id;

	if (!at || at > r->slot_count || r->slots[at - 1].generation != id >> 32)
		return NULL;
	return r->slots[at - 1].conn;
}

static uint64_t slot_take(struct relay *r, struct conn *c)
{
	uint32_t at = r->free_slot;

	if (at) {
		r->free_slot = r->slots[at - 1].next_free;
	} else {
		mem_reserve(r->slots, r->slot_count, r->slot_cap);
		at = (uint32_t)++r->slot_count;
		r->slots[at - 1] = (struct slot){ 0 };
	}
	r->slots[at - 1].conn = c;
	return (uint64_t)r->slots[at - 1].generation << 32 | at;
}

static void slot_give(struct relay *r, uint64_t id)
{
	uint32_t at = (uint32_t)id;

	r->slots[at - 1].conn = NULL;
	r->slots[at - 1].generation++;
	r->slots[at - 1].next_free = r->free_slot;
	r->free_slot = at;
}

static void conn_arm(struct relay *r, struct conn *c)
{
	struct mono at = mono_min(c->close_at, mono_min(c->keepalive_at, c->resume_at));

	heap_set(&r->timers, &c->timer, at);
}

void conn_want(struct relay *r, struct conn *c, unsigned wants)
{
	c->wants |= wants;
	if (c->wants && list_is_empty(&c->attention))
		list_append(&r->attention, &c->attention);
}

/*
 * Nothing is delivered to it from now on: a duplicate with the same key must get its packets. It
 * stays on the list of watchers, which may be under way in a caller, until relay_remove().
 */
void conn_close(struct relay *r, struct conn *c, const char *reason)
{
	if (c->state == CONN_CLOSING)
		return;
	c->state = CONN_CLOSING;
	c->close_reason = reason;
	peer_leave(r, c);
	routes_drop(r, c);
	conn_want(r, c, RELAY_WANT_CLOSE);
}

static void want_output(struct relay *r, struct conn *c)
{
	if (c->output_said)
		return;
	c->output_said = true;
	conn_want(r, c, RELAY_WANT_OUTPUT);
}

bool conn_notice(struct relay *r, struct conn *c, struct bytes frame)
{
	bool is_client = !c->mesh && c->state != CONN_LINK && c->state != CONN_SIBLING;
	size_t max = is_client ? NOTICES_MAX : WATCHER_NOTICES_MAX;

	if (c->state == CONN_CLOSING || c->notices.n - c->notices_sent + frame.n > max) {
		r->stats.notices_lost++;
		return false;
	}
	(void)buf_append(&c->notices, frame);
	want_output(r, c);
	return true;
}

struct conn *conn_create(struct relay *r, enum conn_state state)
{
	struct conn *c = mem_alloc(sizeof(*c));

	c->state = state;
	c->id = slot_take(r, c);
	c->keepalive_at = c->resume_at = c->close_at = MONO_NEVER;
	list_init(&c->attention);
	list_init(&c->in_peer);
	list_init(&c->watching);
	list_init(&c->routes);
	list_init(&c->trails);
	buf_init(&c->notices, 2 * WATCHER_NOTICES_MAX);
	relay_queue_init(&c->queue, c->id);
	r->stats.connections++;
	return c;
}

uint64_t relay_accept(struct relay *r, struct mono now, struct addrport from, bool not_ideal)
{
	uint8_t frame[64];
	struct writer w = writer_of(frame, sizeof(frame));
	struct conn *c;

	if (r->draining || r->stats.connections >= r->conf.connections_max) {
		r->stats.refused++;
		return 0;
	}
	c = conn_create(r, CONN_GREETING);
	c->from = from;
	c->not_ideal = not_ideal;
	c->close_at = mono_add_s(now, HANDSHAKE_S);
	conn_arm(r, c);
	derp_put_server_key(&w, &r->key);
	(void)conn_notice(r, c, bytes_of(frame, writer_done(&w)));
	r->stats.accepted++;
	return c->id;
}

uint64_t relay_link(struct relay *r, struct mono now)
{
	uint8_t frame[DERP_HEADER_LEN];
	struct writer w = writer_of(frame, sizeof(frame));
	struct conn *c;

	(void)now;
	if (r->draining)
		return 0;
	c = conn_create(r, CONN_LINK);
	c->key = r->key;
	derp_put_empty(&w, DERP_WATCH_CONNS);
	(void)conn_notice(r, c, bytes_of(frame, writer_done(&w)));
	return c->id;
}

void relay_bind(struct relay *r, uint64_t id, void *user)
{
	struct conn *c = conn_of(r, id);

	if (c)
		c->user = user;
}

void *relay_user(const struct relay *r, uint64_t id)
{
	const struct conn *c = conn_of(r, id);

	return c ? c->user : NULL;
}

static void greeting_free(struct conn *c)
{
	if (!c->greeting)
		return;
	secret_wipe(c->greeting, sizeof(*c->greeting));
	mem_free(c->greeting);
	c->greeting = NULL;
}

void relay_remove(struct relay *r, struct mono now, uint64_t id)
{
	struct conn *c = conn_of(r, id);

	(void)now;
	if (!c)
		return;
	/* First out of every list that the announcements below walk over. */
	c->state = CONN_CLOSING;
	list_remove(&c->watching);
	list_remove(&c->attention);
	heap_remove(&r->timers, &c->timer);
	trails_drop(r, c);
	peer_leave(r, c);
	routes_drop(r, c);
	relay_queue_clear(&r->flows, &c->queue, RELAY_DROP_GONE);
	greeting_free(c);
	buf_fini(&c->notices);
	slot_give(r, id);
	r->stats.connections--;
	mem_free(c);
}

/* ---- greeting and admission ---- */

static enum relay_verdict protocol_error(struct relay *r, struct conn *c, const char *why)
{
	r->stats.protocol_errors++;
	conn_close(r, c, why);
	return RELAY_CLOSE;
}

static void set_keepalive(struct relay *r, struct conn *c, struct mono now)
{
	c->keepalive_at = mono_add_ms(mono_add_s(now, KEEPALIVE_S),
				      (int64_t)rng_below(r->conf.rng, KEEPALIVE_JITTER_MS));
	conn_arm(r, c);
}

static void put_server_info(struct relay *r, struct conn *c)
{
	/* Only the version: the official server says no more, and limits are kept by our reading.
	 */
	struct derp_server_info info = { .version = DERP_VERSION };
	uint8_t frame[512], nonce[BOX_NONCE_LEN];
	struct writer w = writer_of(frame, sizeof(frame));

	r->conf.rng->fill(r->conf.rng, nonce, sizeof(nonce));
	derp_put_server_info(&w, &info, &c->greeting->shared, nonce);
	(void)conn_notice(r, c, bytes_of(frame, writer_done(&w)));
}

static void conn_up(struct relay *r, struct conn *c, struct mono now)
{
	c->state = CONN_UP;
	c->close_at = MONO_NEVER;
	put_server_info(r, c);
	greeting_free(c);
	set_keepalive(r, c, now);
	peer_join(r, c);
}

static bool is_mesh_member(const struct relay *r, const struct derp_client_info *info)
{
	return r->has_mesh && info->has_mesh_key &&
	       secret_equal(info->mesh_key.b, r->conf.mesh_key.b, sizeof(info->mesh_key.b));
}

static enum relay_verdict take_client_info(struct relay *r, struct conn *c, struct mono now,
					   struct bytes body)
{
	struct greeting *g = mem_alloc(sizeof(*g));

	c->greeting = g;
	if (!derp_get_client_info(body, &r->conf.private_key, &g->info, &g->shared)) {
		greeting_free(c);
		return protocol_error(r, c, "greeting did not open: wrong server key or key");
	}
	c->key = g->info.key;
	c->prober = g->info.is_prober;
	c->knows_restarting = g->info.knows_restarting;
	c->mesh = is_mesh_member(r, &g->info);
	if (c->mesh && key_equal(&c->key, &r->key))
		return protocol_error(r, c, "the relay was told to mesh with itself");
	if (c->mesh) {
		conn_up(r, c, now);
		return RELAY_GO;
	}
	c->state = CONN_ADMISSION;
	c->holding = true;
	conn_want(r, c, RELAY_WANT_ADMISSION);
	return RELAY_HOLD;
}

void relay_admit(struct relay *r, struct mono now, uint64_t id, bool allow)
{
	struct conn *c = conn_of(r, id);

	if (!c || c->state != CONN_ADMISSION)
		return;
	if (!allow) {
		r->stats.refused++;
		conn_close(r, c, "not admitted");
		return;
	}
	conn_up(r, c, now);
	c->holding = false;
	conn_want(r, c, RELAY_WANT_INPUT);
}

void relay_expel(struct relay *r, uint64_t id)
{
	struct conn *c = conn_of(r, id);

	if (c)
		conn_close(r, c, "no longer admitted");
}

static void close_key(struct relay *r, const struct key *key, const char *why)
{
	struct peer *p;

	while ((p = peer_find(r, key)) != NULL && !list_is_empty(&p->conns))
		conn_close(r, list_entry(p->conns.next, struct conn, in_peer), why);
}

void relay_expel_key(struct relay *r, const struct key *key)
{
	close_key(r, key, "no longer admitted");
	siblings_close_peer(r, key);
}

/* ---- frames ---- */

static void maybe_not_here(struct relay *r, struct conn *c, struct mono now, const struct key *dst)
{
	uint8_t frame[DERP_HEADER_LEN + DERP_KEY_LEN + 1];
	struct writer w = writer_of(frame, sizeof(frame));

	if (!bucket_take(&c->not_here, NOT_HERE_RATE, NOT_HERE_BURST, now, 1))
		return;
	derp_put_peer_gone(&w, dst, DERP_GONE_NOT_HERE);
	if (conn_notice(r, c, bytes_of(frame, writer_done(&w))))
		r->stats.peer_gone_not_here++;
}

static void deliver(struct relay *r, struct conn *to, struct mono now,
		    const struct relay_envelope *env, struct bytes payload)
{
	if (to->state == CONN_CLOSING) {
		r->stats.drops[RELAY_DROP_GONE]++;
		return;
	}
	if (relay_queue_push(&r->flows, &to->queue, now, env, payload))
		want_output(r, to);
}

/* In the frame that its kind of connection expects. */
static void hand(struct relay *r, struct conn *to, struct mono now, const struct key *src,
		 const struct key *dst, struct bytes payload, enum origin origin)
{
	struct relay_envelope env = { DERP_FORWARD_PACKET, src, dst };

	if (to->state == CONN_SIBLING) {
		r->stats.packets_handed_over++;
		if (origin == FROM_RELAY)
			env.type = (enum derp_type)RELAY_FORWARD_LAST;
	} else if (to->state == CONN_LINK) {
		r->stats.packets_forwarded_out++;
	} else {
		env = (struct relay_envelope){ DERP_RECV_PACKET, src, NULL };
	}
	deliver(r, to, now, &env, payload);
	if (!env.fwd_to)
		trail_note(r, src, to);
}

static void take_packet(struct relay *r, struct conn *c, struct mono now, const struct key *dst,
			struct bytes payload)
{
	struct peer *p = peer_find(r, dst);
	struct conn *to = p ? peer_target(p, FROM_CLIENT) : NULL;
	bool disco = derp_is_disco(payload);

	c->packets_in++;
	c->bytes_in += payload.n;
	r->stats.packets_in++;
	r->stats.bytes_in += payload.n;
	r->stats.disco_in += disco;
	peer_activate(r, c);
	if (to) {
		hand(r, to, now, &c->key, dst, payload, FROM_CLIENT);
	} else {
		r->stats.drops[RELAY_DROP_UNKNOWN_DEST]++;
		if (disco)
			maybe_not_here(r, c, now, dst);
	}
}

/* From another relay or shard: it never travels on to where it came from. */
void relay_forward(struct relay *r, struct mono now, const struct key *src, const struct key *dst,
		   struct bytes payload, enum origin origin)
{
	struct peer *p = peer_find(r, dst);
	struct conn *to = p ? peer_target(p, origin) : NULL;

	r->stats.packets_forwarded_in += origin == FROM_RELAY;
	if (!to)
		r->stats.drops[RELAY_DROP_UNKNOWN_DEST_ON_FWD]++;
	else
		hand(r, to, now, src, dst, payload, origin);
}

void relay_close_peer(struct relay *r, const struct key *key)
{
	close_key(r, key, "closed by a mesh member");
}

static void take_ping(struct relay *r, struct conn *c, struct bytes body)
{
	r->stats.pings++;
	if (c->has_pong) /* one at a time: a flood of pings gets one answer per turn */
		return;
	c->has_pong = derp_get_ping(body, c->pong);
	want_output(r, c);
}

static enum relay_verdict client_frame(struct relay *r, struct conn *c, struct mono now,
				       const struct derp_frame *f)
{
	struct key src, dst;
	struct bytes payload;

	switch (f->type) {
	case DERP_SEND_PACKET:
		if (!derp_get_packet(f->body, &dst, &payload))
			return protocol_error(r, c, "malformed SendPacket");
		take_packet(r, c, now, &dst, payload);
		return RELAY_GO;
	case DERP_NOTE_PREFERRED:
		return derp_get_note_preferred(f->body, &c->home)
			   ? RELAY_GO
			   : protocol_error(r, c, "malformed NotePreferred");
	case DERP_PING:
		take_ping(r, c, f->body);
		return RELAY_GO;
	case DERP_FORWARD_PACKET:
	case DERP_WATCH_CONNS:
	case DERP_CLOSE_PEER:
		break;
	default:
		return RELAY_GO;
	}
	if (!c->mesh)
		return protocol_error(r, c, "mesh frame without the mesh key");
	if (f->type == DERP_WATCH_CONNS) {
		peer_watch(r, c);
	} else if (f->type == DERP_CLOSE_PEER) {
		if (derp_get_close_peer(f->body, &dst)) {
			relay_close_peer(r, &dst);
			siblings_close_peer(r, &dst);
		}
	} else if (derp_get_forward(f->body, &src, &dst, &payload)) {
		relay_forward(r, now, &src, &dst, payload, FROM_RELAY);
	}
	return RELAY_GO;
}

/* What another relay tells us on our link to it. Its pings are answered by whoever owns the link.
 */
static void link_frame(struct relay *r, struct conn *c, const struct derp_frame *f)
{
	struct derp_present present;
	struct key key;
	uint8_t reason;

	if (f->type == DERP_PEER_PRESENT && derp_get_peer_present(f->body, &present))
		route_add(r, c, &present);
	else if (f->type == DERP_PEER_GONE && derp_get_peer_gone(f->body, &key, &reason))
		route_remove(r, c, &key, false);
}

/* Charges what was read; a client in debt is not read until the debt is paid. */
static enum relay_verdict charge(struct relay *r, struct conn *c, struct mono now, size_t n)
{
	struct mono mine, all;

	bucket_charge(&c->rate, r->conf.client_rate, r->conf.client_burst, now, n);
	all = bucket_shared_charge(r->total, r->conf.total_rate, r->conf.total_burst, now, n);
	mine = bucket_ready_at(&c->rate, r->conf.client_rate);
	if (mono_is_zero(mine) && mono_is_zero(all))
		return RELAY_GO;
	r->stats.held_for_rate++;
	c->holding = true;
	c->resume_at = mine.ns > all.ns ? mine : all;
	conn_arm(r, c);
	return RELAY_HOLD;
}

enum relay_verdict relay_input(struct relay *r, struct mono now, uint64_t id,
			       const struct derp_frame *f)
{
	struct conn *c = conn_of(r, id);
	enum relay_verdict v;

	if (!c || c->state == CONN_CLOSING)
		return RELAY_CLOSE;
	if (c->state == CONN_LINK) {
		link_frame(r, c, f);
		return RELAY_GO;
	}
	if (c->state == CONN_SIBLING) {
		sibling_frame(r, c, now, f);
		return RELAY_GO;
	}
	if (c->state == CONN_GREETING) {
		if (f->type != DERP_CLIENT_INFO)
			return protocol_error(r, c, "first frame was not ClientInfo");
		return take_client_info(r, c, now, f->body);
	}
	if (c->holding)
		return RELAY_HOLD; /* the caller did not hold; the frame is lost */
	v = client_frame(r, c, now, f);
	if (v == RELAY_GO && !c->mesh)
		v = charge(r, c, now, DERP_HEADER_LEN + f->body.n);
	return v;
}

/* ---- output ---- */

uint64_t relay_next(struct relay *r, unsigned *wants)
{
	struct list *l = list_pop(&r->attention);
	struct conn *c;

	if (!l)
		return 0;
	c = list_entry(l, struct conn, attention);
	*wants = c->wants;
	c->wants = 0;
	return c->id;
}

static void put_notices(struct conn *c, struct buf *out, size_t target)
{
	size_t n = c->notices.n - c->notices_sent;

	if (out->n >= target || !n)
		return;
	if (n > target - out->n)
		n = target - out->n;
	(void)buf_append(out, bytes_of(c->notices.p + c->notices_sent, n));
	c->notices_sent += n;
	if (c->notices_sent == c->notices.n) {
		/* Idle clients own no buffer. */
		buf_fini(&c->notices);
		buf_init(&c->notices, 2 * WATCHER_NOTICES_MAX);
		c->notices_sent = 0;
	}
}

static void put_own(struct conn *c, struct buf *out)
{
	uint8_t frame[2 * DERP_HEADER_LEN + DERP_PING_LEN];
	struct writer w = writer_of(frame, sizeof(frame));

	if (c->has_keepalive)
		derp_put_empty(&w, DERP_KEEP_ALIVE);
	if (c->has_pong)
		derp_put_ping(&w, DERP_PONG, c->pong);
	c->has_keepalive = c->has_pong = false;
	(void)buf_append(out, bytes_of(frame, w.n));
}

bool relay_output(struct relay *r, struct mono now, uint64_t id, struct buf *out, size_t target)
{
	struct conn *c = conn_of(r, id);

	if (!c)
		return false;
	/* Notices may be cut anywhere, so nothing comes between their parts. */
	put_notices(c, out, target);
	if (c->notices.n)
		return true;
	if (c->state == CONN_CLOSING)
		relay_queue_clear(&r->flows, &c->queue, RELAY_DROP_GONE);
	put_own(c, out);
	while (out->n < target) {
		size_t before = out->n;

		if (!relay_queue_pop(&r->flows, &c->queue, now, out))
			break;
		if (c->state == CONN_SIBLING)
			continue; /* not out yet: counted where it leaves */
		c->packets_out++;
		c->bytes_out += out->n - before;
		r->stats.packets_out++;
		r->stats.bytes_out += out->n - before;
	}
	c->output_said = c->queue.bytes != 0;
	return c->output_said;
}

/* ---- time ---- */

static void tell_restarting(struct relay *r, struct conn *c, uint32_t in_ms)
{
	uint8_t frame[DERP_HEADER_LEN + 8];
	struct writer w = writer_of(frame, sizeof(frame));

	derp_put_restarting(&w, in_ms, r->try_for_ms);
	(void)conn_notice(r, c, bytes_of(frame, writer_done(&w)));
}

void relay_drain(struct relay *r, struct mono now, uint32_t spread_ms, uint32_t try_for_ms)
{
	r->draining = true;
	r->try_for_ms = try_for_ms;
	for (size_t i = 0; i < r->slot_count; i++) {
		struct conn *c = r->slots[i].conn;
		uint32_t in_ms = (uint32_t)rng_below(r->conf.rng, (uint64_t)spread_ms + 1);

		if (!c || c->state == CONN_CLOSING || c->state == CONN_SIBLING)
			continue;
		if (c->state == CONN_UP && c->knows_restarting)
			tell_restarting(r, c, in_ms);
		/* Mesh connections go last: they carry what the others still send. */
		c->close_at =
		    mono_add_ms(now, c->mesh || c->state == CONN_LINK ? spread_ms : in_ms);
		conn_arm(r, c);
	}
}

struct mono relay_deadline(const struct relay *r)
{
	const struct heap_node *n = heap_first(&r->timers);

	return n ? n->at : MONO_NEVER;
}

static void conn_tick(struct relay *r, struct conn *c, struct mono now)
{
	if (mono_reached(now, c->resume_at)) {
		c->resume_at = MONO_NEVER;
		c->holding = false;
		conn_want(r, c, RELAY_WANT_INPUT);
	}
	if (mono_reached(now, c->keepalive_at)) {
		c->has_keepalive = true;
		want_output(r, c);
		set_keepalive(r, c, now);
	}
	if (mono_reached(now, c->close_at)) {
		c->close_at = MONO_NEVER;
		if (c->state == CONN_GREETING || c->state == CONN_ADMISSION) {
			r->stats.handshake_timeouts++;
			conn_close(r, c, "no complete greeting in time");
		} else {
			conn_close(r, c, "the relay restarts");
		}
	}
	conn_arm(r, c);
}

void relay_tick(struct relay *r, struct mono now)
{
	struct heap_node *n;

	while ((n = heap_pop_due(&r->timers, now)) != NULL)
		conn_tick(r, container_of(n, struct conn, timer), now);
}

/* ---- numbers ---- */

bool relay_client(const struct relay *r, uint64_t id, struct relay_client *out)
{
	const struct conn *c = conn_of(r, id);

	if (!c || c->state == CONN_GREETING || c->state == CONN_SIBLING)
		return false;
	*out = (struct relay_client){
		.key = c->key,
		.from = c->from,
		.admitted = c->state == CONN_UP,
		.mesh = c->mesh,
		.link = c->state == CONN_LINK,
		.home = c->home,
		.prober = c->prober,
		.not_ideal = c->not_ideal,
		.packets_in = c->packets_in,
		.bytes_in = c->bytes_in,
		.packets_out = c->packets_out,
		.bytes_out = c->bytes_out,
		.drops = c->queue.drops,
		.queued_bytes = c->queue.bytes,
		.flows = c->queue.flows,
	};
	return true;
}

uint64_t relay_each(const struct relay *r, size_t *it)
{
	while (*it < r->slot_count) {
		const struct conn *c = r->slots[(*it)++].conn;

		if (c)
			return c->id;
	}
	return 0;
}

const char *relay_close_reason(const struct relay *r, uint64_t id)
{
	const struct conn *c = conn_of(r, id);

	return c && c->close_reason ? c->close_reason : "";
}

void relay_stats(const struct relay *r, struct relay_stats *out)
{
	*out = r->stats;
	out->connections -= r->sibling_count;
	out->queued_bytes = r->flows.bytes;
	out->flows = r->flows.by_id.n;
	for (size_t i = 0; i < r->slot_count; i++) {
		const struct conn *c = r->slots[i].conn;

		if (!c)
			continue;
		out->clients += c->state == CONN_UP && !c->mesh;
		out->home += c->state == CONN_UP && c->home;
		out->watchers += !list_is_empty(&c->watching);
		out->links += c->state == CONN_LINK;
	}
}
