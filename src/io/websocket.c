/*
 *   off  len  frame, client to server
 *     0    1  FIN 80, reserved 70, opcode 0f
 *     1    1  MASK 80, length 7f: below 126 itself, 126: be16 follows, 127: be64 follows
 *     *    4  mask
 *     *    n  payload, XORed with the mask
 *
 * Payload of binary messages is handed up as it comes and never held.
 */
#include "io/websocket.h"

#include <openssl/evp.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/loop.h"
#include "io/stream.h"

enum {
	OP_CONTINUE = 0,
	OP_TEXT = 1,
	OP_BINARY = 2,
	OP_CLOSE = 8,
	OP_PING = 9,
	OP_PONG = 10,
	CONTROL_MAX = 125,
	HEAD_MAX = 14,
	PIECE = 4096, /* unmasked and handed up at a time */
	KEY_LEN = 24,
	CLOSE_NORMAL = 1000,
	CLOSE_PROTOCOL = 1002,
	CLOSE_TEXT = 1003,
};

struct websocket {
	struct stream s;
	struct stream *below;
	uint8_t head[HEAD_MAX];
	size_t head_n;
	uint8_t opcode;
	bool in_payload, in_message, close_sent;
	uint8_t mask[4];
	size_t mask_at;
	uint64_t left;
	uint8_t control[CONTROL_MAX];
	size_t control_n;
};

bool websocket_accept(struct bytes key, char out[WEBSOCKET_ACCEPT_MAX])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t sum[20];
	unsigned n = sizeof(sum);
	EVP_MD_CTX *ctx;
	bool ok;

	if (key.n != KEY_LEN)
		return false;
	ctx = EVP_MD_CTX_new();
	ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) &&
	     EVP_DigestUpdate(ctx, key.p, key.n) && EVP_DigestUpdate(ctx, guid, sizeof(guid) - 1) &&
	     EVP_DigestFinal_ex(ctx, sum, &n);
	EVP_MD_CTX_free(ctx);
	if (ok)
		text_base64(BASE64_STD, bytes_of(sum, sizeof(sum)), out);
	return ok;
}

static struct websocket *websocket_of(const struct stream *s)
{
	return container_of((struct stream *)s, struct websocket, s);
}

static bool is_over(const struct websocket *w)
{
	return w->s.destroyed || w->s.closed || w->s.end;
}

/* ---- out ---- */

static void send_frame(struct websocket *w, uint8_t opcode, struct bytes data)
{
	uint8_t head[10];
	struct writer h = writer_of(head, sizeof(head));

	write_u8(&h, 0x80 | opcode);
	if (data.n < 126) {
		write_u8(&h, (uint8_t)data.n);
	} else if (data.n <= UINT16_MAX) {
		write_u8(&h, 126);
		write_be16(&h, (uint16_t)data.n);
	} else {
		write_u8(&h, 127);
		write_be64(&h, data.n);
	}
	stream_send(w->below, bytes_of(head, h.n));
	stream_send(w->below, data);
}

static void send_close(struct websocket *w, uint16_t code)
{
	uint8_t body[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	if (w->close_sent)
		return;
	w->close_sent = true;
	send_frame(w, OP_CLOSE, bytes_of(body, sizeof(body)));
	stream_finish(w->below);
}

static void websocket_send(struct stream *s, struct bytes data)
{
	send_frame(websocket_of(s), OP_BINARY, data);
}

static void websocket_finish(struct stream *s)
{
	send_close(websocket_of(s), CLOSE_NORMAL);
}

static size_t websocket_queued(const struct stream *s)
{
	return stream_queued(websocket_of(s)->below);
}

/* ---- in ---- */

static void fail(struct websocket *w, uint16_t code, const char *why)
{
	struct err err;

	send_close(w, code);
	err_set(&err, ERR_MALFORMED, "WebSocket: %s", why);
	stream_emit_close(&w->s, &err);
}

static size_t head_len(const struct websocket *w)
{
	size_t len = w->head[1] & 0x7f;

	return 2 + (len == 126 ? 2u : len == 127 ? 8u : 0u) + 4;
}

static bool check_head(struct websocket *w, bool fin)
{
	bool control = w->opcode >= OP_CLOSE;

	if (w->head[0] & 0x70) {
		fail(w, CLOSE_PROTOCOL, "an extension that was not agreed on");
	} else if (!(w->head[1] & 0x80)) {
		fail(w, CLOSE_PROTOCOL, "a client frame without mask");
	} else if (w->opcode == OP_TEXT) {
		fail(w, CLOSE_TEXT, "a text message");
	} else if (control && (!fin || w->left > CONTROL_MAX || w->opcode > OP_PONG)) {
		fail(w, CLOSE_PROTOCOL, "a broken control frame");
	} else if (!control && w->opcode > OP_BINARY) {
		fail(w, CLOSE_PROTOCOL, "an unknown frame");
	} else if (!control && (w->opcode == OP_CONTINUE) != w->in_message) {
		fail(w, CLOSE_PROTOCOL, "fragments out of order");
	} else {
		if (!control)
			w->in_message = !fin;
		return true;
	}
	return false;
}

/* Takes header bytes; true when the header is complete and fine. */
static bool take_head(struct websocket *w, struct bytes *in)
{
	struct reader r;
	uint8_t len;

	while (w->head_n < 2 || w->head_n < head_len(w)) {
		if (!in->n)
			return false;
		w->head[w->head_n++] = in->p[0];
		*in = bytes_from(*in, 1);
	}
	r = reader_of(bytes_of(w->head, w->head_n));
	w->opcode = read_u8(&r) & 0x0f;
	len = read_u8(&r) & 0x7f;
	w->left = len == 127 ? read_be64(&r) : len == 126 ? read_be16(&r) : len;
	read_copy(&r, w->mask, sizeof(w->mask));
	w->mask_at = 0;
	w->head_n = 0;
	w->control_n = 0;
	w->in_payload = check_head(w, w->head[0] & 0x80);
	return w->in_payload;
}

static void end_of_frame(struct websocket *w)
{
	w->in_payload = false;
	if (w->opcode == OP_PING) {
		send_frame(w, OP_PONG, bytes_of(w->control, w->control_n));
	} else if (w->opcode == OP_CLOSE) {
		send_close(w, CLOSE_NORMAL);
		stream_emit_close(&w->s, NULL);
	}
}

static void take_payload(struct websocket *w, struct bytes *in)
{
	uint8_t piece[PIECE];
	size_t n = in->n < sizeof(piece) ? in->n : sizeof(piece);

	if (n > w->left)
		n = (size_t)w->left;
	for (size_t i = 0; i < n; i++)
		piece[i] = in->p[i] ^ w->mask[w->mask_at++ & 3];
	*in = bytes_from(*in, n);
	w->left -= n;
	if (w->opcode < OP_CLOSE) {
		stream_emit_data(&w->s, bytes_of(piece, n));
	} else { /* check_head() bounded it */
		memcpy(w->control + w->control_n, piece, n);
		w->control_n += n;
	}
	if (!w->left && !is_over(w))
		end_of_frame(w);
}

static void below_data(void *arg, struct bytes data)
{
	struct websocket *w = arg;

	while (!is_over(w) && (data.n || (w->in_payload && !w->left))) {
		if (w->in_payload)
			take_payload(w, &data);
		else
			(void)take_head(w, &data);
	}
}

static void below_drain(void *arg)
{
	struct websocket *w = arg;

	stream_emit_drain(&w->s);
}

static void below_close(void *arg, const struct err *why)
{
	struct websocket *w = arg;

	if (!is_over(w))
		stream_emit_close(&w->s, why);
}

static const struct stream_up up_of_below = {
	.on_data = below_data,
	.on_drain = below_drain,
	.on_close = below_close,
};

static void websocket_pause(struct stream *s, bool paused)
{
	stream_pause(websocket_of(s)->below, paused);
}

static void websocket_destroy(struct stream *s)
{
	struct websocket *w = websocket_of(s);

	stream_destroy(w->below);
	stream_fini(s);
	loop_free_later(s->loop, w);
}

static struct stream *websocket_below(const struct stream *s)
{
	return websocket_of(s)->below;
}

static const struct stream_ops ops = {
	.name = "websocket",
	.send = websocket_send,
	.pause = websocket_pause,
	.finish = websocket_finish,
	.queued = websocket_queued,
	.destroy = websocket_destroy,
	.below = websocket_below,
};

struct stream *websocket_server(struct stream *below)
{
	struct websocket *w = mem_alloc(sizeof(*w));

	stream_init(&w->s, &ops, below->loop);
	w->s.open = true;
	w->below = below;
	stream_set_up(below, &up_of_below, w);
	return &w->s;
}
