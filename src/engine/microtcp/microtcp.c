/*
 * Connections: who may open one, what a segment does to it, how it ends.
 *
 *   SYN --> SYN_RECEIVED --> ESTABLISHED --our end--> FIN_WAIT_1 --> FIN_WAIT_2 --> TIME_WAIT
 *                                 |                        +-----> CLOSING ------------^
 *                             peer's end --> CLOSE_WAIT --our end--> LAST_ACK --> gone
 */
#include "engine/microtcp/microtcp_impl.h"

#include "base/mem.h"
#include "wire/ipbuild.h"

enum { MTU_DEFAULT = 1280, MSS_DEFAULT = 536, MSS_MIN = 64, FIRST_SEGMENTS = 10 };

#define COUNT(t, what) ((t)->counters.what++)

/* ---- tables ---- */

static struct bytes conn_key(const void *item)
{
	return bytes_of(((const struct microtcp_conn *)item)->key, CONN_KEY);
}

static struct bytes source_key(const void *item)
{
	const struct source *s = item;

	return bytes_of(&s->ip, sizeof(s->ip)); /* bytes only: no padding */
}

static void key_of(uint8_t key[CONN_KEY], const struct addrport *local, const struct addrport *peer)
{
	struct writer w = writer_of(key, CONN_KEY);

	write_copy(&w, &local->ip, 17);
	write_be16(&w, local->port);
	write_copy(&w, &peer->ip, 17);
	write_be16(&w, peer->port);
}

static struct microtcp_conn *find(const struct microtcp *t, const struct segment *s)
{
	uint8_t key[CONN_KEY];

	key_of(key, &s->local, &s->peer);
	return map_get(&t->conns, bytes_of(key, CONN_KEY));
}

static bool source_take(struct microtcp *t, struct ip ip)
{
	struct source *s = map_get(&t->sources, bytes_of(&ip, sizeof(ip)));

	if (!s) {
		s = mem_alloc(sizeof(*s));
		s->ip = ip;
		map_put(&t->sources, s);
	}
	if (s->count >= MICROTCP_SOURCE_MAX)
		return false;
	s->count++;
	return true;
}

static void source_give(struct microtcp *t, struct ip ip)
{
	struct source *s = map_get(&t->sources, bytes_of(&ip, sizeof(ip)));

	if (--s->count)
		return;
	map_remove(&t->sources, bytes_of(&ip, sizeof(ip)));
	mem_free(s);
}

/* ---- resets: no memory but the queue is spent on strangers ---- */

static void queue_reset(struct microtcp *t, const struct reset *r)
{
	if (t->reset_count == MICROTCP_RESETS_MAX)
		return;
	t->resets[(t->reset_at + t->reset_count++) % MICROTCP_RESETS_MAX] = *r;
}

/* RFC 9293 3.10.7.1: to a segment of no connection. */
static void refuse(struct microtcp *t, const struct segment *s)
{
	struct reset r = { .local = s->local, .peer = s->peer, .flags = TCP_RST };

	if (s->flags & TCP_RST)
		return;
	if (s->flags & TCP_ACK) {
		r.seq = s->ack;
	} else {
		r.flags |= TCP_ACK;
		r.ack =
		    s->seq + (uint32_t)s->data.n + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
	}
	queue_reset(t, &r);
}

/* ---- birth and death ---- */

static void move_to(struct microtcp_conn *c, enum conn_state next)
{
	c->state = next; /* the only assignment */
}

/* The memory stays until the engine is called again: a callback may be on the stack. */
static void bury(struct microtcp_conn *c)
{
	struct microtcp *t = c->t;

	if (c->state == CONN_DEAD)
		return;
	move_to(c, CONN_DEAD);
	map_remove(&t->conns, conn_key(c));
	source_give(t, c->peer.ip);
	heap_remove(&t->timers, &c->timer);
	list_remove(&c->ready);
	list_append(&t->dead, &c->ready);
}

static void free_dead(struct microtcp *t)
{
	struct list *l;

	while ((l = list_pop(&t->dead))) {
		struct microtcp_conn *c = list_entry(l, struct microtcp_conn, ready);

		buf_fini(&c->tx);
		buf_fini(&c->rx);
		mem_free(c);
	}
}

static void tell_gone(struct microtcp_conn *c, enum microtcp_end why)
{
	void *owner = c->owner;

	c->owner = NULL;
	if (owner)
		c->t->conf.on_gone(owner, why);
}

static void end(struct microtcp_conn *c, enum microtcp_end why)
{
	bury(c);
	tell_gone(c, why);
}

static void abort_conn(struct microtcp_conn *c)
{
	queue_reset(c->t, &(struct reset){ .local = c->local,
					   .peer = c->peer,
					   .seq = c->next,
					   .ack = c->rcv_next,
					   .flags = TCP_RST | TCP_ACK });
	bury(c);
}

static uint16_t mss_of(const struct microtcp *t, const struct segment *s)
{
	size_t ours = t->conf.mtu - ipbuild_header_len(s->local.ip) - TCP_HEADER_LEN;
	uint16_t mss = s->mss ? s->mss : MSS_DEFAULT;

	if (mss < MSS_MIN)
		mss = MSS_MIN;
	return mss < ours ? mss : (uint16_t)ours;
}

static void open_conn(struct microtcp *t, struct mono now, const struct segment *s)
{
	struct microtcp_conn *c = mem_alloc(sizeof(*c));

	c->t = t;
	list_init(&c->ready);
	key_of(c->key, &s->local, &s->peer);
	c->local = s->local;
	c->peer = s->peer;
	buf_init(&c->tx, MICROTCP_SEND_BYTES);
	buf_init(&c->rx, MICROTCP_RECEIVE_BYTES);
	c->una = c->next = c->max = c->recover = rng_u32(&t->conf.rng);
	c->tx_seq = c->una + 1;
	c->window = s->window;
	c->peer_scales = s->scale >= 0;
	c->scale = s->scale > 0 ? (uint8_t)s->scale : 0;
	c->mss = mss_of(t, s);
	c->cwnd = FIRST_SEGMENTS * (uint32_t)c->mss;
	c->ssthresh = UINT32_MAX;
	c->rcv_next = s->seq + 1;
	move_to(c, CONN_SYN_RECEIVED);
	map_put(&t->conns, c);
	conn_ready(c);
	conn_arm(c, now);
}

static void take_syn(struct microtcp *t, struct mono now, const struct segment *s)
{
	if (!t->conf.on_ask(t->conf.arg, &s->local, &s->peer)) {
		COUNT(t, refused);
		refuse(t, s);
	} else if (t->conns.n >= MICROTCP_CONNS_MAX || !source_take(t, s->peer.ip)) {
		COUNT(t, limited); /* without a word: it asks again, perhaps there is room then */
	} else {
		open_conn(t, now, s);
	}
}

/* ---- a segment of a connection ---- */

/* Without what was received before; false: nothing of it is for now. */
static bool trim(struct microtcp_conn *c, struct segment *s)
{
	uint32_t window = MICROTCP_RECEIVE_BYTES - (uint32_t)c->rx.n;
	uint32_t length = (uint32_t)s->data.n + !!(s->flags & TCP_FIN);

	if (seq_lt(s->seq, c->rcv_next)) {
		uint32_t old = c->rcv_next - s->seq;

		if (old > length || (old == length && length)) {
			c->ack_due = true; /* our acknowledgement was lost */
			conn_ready(c);
			s->flags &= (uint8_t)~TCP_FIN;
			s->data.n = 0;
			s->seq = c->rcv_next;
			/* What it acknowledges is good all the same. */
			return old <= length;
		}
		s->data = bytes_from(s->data, old);
		s->seq = c->rcv_next;
	}
	if (s->seq - c->rcv_next > window) {
		COUNT(c->t, out_of_window);
		c->ack_due = true;
		conn_ready(c);
		return false;
	}
	if (s->data.n > window) {
		s->data.n = window;
		s->flags &= (uint8_t)~TCP_FIN;
	}
	return true;
}

/* RFC 5961: only the exact number resets; what is near is asked back. */
static void take_reset(struct microtcp_conn *c, const struct segment *s)
{
	if (s->seq == c->rcv_next) {
		end(c, MICROTCP_RESET);
	} else if (s->seq - c->rcv_next < MICROTCP_RECEIVE_BYTES) {
		c->ack_due = true;
		conn_ready(c);
	}
}

static void become_established(struct microtcp_conn *c)
{
	struct microtcp *t = c->t;

	move_to(c, CONN_ESTABLISHED);
	COUNT(t, opened);
	c->owner = t->conf.on_open(t->conf.arg, c);
	if (!c->owner && c->state != CONN_DEAD)
		abort_conn(c);
}

static void hand_over(struct microtcp_conn *c, struct bytes data)
{
	if (c->paused)
		(void)buf_append(&c->rx, data); /* within the window, which is its limit */
	else if (c->owner)
		c->t->conf.on_data(c->owner, data);
}

static void hand_over_end(struct microtcp_conn *c)
{
	if (c->paused)
		c->end_owed = true;
	else if (c->owner)
		c->t->conf.on_end(c->owner);
}

static void take_fin(struct microtcp_conn *c, struct mono now)
{
	c->rcv_next++;
	switch (c->state) {
	case CONN_ESTABLISHED:
		move_to(c, CONN_CLOSE_WAIT);
		break;
	case CONN_FIN_WAIT_1:
		move_to(c, CONN_CLOSING);
		break;
	case CONN_FIN_WAIT_2:
		move_to(c, CONN_TIME_WAIT);
		conn_arm(c, now);
		break;
	default:
		return;
	}
	hand_over_end(c);
	if (c->state == CONN_TIME_WAIT)
		tell_gone(c, MICROTCP_CLOSED);
}

static bool takes_data(const struct microtcp_conn *c)
{
	return c->state == CONN_ESTABLISHED || c->state == CONN_FIN_WAIT_1 ||
	       c->state == CONN_FIN_WAIT_2;
}

static void take_data(struct microtcp_conn *c, struct mono now, const struct segment *s)
{
	if (!s->data.n && !(s->flags & TCP_FIN))
		return;
	c->ack_due = true;
	conn_ready(c);
	if (s->seq != c->rcv_next) {
		COUNT(c->t, out_of_order);
		return;
	}
	if (!takes_data(c))
		return;
	c->rcv_next += (uint32_t)s->data.n;
	if (s->data.n)
		hand_over(c, s->data);
	if (s->flags & TCP_FIN && c->state != CONN_DEAD)
		take_fin(c, now);
}

/* What an acknowledgement of our end leads to. */
static void after_ack(struct microtcp_conn *c, struct mono now)
{
	if (!conn_is_all_acknowledged(c))
		return;
	switch (c->state) {
	case CONN_FIN_WAIT_1:
		move_to(c, CONN_FIN_WAIT_2);
		break;
	case CONN_CLOSING:
		move_to(c, CONN_TIME_WAIT);
		tell_gone(c, MICROTCP_CLOSED);
		break;
	case CONN_LAST_ACK:
		end(c, MICROTCP_CLOSED);
		return;
	default:
		return;
	}
	conn_arm(c, now);
}

static void take_ack(struct microtcp_conn *c, struct mono now, const struct segment *s)
{
	uint32_t before = c->una;

	conn_acknowledged(c, now, s);
	conn_arm(c, now);
	if (c->una != before && c->owner && c->t->conf.on_drain)
		c->t->conf.on_drain(c->owner, c->tx.n);
	if (c->state != CONN_DEAD)
		after_ack(c, now);
}

static void take_segment(struct microtcp_conn *c, struct mono now, struct segment *s)
{
	if (s->flags & TCP_RST) {
		take_reset(c, s);
		return;
	}
	if (s->flags & TCP_SYN) {
		/* The same SYN again wants its answer again; any other one is suspicious. */
		if (c->state == CONN_SYN_RECEIVED && s->seq + 1 == c->rcv_next)
			c->next = c->una;
		c->ack_due = c->state != CONN_SYN_RECEIVED;
		conn_ready(c);
		return;
	}
	if (!(s->flags & TCP_ACK) || !trim(c, s))
		return;
	if (seq_lt(s->ack, c->una) || seq_lt(c->max, s->ack)) {
		if (c->state == CONN_SYN_RECEIVED)
			refuse(c->t, s);
		else if (seq_lt(c->max, s->ack))
			c->ack_due = true;
		conn_ready(c);
		if (seq_lt(c->max, s->ack) || c->state == CONN_SYN_RECEIVED)
			return;
		s->ack = c->una; /* late, but its data is good */
		s->window = (uint16_t)(c->window >> c->scale);
	}
	if (c->state == CONN_SYN_RECEIVED) {
		if (s->ack != c->una + 1)
			return;
		conn_acknowledged(c, now, s);
		become_established(c);
	} else {
		take_ack(c, now, s);
	}
	if (c->state != CONN_DEAD)
		take_data(c, now, s);
	if (c->state != CONN_DEAD)
		conn_arm(c, now);
}

bool microtcp_input(struct microtcp *t, struct mono now, struct bytes packet)
{
	struct microtcp_conn *c;
	struct segment s;

	free_dead(t);
	if (!segment_decode(&s, packet)) {
		COUNT(t, dropped_malformed);
		return false;
	}
	COUNT(t, packets_in);
	c = find(t, &s);
	if (c && c->state == CONN_TIME_WAIT && (s.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
		bury(c); /* the same ports, a new connection */
		c = NULL;
	}
	if (c)
		take_segment(c, now, &s);
	else if ((s.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN)
		take_syn(t, now, &s);
	else
		refuse(t, &s);
	return true;
}

/* ---- what owners do ---- */

void microtcp_output(struct microtcp_conn *c, struct mono now, struct bytes data)
{
	if (c->state == CONN_DEAD || c->finished || !data.n)
		return;
	if (!buf_append(&c->tx, data)) {
		/* The owner is inside of a call of ours or of its own: it is told by the timer. */
		c->retries = MICROTCP_RETRIES_MAX;
		c->tx.bad = true;
		heap_set(&c->t->timers, &c->timer, now);
		return;
	}
	conn_ready(c);
	if (!heap_has(&c->timer))
		conn_arm(c, now);
}

void microtcp_pause(struct microtcp_conn *c)
{
	c->paused = true;
}

void microtcp_resume(struct microtcp_conn *c)
{
	struct buf held = c->rx;

	if (!c->paused || c->state == CONN_DEAD)
		return;
	c->paused = false;
	buf_init(&c->rx, MICROTCP_RECEIVE_BYTES);
	if (held.n) {
		c->ack_due = true; /* the window is open again */
		conn_ready(c);
		hand_over(c, buf_bytes(&held));
	}
	buf_fini(&held);
	if (c->end_owed && c->state != CONN_DEAD && !c->paused) {
		c->end_owed = false;
		hand_over_end(c);
	}
}

void microtcp_finish(struct microtcp_conn *c, struct mono now)
{
	if (c->finished || (c->state != CONN_ESTABLISHED && c->state != CONN_CLOSE_WAIT))
		return;
	c->finished = true;
	move_to(c, c->state == CONN_ESTABLISHED ? CONN_FIN_WAIT_1 : CONN_LAST_ACK);
	conn_ready(c);
	conn_arm(c, now);
}

void microtcp_close(struct microtcp_conn *c, struct mono now, bool abort)
{
	c->owner = NULL;
	c->paused = c->end_owed = false;
	buf_clear(&c->rx);
	if (c->state == CONN_DEAD || c->state == CONN_TIME_WAIT)
		return;
	if (abort)
		abort_conn(c);
	else
		microtcp_finish(c, now);
}

struct addrport microtcp_local(const struct microtcp_conn *c)
{
	return c->local;
}

struct addrport microtcp_peer(const struct microtcp_conn *c)
{
	return c->peer;
}

size_t microtcp_queued(const struct microtcp_conn *c)
{
	return c->tx.n;
}

/* ---- packets and time ---- */

static struct bytes next_reset(struct microtcp *t)
{
	struct reset *r = &t->resets[t->reset_at];
	struct outgoing o = { .local = &r->local,
			      .peer = &r->peer,
			      .seq = r->seq,
			      .ack = r->ack,
			      .flags = r->flags };

	t->reset_at = (t->reset_at + 1) % MICROTCP_RESETS_MAX;
	t->reset_count--;
	return segment_encode(&o, t->packet);
}

struct bytes microtcp_next_packet(struct microtcp *t, struct mono now)
{
	struct list *first;
	struct outgoing o;

	free_dead(t);
	if (t->reset_count) {
		COUNT(t, packets_out);
		return next_reset(t);
	}
	while ((first = list_first(&t->ready))) {
		struct microtcp_conn *c = list_entry(first, struct microtcp_conn, ready);

		list_remove(first);
		if (!conn_next_segment(c, now, &o))
			continue;
		list_append(&t->ready, first); /* behind the others: all get their turn */
		COUNT(t, packets_out);
		return segment_encode(&o, t->packet);
	}
	return (struct bytes){ NULL, 0 };
}

struct mono microtcp_deadline(const struct microtcp *t)
{
	struct heap_node *first = heap_first(&t->timers);

	return first ? first->at : MONO_NEVER;
}

static void on_due(struct microtcp_conn *c, struct mono now)
{
	if (c->state == CONN_TIME_WAIT) {
		bury(c);
	} else if (c->tx.bad) {
		abort_conn(c);
		tell_gone(c, MICROTCP_LIMIT);
	} else if (c->state == CONN_FIN_WAIT_2 || !conn_retransmit(c, now)) {
		COUNT(c->t, timeouts);
		abort_conn(c);
		tell_gone(c, MICROTCP_TIMEOUT);
	}
}

void microtcp_tick(struct microtcp *t, struct mono now)
{
	struct heap_node *node;

	free_dead(t);
	while ((node = heap_pop_due(&t->timers, now)))
		on_due(container_of(node, struct microtcp_conn, timer), now);
}

size_t microtcp_count(const struct microtcp *t)
{
	return t->conns.n;
}

const struct microtcp_counters *microtcp_counters(const struct microtcp *t)
{
	return &t->counters;
}

struct microtcp *microtcp_create(const struct microtcp_conf *conf)
{
	struct microtcp *t = mem_alloc(sizeof(*t));
	uint8_t seed[16];

	t->conf = *conf;
	if (!t->conf.mtu)
		t->conf.mtu = MTU_DEFAULT;
	if (t->conf.mtu > MICROTCP_PACKET_MAX)
		t->conf.mtu = MICROTCP_PACKET_MAX;
	t->conf.rng.fill(&t->conf.rng, seed, sizeof(seed));
	map_init(&t->conns, conn_key, seed);
	map_init(&t->sources, source_key, seed);
	heap_init(&t->timers);
	list_init(&t->ready);
	list_init(&t->dead);
	return t;
}

void microtcp_destroy(struct microtcp *t)
{
	struct microtcp_conn *c;
	size_t it;

	if (!t)
		return;
	while (it = 0, (c = map_next(&t->conns, &it)))
		bury(c);
	free_dead(t);
	map_fini(&t->conns);
	map_fini(&t->sources);
	heap_fini(&t->timers);
	mem_free(t);
}
