/*
 * Member i writes the bytes for member k into ring[i * n + k]; k feeds them to its engine in order.
 *
 * Two signals can be lost if they are read in the wrong order, so both are exchanged against the
 * state they speak of:
 *
 *   room   the producer sets `full`, then looks at the ring once more; the consumer empties the
 * ring, then takes `full`. One of them sees the other. woken  the consumer clears it before it
 * looks at its rings; the producer fills, then sets it.
 */
#include "part/derp_server/derp_bus.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/ring.h"
#include "io/loop.h"
#include "part/derp_server/derp_server.h"

enum {
	RING_BYTES = 512 << 10, /* pages of it are touched when packets pass */
	MARK = RING_BYTES / 2,  /* below it the longest write fits, wherever the ring ends */
};

struct path {
	struct ring ring;
	atomic_bool full;
	struct derp_bus *bus;
	size_t from, to;
	uint64_t out, in; /* ids of the link at the producer's and at the consumer's server */
};

struct member {
	struct loop *loop;
	struct derp_server *server;
	atomic_bool woken;
	struct derp_bus *bus;
	size_t at;
};

struct derp_bus {
	size_t n;
	atomic_bool stopped;
	struct member *members;
	struct path *paths;
};

static struct path *path_of(struct derp_bus *b, size_t from, size_t to)
{
	return &b->paths[from * b->n + to];
}

static void on_wake(void *arg);

static void wake(struct member *m)
{
	if (!atomic_exchange(&m->woken, true))
		loop_post(m->loop, on_wake, m);
}

/* ---- out ---- */

static void write_frames(void *arg, struct bytes frames)
{
	struct path *p = arg;
	uint8_t *to = ring_reserve(&p->ring, frames.n);

	/* Below the mark there is room for the longest output of an engine. */
	memcpy(to, frames.p, frames.n);
	ring_commit(&p->ring);
	wake(&p->bus->members[p->to]);
}

static size_t queued(void *arg)
{
	struct path *p = arg;
	size_t n = ring_used(&p->ring);

	if (n < MARK)
		return n;
	atomic_store(&p->full, true);
	return ring_used(&p->ring);
}

/* ---- in ---- */

static void take(struct member *m, struct path *p)
{
	size_t left = ring_used(&p->ring), n; /* not what comes meanwhile: others wait too */
	uint8_t *data;

	while (left && ring_peek(&p->ring, &data, &n)) {
		derp_server_sibling_data(m->server, p->in, bytes_of(data, n));
		ring_pop(&p->ring);
		left = left > n ? left - n : 0;
	}
	if (!ring_is_empty(&p->ring))
		wake(m);
	if (atomic_exchange(&p->full, false))
		wake(&m->bus->members[p->from]);
}

static void on_wake(void *arg)
{
	struct member *m = arg;
	struct derp_bus *b = m->bus;

	atomic_store(&m->woken, false);
	if (atomic_load(&b->stopped))
		return;
	for (size_t i = 0; i < b->n; i++) {
		if (i == m->at)
			continue;
		take(m, path_of(b, i, m->at));
		derp_server_link_drain(m->server, path_of(b, m->at, i)->out);
	}
}

/* ---- members ---- */

struct derp_bus *derp_bus_create(size_t members)
{
	struct derp_bus *b = mem_alloc(sizeof(*b));

	b->n = members;
	b->members = mem_alloc(members * sizeof(*b->members));
	b->paths = mem_alloc_aligned(_Alignof(struct path), members * members * sizeof(*b->paths));
	for (size_t i = 0; i < members * members; i++) {
		struct path *p = &b->paths[i];

		p->bus = b;
		p->from = i / members;
		p->to = i % members;
		if (p->from != p->to)
			ring_init(&p->ring, RING_BYTES);
	}
	return b;
}

void derp_bus_join(struct derp_bus *b, size_t i, struct loop *loop, struct derp_server *server)
{
	struct member *m = &b->members[i];

	m->loop = loop;
	m->server = server;
	m->bus = b;
	m->at = i;
	for (size_t k = 0; k < b->n; k++) {
		struct path *p = path_of(b, i, k);
		struct derp_link link = { write_frames, queued, MARK, NULL, p };

		if (k == i)
			continue;
		p->out = derp_server_sibling_up(server, &link);
		path_of(b, k, i)->in = p->out; /* one connection, both ways */
	}
}

void derp_bus_stop(struct derp_bus *b)
{
	if (b)
		atomic_store(&b->stopped, true);
}

void derp_bus_destroy(struct derp_bus *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n * b->n; i++)
		ring_fini(&b->paths[i].ring);
	mem_free(b->paths);
	mem_free(b->members);
	mem_free(b);
}
