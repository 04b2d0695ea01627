/*
 * sim/region.h - relays: one real relay engine for each region, and the connections to them.
 *
 * A connection is TCP: bytes arrive in order and never get lost, a lossy link only makes them
 * late. What a relay may have under way to one client is bounded as a socket buffer is, so its
 * queues are real.
 */
#pragma once

#include "base/bytes.h"
#include "crypto/secret.h"
#include "engine/relay/relay.h"
#include "sim/world.h"
#include "wire/derp.h"

struct city;
struct host;

enum { REGIONS = 3, WIRE_IDLE_S = 60, SOCKET_BYTES = 64 << 10 };

struct region {
	struct city *city;
	int id; /* from 1 */
	bool up;
	struct relay *relay;
	struct rng rng;
	struct event timer;
};

/* One host's connection to one region. */
struct wire {
	struct host *host;
	struct region *region;
	uint64_t id;
	unsigned generation; /* what is under way on an older one is lost */
	bool open, ready, more;
	struct derp_reader up, down;
	struct buf waiting; /* frames before the relay has said who it is */
	size_t in_flight;
	struct mono up_at, down_at, used;
	struct event idle;
};

void region_init(struct region *r, struct city *c, int id);
void region_fini(struct region *r);
void region_set_up(struct region *r, bool up); /* false: every connection breaks */
void region_expel(struct region *r, const struct key *key);
size_t region_queued(const struct region *r);
bool region_owns(const struct event *e); /* something under way, to be freed with the city */

void wire_init(struct wire *w, struct host *h, struct region *r);
void wire_open(struct wire *w);
void wire_close(struct wire *w);
void wire_send(struct wire *w, const struct key *to, struct bytes payload);
