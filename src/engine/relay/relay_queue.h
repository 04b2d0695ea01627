/*
 * engine/relay/relay_queue.h - what waits for one connection, flow by flow.
 *
 * The same queue serves a relay, where flows are sources, and a client of one, where they are
 * destinations. All queues of a relay share one table of flows and one memory budget.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "engine/relay/relay.h"

struct relay_pkt;

struct relay_flow_id {
	uint64_t queue;
	uint64_t lane; /* 0 data, 1 discovery and handshakes */
	struct key peer;
};

/* How a packet is framed: RecvPacket(from), SendPacket(to) or ForwardPacket(from, to). */
struct relay_envelope {
	enum derp_type type;
	const struct key *peer;   /* what makes the flow */
	const struct key *fwd_to; /* ForwardPacket only */
};

struct relay_flows {
	struct map by_id;
	size_t bytes, bytes_max, queue_max;
	int64_t max_age_ms;
	uint64_t *drops; /* RELAY_DROP_COUNT counters */
};

struct relay_queue {
	struct list fresh, old; /* flows that wait for their turn: new ones first */
	uint64_t id;
	size_t bytes, flows;
	size_t bytes_max; /* 0: what all have */
	uint64_t drops;
};

void relay_flows_init(struct relay_flows *fs, const void *seed);
void relay_flows_fini(struct relay_flows *fs); /* every queue was cleared before */
void relay_queue_init(struct relay_queue *q, uint64_t id);

/* Copies the packet. */
bool relay_queue_push(struct relay_flows *fs, struct relay_queue *q, struct mono now,
		      const struct relay_envelope *env, struct bytes payload);
/* Appends the next frame to out; false when the queue is empty. */
bool relay_queue_pop(struct relay_flows *fs, struct relay_queue *q, struct mono now,
		     struct buf *out);
void relay_queue_clear(struct relay_flows *fs, struct relay_queue *q, enum relay_drop why);
