#include "support.h"

#include "base/mem.h"
#include "kit/kit.h"

static void ear_drop(struct ear *e)
{
	stream_destroy(e->s);
	e->s = NULL;
}

static void ear_open(void *arg)
{
	struct ear *e = arg;

	e->opens++;
	if (e->destroy_on_open)
		ear_drop(e);
}

static void ear_data(void *arg, struct bytes data)
{
	struct ear *e = arg;

	buf_append(&e->got, data);
	if (e->pause_on_data)
		stream_pause(e->s, true);
	if (e->destroy_on_data)
		ear_drop(e);
}

static void ear_drain(void *arg)
{
	struct ear *e = arg;

	e->drains++;
}

static void ear_close(void *arg, const struct err *why)
{
	struct ear *e = arg;

	e->closes++;
	e->why = *why;
	if (e->destroy_on_close)
		ear_drop(e);
}

static const struct stream_up ear_up = { ear_open, ear_data, ear_drain, ear_close };

void ear_init(struct ear *e, struct stream *s)
{
	*e = (struct ear){ .s = s };
	buf_init(&e->got, 64 << 20);
	stream_set_up(s, &ear_up, e);
}

void ear_fini(struct ear *e)
{
	stream_destroy(e->s);
	e->s = NULL;
	buf_fini(&e->got);
}

bool turn_until(struct loop *loop, const unsigned *count, unsigned at_least)
{
	struct mono end = mono_add_s(mono_now(), 20);

	while (*count < at_least && !mono_reached(mono_now(), end))
		loop_turn(loop, false);
	return *count >= at_least;
}

bool turn_until_n(struct loop *loop, const size_t *count, size_t at_least)
{
	struct mono end = mono_add_s(mono_now(), 20);

	while (*count < at_least && !mono_reached(mono_now(), end))
		loop_turn(loop, false);
	return *count >= at_least;
}

struct loop *test_loop(void)
{
	struct loop *loop = loop_create(NULL);

	CHECK(loop != NULL);
	return loop;
}

void fill_pattern(uint8_t *p, size_t n, uint64_t offset)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t x = (offset + i) * 0x9e3779b97f4a7c15u;

		p[i] = (uint8_t)(x >> 56);
	}
}
