/* What a connection says and when it says it again: window, congestion, retransmission. */
#include "engine/microtcp/microtcp_impl.h"
#include "wire/ipbuild.h"

enum {
	RTO_FIRST_MS = 1000,
	RTO_MIN_MS = 200,
	RTO_MAX_MS = 30000,
	FIN_WAIT_2_MS = 30000, /* for a peer that forgets to end its side */
	TIME_WAIT_MS = 2000,
	DUP_ACKS = 3,
};

void conn_ready(struct microtcp_conn *c)
{
	if (list_is_empty(&c->ready))
		list_append(&c->t->ready, &c->ready);
}

static uint32_t end_of(const struct microtcp_conn *c)
{
	return c->tx_seq + (uint32_t)c->tx.n;
}

bool conn_is_all_acknowledged(const struct microtcp_conn *c)
{
	return c->finished && c->una == end_of(c) + 1;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint16_t our_window(const struct microtcp_conn *c)
{
	return (uint16_t)(MICROTCP_RECEIVE_BYTES -
			  least(MICROTCP_RECEIVE_BYTES, (uint32_t)c->rx.n));
}

static void time_it(struct microtcp_conn *c, struct mono now, uint32_t seq)
{
	if (!mono_is_zero(c->timed_at))
		return;
	c->timed_at = now;
	c->timed_seq = seq;
}

static bool next_syn(struct microtcp_conn *c, struct mono now, struct outgoing *o)
{
	if (c->next != c->una)
		return false;
	o->flags = TCP_SYN | TCP_ACK;
	o->seq = c->una;
	o->mss = (uint16_t)(c->t->conf.mtu - ipbuild_header_len(c->local.ip) - TCP_HEADER_LEN);
	o->scale = c->peer_scales;
	c->next = c->una + 1;
	if (c->next == c->max)
		c->timed_at = (struct mono){ 0 }; /* said twice: whose answer comes is not known */
	else
		time_it(c, now, c->next);
	c->max = c->next;
	c->ack_due = false;
	return true;
}

/* How many bytes of data may leave at seq. */
static uint32_t may_send(const struct microtcp_conn *c, uint32_t seq)
{
	uint32_t end = end_of(c), flight = seq - c->una;
	uint32_t room = least(c->window, c->cwnd);

	if (!seq_lt(seq, end))
		return 0;
	room = room > flight ? room - flight : 0;
	return least(least(end - seq, room), c->mss);
}

static void put_data(const struct microtcp_conn *c, struct outgoing *o, uint32_t seq, uint32_t n)
{
	o->seq = seq;
	if (n) {
		o->data = bytes_of(c->tx.p + (seq - c->tx_seq), n);
		o->flags |= seq + n == end_of(c) ? TCP_PSH : 0;
	}
	if (c->finished && seq + n == end_of(c))
		o->flags |= TCP_FIN;
}

/* The first segment that is not acknowledged, once more. */
static bool next_resend(struct microtcp_conn *c, struct outgoing *o)
{
	uint32_t n = seq_lt(c->una, end_of(c)) ? least(end_of(c) - c->una, c->mss) : 0;

	c->resend = false;
	if (c->una == c->max)
		return false;
	put_data(c, o, c->una, n);
	c->timed_at = (struct mono){ 0 };
	c->t->counters.resent++;
	return true;
}

static bool next_data(struct microtcp_conn *c, struct mono now, struct outgoing *o)
{
	uint32_t n = may_send(c, c->next), ends;

	if (!n && c->probe && seq_lt(c->next, end_of(c)))
		n = 1; /* into the closed window: its answer says when it opens */
	c->probe = false;
	ends = c->finished && c->next + n == end_of(c);
	if (!n && !ends)
		return false;
	put_data(c, o, c->next, n);
	if (seq_lt(c->next, c->max)) {
		c->timed_at = (struct mono){ 0 };
		c->t->counters.resent++;
	} else {
		time_it(c, now, c->next + n + ends);
	}
	c->next += n + ends;
	if (seq_lt(c->max, c->next))
		c->max = c->next;
	return true;
}

bool conn_next_segment(struct microtcp_conn *c, struct mono now, struct outgoing *o)
{
	bool any = c->ack_due;

	*o = (struct outgoing){ .local = &c->local,
				.peer = &c->peer,
				.ack = c->rcv_next,
				.seq = c->next,
				.flags = TCP_ACK };
	if (c->state == CONN_SYN_RECEIVED)
		any = next_syn(c, now, o);
	else if (c->resend && next_resend(c, o))
		any = true;
	else if (next_data(c, now, o))
		any = true;
	if (!any)
		return false;
	o->window = our_window(c);
	c->ack_due = false;
	conn_arm(c, now);
	return true;
}

/* RFC 6298 2. */
static void take_rtt(struct microtcp_conn *c, int64_t ns)
{
	int64_t off;

	if (!c->srtt_ns) {
		c->srtt_ns = ns;
		c->rttvar_ns = ns / 2;
	} else {
		off = c->srtt_ns > ns ? c->srtt_ns - ns : ns - c->srtt_ns;
		c->rttvar_ns = (3 * c->rttvar_ns + off) / 4;
		c->srtt_ns = (7 * c->srtt_ns + ns) / 8;
	}
	c->rto_ms = (c->srtt_ns + 4 * c->rttvar_ns) / 1000000;
	if (c->rto_ms < RTO_MIN_MS)
		c->rto_ms = RTO_MIN_MS;
	if (c->rto_ms > RTO_MAX_MS)
		c->rto_ms = RTO_MAX_MS;
}

static void shrink(struct microtcp_conn *c)
{
	uint32_t flight = c->max - c->una;

	c->ssthresh = flight / 2 > 2U * c->mss ? flight / 2 : 2U * c->mss;
}

/* The same acknowledgement again: something is missing there (RFC 5681 3.2, without inflation). */
static void take_duplicate(struct microtcp_conn *c)
{
	if (++c->dup_acks != DUP_ACKS || seq_lt(c->una, c->recover))
		return;
	shrink(c);
	c->cwnd = c->ssthresh;
	c->recover = c->max;
	c->resend = true;
}

static void grow(struct microtcp_conn *c, uint32_t acked)
{
	if (c->cwnd < c->ssthresh)
		c->cwnd += least(acked, 2U * c->mss);
	else
		c->cwnd += c->mss * (uint32_t)c->mss / c->cwnd + 1;
	if (c->cwnd > MICROTCP_SEND_BYTES)
		c->cwnd = MICROTCP_SEND_BYTES;
}

static void advance(struct microtcp_conn *c, struct mono now, uint32_t ack)
{
	uint32_t acked = ack - c->una;
	bool partial = seq_lt(ack, c->recover) && seq_lt(c->una, c->recover);

	if (!mono_is_zero(c->timed_at) && seq_le(c->timed_seq, ack)) {
		take_rtt(c, now.ns - c->timed_at.ns + 1);
		c->timed_at = (struct mono){ 0 };
	}
	if (seq_lt(c->tx_seq, ack)) {
		uint32_t done = least(ack - c->tx_seq, (uint32_t)c->tx.n);

		buf_consume(&c->tx, done);
		c->tx_seq += done;
	}
	c->una = ack;
	if (seq_lt(c->next, ack))
		c->next = ack;
	c->dup_acks = 0;
	c->retries = 0;
	if (partial)
		c->resend = true; /* the next hole (RFC 6582) */
	else
		grow(c, acked);
}

void conn_acknowledged(struct microtcp_conn *c, struct mono now, const struct segment *s)
{
	uint32_t window = (uint32_t)s->window << c->scale;

	if (seq_lt(c->una, s->ack)) {
		advance(c, now, s->ack);
	} else if (s->ack == c->una && c->una != c->max && !s->data.n && window == c->window &&
		   !(s->flags & TCP_FIN)) {
		take_duplicate(c);
	}
	c->window = window;
	conn_ready(c);
}

static bool is_waiting_for_ack(const struct microtcp_conn *c)
{
	return c->una != c->max || seq_lt(c->next, end_of(c));
}

void conn_arm(struct microtcp_conn *c, struct mono now)
{
	int64_t ms = 0;

	if (c->state == CONN_TIME_WAIT)
		ms = TIME_WAIT_MS;
	else if (c->state == CONN_FIN_WAIT_2)
		ms = FIN_WAIT_2_MS;
	else if (is_waiting_for_ack(c) || c->state == CONN_SYN_RECEIVED)
		ms = c->rto_ms ? c->rto_ms : RTO_FIRST_MS;
	else if (c->state != CONN_ESTABLISHED && c->state != CONN_CLOSE_WAIT)
		ms = RTO_FIRST_MS;
	if (!ms) {
		heap_remove(&c->t->timers, &c->timer);
		return;
	}
	ms <<= c->retries;
	heap_set(&c->t->timers, &c->timer, mono_add_ms(now, ms > RTO_MAX_MS ? RTO_MAX_MS : ms));
}

bool conn_retransmit(struct microtcp_conn *c, struct mono now)
{
	if (++c->retries > MICROTCP_RETRIES_MAX ||
	    (c->state == CONN_SYN_RECEIVED && c->retries > 3))
		return false;
	if (c->una != c->max && c->state != CONN_SYN_RECEIVED && c->window) {
		shrink(c);
		c->cwnd = c->mss;
	}
	c->recover = c->una;
	c->dup_acks = 0;
	c->next = c->una;
	c->probe = c->window == 0;
	c->timed_at = (struct mono){ 0 };
	conn_ready(c);
	conn_arm(c, now);
	return true;
}
