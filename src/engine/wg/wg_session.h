/*
 * engine/wg/wg_session.h - what data threads see of the tunnel: lanes, sessions, two tables.
 *
 * The machine (engine/wg/wg.h) runs in the control thread and publishes; data threads look up,
 * reserve counters, seal and open with the raw keys, and store timestamps. They never call into
 * the machine. Everything here is lock-free but wg_session_lock().
 *
 *   egress   lane = wg_table_lane(table, owner)            one load
 *            s = lane ? wg_lane_sending(lane, now) : NULL   NULL: hand the packets to control,
 * which calls wg_output() wg_session_reserve(s, n, &first)              n counters with one atomic
 * add
 *            ... headers (s->remote_index), padding, seal with s->send_key ...
 *            wake = wg_session_sent(s, now, &what)         once per flush
 *   ingress  s = wg_table_session(table, receiver_index)   NULL or !wg_session_is_fresh(): drop
 *            wg_replay_check() ... open with s->receive_key ... then under wg_session_lock():
 *            wg_replay_commit() of each opened packet; only what it takes counts as received
 *            wake = wg_session_received(s, now, &what)     once per run of packets of s
 *
 * wake == true: tell the control thread to call wg_notice(wg, now, s->owner) soon. It is rare (a
 * few per peer and minute) and each is said once, so it must not get lost: it confirms a session,
 * asks for a rekey or starts the watch over a keepalive.
 *
 * Ownership. The machine owns lanes and sessions. A pointer that a data thread took from a table is
 * valid until that thread's next quiescent point (end of batch, or before it blocks); it must be
 * looked up again after it. What the machine takes out of the tables is retired, and wiped and
 * freed only by wg_reclaim(), which the datapath calls once every data thread has passed a
 * quiescent point:
 *
 *   g = wg_retired(wg);  if (g) { every data thread passes a quiescent point; wg_reclaim(wg, g); }
 *
 * Tables live as long as the machine.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "crypto/secret.h"
#include "engine/wg/wg_replay.h"

#define WG_OWNER_NONE UINT32_MAX
#define WG_REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define WG_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13)) /* 2^64 - 2^13 - 1 */

enum {
	WG_HEADER_LEN = 16,     /* type, receiver index, counter */
	WG_OVERHEAD = 32,       /* header and tag */
	WG_PADDING = 16,        /* the plaintext is padded to a multiple, never beyond the MTU */
	WG_OWNER_MAX = 1 << 18, /* owners are 0 .. WG_OWNER_MAX - 1 */
	WG_REKEY_AFTER_S = 120,
	WG_REJECT_AFTER_S = 180,
	WG_REKEY_RECEIVE_S = 165, /* 180 - KeepaliveTimeout 10 - RekeyTimeout 5 */
};

/* Names a peer. gen 0 names none; a removed peer's id never comes back. */
struct wg_peer_id {
	uint32_t slot, gen;
};

static inline bool wg_peer_id_is_none(struct wg_peer_id id)
{
	return id.gen == 0;
}

struct wg_session;

/*
 * The part of a peer that data threads touch. `owner` is the caller's small number for the peer,
 * the same that wg_allowed maps prefixes to; it must be unique among peers and not be reused before
 * a reclaim. Times are mono ns, 0 is "no".
 */
struct wg_lane {
	uint32_t owner;
	struct wg_peer_id peer;
	_Atomic(struct wg_session *) sending; /* newest confirmed session, or NULL */
	/* Written by senders. */
	_Alignas(64) _Atomic int64_t last_sent;
	_Atomic int64_t last_data_sent;
	_Atomic int64_t unanswered_since; /* first data sent since something was received */
	_Atomic uint64_t tx_packets, tx_bytes;
	/* Written by receivers. */
	_Alignas(64) _Atomic int64_t last_received;
	_Atomic int64_t last_data_received;
	_Atomic int64_t unacked_since; /* first data received since something was sent */
	_Atomic bool more_unacked;     /* more data came while the keepalive was pending */
	_Atomic uint64_t rx_packets, rx_bytes;
	/* Set by control while it has a timer on this lane: no need to wake it. */
	_Alignas(64) _Atomic bool watched_send, watched_receive;
};

struct wg_session {
	/* Constant once published. */
	struct secret32 send_key, receive_key;
	uint32_t local_index;  /* what the peer writes into datagrams for us */
	uint32_t remote_index; /* what we write */
	uint32_t owner;
	struct wg_peer_id peer;
	struct wg_lane *lane;
	struct mono created;
	bool initiator;
	/* Senders. */
	_Alignas(64) _Atomic uint64_t send_counter;
	_Atomic bool asked_rekey; /* control was woken to rekey already */
	/* Receivers, one at a time: wg_session_lock(). */
	_Alignas(64) atomic_flag busy;
	_Atomic bool confirmed; /* false: responder, nothing was received yet */
	_Atomic bool asked_receive_rekey;
	struct wg_replay replay;
};

struct wg_table;

/* NULL when there is no such peer. */
struct wg_lane *wg_table_lane(const struct wg_table *t, uint32_t owner);
/* NULL when no session of ours has that index. Constant time, safe for any value. */
struct wg_session *wg_table_session(const struct wg_table *t, uint32_t local_index);

/* Younger than 180 s: may be sent with and received from. */
static inline bool wg_session_is_fresh(const struct wg_session *s, struct mono now)
{
	return now.ns - s->created.ns < (int64_t)WG_REJECT_AFTER_S * 1000000000;
}

static inline struct wg_session *wg_lane_sending(struct wg_lane *lane, struct mono now)
{
	struct wg_session *s = atomic_load_explicit(&lane->sending, memory_order_acquire);

	return s && wg_session_is_fresh(s, now) ? s : NULL;
}

/* False when the counters are used up (the session is dead for sending). n is at most 4096. */
static inline bool wg_session_reserve(struct wg_session *s, uint32_t n, uint64_t *first)
{
	/* Looked at first, so that a dead session's counter stops near the limit and cannot wrap:
	 * 8192 counters stay free above it. */
	if (atomic_load_explicit(&s->send_counter, memory_order_relaxed) >=
	    WG_REJECT_AFTER_MESSAGES - n)
		return false;
	*first = atomic_fetch_add_explicit(&s->send_counter, n, memory_order_relaxed);
	return *first < WG_REJECT_AFTER_MESSAGES - n;
}

/* One commit at a time to s->replay. Held for one batch, never over opening; nothing is taken in
 * it. */
static inline void wg_session_lock(struct wg_session *s)
{
	while (atomic_flag_test_and_set_explicit(&s->busy, memory_order_acquire))
		;
}
static inline void wg_session_unlock(struct wg_session *s)
{
	atomic_flag_clear_explicit(&s->busy, memory_order_release);
}

/* What a flush or a run of received packets held. */
struct wg_amount {
	uint32_t packets;
	uint64_t bytes; /* of whole datagrams */
	bool data;      /* at least one packet was not a keepalive */
};

/* After a flush. True: wake control. */
bool wg_session_sent(struct wg_session *s, struct mono now, const struct wg_amount *what);
/* After packets were opened and committed. True: wake control. */
bool wg_session_received(struct wg_session *s, struct mono now, const struct wg_amount *what);

/* Length of the plaintext after padding: a multiple of 16, but not above mtu (n when n >= mtu). */
static inline size_t wg_padded(size_t n, size_t mtu)
{
	size_t padded = (n + WG_PADDING - 1) & ~(size_t)(WG_PADDING - 1);

	return n >= mtu ? n : padded > mtu ? mtu : padded;
}

/*
 * Trims an opened, non-empty plaintext to the length its IP header announces and reads its source.
 * False: no IP packet, or a length that cannot be.
 */
bool wg_inner_parse(struct bytes plain, struct bytes *inner, struct ip *source);
