/*
 * bench/control/fleet.h - all nodes of a run: who connects when, and who has heard the news.
 *
 * An event is: fleet_expect() for those whose view will change, with their want_ fields set;
 * fleet_begin(); the deed; fleet_wait().
 */
#pragma once

#include "bench/control/node.h"
#include "io/loop.h"

struct fleet {
	struct node_world world;
	struct node *nodes; /* n, then spare ones for events */
	size_t n, n_spare, group_size, n_groups;
	struct io_timer tick;
	struct mono retried;

	struct node **queue; /* to be connected, a ring */
	size_t head, queued, window, in_flight;
	bool is_paused;   /* the server is away: lost nodes wait, and are no errors */
	bool interrupted; /* by a signal */

	struct mono begin, last; /* of the event; of its last affected node */
	size_t n_pending;
	double *samples_ms; /* begin to each affected node, over all repetitions */
	size_t n_samples, samples_cap;
	size_t errors;
	char first_error[700];
};

void fleet_init(struct fleet *f, struct loop *loop, size_t n, size_t spare, size_t group_size,
		size_t window);
void fleet_fini(struct fleet *f);

size_t fleet_members(const struct fleet *f, size_t group); /* without spare nodes */
void fleet_queue(struct fleet *f, struct node *n);         /* connects when there is room */
/* The next frame after which n holds what it wants counts. */
void fleet_expect(struct fleet *f, struct node *n);
void fleet_begin(struct fleet *f);
bool fleet_wait(struct fleet *f, int64_t timeout_ms); /* false: somebody heard nothing */
/* Until no frame came for ms, at most limit_ms. */
void fleet_quiet(struct fleet *f, int64_t ms, int64_t limit_ms);
uint64_t fleet_bytes(const struct fleet *f);
