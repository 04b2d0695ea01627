#include "app/control/mapstream.h"

#include <zstd.h>

#include "app/control/core.h"
#include "app/control/fragment.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/httpd.h"
#include "io/stream.h"
#include "wire/tailcfg_map.h"

enum {
	FRAME_MAX = 256 << 20,
	LAST_FRAME_MAX = 4096,
	KEEPALIVE_MS = 50000,
	KEEPALIVE_SPREAD_MS = 8000,
	ZSTD_LEVEL = 1,
	FRAME_HEADER = 4,
};

static const char keepalive_json[] = "{\"KeepAlive\":true}";

struct mapstream {
	struct control *c;
	struct http_exchange *x;
	struct mapview view;
	bool zstd, with_peers, is_due;
	struct io_timer keepalive;
	struct list node_link, due_link, urgent_link;
};

struct mapstream *mapstream_of(struct list *node_link)
{
	return list_entry(node_link, struct mapstream, node_link);
}

struct mapstream *mapstream_of_due(struct list *due_link)
{
	return list_entry(due_link, struct mapstream, due_link);
}

struct mapstream *mapstream_of_urgent(struct list *urgent_link)
{
	return list_entry(urgent_link, struct mapstream, urgent_link);
}

struct mapview *mapstream_view(struct mapstream *s)
{
	return &s->view;
}

/* ---- frames ---- */

static bool compress(struct control *c, struct bytes json, struct buf *out)
{
	size_t room = ZSTD_compressBound(json.n), n;
	uint8_t *at = buf_reserve(out, room);

	if (!at)
		return false;
	n = ZSTD_compressCCtx(c->zstd, at, room, json.p, json.n, ZSTD_LEVEL);
	if (ZSTD_isError(n))
		return false;
	out->n += n;
	return true;
}

static size_t keepalive_length(struct control *c, bool zstd)
{
	struct buf b;

	if (!zstd)
		return sizeof(keepalive_json) - 1;
	if (!c->keepalive_zstd) {
		buf_init(&b, 256);
		if (compress(c, bytes_str(keepalive_json), &b))
			c->keepalive_zstd = b.n;
		buf_fini(&b);
	}
	return c->keepalive_zstd;
}

/*
 * le32 length and payload. A frame as long as a keep-alive gets one more space: daemons learn that
 * length and skip what has it. json may grow by it.
 */
static bool frame(struct control *c, bool zstd, struct buf *json, bool is_keepalive,
		  struct buf *out)
{
	size_t alike = is_keepalive ? 0 : keepalive_length(c, zstd);

	for (;;) {
		struct writer w;

		buf_clear(out);
		(void)buf_append(out, bytes_of("\0\0\0\0", FRAME_HEADER));
		if (zstd ? !compress(c, buf_bytes(json), out) : !buf_append(out, buf_bytes(json)))
			return false;
		if (out->n - FRAME_HEADER != alike) {
			w = writer_of(out->p, FRAME_HEADER);
			write_le32(&w, (uint32_t)(out->n - FRAME_HEADER));
			return !out->bad && !json->bad;
		}
		if (!buf_append_u8(json, ' '))
			return false;
	}
}

static void arm_keepalive(struct mapstream *s)
{
	io_timer_in_ms(s->c->loop, &s->keepalive,
		       KEEPALIVE_MS + (int64_t)rng_below(&s->c->rng, KEEPALIVE_SPREAD_MS));
}

/* A change that many see is the same text for all of them: the last frame is kept. */
static bool frame_again(struct control *c, bool zstd, struct buf *json)
{
	struct last_frame *last = &c->last_frame;

	if (last->json.n && last->zstd == zstd &&
	    bytes_equal(buf_bytes(&last->json), buf_bytes(json)))
		return true;
	buf_clear(&last->json);
	last->zstd = zstd;
	if (json->n <= LAST_FRAME_MAX)
		(void)buf_append(&last->json, buf_bytes(json));
	if (frame(c, zstd, json, false, &last->frame))
		return true;
	buf_clear(&last->json);
	return false;
}

static void send_bytes(struct mapstream *s, struct bytes frame_bytes)
{
	s->c->count.frames++;
	s->c->count.frame_bytes += frame_bytes.n;
	http_reply_send(s->x, frame_bytes);
	arm_keepalive(s);
}

static bool send_frame(struct mapstream *s, struct buf *json)
{
	struct buf out;
	bool ok;

	if (json->n <= LAST_FRAME_MAX) {
		ok = frame_again(s->c, s->zstd, json);
		if (ok)
			send_bytes(s, buf_bytes(&s->c->last_frame.frame));
		return ok;
	}
	buf_init(&out, FRAME_MAX);
	ok = frame(s->c, s->zstd, json, false, &out);
	if (ok)
		send_bytes(s, buf_bytes(&out));
	buf_fini(&out);
	return ok;
}

/* ---- the life of a stream ---- */

static void release(struct mapstream *s)
{
	io_timer_stop(&s->keepalive);
	list_remove(&s->due_link);
	list_remove(&s->urgent_link);
	list_remove(&s->node_link);
	s->c->n_streams--;
	core_stream_closed(s->c, s->view.node);
	mapview_fini(&s->view);
	mem_free(s);
}

static void on_gone(void *arg)
{
	release(arg);
}

static void on_drain(void *arg)
{
	struct mapstream *s = arg;

	if (s->is_due)
		mapstream_due(s);
}

static void on_keepalive(struct io_timer *t)
{
	struct mapstream *s = container_of(t, struct mapstream, keepalive);
	struct buf json, out;

	buf_init(&json, 64);
	buf_init(&out, 256);
	(void)buf_append_str(&json, keepalive_json);
	s->c->count.keepalives++;
	if (frame(s->c, s->zstd, &json, true, &out))
		send_bytes(s, buf_bytes(&out));
	buf_fini(&json);
	buf_fini(&out);
}

void mapstream_end(struct mapstream *s)
{
	struct http_exchange *x = s->x;

	http_on_gone(x, NULL, NULL);
	http_on_drain(x, NULL, NULL);
	release(s);
	http_reply_end(x);
}

static void broken(struct mapstream *s)
{
	log_error(&s->c->log, "map of node %s could not be written, its stream ended",
		  s->view.node->name);
	mapstream_end(s);
}

static void next_frame(struct mapstream *s)
{
	struct mapview_world w = core_world(s->c);
	struct buf json;
	bool ok = true;

	buf_init(&json, FRAME_MAX);
	if (mapview_next(&s->view, &w, s->with_peers, &json))
		ok = send_frame(s, &json);
	buf_fini(&json);
	if (!ok)
		broken(s);
}

/* A slow reader keeps its marks; when it has read it gets one delta for all of them. */
static bool is_slow(const struct mapstream *s)
{
	return http_reply_queued(s->x) > STREAM_HIGH;
}

void mapstream_due(struct mapstream *s)
{
	s->is_due = true;
	if (list_is_empty(&s->due_link)) {
		list_append(&s->c->flush.due, &s->due_link);
		core_flush_soon(s->c);
	}
}

void mapstream_urgent(struct mapstream *s)
{
	s->is_due = true;
	if (list_is_empty(&s->urgent_link))
		list_append(&s->c->urgent.due, &s->urgent_link);
	core_urgent_soon(s->c);
}

void mapstream_flush(struct mapstream *s)
{
	list_remove(&s->due_link);
	list_remove(&s->urgent_link);
	if (is_slow(s))
		return;
	s->is_due = false;
	next_frame(s);
}

/* Nothing heavy waits for this stream: it gets all there is. Else the patches go ahead of it. */
void mapstream_flush_urgent(struct mapstream *s)
{
	struct mapview_world w = core_world(s->c);
	struct buf json;
	bool ok = true;

	if (!mapview_is_heavy(&s->view)) {
		mapstream_flush(s);
		return;
	}
	list_remove(&s->urgent_link);
	if (is_slow(s) || !s->with_peers)
		return;
	buf_init(&json, FRAME_MAX);
	if (mapview_urgent(&s->view, &w, &json))
		ok = send_frame(s, &json);
	buf_fini(&json);
	if (!ok)
		broken(s);
	else
		mapstream_due(s);
}

bool mapstream_send(struct mapstream *s, struct buf *json)
{
	return !is_slow(s) && send_frame(s, json);
}

void mapstream_goodbye(struct mapstream *s)
{
	struct mapview_world w = core_world(s->c);
	struct buf json;

	buf_init(&json, FRAME_MAX);
	mapview_goodbye(&s->view, &w, &json);
	(void)send_frame(s, &json);
	buf_fini(&json);
	mapstream_end(s);
}

static struct mapstream *stream_new(struct control *c, struct tn_node *n, struct http_exchange *x,
				    const struct tailcfg_map_request *r)
{
	struct mapstream *s = mem_alloc(sizeof(*s));

	s->c = c;
	s->x = x;
	s->zstd = bytes_equal_str(r->compress, "zstd");
	s->with_peers = !r->omit_peers;
	list_init(&s->due_link);
	list_init(&s->urgent_link);
	io_timer_init(&s->keepalive, on_keepalive);
	mapview_init(&s->view, n, r->version);
	return s;
}

static void end_older(struct mapstream *s)
{
	list_each_safe (it, &s->view.node->streams)
		if (mapstream_of(it) != s)
			mapstream_end(mapstream_of(it));
}

void mapstream_open(struct control *c, struct tn_node *n, struct http_exchange *x,
		    const struct tailcfg_map_request *r)
{
	struct mapstream *s = stream_new(c, n, x, r);

	list_append(&n->streams, &s->node_link);
	c->n_streams++;
	http_on_gone(x, on_gone, s);
	http_on_drain(x, on_drain, s);
	http_reply_start(x, 200, "application/octet-stream");
	/* Counted before the older ones go: the node must not look offline in between. */
	core_stream_opened(c, n);
	end_older(s);
	next_frame(s);
}

void mapstream_once(struct control *c, struct tn_node *n, struct http_exchange *x,
		    const struct tailcfg_map_request *r)
{
	struct mapstream *s = stream_new(c, n, x, r);
	struct mapview_world w = core_world(c);
	struct buf json, out;

	buf_init(&json, FRAME_MAX);
	buf_init(&out, FRAME_MAX);
	(void)mapview_next(&s->view, &w, s->with_peers, &json);
	if (frame(c, s->zstd, &json, false, &out))
		http_reply(x, 200, "application/octet-stream", buf_bytes(&out));
	else
		http_reply_text(x, 500, "the map could not be written");
	buf_fini(&json);
	buf_fini(&out);
	mapview_fini(&s->view);
	mem_free(s);
}

void mapstream_unknown(struct control *c, struct http_exchange *x,
		       const struct tailcfg_map_request *r)
{
	const struct tailnet *t = list_entry(c->model.tailnets.next, struct tailnet, link);
	struct buf json, out;

	buf_init(&json, 1 << 16);
	buf_init(&out, 1 << 16);
	(void)buf_append_str(&json, "{\"Node\":");
	fragment_unknown(&r->node_key, t->domain, wall_now(), &json);
	(void)buf_append_str(&json, ",\"DNSConfig\":{}}");
	http_reply_start(x, 200, "application/octet-stream");
	if (frame(c, bytes_equal_str(r->compress, "zstd"), &json, false, &out))
		http_reply_send(x, buf_bytes(&out));
	buf_fini(&json);
	buf_fini(&out);
}
