/* The part that all streams share: who listens, and what waits until he does. */
#include "io/stream.h"

#include "base/err.h"
#include "base/mem.h"
#include "io/loop.h"

void stream_init(struct stream *s, const struct stream_ops *ops, struct loop *loop)
{
	*s = (struct stream){ .ops = ops, .loop = loop, .low = STREAM_LOW };
	buf_init(&s->unread, SIZE_MAX / 4); /* no more than was read and not wanted yet */
}

void stream_fini(struct stream *s)
{
	s->destroyed = s->closed = true;
	s->up = NULL;
	buf_fini(&s->unread);
	mem_free(s->end);
	s->end = NULL;
}

static void deliver_unread(struct stream *s)
{
	struct buf data = s->unread;

	buf_init(&s->unread, data.max);
	if (s->up->on_data)
		s->up->on_data(s->arg, buf_bytes(&data));
	buf_fini(&data);
}

static void deliver_end(struct stream *s)
{
	struct err *end = s->end;

	s->end = NULL;
	s->closed = true;
	if (s->up->on_close)
		s->up->on_close(s->arg, end);
	mem_free(end);
}

static void flush(void *arg)
{
	struct stream *s = arg;

	s->flush_due = false;
	if (s->destroyed || s->closed || !s->up)
		return;
	if (s->unread.n && !s->paused)
		deliver_unread(s);
	/* The callback may have destroyed s, changed its owner or given bytes back. */
	if (s->end && s->up && !s->unread.n && !s->flush_due)
		deliver_end(s);
}

static void flush_later(struct stream *s)
{
	if (s->flush_due || s->destroyed)
		return;
	s->flush_due = true;
	loop_defer(s->loop, flush, s);
}

static bool has_waiting(const struct stream *s)
{
	return s->unread.n || s->end;
}

void stream_set_up(struct stream *s, const struct stream_up *up, void *arg)
{
	s->up = up;
	s->arg = arg;
	if (up && has_waiting(s))
		flush_later(s);
}

void stream_send(struct stream *s, struct bytes data)
{
	if (!s->closed && !s->finished && !s->end && data.n)
		s->ops->send(s, data);
}

size_t stream_queued(const struct stream *s)
{
	return s->closed ? 0 : s->ops->queued(s);
}

void stream_pause(struct stream *s, bool paused)
{
	if (s->paused == paused || s->destroyed)
		return;
	s->paused = paused;
	if (!s->closed && !s->end && s->ops->pause)
		s->ops->pause(s, paused);
	if (!paused && has_waiting(s))
		flush_later(s);
}

void stream_set_mark(struct stream *s, size_t bytes)
{
	for (; s; s = s->ops->below ? s->ops->below(s) : NULL)
		s->low = bytes;
}

void stream_finish(struct stream *s)
{
	if (s->closed || s->finished || s->end)
		return;
	s->finished = true;
	s->ops->finish(s);
}

void stream_destroy(struct stream *s)
{
	if (!s || s->destroyed)
		return;
	s->destroyed = true;
	s->up = NULL;
	s->ops->destroy(s);
}

void stream_unread(struct stream *s, struct bytes data)
{
	struct buf all;

	if (s->destroyed || !data.n)
		return;
	buf_init(&all, s->unread.max);
	buf_append(&all, data);
	buf_append(&all, buf_bytes(&s->unread));
	buf_fini(&s->unread);
	s->unread = all;
	flush_later(s);
}

struct stream *stream_find(struct stream *s, const char *name)
{
	while (s && strcmp(s->ops->name, name) != 0)
		s = s->ops->below ? s->ops->below(s) : NULL;
	return s;
}

void stream_emit_open(struct stream *s)
{
	if (s->closed || s->open)
		return;
	s->open = true;
	if (s->up && s->up->on_open)
		s->up->on_open(s->arg);
}

void stream_emit_data(struct stream *s, struct bytes data)
{
	if (s->closed || s->end || !data.n)
		return;
	if (s->up && !s->paused && !s->unread.n) {
		if (s->up->on_data)
			s->up->on_data(s->arg, data);
		return;
	}
	buf_append(&s->unread, data);
	if (s->up && !s->paused)
		flush_later(s);
}

void stream_emit_drain(struct stream *s)
{
	if (!s->closed && !s->end && s->up && s->up->on_drain)
		s->up->on_drain(s->arg);
}

void stream_emit_close(struct stream *s, const struct err *why)
{
	if (s->closed || s->end)
		return;
	s->end = mem_alloc(sizeof(*s->end));
	if (why)
		*s->end = *why;
	if (s->up && !s->unread.n)
		deliver_end(s);
	else if (s->up && !s->paused)
		flush_later(s);
}
