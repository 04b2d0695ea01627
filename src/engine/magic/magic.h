/*
 * engine/magic/magic.h - which way packets to a peer go, and how that is found out.
 *
 * Every peer is reachable through its home relay from the first packet on. Meanwhile disco pings go
 * to every address it may have; the first answer makes the path direct. See doc/design/magic.md
 * and, for the rules, upstream: wgengine/magicsock/endpoint.go.
 *
 * Pure: bytes, time and randomness in; datagrams, deadlines and events out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rand.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"

struct magic;

/* UDP peer relays will be one more kind: an address and a 24-bit network id. */
enum magic_path_kind {
	MAGIC_NONE,
	MAGIC_DIRECT, /* UDP to addr */
	MAGIC_RELAY,  /* through the DERP relay of a region, addressed by node key */
};

struct magic_path {
	enum magic_path_kind kind;
	struct addrport addr; /* MAGIC_DIRECT */
	int region;           /* MAGIC_RELAY */
	struct key node;      /* MAGIC_RELAY: the other end */
};

/* What a sender needs to know about a peer; published to the datapath whenever it changes. */
struct magic_route {
	struct addrport direct;    /* family 0: no address is known to work */
	struct mono trusted_until; /* until then direct alone is enough; later send both ways */
	int region;                /* the peer's home relay; 0: none */
};

/* clang-format off */
#define MAGIC_COUNTERS(X)                                                  \
	X(pings_sent,          "disco pings sent")                         \
	X(pings_received,      "disco pings received")                     \
	X(pongs_sent,          "disco pongs sent")                         \
	X(pongs_received,      "disco pongs received for a ping of ours")  \
	X(call_me_maybe_sent,  "call-me-maybe messages sent")              \
	X(call_me_maybe_received, "call-me-maybe messages received")       \
	X(dropped_unknown_key, "disco messages from nobody we know")       \
	X(dropped_not_authentic, "disco messages that did not open")       \
	X(dropped_malformed,   "disco messages that did not parse")        \
	X(dropped_wrong_way,   "disco messages that came by a way they must not") \
	X(dropped_stray_pong,  "pongs without a ping of ours")             \
	X(dropped_queue_full,  "disco messages we could not queue")
/* clang-format on */

struct magic_counters {
#define X(name, sentence) uint64_t name;
	MAGIC_COUNTERS(X)
#undef X
};

struct magic_ping_result {
	uint64_t token;
	struct magic_path path;  /* MAGIC_NONE: no answer within five seconds */
	struct addrport seen_as; /* our address as the peer saw it; direct paths only */
	int64_t latency_ns;
};

struct magic_conf {
	struct secret32 disco_private;
	struct key node_key; /* our own, told in pings */
	struct rng rng;
	/* The route of a peer changed. */
	void (*on_route)(void *arg, uint32_t peer, const struct magic_route *route);
	/* Someone must be told our endpoints and what we know is older than 27 s: measure, then
	 * magic_set_endpoints(). */
	void (*on_endpoints_wanted)(void *arg);
	void (*on_ping_result)(void *arg, const struct magic_ping_result *result);
	void *arg;
};

struct magic *magic_create(const struct magic_conf *conf);
void magic_destroy(struct magic *m);
struct key magic_disco_key(const struct magic *m);

struct magic_peer_conf {
	uint32_t id;                    /* the caller's; unique */
	struct key node_key, disco_key; /* no disco key: relay only */
	int region;
	const struct addrport *endpoints; /* as control tells them */
	size_t endpoint_count;
};

/* Adds or updates. A new node key is a new peer: everything known is forgotten. */
void magic_peer_set(struct magic *m, struct mono now, const struct magic_peer_conf *conf);
void magic_peer_remove(struct magic *m, uint32_t id);

/* A disco datagram came in. */
void magic_input(struct magic *m, struct mono now, const struct magic_path *from,
		 struct bytes datagram);
/* A packet goes to this peer now (or did, since the last call): keeps the path alive, seeks a
 * better one. */
void magic_output(struct magic *m, struct mono now, uint32_t peer);

struct magic_datagram {
	struct magic_path to;
	size_t n;
	uint8_t bytes[2048];
};
bool magic_next_datagram(struct magic *m, struct magic_datagram *out);
struct mono magic_deadline(const struct magic *m);
void magic_tick(struct magic *m, struct mono now);

/* Our own addresses, fresh as of now. */
void magic_set_endpoints(struct magic *m, struct mono now, const struct addrport *endpoints,
			 size_t n);
/* The network under us changed: every direct path is in doubt. */
void magic_rebind(struct magic *m, struct mono now);
/* The path answered an ICMP unreachable or the like. */
void magic_path_failed(struct magic *m, struct mono now, uint32_t peer, struct addrport addr);

/* Pings a peer for a person: over its trusted path, or every way there is. One result per call. */
void magic_ping(struct magic *m, struct mono now, uint32_t peer, uint64_t token);

/* Why packets to a peer do not go directly, as far as pings can tell. */
enum magic_why {
	MAGIC_WHY_DIRECT,     /* they do */
	MAGIC_WHY_NO_DISCO,   /* it cannot be pinged */
	MAGIC_WHY_IDLE,       /* nothing was sent lately, so nothing was sought */
	MAGIC_WHY_SEEKING,    /* pings are out; an answer may still come */
	MAGIC_WHY_NO_ADDRESS, /* nobody told an address of it */
	MAGIC_WHY_NO_ANSWER,  /* none of its addresses answered */
	MAGIC_WHY_LOST,       /* one did, and does not any more */
};

struct magic_peer_status {
	struct magic_route route;
	bool trusted;
	enum magic_why why;
	int64_t latency_ns; /* of the direct path */
	struct mono last_send, direct_since;
	size_t candidates, answered; /* addresses known; addresses that ever ponged */
};
bool magic_peer_status(const struct magic *m, struct mono now, uint32_t peer,
		       struct magic_peer_status *out);
const struct magic_counters *magic_counters(const struct magic *m);

/* What a UDP datagram is, by its first bytes (transport: STUN, disco, Geneve, WireGuard). */
enum magic_class { MAGIC_WIREGUARD, MAGIC_DISCO, MAGIC_STUN, MAGIC_GENEVE, MAGIC_EMPTY };
enum magic_class magic_classify(struct bytes datagram);

/* Exposed for its test: is path a better than b? latency in ns. (upstream: betterAddr) */
struct magic_score {
	struct addrport addr;
	int64_t latency_ns;
};
bool magic_is_better(const struct magic_score *a, const struct magic_score *b);
