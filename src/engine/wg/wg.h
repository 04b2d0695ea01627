/*
 * engine/wg/wg.h - WireGuard as a pure machine: handshakes, timers, and a one-thread data path.
 *
 * Place in the flow: between the packet filter and the magic socket. Two ways to use it:
 *
 *   one thread    every datagram goes to wg_input(), every packet to wg_output(); datagrams are
 *                 fetched with wg_next_datagram() after each call. Set conf.data_threads = false.
 *   data threads  they carry type 4 themselves through engine/wg/wg_session.h; the control thread
 *                 alone calls what is declared here: wg_input() for types 1-3 (type 4 is fine too),
 *                 wg_output() for packets that found no session, wg_notice() when a data thread
 *                 asks for it, wg_tick() at wg_deadline(), wg_reclaim() after quiescent points.
 *
 * No clock, socket or file is touched. Callbacks may call wg_peer_add() and the read-only
 * functions, nothing else of the machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/wall.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "engine/wg/wg_session.h"

struct err;
struct rng;
struct wg;
struct wg_allowed;

enum {
	WG_HEADROOM = 8,       /* writable bytes before each datagram, for a Geneve header */
	WG_PRIORITY_MAX = 512, /* plaintext of the priority message */
	WG_STAGED_MAX = 128,   /* packets that wait for a session, per peer */
	WG_MTU_DEFAULT = 1280,
	WG_PACKET_MAX = 65535 - WG_OVERHEAD,
};

struct wg_time {
	struct mono mono;
	struct wall wall; /* for the timestamp in initiations, nothing else */
};

/* Where a datagram came from; opaque but for the rate limit per address. */
struct wg_source {
	struct addrport addr; /* no address (family 0) when it came over a relay */
	uint64_t via;         /* the caller's path id: socket, region, tunnel number ... */
};

struct wg_conf {
	struct secret32 private_key; /* zero: logged out, every datagram is ignored */
	struct rng *rng;             /* outlives the machine */
	size_t mtu;                  /* of the tunnel, bounds padding; 0: WG_MTU_DEFAULT */
	size_t staged_bytes_max;     /* all peers together; 0: 4 MiB */
	uint32_t
	    handshakes_per_s; /* initiations and responses before cookies are asked for; 0: 1000 */
	struct wall clock_floor; /* wg_clock() of the last run: timestamps never go back below it */
	bool data_threads; /* see wg_reclaim(); false: retired sessions are wiped and freed at once
			    */

	/* All optional. */
	/* An initiation proved to be from a key we have no peer for: wg_peer_add() it now and
	 * answer true, or refuse. */
	bool (*on_unknown_peer)(void *arg, const struct key *public_key);
	/* A new session is confirmed in both directions. */
	void (*on_session)(void *arg, struct wg_peer_id peer, uint32_t owner);
	/* Plaintext to send ahead of all else on a new session; its length, 0: none. */
	size_t (*on_priority)(void *arg, struct wg_peer_id peer, uint32_t owner,
			      uint8_t out[WG_PRIORITY_MAX]);
	/* A lazy peer was idle for 540 s and is gone; its owner number is free after a reclaim. */
	void (*on_idle_peer)(void *arg, const struct key *public_key, uint32_t owner);
	void *arg;
};

struct wg *wg_create(const struct wg_conf *conf, struct err *err);
void wg_destroy(struct wg *wg); /* NULL is a no-op; no data thread may be running */

const struct wg_table *wg_table(const struct wg *wg); /* for data threads; lives as long as wg */

/* Inner sources are checked against it in wg_input(); without one the caller checks. Takes a
 * reference of its own. */
void wg_set_allowed(struct wg *wg, struct wg_allowed *allowed);
/* Drops every session and handshake. Zero: logged out. */
void wg_set_private_key(struct wg *wg, const struct secret32 *key);
/* Latest wall time that went into a timestamp: worth keeping over a restart where clocks are bad.
 */
struct wall wg_clock(const struct wg *wg);
void wg_set_mtu(struct wg *wg, size_t mtu);
/* Someone else sees an overload: ask for cookies until told otherwise. */
void wg_set_under_load(struct wg *wg, bool under_load);

/* --- peers --- */

struct wg_peer_conf {
	struct key public_key;
	struct secret32 psk;  /* zero: none */
	uint32_t owner;       /* see struct wg_lane */
	uint16_t keepalive_s; /* persistent keepalive; 0: off */
	bool lazy;            /* forgotten after 540 s without a session: on_idle_peer() */
};

/* Fails when the key or the owner is taken, the key is ours or a point of low order. */
int wg_peer_add(struct wg *wg, const struct wg_peer_conf *conf, struct wg_peer_id *id,
		struct err *err);
/* Its sessions leave the tables at once and are wiped (data_threads: by wg_reclaim()); what is
 * staged or queued for it is dropped. False when there is no such peer. */
bool wg_peer_remove(struct wg *wg, struct wg_peer_id id);
bool wg_peer_find(const struct wg *wg, const struct key *public_key, struct wg_peer_id *id);
bool wg_peer_of_owner(const struct wg *wg, uint32_t owner, struct wg_peer_id *id);
/* All peers in no order; *it starts at 0; false at the end. Do not add or remove on the way. */
bool wg_peer_next(const struct wg *wg, size_t *it, struct wg_peer_id *id);
size_t wg_peer_count(const struct wg *wg);
/* Takes effect with the next tick. */
void wg_peer_set_keepalive(struct wg *wg, struct wg_peer_id id, uint16_t seconds);
/* The next packet for it also starts a handshake (its disco key changed); its cookie is forgotten.
 */
void wg_peer_nudge(struct wg *wg, struct wg_peer_id id);
/* Starts a handshake now unless one began in the last 5 s. */
void wg_peer_handshake(struct wg *wg, struct wg_time now, struct wg_peer_id id);
/* An initiation that waits for its answer had no way out, and now there is one: sends another. */
void wg_peer_retry(struct wg *wg, struct wg_time now, struct wg_peer_id id);

struct wg_peer_status {
	struct key public_key;
	uint32_t owner;
	struct mono last_handshake; /* newest session; zero: never */
	struct mono last_sent, last_received;
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes;
	uint32_t attempts; /* unanswered initiations in a row */
	size_t staged;     /* packets waiting */
	bool has_session;  /* one that can be sent with, at the time given */
};

bool wg_peer_status(const struct wg *wg, struct mono now, struct wg_peer_id id,
		    struct wg_peer_status *out);

/* --- the five verbs --- */

/* name, sentence: verdicts of wg_input() and the counters behind them. */
#define WG_VERDICTS(X)                                                                             \
	X(DELIVER, "inner packets delivered")                                                      \
	X(KEEPALIVE, "keepalives received")                                                        \
	X(HANDSHAKE, "handshake messages accepted")                                                \
	X(COOKIE_TAKEN, "cookie replies accepted")                                                 \
	X(COOKIE_SENT, "initiations or responses answered with a cookie under load")               \
	X(DROP_LOGGED_OUT, "datagrams ignored without a private key")                              \
	X(DROP_TYPE, "datagrams of unknown type")                                                  \
	X(DROP_LENGTH, "datagrams of wrong length")                                                \
	X(DROP_MAC1, "handshake messages with a bad mac1")                                         \
	X(DROP_RATE, "handshake messages over the rate limit")                                     \
	X(DROP_CRYPTO, "handshake messages that did not verify")                                   \
	X(DROP_UNKNOWN_PEER, "initiations of unknown peers")                                       \
	X(DROP_OLD_TIMESTAMP, "initiations that were replayed or whose clock went back")           \
	X(DROP_FLOOD, "initiations within 20 ms of the last of that peer")                         \
	X(DROP_INDEX, "datagrams with an unknown receiver index")                                  \
	X(DROP_EXPIRED, "datagrams of a session older than 180 s")                                 \
	X(DROP_AUTH, "transport datagrams that did not verify")                                    \
	X(DROP_REPLAY, "transport datagrams that were replayed or too late")                       \
	X(DROP_INNER, "inner packets that are no IP packet")                                       \
	X(DROP_SOURCE, "inner packets from a source their peer does not own")                      \
	X(DROP_COOKIE, "cookie replies that did not verify or were not asked for")

enum wg_verdict {
#define WG_VERDICT_ENUM(name, sentence) WG_##name,
	WG_VERDICTS(WG_VERDICT_ENUM)
#undef WG_VERDICT_ENUM
	    WG_VERDICT_COUNT
};

struct wg_received {
	struct wg_peer_id peer; /* who sent it, authenticated; none otherwise. A caller that roams
				   moves the peer's endpoint to the source of such a datagram */
	uint32_t owner;
	struct bytes packet; /* WG_DELIVER: the inner packet, inside the datagram given */
};

/* Network to tunnel. Decrypts in place. *out is always written. */
enum wg_verdict wg_input(struct wg *wg, struct wg_time now, const struct wg_source *from,
			 uint8_t *datagram, size_t n, struct wg_received *out);

/* Tunnel to network. Copies packet: sealed at once, or staged until a session exists. False when it
 * was dropped (no such peer, longer than WG_PACKET_MAX). */
bool wg_output(struct wg *wg, struct wg_time now, struct wg_peer_id to, struct bytes packet);

struct wg_datagram {
	uint8_t *p; /* valid until the next call; WG_HEADROOM bytes before it may be written */
	size_t n;
	struct wg_peer_id peer; /* send over this peer's best path; none: back to reply_to */
	uint32_t owner;
	struct wg_source reply_to; /* cookie replies only */
	bool is_handshake;         /* type 1-3 */
};

/* Call until false after every other verb. */
bool wg_next_datagram(struct wg *wg, struct wg_datagram *out);

struct mono wg_deadline(const struct wg *wg);
void wg_tick(struct wg *wg, struct wg_time now);

/* --- with data threads --- */

/* A data thread asked for control: looks at the peer's session and timestamps now. */
void wg_notice(struct wg *wg, struct wg_time now, uint32_t owner);
/* Generation of the newest retired lane or session; 0 when nothing waits. */
uint64_t wg_retired(const struct wg *wg);
/* Every data thread passed a quiescent point after `generation` was read: wipe and free. */
void wg_reclaim(struct wg *wg, uint64_t generation);

/* --- counters --- */

/* name, sentence: what the machine did or dropped on its own. */
#define WG_COUNTERS(X)                                                                             \
	X(INITIATIONS_SENT, "initiations sent")                                                    \
	X(RESPONSES_SENT, "responses sent")                                                        \
	X(KEEPALIVES_SENT, "keepalives sent")                                                      \
	X(SESSIONS, "sessions established")                                                        \
	X(HANDSHAKES_GIVEN_UP, "handshakes given up after 90 s")                                   \
	X(STAGED_DROPPED, "packets dropped while they waited for a session")                       \
	X(QUEUE_DROPPED, "datagrams dropped because nobody fetched them")

enum wg_counter {
#define WG_COUNTER_ENUM(name, sentence) WG_COUNT_##name,
	WG_COUNTERS(WG_COUNTER_ENUM)
#undef WG_COUNTER_ENUM
	    WG_COUNTER_COUNT
};

uint64_t wg_count_verdict(const struct wg *wg, enum wg_verdict v);
uint64_t wg_count(const struct wg *wg, enum wg_counter c);
const char *wg_verdict_sentence(enum wg_verdict v);
const char *wg_counter_sentence(enum wg_counter c);
