/*
 * io/websocket.c - the filter: frames below, bytes above.
 *
 * Payload is passed on as it comes, so a frame of any length needs no memory; only the 14 bytes of
 * a header and the 125 of a control frame wait to be whole.
 */
#include "io/websocket.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/loop.h"
#include "io/stream.h"
#include "wire/websocket.h"

enum { PIECE = 16 << 10, CLOSE_NORMAL = 1000, CLOSE_PROTOCOL = 1002, CLOSE_TYPE = 1003 };

struct websocket {
	struct stream s;
	struct stream *below;
	struct rng rng;
	struct buf in, out;
	struct websocket_header frame; /* the one whose payload is coming */
	uint64_t left, seen;           /* of its payload */
	bool is_server;
	bool in_frame;
	bool in_message; /* a fragmented one goes on */
	bool said_close;
};

static struct websocket *of(struct stream *s)
{
	return container_of(s, struct websocket, s);
}

/* ---- down ---- */

static void send_frame(struct websocket *w, enum websocket_opcode opcode, struct bytes payload)
{
	struct websocket_header h = {
		.fin = true, .masked = !w->is_server, .opcode = opcode, .length = payload.n
	};
	uint8_t head[WEBSOCKET_HEADER_MAX];
	size_t at;

	if (h.masked)
		w->rng.fill(&w->rng, h.mask, sizeof(h.mask));
	buf_append(&w->out, bytes_of(head, websocket_header_encode(&h, head)));
	at = w->out.n;
	buf_append(&w->out, payload);
	if (h.masked)
		websocket_mask(w->out.p + at, payload.n, h.mask, 0);
	stream_send(w->below, buf_bytes(&w->out));
	buf_clear(&w->out);
}

static void ws_send(struct stream *s, struct bytes data)
{
	while (data.n) { /* in pieces: what is copied here stays small */
		struct bytes piece = bytes_of(data.p, data.n < PIECE ? data.n : PIECE);

		send_frame(of(s), WEBSOCKET_BINARY, piece);
		data = bytes_from(data, piece.n);
	}
}

static void say_close(struct websocket *w, unsigned code)
{
	uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	if (w->said_close)
		return;
	w->said_close = true;
	send_frame(w, WEBSOCKET_CLOSE, bytes_of(payload, sizeof(payload)));
}

static void ws_pause(struct stream *s, bool paused)
{
	stream_pause(of(s)->below, paused);
}

static void ws_finish(struct stream *s)
{
	say_close(of(s), CLOSE_NORMAL);
	stream_finish(of(s)->below);
}

static size_t ws_queued(const struct stream *s)
{
	return stream_queued(container_of(s, const struct websocket, s)->below);
}

static struct stream *ws_below(const struct stream *s)
{
	return container_of(s, const struct websocket, s)->below;
}

static void ws_free(void *arg)
{
	struct websocket *w = arg;

	buf_fini(&w->in);
	buf_fini(&w->out);
	mem_free(w);
}

static void ws_destroy(struct stream *s)
{
	struct websocket *w = of(s);

	stream_destroy(w->below);
	stream_fini(s);
	loop_defer(s->loop, ws_free, w);
}

static const struct stream_ops ws_ops = {
	.name = "websocket",
	.send = ws_send,
	.pause = ws_pause,
	.finish = ws_finish,
	.queued = ws_queued,
	.destroy = ws_destroy,
	.below = ws_below,
};

/* ---- up ---- */

static void fail(struct websocket *w, unsigned code, const char *why)
{
	struct err err = { 0 };

	say_close(w, code);
	stream_finish(w->below);
	err_set(&err, ERR_MALFORMED, "websocket: %s", why);
	stream_emit_close(&w->s, &err);
}

static bool is_over(const struct websocket *w)
{
	return w->s.destroyed || w->s.closed || w->s.end;
}

/* The rules between frames (section 5.4). */
static bool begin_frame(struct websocket *w)
{
	enum websocket_opcode opcode = w->frame.opcode;

	w->left = w->frame.length;
	w->seen = 0;
	w->in_frame = true;
	if (opcode >= WEBSOCKET_CLOSE)
		return true;
	if (opcode == WEBSOCKET_TEXT) {
		fail(w, CLOSE_TYPE, "a text message");
		return false;
	}
	if ((opcode == WEBSOCKET_CONTINUATION) != w->in_message) {
		fail(w, CLOSE_PROTOCOL, "a fragment out of order");
		return false;
	}
	w->in_message = !w->frame.fin;
	return true;
}

/* True: a header was taken off the input. */
static bool read_header(struct websocket *w)
{
	size_t used;

	switch (websocket_header_decode(&w->frame, buf_bytes(&w->in), w->is_server, &used)) {
	case WEBSOCKET_FRAME:
		buf_consume(&w->in, used);
		return begin_frame(w);
	case WEBSOCKET_BAD:
		fail(w, CLOSE_PROTOCOL, "a frame that breaks the format");
		return false;
	default:
		return false;
	}
}

static void unmask(struct websocket *w, size_t n)
{
	if (w->frame.masked)
		websocket_mask(w->in.p, n, w->frame.mask, w->seen);
	w->seen += n;
	w->left -= n;
	w->in_frame = w->left > 0;
}

static bool read_control(struct websocket *w)
{
	uint8_t payload[WEBSOCKET_CONTROL_MAX];
	size_t n = (size_t)w->left;

	if (w->in.n < n)
		return false;
	unmask(w, n);
	if (n)
		memcpy(payload, w->in.p, n);
	buf_consume(&w->in, n);
	switch (w->frame.opcode) {
	case WEBSOCKET_PING:
		/* Who pings and does not read gets no pongs to keep. */
		if (!w->said_close && stream_queued(w->below) < STREAM_HIGH)
			send_frame(w, WEBSOCKET_PONG, bytes_of(payload, n));
		return true;
	case WEBSOCKET_CLOSE:
		say_close(w, CLOSE_NORMAL);
		stream_finish(w->below);
		stream_emit_close(&w->s, NULL);
		return false;
	default:
		return true;
	}
}

static bool read_payload(struct websocket *w)
{
	size_t n = w->in.n < w->left ? w->in.n : (size_t)w->left;
	struct buf piece = w->in;

	if (!n) {
		w->in_frame = w->left > 0;
		return !w->in_frame;
	}
	unmask(w, n);
	/* Ours while it is above: the owner may destroy us, or hand us more. */
	buf_init(&w->in, piece.max);
	buf_append(&w->in, bytes_from(buf_bytes(&piece), n));
	stream_emit_data(&w->s, bytes_of(piece.p, n));
	buf_fini(&piece);
	return true;
}

static void on_data(void *arg, struct bytes data)
{
	struct websocket *w = arg;
	bool more = true;

	if (is_over(w))
		return;
	buf_append(&w->in, data);
	while (more && !is_over(w)) {
		if (!w->in_frame)
			more = w->in.n && read_header(w);
		else if (w->frame.opcode >= WEBSOCKET_CLOSE)
			more = read_control(w);
		else
			more = read_payload(w);
	}
}

static void on_drain(void *arg)
{
	struct websocket *w = arg;

	stream_emit_drain(&w->s);
}

static void on_close(void *arg, const struct err *why)
{
	struct websocket *w = arg;
	struct err cut = { 0 };

	if (why->code == ERR_NONE && !w->said_close) {
		err_set(&cut, ERR_MALFORMED, "websocket: cut without a close frame");
		why = &cut;
	}
	stream_emit_close(&w->s, why->code ? why : NULL);
}

static const struct stream_up ws_up = { .on_data = on_data,
					.on_drain = on_drain,
					.on_close = on_close };

struct stream *websocket_stream(struct stream *below, bool is_server)
{
	struct websocket *w = mem_alloc(sizeof(*w));

	stream_init(&w->s, &ws_ops, below->loop);
	w->s.open = true;
	w->below = below;
	w->rng = rng_system();
	w->is_server = is_server;
	buf_init(&w->in, SIZE_MAX / 4); /* one read from below and a header */
	buf_init(&w->out, 2 * PIECE);
	stream_set_up(below, &ws_up, w);
	return &w->s;
}
