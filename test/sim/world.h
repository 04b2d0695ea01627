/*
 * sim/world.h - virtual time: events in order, one source of chance, a running hash of what
 * happened.
 *
 * Nothing in a simulation reads a clock or the system's randomness, so a seed replays exactly.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/rand.h"
#include "base/wall.h"
#include "sim/fault.h"

struct world;

struct event {
	struct heap_node node;
	void (*fire)(struct world *w, struct event *e); /* may free e */
};

struct note {
	struct mono at;
	const char *what;
	uint64_t a, b;
};

enum { NOTES_KEPT = 64 };

struct world {
	struct mono now;
	struct heap events;
	struct rng rng;
	uint64_t trace; /* hash over every noted fact */
	uint64_t fired, noted;
	enum fault fault; /* planted */
	bool verbose, quiet;
	unsigned violations;
	struct note notes[NOTES_KEPT]; /* what came before the first violation */
};

void world_init(struct world *w, uint64_t seed);
void world_fini(struct world *w);
void world_at(struct world *w, struct event *e, struct mono at); /* (re)schedules */
void world_cancel(struct world *w, struct event *e);
void world_run_until(struct world *w, struct mono until);
int64_t world_ms(const struct world *w);
bool world_chance(struct world *w, double p);

/* A fact: into the hash, and onto the terminal when verbose. */
void world_note(struct world *w, const char *what, uint64_t a, uint64_t b);
/* An invariant that does not hold. Printed always; the run fails. */
void world_violation(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
