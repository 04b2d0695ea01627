/*
 * engine/wg/wg_machine.h - inside the machine: what its files share and nobody else sees.
 *
 *   wg.c            create, destroy, dispatch of datagrams, counters
 *   wg_queue.c      datagrams that wait to be fetched
 *   wg_peer.c       peers: add, find, remove, status; retiring sessions and lanes
 *   wg_handshake.c  messages 1-3 and what they do to the three session slots
 *   wg_transport.c  message 4: staging, sealing, opening
 *   wg_timers.c     when what happens
 */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_cookie.h"
#include "engine/wg/wg_limit.h"
#include "engine/wg/wg_noise.h"
#include "engine/wg/wg_table.h"

enum wg_limits {
	WG_QUEUE_MAX = 8192,   /* datagrams nobody fetched */
	WG_SPARE_PACKETS = 64, /* answers to strangers come from these alone */
	WG_STAGED_BYTES = 4 << 20,
	WG_HANDSHAKES_PER_S = 1000,
};

/* Seconds and milliseconds of the protocol that are no data thread's business. */
enum wg_times {
	WG_REKEY_TIMEOUT_MS = 5000,
	WG_JITTER_MS = 334, /* 0 .. 333 */
	WG_KEEPALIVE_TIMEOUT_MS = 10000,
	WG_ATTEMPTS_MAX = 18,
	WG_ZERO_KEYS_MS = 540000,
	WG_INITIATION_GAP_MS = 20,
};

/* One datagram or one packet that will become it: headroom, header, plaintext, padding, tag. */
struct wg_packet {
	struct list link;
	struct wg_peer_id peer;
	uint32_t owner;
	struct wg_source reply_to;
	bool is_handshake, is_spare;
	size_t n;       /* staged: length of the plaintext; queued: of the datagram */
	size_t cap;     /* of the datagram */
	uint8_t room[]; /* WG_HEADROOM bytes, then the datagram */
};

static inline uint8_t *wg_packet_datagram(struct wg_packet *p)
{
	return p->room + WG_HEADROOM;
}

struct wg_queue {
	struct list ready;
	size_t n;
	struct list spare;         /* packets for WG_INITIATION_LEN bytes */
	struct wg_packet *fetched; /* lent to the caller until its next call */
};

void wg_queue_init(struct wg_queue *q);
void wg_queue_fini(struct wg_queue *q);
struct wg_packet *wg_packet_create(size_t datagram_len);
struct wg_packet *wg_queue_spare(struct wg_queue *q); /* NULL when all are in use */
void wg_queue_free(struct wg_queue *q, struct wg_packet *p);
bool wg_queue_put(struct wg_queue *q, struct wg_packet *p); /* takes p; false: full, p is freed */
struct wg_packet *wg_queue_fetch(struct wg_queue *q);
void wg_queue_release(struct wg_queue *q); /* what was fetched */
void wg_queue_drop_peer(struct wg_queue *q, struct wg_peer_id peer);

enum wg_timer {
	WG_TIMER_RETRANSMIT,    /* an initiation has no answer */
	WG_TIMER_NEW_HANDSHAKE, /* data was sent and nothing came back */
	WG_TIMER_KEEPALIVE,     /* data was received and nothing sent */
	WG_TIMER_PERSISTENT,
	WG_TIMER_ZERO_KEYS,
	WG_TIMERS
};

struct wg_peer {
	struct wg_peer_id id;
	struct wg_peer_conf conf;
	struct wg_remote remote;
	struct wg_cookie_jar jar;
	struct wg_lane *lane;

	/* Initiator: at most one initiation of ours is in flight. */
	bool initiating;
	struct wg_noise noise;
	uint32_t initiation_index;
	struct mono last_initiation; /* sent */
	uint32_t attempts;
	uint64_t last_timestamp_sent; /* ns since 1970 */
	/* Responder. */
	uint8_t last_timestamp[WG_TIMESTAMP_LEN];
	struct mono last_initiation_taken;

	struct wg_session *previous, *current, *next;
	struct mono last_session;

	struct list staged;
	size_t staged_n;
	bool nudged;
	bool newborn; /* lazy, and no tick has seen it yet */

	struct mono timers[WG_TIMERS]; /* zero: not armed */
	struct heap_node due;          /* the earliest of them */
};

struct wg_retired {
	struct list link;
	uint64_t generation;
	struct wg_session *session; /* one of the two */
	struct wg_lane *lane;
};

struct wg {
	struct wg_conf conf;
	struct wg_identity me;
	bool logged_in;
	struct wg_cookie_judge judge;
	struct wg_limit limit;
	struct wg_table *table;
	struct wg_index index;
	struct wg_allowed *allowed;

	struct map by_key;
	struct wg_peer **slots; /* NULL: free */
	uint32_t *generations;
	size_t slots_n, slots_cap;
	uint32_t *free_slots;
	size_t free_n, free_cap;

	size_t staged_bytes;
	struct wg_queue queue;
	struct heap timers;
	struct mono now;      /* latest time seen */
	uint64_t clock_floor; /* ns since 1970: latest wall time seen */
	struct list retired;  /* oldest first */
	uint64_t generation;
	uint64_t verdicts[WG_VERDICT_COUNT];
	uint64_t counters[WG_COUNTER_COUNT];
};

static inline void wg_bump(struct wg *wg, enum wg_counter c)
{
	wg->counters[c]++;
}

/* Every verb begins and ends with these. */
void wg_enter(struct wg *wg, struct wg_time now);
void wg_settle(struct wg *wg);
void wg_notice_peer(struct wg *wg, struct wg_time now, struct wg_peer *p);

/* wg_peer.c */
struct wg_peer *wg_peer_get(const struct wg *wg, struct wg_peer_id id);
struct wg_peer *wg_peer_by_owner(const struct wg *wg, uint32_t owner);
struct wg_peer *wg_peer_by_key(const struct wg *wg, const struct key *k);
void wg_peer_delete(struct wg *wg, struct wg_peer *p);
void wg_peer_clear(struct wg *wg, struct wg_peer *p); /* sessions, handshake, staged packets */
void wg_peer_stop_initiating(struct wg *wg, struct wg_peer *p);
void wg_session_retire(struct wg *wg, struct wg_session **slot); /* sets it to NULL */

/* wg_handshake.c */
void wg_handshake_initiate(struct wg *wg, struct wg_time now, struct wg_peer *p, bool is_retry);
enum wg_verdict wg_handshake_initiation(struct wg *wg, struct wg_time now, struct bytes msg,
					struct wg_received *out);
enum wg_verdict wg_handshake_response(struct wg *wg, struct wg_time now, struct bytes msg,
				      struct wg_received *out);
enum wg_verdict wg_handshake_cookie(struct wg *wg, struct wg_time now, struct bytes msg);
/* The peer's next session was confirmed by a first datagram. */
void wg_handshake_confirm(struct wg *wg, struct wg_time now, struct wg_peer *p);

/* wg_transport.c */
enum wg_verdict wg_transport_open(struct wg *wg, struct wg_time now, uint8_t *datagram, size_t n,
				  struct wg_received *out);
void wg_transport_stage(struct wg *wg, struct wg_peer *p, struct bytes packet);
/* Sends what is staged, or starts a handshake for it. How many were sent. */
size_t wg_transport_flush(struct wg *wg, struct wg_time now, struct wg_peer *p);
/* Staged like a packet when there is no session. */
void wg_transport_keepalive(struct wg *wg, struct wg_time now, struct wg_peer *p);
size_t wg_transport_priority(struct wg *wg, struct wg_time now, struct wg_peer *p);
void wg_transport_drop_staged(struct wg *wg, struct wg_peer *p);

/* wg_timers.c */
void wg_timer_arm(struct wg *wg, struct wg_peer *p, enum wg_timer t, struct mono at);
void wg_timer_disarm(struct wg *wg, struct wg_peer *p, enum wg_timer t);
void wg_timers_stop(struct wg *wg, struct wg_peer *p);
int64_t wg_timers_jitter_ms(struct wg *wg);
/* Starts the watch over timestamps that data threads stored. */
void wg_timers_watch(struct wg *wg, struct wg_peer *p);
void wg_timers_note_sent(struct wg *wg, struct mono now,
			 struct wg_peer *p); /* handshake messages: */
void wg_timers_note_received(struct wg *wg, struct mono now, struct wg_peer *p); /* authenticated */
