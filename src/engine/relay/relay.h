/*
 * engine/relay/relay.h - the switching heart of a DERP relay, without a socket or a clock.
 *
 * A connection is an id. Frames that arrived go in (relay_input), bytes to send come out
 * (relay_output), relay_next says which connection wants what. Time comes as an argument,
 * randomness from the rng given at create.
 *
 * Between any two clients a relay may drop and never reorders within a flow. A flow is what one
 * source sends to one destination, path discovery and handshakes apart from data. Flows to one
 * destination take turns (deficit round robin; a flow that was idle goes first), so what another
 * flow waits for is at most 2 KiB and one frame of each competitor. A destination queues a bounded
 * number of bytes; past it the oldest packet of the longest flow goes. A flow whose packets wait
 * longer than 15 ms for a while loses some (CoDel), which tells the sender to slow down: so its own
 * small packets do not wait behind its bulk for long.
 *
 * Several relays of one region form a mesh: each opens a link to every other, hears who is
 * connected there, and hands over packets with ForwardPacket. A packet is forwarded once at most.
 *
 * A relay that uses several threads is one engine for each, its shards. Each knows the others as
 * siblings and tells them whom it has; what is for a client of another shard goes out to that
 * sibling. To clients and to other relays all shards together look like one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/mono.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "wire/derp.h"

struct bucket_shared;
struct relay;
struct rng;

#define RELAY_DROPS(X)                                                                             \
	X(UNKNOWN_DEST, "unknown_dest", "the destination is not connected here")                   \
	X(UNKNOWN_DEST_ON_FWD, "unknown_dest_on_fwd", "a relay forwarded to someone not here")     \
	X(GONE, "gone_disconnected", "the destination left while packets waited for it")           \
	X(QUEUE_HEAD, "queue_head", "the queue was full, the oldest packet of the longest flow")   \
	X(QUEUE_TAIL, "queue_tail", "the queue was full, the newest packet")                       \
	X(QUEUE_DELAY, "queue_delay", "its flow's packets had waited too long for a while")        \
	X(QUEUE_OLD, "queue_old", "the packet had waited too long to be of use")                   \
	X(MEMORY, "memory", "all queues together reached the memory budget")                       \
	X(WRITE_ERROR, "write_error", "the connection broke while it was written")

enum relay_drop {
#define X(id, name, text) RELAY_DROP_##id,
	RELAY_DROPS(X)
#undef X
	    RELAY_DROP_COUNT
};

const char *relay_drop_name(enum relay_drop d);
const char *relay_drop_text(enum relay_drop d);

struct relay_conf {
	struct secret32 private_key;
	struct secret32 mesh_key; /* all zero: no mesh */
	struct rng *rng;          /* borrowed for the life of the relay */
	/* 0 takes the default in brackets. */
	size_t connections_max; /* [65536] */
	size_t queue_bytes;     /* for one destination [512 KiB] */
	size_t memory_bytes;    /* for all queues [256 MiB] */
	unsigned max_age_ms;    /* a packet that waited longer is dropped [1000] */
	uint64_t client_rate;   /* bytes per second read from one client [no limit] */
	uint64_t client_burst;  /* [what fits one largest packet] */
	uint64_t total_rate;    /* the same for all clients together [no limit] */
	uint64_t total_burst;
	/* Shards of one relay charge one bucket for it. NULL: its own. Borrowed. */
	struct bucket_shared *total;
};

/* Copies conf. */
struct relay *relay_create(const struct relay_conf *conf);
void relay_destroy(struct relay *r);
const struct key *relay_key(const struct relay *r);
/* New limits for all connections, at once. */
void relay_set_rates(struct relay *r, uint64_t client_rate, uint64_t client_burst,
		     uint64_t total_rate, uint64_t total_burst);

/* ---- connections ---- */

/*
 * A client connected and was upgraded; ServerKey is its first output. 0: the relay is full or
 * draining. not_ideal: it said that this is not the node it should be on.
 */
uint64_t relay_accept(struct relay *r, struct mono now, struct addrport from, bool not_ideal);
/* We connected to a relay of our region as a mesh member; WatchConns goes out. 0: draining. */
uint64_t relay_link(struct relay *r, struct mono now);
/*
 * Another shard with the same keys. What relay_output() gives for it is for relay_input() over
 * there, byte for byte and in order. All siblings are made known before the first client.
 */
uint64_t relay_sibling(struct relay *r);
/* What is taken from a sibling. */
enum derp_take relay_take_by_sibling(uint8_t type, uint32_t len);
/* The connection is over, for whatever reason; id is forgotten. Unknown ids are ignored. */
void relay_remove(struct relay *r, struct mono now, uint64_t id);

enum relay_verdict {
	RELAY_GO,    /* the next frame, please */
	RELAY_HOLD,  /* taken; no more until relay_next says RELAY_WANT_INPUT */
	RELAY_CLOSE, /* protocol error: see relay_close_reason(); remove it */
};

enum relay_verdict relay_input(struct relay *r, struct mono now, uint64_t id,
			       const struct derp_frame *frame);

enum relay_want {
	RELAY_WANT_ADMISSION = 1, /* decide with relay_admit() */
	RELAY_WANT_INPUT = 2,     /* goes on after RELAY_HOLD */
	RELAY_WANT_OUTPUT = 4,    /* said once; then it is yours until relay_output() says 0 left */
	RELAY_WANT_CLOSE = 8,     /* write what is there, close, relay_remove() */
};

/* The next connection that wants something, 0 when none does. */
uint64_t relay_next(struct relay *r, unsigned *wants);

/* Whatever the caller wants to find again with an id; NULL until bound and for unknown ids. */
void relay_bind(struct relay *r, uint64_t id, void *user);
void *relay_user(const struct relay *r, uint64_t id);

/* Who asks for admission, or who is connected. False for unknown ids and before the greeting. */
struct relay_client {
	struct key key;
	struct addrport from;
	bool admitted, mesh, link, home, prober, not_ideal;
	uint64_t packets_in, bytes_in, packets_out, bytes_out, drops;
	size_t queued_bytes, flows;
};
bool relay_client(const struct relay *r, uint64_t id, struct relay_client *out);
void relay_admit(struct relay *r, struct mono now, uint64_t id, bool allow);
/* An admitted client that is no longer welcome. */
void relay_expel(struct relay *r, uint64_t id);
/* Everyone with this key, here and at the siblings. */
void relay_expel_key(struct relay *r, const struct key *key);
/* All connections in no order; *it starts at 0; 0 at the end. */
uint64_t relay_each(const struct relay *r, size_t *it);
const char *relay_close_reason(const struct relay *r, uint64_t id);

/*
 * Appends frames to out until it holds `target` bytes or nothing is left; at least one frame when
 * there is one. Returns whether more waits.
 */
bool relay_output(struct relay *r, struct mono now, uint64_t id, struct buf *out, size_t target);

/*
 * Tells clients to go elsewhere and closes them one by one over spread_ms, in random order; those
 * that know the frame hear Restarting first. relay_accept() refuses from now on.
 */
void relay_drain(struct relay *r, struct mono now, uint32_t spread_ms, uint32_t try_for_ms);

struct mono relay_deadline(const struct relay *r);
void relay_tick(struct relay *r, struct mono now);

/* ---- numbers ---- */

struct relay_stats {
	uint64_t accepted, refused, protocol_errors, handshake_timeouts;
	uint64_t packets_in, bytes_in, packets_out, bytes_out, packets_forwarded_in,
	    packets_forwarded_out;
	uint64_t disco_in, pings, peer_gone_disconnected, peer_gone_not_here, held_for_rate;
	uint64_t notices_lost;        /* PeerGone that did not fit */
	uint64_t packets_handed_over; /* to siblings */
	uint64_t drops[RELAY_DROP_COUNT];
	size_t connections, clients, home, watchers, links, remote_keys, queued_bytes, flows;
};
void relay_stats(const struct relay *r, struct relay_stats *out);
