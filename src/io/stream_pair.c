/* Two streams in memory. The ends live in one block, freed when both are gone. */
#include "io/stream.h"

#include "base/mem.h"
#include "io/loop.h"

struct pair_end {
	struct stream s;
	struct pair *pair;
	struct buf out; /* on the way to the other end */
	bool drain_owed;
	bool no_more; /* finished or destroyed: the other end closes when out is empty */
};

struct pair {
	struct pair_end end[2];
	bool move_due, opened;
};

static struct pair_end *end_of(struct stream *s)
{
	return container_of(s, struct pair_end, s);
}

static struct pair_end *other(struct pair_end *e)
{
	return &e->pair->end[e == &e->pair->end[0]];
}

static void hand_over(struct pair_end *from, struct pair_end *to)
{
	struct buf data = from->out;

	if (to->s.destroyed) {
		buf_clear(&from->out);
		return;
	}
	buf_init(&from->out, data.max);
	stream_emit_data(&to->s, buf_bytes(&data));
	buf_fini(&data);
}

static void move_one_way(struct pair_end *from)
{
	struct pair_end *to = other(from);

	if (from->out.n && !to->s.paused)
		hand_over(from, to);
	if (from->drain_owed && from->out.n < from->s.low) {
		from->drain_owed = false;
		stream_emit_drain(&from->s);
	}
	if (from->no_more && !from->out.n) {
		stream_emit_close(&to->s, NULL);
		stream_emit_close(&from->s, NULL);
	}
}

static void move(void *arg)
{
	struct pair *p = arg;

	p->move_due = false;
	if (!p->opened) {
		p->opened = true;
		stream_emit_open(&p->end[0].s);
		stream_emit_open(&p->end[1].s);
	}
	move_one_way(&p->end[0]);
	move_one_way(&p->end[1]);
}

static void move_later(struct pair_end *e)
{
	if (e->pair->move_due)
		return;
	e->pair->move_due = true;
	loop_defer(e->s.loop, move, e->pair);
}

static void pair_send(struct stream *s, struct bytes data)
{
	struct pair_end *e = end_of(s);

	buf_append(&e->out, data);
	if (e->out.n >= e->s.low)
		e->drain_owed = true;
	move_later(e);
}

static void pair_pause(struct stream *s, bool paused)
{
	if (!paused)
		move_later(end_of(s));
}

static void pair_finish(struct stream *s)
{
	end_of(s)->no_more = true;
	move_later(end_of(s));
}

static size_t pair_queued(const struct stream *s)
{
	return container_of(s, const struct pair_end, s)->out.n;
}

/* Frees when both ends are gone; a move that is still due runs before the memory goes. */
static void pair_destroy(struct stream *s)
{
	struct pair_end *e = end_of(s);
	struct pair *p = e->pair;

	stream_fini(s);
	e->no_more = true;
	if (!other(e)->s.destroyed) {
		move_later(e);
		return;
	}
	buf_fini(&p->end[0].out);
	buf_fini(&p->end[1].out);
	loop_free_later(s->loop, p);
}

static const struct stream_ops pair_ops = {
	.name = "pair",
	.send = pair_send,
	.pause = pair_pause,
	.finish = pair_finish,
	.queued = pair_queued,
	.destroy = pair_destroy,
};

void stream_pair(struct loop *loop, struct stream **a, struct stream **b)
{
	struct pair *p = mem_alloc(sizeof(*p));

	for (int i = 0; i < 2; i++) {
		stream_init(&p->end[i].s, &pair_ops, loop);
		buf_init(&p->end[i].out, SIZE_MAX / 4);
		p->end[i].pair = p;
	}
	*a = &p->end[0].s;
	*b = &p->end[1].s;
	move_later(&p->end[0]);
}
