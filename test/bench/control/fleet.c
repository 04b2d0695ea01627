#include "bench/control/fleet.h"

#include <stdio.h>

#include "base/mem.h"

enum { TICK_MS = 5, RETRY_MS = 200 };

static bool is_settled(const struct node *n)
{
	const struct view_peer *p;

	if (n->state != NODE_UP || n->view.n != n->want_peers)
		return false;
	if (n->view.filters < n->want_filters)
		return false;
	if (n->want_online >= 0 && (int64_t)n->view.n_online != n->want_online)
		return false;
	if (!n->want_id)
		return true;
	p = view_peer(&n->view, n->want_id);
	return p && p->port == n->want_port;
}

static void take_sample(struct fleet *f)
{
	f->last = mono_now();
	mem_reserve(f->samples_ms, f->n_samples, f->samples_cap);
	f->samples_ms[f->n_samples++] = (double)(f->last.ns - f->begin.ns) / 1e6;
}

static void pump(struct fleet *f)
{
	while (!f->is_paused && f->queued && f->in_flight < f->window) {
		struct node *n = f->queue[f->head];

		f->head = (f->head + 1) % (f->n + f->n_spare);
		f->queued--;
		n->in_flight = true;
		f->in_flight++;
		node_connect(n);
	}
}

static void landed(struct fleet *f, struct node *n)
{
	if (!n->in_flight)
		return;
	n->in_flight = false;
	f->in_flight--;
}

static void on_frame(void *arg, struct node *n)
{
	struct fleet *f = arg;

	landed(f, n);
	if (!n->is_pending || !is_settled(n))
		return;
	n->is_pending = false;
	f->n_pending--;
	take_sample(f);
}

static void on_lost(void *arg, struct node *n, const char *why)
{
	struct fleet *f = arg;

	landed(f, n);
	if (f->is_paused || n->index >= f->n) /* a spare node leaves on purpose */
		return;
	if (!f->errors++)
		(void)snprintf(f->first_error, sizeof(f->first_error), "node %u: %s", n->index,
			       why);
}

/* Lost nodes try again, as daemons do, but sooner. */
static void retry(struct fleet *f)
{
	f->retried = loop_now(f->world.loop);
	for (size_t i = 0; i < f->n; i++)
		if (f->nodes[i].state == NODE_LOST)
			fleet_queue(f, &f->nodes[i]);
}

/* Connects from here only: the callbacks of a node must not pull its streams away. */
static void on_tick(struct io_timer *t)
{
	struct fleet *f = container_of(t, struct fleet, tick);

	if (!f->is_paused && mono_since_ms(loop_now(f->world.loop), f->retried) >= RETRY_MS)
		retry(f);
	pump(f);
	io_timer_in_ms(f->world.loop, t, TICK_MS);
}

void fleet_init(struct fleet *f, struct loop *loop, size_t n, size_t spare, size_t group_size,
		size_t window)
{
	*f = (struct fleet){ .n = n, .n_spare = spare, .window = window };
	f->group_size = group_size && group_size < n ? group_size : n;
	f->n_groups = (n + f->group_size - 1) / f->group_size;
	node_world_init(&f->world);
	f->world.loop = loop;
	f->world.on_frame = on_frame;
	f->world.on_lost = on_lost;
	f->world.arg = f;
	f->nodes = mem_alloc((n + spare) * sizeof(*f->nodes));
	f->queue = mem_alloc((n + spare) * sizeof(struct node *));
	for (size_t i = 0; i < n + spare; i++) {
		size_t group = i < n ? i / f->group_size : (i - n) % f->n_groups;

		node_init(&f->nodes[i], &f->world, (unsigned)i, (unsigned)group);
		f->nodes[i].ephemeral = i >= n;
		f->nodes[i].want_peers = fleet_members(f, group) - (i < n);
	}
	io_timer_init(&f->tick, on_tick);
	io_timer_in_ms(loop, &f->tick, TICK_MS);
}

void fleet_fini(struct fleet *f)
{
	io_timer_stop(&f->tick);
	for (size_t i = 0; i < f->n + f->n_spare; i++)
		node_fini(&f->nodes[i]);
	node_world_fini(&f->world);
	mem_free(f->nodes);
	mem_free(f->queue);
	mem_free(f->samples_ms);
}

size_t fleet_members(const struct fleet *f, size_t group)
{
	size_t from = group * f->group_size, left = f->n - from;

	return left < f->group_size ? left : f->group_size;
}

void fleet_queue(struct fleet *f, struct node *n)
{
	size_t room = f->n + f->n_spare;

	if (f->queued == room || n->in_flight)
		return;
	n->state = NODE_IDLE; /* not to be queued twice */
	f->queue[(f->head + f->queued++) % room] = n;
}

void fleet_expect(struct fleet *f, struct node *n)
{
	if (!n->is_pending)
		f->n_pending++;
	n->is_pending = true;
}

void fleet_begin(struct fleet *f)
{
	f->begin = f->last = mono_now();
}

bool fleet_wait(struct fleet *f, int64_t timeout_ms)
{
	struct mono end = mono_add_ms(mono_now(), timeout_ms);

	while (f->n_pending && !f->interrupted && !mono_reached(mono_now(), end))
		loop_turn(f->world.loop, true); /* the tick ends a turn that waits */
	if (!f->n_pending)
		return true;
	for (size_t i = 0; i < f->n + f->n_spare; i++)
		f->nodes[i].is_pending = false;
	f->n_pending = 0;
	return false;
}

void fleet_quiet(struct fleet *f, int64_t ms, int64_t limit_ms)
{
	struct mono end = mono_add_ms(mono_now(), limit_ms), since = mono_now();
	uint64_t seen = f->world.frames;

	while (!f->interrupted && !mono_reached(mono_now(), end) &&
	       mono_since_ms(mono_now(), since) < ms) {
		loop_turn(f->world.loop, true);
		if (f->world.frames != seen)
			since = mono_now();
		seen = f->world.frames;
	}
}

uint64_t fleet_bytes(const struct fleet *f)
{
	uint64_t sum = f->world.bytes_closed;

	for (size_t i = 0; i < f->n + f->n_spare; i++)
		sum += node_bytes(&f->nodes[i]);
	return sum;
}
