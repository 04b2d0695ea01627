/* The control thread's turn: what the data threads left, WireGuard's timers, what became quiet. */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/datapath_impl.h"
#include "wire/ippkt.h"

enum { MESSAGES_PER_TURN = 1024, QUIET_POLL_MS = 2, RELAY_RUN_MAX = 128 };

#define COUNT(dp, what, n) datapath_add((dp)->counters, DATAPATH_##what, (n))

/* --- sending what the machine wants sent --- */

static uint64_t via_of(const struct datapath_source *s)
{
	return (uint64_t)s->relay << 32 | s->vni;
}

static struct datapath_path path_back(const struct wg_source *to)
{
	return (struct datapath_path){ .addr = to->addr,
				       .vni = (uint32_t)to->via,
				       .relay = (uint32_t)(to->via >> 32) };
}

static void count_send(struct datapath *dp, enum udp_sent sent, size_t n)
{
	COUNT(dp, UDP_SENDS, 1);
	switch (sent) {
	case UDP_SENT:
		COUNT(dp, UDP_DATAGRAMS_OUT, 1);
		COUNT(dp, UDP_BYTES_OUT, n);
		break;
	case UDP_FULL:
		COUNT(dp, DROP_SEND_FULL, 1);
		break;
	case UDP_TOO_LONG:
		COUNT(dp, DROP_SEND_LONG, 1);
		break;
	default:
		COUNT(dp, DROP_SEND_ERROR, 1);
		break;
	}
}

static bool send_udp(struct datapath *dp, const struct addrport *to, const uint8_t *p, size_t n)
{
	struct udp *udp = datapath_udp_for(dp, to);
	enum udp_sent sent;

	if (!udp) {
		COUNT(dp, DROP_NO_PATH, 1);
		return false;
	}
	sent = udp_send(udp, to, p, n);
	count_send(dp, sent, n);
	return sent == UDP_SENT;
}

static void emit(struct datapath *dp, struct mono now, const struct wg_datagram *d)
{
	bool reply = wg_peer_id_is_none(d->peer);
	struct datapath_path path =
	    reply ? path_back(&d->reply_to) : datapath_path_of(dp, d->owner);
	bool udp = ip_is_valid(path.addr.ip);
	struct bytes datagram = bytes_of(d->p, d->n);

	if (path.relay && (!udp || mono_reached(now, path.trusted_until)) &&
	    dp->conf.hooks.on_relay) {
		COUNT(dp, RELAYED_OUT, 1);
		dp->conf.hooks.on_relay(dp->conf.hooks.arg, path.relay, d->owner, &datagram, 1);
	}
	if (udp && path.vni) {
		datapath_geneve(d->p - GENEVE_LEN, path.vni);
		(void)send_udp(dp, &path.addr, d->p - GENEVE_LEN, d->n + GENEVE_LEN);
	} else if (udp) {
		(void)send_udp(dp, &path.addr, d->p, d->n);
	} else if (!path.relay) {
		COUNT(dp, DROP_NO_PATH, 1);
	}
}

static void drain(struct datapath *dp, struct wg_time now)
{
	struct wg_datagram d;

	while (wg_next_datagram(dp->conf.wg, &d))
		emit(dp, now.mono, &d);
}

/* --- messages --- */

static void take_source(struct datapath *dp, uint32_t owner, const struct datapath_source *from)
{
	if (dp->conf.hooks.on_source)
		dp->conf.hooks.on_source(dp->conf.hooks.arg, owner, from);
}

/* The machine's own path for type 4 sees nothing: data threads take that. */
static void take_handshake(struct datapath *dp, struct wg_time now,
			   const struct datapath_source *from, uint8_t *p, size_t n)
{
	struct wg_source source = { from->addr, via_of(from) };
	struct wg_received got = { 0 };

	(void)wg_input(dp->conf.wg, now, &source, p, n, &got);
	if (!wg_peer_id_is_none(got.peer))
		take_source(dp, got.owner, from);
	drain(dp, now);
}

static void take_datagram(struct datapath *dp, struct wg_time now, const struct datapath_msg *msg,
			  uint8_t *p, size_t n)
{
	const struct datapath_hooks *hooks = &dp->conf.hooks;
	struct datapath_source from = msg->from;

	if (hooks->on_datagram && hooks->on_datagram(hooks->arg, &from, bytes_of(p, n)))
		return;
	if (n > GENEVE_LEN && p[2] == GENEVE_WIREGUARD >> 8 && p[3] == (GENEVE_WIREGUARD & 0xff) &&
	    p[0] == 0 && (p[1] & 0x3f) == 0 && p[7] == 0) {
		from.vni = (uint32_t)p[4] << 16 | (uint32_t)p[5] << 8 | p[6];
		p += GENEVE_LEN;
		n -= GENEVE_LEN;
	}
	take_handshake(dp, now, &from, p, n);
}

bool datapath_send_packet(struct datapath *dp, struct wg_time now, uint32_t owner,
			  struct bytes packet)
{
	const struct datapath_hooks *hooks = &dp->conf.hooks;
	struct wg_peer_id id;
	bool sent;

	if (!wg_peer_of_owner(dp->conf.wg, owner, &id) &&
	    !(hooks->on_missing_peer && hooks->on_missing_peer(hooks->arg, owner) &&
	      wg_peer_of_owner(dp->conf.wg, owner, &id))) {
		COUNT(dp, DROP_NO_PEER, 1);
		return false;
	}
	sent = wg_output(dp->conf.wg, now, id, packet);
	drain(dp, now);
	return sent;
}

bool datapath_route_packet(struct datapath *dp, struct wg_time now, struct bytes packet)
{
	struct wg_allowed *allowed = atomic_load_explicit(&dp->allowed, memory_order_relaxed);
	struct ip dst;
	uint32_t owner;

	if (!allowed || !ippkt_dst(&dst, packet))
		return false;
	owner = wg_allowed_lookup(allowed, &dst);
	if (owner == WG_OWNER_NONE) {
		COUNT(dp, DROP_NO_PEER, 1);
		return false;
	}
	return datapath_send_packet(dp, now, owner, packet);
}

static void take_relay(struct datapath *dp, const struct datapath_msg *msg, const uint8_t *p,
		       size_t n)
{
	struct bytes runs[RELAY_RUN_MAX];
	size_t count = 0;

	if (!dp->conf.hooks.on_relay || msg->segment == 0)
		return;
	for (size_t at = 0; at < n && count < RELAY_RUN_MAX; at += msg->segment)
		runs[count++] = bytes_of(p + at, n - at < msg->segment ? n - at : msg->segment);
	dp->conf.hooks.on_relay(dp->conf.hooks.arg, msg->relay, msg->owner, runs, count);
}

static void take_broken(struct datapath *dp, const struct datapath_msg *msg)
{
	struct err err;

	if (dp->broken)
		return;
	dp->broken = true;
	datapath_stop(dp);
	datapath_unwatch(dp);
	err_set(&err, ERR_SYSTEM, "%s is gone: %s", msg->what, strerror(msg->error));
	err.sys = msg->error;
	if (dp->conf.hooks.on_broken)
		dp->conf.hooks.on_broken(dp->conf.hooks.arg, &err);
}

static void take(struct datapath *dp, struct wg_time now, const struct datapath_msg *msg,
		 uint8_t *data, size_t n)
{
	const struct datapath_hooks *hooks = &dp->conf.hooks;

	switch ((enum datapath_msg_kind)msg->kind) {
	case MSG_NOTICE:
		wg_notice(dp->conf.wg, now, msg->owner);
		drain(dp, now);
		break;
	case MSG_SEND:
		if (hooks->on_send)
			hooks->on_send(hooks->arg, msg->owner);
		break;
	case MSG_SOURCE:
		take_source(dp, msg->owner, &msg->from);
		break;
	case MSG_DATAGRAM:
		take_datagram(dp, now, msg, data, n);
		break;
	case MSG_PACKET:
		(void)datapath_send_packet(dp, now, msg->owner, bytes_of(data, n));
		break;
	case MSG_LOCAL:
		if (hooks->on_local)
			hooks->on_local(hooks->arg, msg->outbound, msg->owner, bytes_of(data, n));
		break;
	case MSG_RELAY:
		take_relay(dp, msg, data, n);
		break;
	case MSG_BROKEN:
		take_broken(dp, msg);
		break;
	case MSG_INJECT:
		break;
	}
}

/* A bounded number, so that a flood cannot keep the caller's other business waiting. */
static bool take_messages(struct datapath *dp, struct wg_time now, struct datapath_thread *t)
{
	uint8_t *p;
	size_t n;

	for (int i = 0; i < MESSAGES_PER_TURN; i++) {
		struct datapath_msg msg;

		if (!ring_peek(&t->to_control, &p, &n))
			return false;
		memcpy(&msg, p, sizeof(msg));
		take(dp, now, &msg, p + sizeof(msg), n - sizeof(msg));
		ring_pop(&t->to_control);
	}
	return true;
}

/* --- quiescence --- */

static void thread_epochs(const struct datapath *dp, uint64_t out[2])
{
	out[0] = atomic_load(&dp->out->t.epoch);
	out[1] = atomic_load(&dp->in->t.epoch);
}

void datapath_when_quiet(struct datapath *dp, void (*fn)(void *arg), void *arg)
{
	struct quiet *q = mem_alloc(sizeof(*q));

	q->fn = fn;
	q->arg = arg;
	thread_epochs(dp, q->epochs);
	list_append(&dp->quiets, &q->link);
}

/* At rest then, or has finished the batch it was in since. */
static bool have_rested(const struct quiet *q, const uint64_t now[2])
{
	for (int i = 0; i < 2; i++)
		if (q->epochs[i] & 1 && q->epochs[i] == now[i])
			return false;
	return true;
}

/* What was told before the rest may name what was unpublished: it has to be taken first. */
static bool is_quiet(const struct datapath *dp, struct quiet *q, const uint64_t now[2])
{
	const struct ring *rings[2] = { &dp->out->t.to_control, &dp->in->t.to_control };

	if (!q->rested && have_rested(q, now)) {
		q->rested = true;
		for (int i = 0; i < 2; i++)
			q->heads[i] = ring_written(rings[i]);
	}
	return q->rested && ring_taken(rings[0]) - q->heads[0] <= SIZE_MAX / 2 &&
	       ring_taken(rings[1]) - q->heads[1] <= SIZE_MAX / 2;
}

void datapath_run_quiet(struct datapath *dp, bool at_end)
{
	uint64_t now[2];

	thread_epochs(dp, now);
	list_each_safe (it, &dp->quiets) {
		struct quiet *q = list_entry(it, struct quiet, link);

		if (!is_quiet(dp, q, now) && !at_end)
			continue;
		list_remove(it);
		q->fn(q->arg);
		mem_free(q);
	}
}

static void reclaim(void *arg)
{
	struct datapath *dp = arg;

	wg_reclaim(dp->conf.wg, dp->reclaiming);
	dp->reclaiming = 0;
}

/* --- the turn --- */

struct mono datapath_deadline(const struct datapath *dp)
{
	struct mono wg = wg_deadline(dp->conf.wg);

	if (list_is_empty(&dp->quiets))
		return wg;
	return mono_min(wg, mono_add_ms(mono_now(), QUIET_POLL_MS));
}

static bool take_all(struct datapath *dp, struct wg_time now)
{
	bool more = take_messages(dp, now, &dp->out->t);

	return take_messages(dp, now, &dp->in->t) || more;
}

void datapath_turn(struct datapath *dp, struct wg_time now)
{
	bool more = false;

	datapath_hear(dp);
	if (dp->conf.threads == 0 && !dp->broken) {
		more = datapath_egress_turn(dp->out);
		more |= datapath_ingress_turn(dp->in);
	}
	more |= take_all(dp, now);
	if (mono_reached(now.mono, wg_deadline(dp->conf.wg)))
		wg_tick(dp->conf.wg, now);
	drain(dp, now);
	if (wg_retired(dp->conf.wg) && !dp->reclaiming) {
		dp->reclaiming = wg_retired(dp->conf.wg);
		datapath_when_quiet(dp, reclaim, dp);
	}
	datapath_run_quiet(dp, false);
	/* From here on a message rings the bell; look once more for one that came just before. */
	(void)atomic_exchange(&dp->sleeping, true);
	if (more || !ring_is_empty(&dp->out->t.to_control) || !ring_is_empty(&dp->in->t.to_control))
		datapath_again(dp);
}
