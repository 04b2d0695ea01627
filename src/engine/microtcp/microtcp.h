/*
 * engine/microtcp/microtcp.h - TCP for services of this node inside the tunnel.
 *
 * It answers connections and never opens one. Whole packets come in and go out; what arrives in
 * order is handed on, what arrives out of order is dropped and asked for again: on the host's own
 * device nothing is reordered, and a tunnel rarely does. Everything a stranger can make it keep is
 * bounded. (RFC 9293, 5961 3-4, 6298, 5681; window scaling as sender only.)
 *
 * Pure: packets and time in, packets and deadlines out. See doc/design/dns.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rand.h"

struct microtcp;
struct microtcp_conn;

enum {
	MICROTCP_CONNS_MAX = 512,
	MICROTCP_SOURCE_MAX = 128,      /* of those, from one address */
	MICROTCP_RECEIVE_BYTES = 65535, /* what is kept for an owner who paused; the window */
	MICROTCP_SEND_BYTES = 4 << 20,  /* not acknowledged yet; more resets the connection */
	MICROTCP_RESETS_MAX = 64,       /* waiting to be fetched */
	MICROTCP_PACKET_MAX = 1500,
	MICROTCP_RETRIES_MAX = 8,
};

enum microtcp_end {
	MICROTCP_CLOSED,  /* both sides said that they are done */
	MICROTCP_RESET,   /* the peer */
	MICROTCP_TIMEOUT, /* the peer does not acknowledge any more */
	MICROTCP_LIMIT,   /* of MICROTCP_SEND_BYTES */
};

/* clang-format off */
#define MICROTCP_COUNTERS(X)                                             \
	X(packets_in,     "segments received")                           \
	X(packets_out,    "segments sent")                               \
	X(opened,         "connections opened")                          \
	X(refused,        "connections to ports where nobody listens")   \
	X(limited,        "connections over a limit")                    \
	X(resent,         "segments sent again")                         \
	X(out_of_order,   "segments dropped because one before them is missing") \
	X(out_of_window,  "segments outside of the window")              \
	X(timeouts,       "connections given up")                        \
	X(dropped_malformed, "packets that are no TCP segment or fail its checksum")
/* clang-format on */

struct microtcp_counters {
#define X(name, sentence) uint64_t name;
	MICROTCP_COUNTERS(X)
#undef X
};

/* Callbacks come from inside microtcp_input(), microtcp_tick() and microtcp_resume(). All of them
 * may call output, finish, pause and close for any connection. */
struct microtcp_conf {
	struct rng rng;
	unsigned mtu; /* 0: 1280; at most MICROTCP_PACKET_MAX */
	/* Is there a service at local for this peer? False resets. */
	bool (*on_ask)(void *arg, const struct addrport *local, const struct addrport *peer);
	/* What comes back goes with the connection as its owner. NULL closes it. */
	void *(*on_open)(void *arg, struct microtcp_conn *c);
	void (*on_data)(void *owner, struct bytes data);
	void (*on_end)(void *owner); /* the peer will send no more; it may still read */
	void (*on_drain)(void *owner, size_t unsent); /* the peer acknowledged something */
	/* The connection is gone after it. Not called after microtcp_close(). */
	void (*on_gone)(void *owner, enum microtcp_end why);
	void *arg;
};

struct microtcp *microtcp_create(const struct microtcp_conf *conf);
void microtcp_destroy(struct microtcp *t); /* without a word to anybody; NULL is a no-op */

/* A whole IP packet. False: no TCP segment to deal with. */
bool microtcp_input(struct microtcp *t, struct mono now, struct bytes packet);
/* Copies. Nothing happens after microtcp_finish(). */
void microtcp_output(struct microtcp_conn *c, struct mono now, struct bytes data);
/* Until n is 0; good until the next call on t. */
struct bytes microtcp_next_packet(struct microtcp *t, struct mono now);
struct mono microtcp_deadline(const struct microtcp *t);
void microtcp_tick(struct microtcp *t, struct mono now);

/* No on_data until it is resumed; the peer's window closes meanwhile. */
void microtcp_pause(struct microtcp_conn *c);
void microtcp_resume(struct microtcp_conn *c); /* on_data comes from inside */
/* After what is queued, the end of our side. */
void microtcp_finish(struct microtcp_conn *c, struct mono now);
/* The owner has lost interest: no more callbacks. abort: with a reset, else what is queued still
 * goes and the peer is read to nowhere. */
void microtcp_close(struct microtcp_conn *c, struct mono now, bool abort);

struct addrport microtcp_local(const struct microtcp_conn *c);
struct addrport microtcp_peer(const struct microtcp_conn *c);
size_t microtcp_queued(const struct microtcp_conn *c);
size_t microtcp_count(const struct microtcp *t); /* connections, also half-open ones */
const struct microtcp_counters *microtcp_counters(const struct microtcp *t);
