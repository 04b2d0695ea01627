#include "part/noise_stream.h"

#include "base/err.h"
#include "base/mem.h"
#include "engine/ts2021/ts2021.h"
#include "io/loop.h"
#include "io/stream.h"

enum { EARLY_MAX = 64 << 10 };

enum early { EARLY_PASSED, EARLY_HEADER, EARLY_JSON };

struct noise_stream {
	struct stream stream;
	struct stream *below;
	struct ts2021 *channel;
	struct io_timer handshake;
	enum early early;
	struct buf early_buf; /* the first bytes of the server's stream */
	void (*on_early)(void *arg, struct bytes json);
	void *early_arg;
	bool open;
};

static struct noise_stream *noise_of(struct stream *s)
{
	return container_of(s, struct noise_stream, stream);
}

static void push_down(struct noise_stream *n)
{
	struct bytes out = ts2021_next_bytes(n->channel);

	if (out.n)
		stream_send(n->below, out);
}

static void fail(struct noise_stream *n, const struct err *why)
{
	io_timer_stop(&n->handshake);
	stream_emit_close(&n->stream, why);
}

static void announce_open(struct noise_stream *n)
{
	if (n->open || !ts2021_is_open(n->channel))
		return;
	n->open = true;
	io_timer_stop(&n->handshake);
	push_down(n);
	stream_emit_open(&n->stream);
}

/* Waits for the header, then for the JSON behind it; what is no early payload goes up. */
static void take_early(struct noise_stream *n, struct bytes plain)
{
	struct bytes all;
	uint32_t json_len;

	if (!buf_append(&n->early_buf, plain)) {
		struct err err;

		(void)err_set(&err, ERR_LIMIT, "the early payload is too long");
		fail(n, &err);
		return;
	}
	all = buf_bytes(&n->early_buf);
	if (all.n < TS2021_EARLY_HEADER_LEN)
		return;
	if (ts2021_early_decode(all, &json_len)) {
		if (json_len > EARLY_MAX - TS2021_EARLY_HEADER_LEN) {
			struct err err;

			(void)err_set(&err, ERR_LIMIT, "an early payload of %u bytes", json_len);
			fail(n, &err);
			return;
		}
		if (all.n < TS2021_EARLY_HEADER_LEN + (size_t)json_len)
			return;
		if (n->on_early)
			n->on_early(n->early_arg,
				    bytes_of(all.p + TS2021_EARLY_HEADER_LEN, json_len));
		all = bytes_from(all, TS2021_EARLY_HEADER_LEN + (size_t)json_len);
	}
	n->early = EARLY_PASSED;
	if (n->stream.destroyed)
		return;
	stream_emit_data(&n->stream, all);
	if (!n->stream.destroyed)
		buf_fini(&n->early_buf);
}

static void below_data(void *arg, struct bytes data)
{
	struct noise_stream *n = arg;
	struct err err = { 0 };
	struct bytes plain;

	if (ts2021_input(n->channel, data, &err) < 0) {
		fail(n, &err);
		return;
	}
	for (;;) {
		if (ts2021_next_plain(n->channel, &plain, &err) < 0) {
			fail(n, &err);
			return;
		}
		announce_open(n);
		if (n->stream.destroyed || !plain.n)
			return;
		if (n->early != EARLY_PASSED)
			take_early(n, plain);
		else
			stream_emit_data(&n->stream, plain);
		if (n->stream.destroyed || n->stream.closed)
			return;
	}
}

static void below_drain(void *arg)
{
	struct noise_stream *n = arg;

	stream_emit_drain(&n->stream);
}

static void below_close(void *arg, const struct err *why)
{
	struct noise_stream *n = arg;

	fail(n, why);
}

static void below_open(void *arg)
{
	(void)arg; /* the upgrade came first: the stream below is open */
}

static const struct stream_up below_up = {
	.on_open = below_open,
	.on_data = below_data,
	.on_drain = below_drain,
	.on_close = below_close,
};

static void fail_later(void *arg)
{
	struct noise_stream *n = arg;
	struct err err;

	(void)err_set(&err, ERR_LIMIT, "the Noise channel takes no more");
	if (!n->stream.destroyed)
		fail(n, &err);
}

static void send_down(struct stream *s, struct bytes data)
{
	struct noise_stream *n = noise_of(s);

	if (ts2021_output(n->channel, data))
		push_down(n);
	else
		loop_defer(s->loop, fail_later, n); /* no events from inside send */
}

static void pause_below(struct stream *s, bool paused)
{
	stream_pause(noise_of(s)->below, paused);
}

static void finish_below(struct stream *s)
{
	stream_finish(noise_of(s)->below);
}

static size_t queued_below(const struct stream *s)
{
	return stream_queued(container_of(s, struct noise_stream, stream)->below);
}

static void free_channel(void *arg)
{
	ts2021_destroy(arg);
}

static void destroy(struct stream *s)
{
	struct noise_stream *n = noise_of(s);
	struct loop *loop = s->loop;

	io_timer_stop(&n->handshake);
	stream_destroy(n->below);
	stream_fini(s);
	buf_fini(&n->early_buf);
	/* Its memory may be what a callback up the stack is reading: it goes at the end of the
	 * turn. */
	loop_defer(loop, free_channel, n->channel);
	loop_free_later(loop, n);
}

static struct stream *find_below(const struct stream *s)
{
	return container_of(s, struct noise_stream, stream)->below;
}

static const struct stream_ops noise_ops = {
	.name = "noise",
	.send = send_down,
	.pause = pause_below,
	.finish = finish_below,
	.queued = queued_below,
	.destroy = destroy,
	.below = find_below,
};

static void on_handshake_late(struct io_timer *t)
{
	struct noise_stream *n = container_of(t, struct noise_stream, handshake);
	struct err err;

	if (ts2021_tick(n->channel, loop_now(n->stream.loop), &err) < 0)
		fail(n, &err);
}

static struct noise_stream *noise_new(struct stream *below, struct ts2021 *t)
{
	struct noise_stream *n = mem_alloc(sizeof(*n));

	stream_init(&n->stream, &noise_ops, below->loop);
	n->below = below;
	n->channel = t;
	buf_init(&n->early_buf, EARLY_MAX);
	io_timer_init(&n->handshake, on_handshake_late);
	stream_set_up(below, &below_up, n);
	return n;
}

struct stream *noise_stream_client(struct stream *below, struct ts2021 *t,
				   void (*on_early)(void *arg, struct bytes json), void *arg)
{
	struct noise_stream *n = noise_new(below, t);

	n->early = EARLY_HEADER;
	n->on_early = on_early;
	n->early_arg = arg;
	io_timer_at(below->loop, &n->handshake, ts2021_deadline(t));
	return &n->stream;
}

static void open_later(void *arg)
{
	struct noise_stream *n = arg;

	if (!n->stream.destroyed)
		announce_open(n);
}

struct stream *noise_stream_server(struct stream *below, struct ts2021 *t, struct bytes early_json)
{
	struct noise_stream *n = noise_new(below, t);
	uint8_t header[TS2021_EARLY_HEADER_LEN];

	if (early_json.n) {
		ts2021_early_encode((uint32_t)early_json.n, header);
		(void)ts2021_output(t, bytes_of(header, sizeof(header)));
		(void)ts2021_output(t, early_json);
	}
	push_down(n);
	loop_defer(below->loop, open_later, n);
	return &n->stream;
}

const struct ts2021 *noise_stream_channel(struct stream *s)
{
	struct stream *found = stream_find(s, "noise");

	return found ? noise_of(found)->channel : NULL;
}
