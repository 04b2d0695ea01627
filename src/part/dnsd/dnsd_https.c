/*
 * DNS over HTTPS (RFC 8484): connections that stay for a while, questions side by side on HTTP/2.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/httpc.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "part/dnsd/dnsd_impl.h"

enum {
	CONNECTIONS_MAX = 4, /* to one resolver, where one call has to wait for another */
	H2_CALLS_MAX = 64,
	IDLE_MS = 30000,
	DOWN_MS = 30000,
};

struct https {
	struct list link; /* dnsd.https */
	struct dnsd *d;
	struct addrport at;
	bool tls, inside, h2, used;
	char host[DNSD_HOST_MAX];
	struct stream *opening; /* NULL: open */
	struct httpc *c;
	unsigned calls;
	struct list waiting; /* exchange.waiting */
	struct io_timer idle;
};

/* ---- resolvers that do not answer ---- */

bool https_is_down(const struct dnsd *d, struct addrport at)
{
	for (size_t i = 0; i < HTTPS_DOWN_MAX; i++)
		if (addrport_equal(d->down[i].at, at) ||
		    (d->down[i].at.port && ip_equal(d->down[i].at.ip, at.ip)))
			return !mono_reached(loop_now(d->loop), d->down[i].until);
	return false;
}

static void note_down(struct dnsd *d, struct addrport at)
{
	size_t i = 0;

	while (i < HTTPS_DOWN_MAX && !addrport_equal(d->down[i].at, at))
		i++;
	if (i == HTTPS_DOWN_MAX)
		i = d->down_at++ % HTTPS_DOWN_MAX;
	d->down[i] = (struct https_down){ at, mono_add_ms(loop_now(d->loop), DOWN_MS) };
}

/* ---- connections ---- */

static void https_free(void *arg)
{
	mem_free(arg);
}

static void https_drop(struct https *h)
{
	list_remove(&h->link);
	io_timer_stop(&h->idle);
	stream_destroy(h->opening);
	h->opening = NULL;
	if (h->c)
		httpc_destroy(h->c);
	h->c = NULL;
	loop_defer(h->d->loop, https_free, h);
}

void https_drop_all(struct dnsd *d)
{
	while (!list_is_empty(&d->https))
		https_drop(list_entry(d->https.next, struct https, link));
}

static void on_idle(struct io_timer *t)
{
	https_drop(container_of(t, struct https, idle));
}

/* Those who wait fail; those who were called were told by the connection. */
static void https_failed(struct https *h, const struct err *why)
{
	struct dnsd *d = h->d;
	struct list waiting, *l;

	if (!h->used) {
		note_down(d, h->at);
		log_debug(&d->conf.log, "resolver %s: %s", h->host, why->text);
	}
	list_init(&waiting);
	while ((l = list_pop(&h->waiting)))
		list_append(&waiting, l);
	https_drop(h);
	while ((l = list_pop(&waiting))) {
		struct exchange *x = list_entry(l, struct exchange, waiting);

		x->https = NULL;
		exchange_way_failed(x);
	}
}

static void on_close(void *arg, const struct err *why)
{
	https_failed(arg, why);
}

/* ---- calls ---- */

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	(void)headers;
	(void)n;
	((struct exchange *)arg)->status = status;
}

static void on_body(void *arg, struct bytes data)
{
	(void)buf_append(&((struct exchange *)arg)->in, data);
}

static void call_over(struct exchange *x)
{
	struct https *h = x->https;

	x->call = NULL;
	x->https = NULL;
	if (--h->calls == 0 && list_is_empty(&h->waiting))
		io_timer_in_ms(h->d->loop, &h->idle, IDLE_MS);
}

static void on_done(void *arg, const struct err *err)
{
	struct exchange *x = arg;

	if (err->code == ERR_NONE && x->status == 200) {
		x->https->used = true;
		call_over(x);
		exchange_answer(x, buf_bytes(&x->in));
		if (!list_is_empty(&x->link))
			exchange_way_failed(x);
		return;
	}
	log_debug(&x->d->conf.log, "resolver %s: status %u%s%s", x->host, x->status,
		  *err->text ? ", " : "", err->text);
	note_down(x->d, x->up.at);
	call_over(x);
	exchange_way_failed(x);
}

static void authority_of(const struct https *h, char out[DNSD_HOST_MAX])
{
	char text[ADDRPORT_TEXT_MAX];

	(void)snprintf(out, DNSD_HOST_MAX, "%s", h->tls ? h->host : addrport_format(h->at, text));
}

static void call(struct https *h, struct exchange *x)
{
	struct bytes kind = bytes_str("application/dns-message");
	const struct http_header headers[] = {
		{ bytes_str("accept"), kind },
		{ bytes_str("content-type"), kind },
	};
	char authority[DNSD_HOST_MAX];

	authority_of(h, authority);
	io_timer_stop(&h->idle);
	h->calls++;
	x->status = 0;
	buf_clear(&x->in);
	x->call = httpc_call(h->c, &(struct http_call_conf){
				       .method = "POST",
				       .path = x->path,
				       .scheme = h->tls ? "https" : "http",
				       .authority = authority,
				       .headers = headers,
				       .header_count = array_len(headers),
				       .body = bytes_of(x->query.message, x->query.n),
				       .body_max = UINT16_MAX,
				       .timeout_ms = EXCHANGE_MS,
				       .on_head = on_head,
				       .on_body = on_body,
				       .on_done = on_done,
				       .arg = x,
				   });
}

static void on_open(void *arg)
{
	struct https *h = arg;
	struct stream *s = h->opening;
	struct list *l;

	h->opening = NULL;
	h->h2 = h->tls && !strcmp(tls_alpn(s), "h2");
	h->c = httpc_create(s, h->h2, on_close, h);
	while ((l = list_pop(&h->waiting)))
		call(h, list_entry(l, struct exchange, waiting));
}

static struct tls_ctx *https_context(struct dnsd *d)
{
	struct tls_client_conf conf = { .ca_file = d->conf.ca_file, .alpn = "h2,http/1.1" };
	struct err err;

	if (!d->https_ctx) {
		d->https_ctx = tls_ctx_client(&conf, &err);
		if (!d->https_ctx)
			log_warn(&d->conf.log, "DNS over HTTPS: %s", err.text);
	}
	return d->https_ctx;
}

static bool on_socket(void *arg, int fd)
{
	struct https *h = arg;

	if (h->inside || !h->d->conf.on_socket)
		return true;
	return h->d->conf.on_socket(h->d->conf.arg, fd);
}

static struct https *connect_for(struct exchange *x)
{
	static const struct stream_up up = { .on_open = on_open, .on_close = on_close };
	bool tls = x->up.kind != DNSD_HTTP;
	struct tls_ctx *ctx = tls ? https_context(x->d) : NULL;
	struct https *h;

	if (tls && !ctx)
		return NULL;
	h = mem_alloc(sizeof(*h));
	h->d = x->d;
	h->at = x->up.at;
	h->tls = tls;
	h->inside = x->up.inside;
	memcpy(h->host, x->host, sizeof(h->host));
	list_init(&h->waiting);
	io_timer_init(&h->idle, on_idle);
	list_append(&x->d->https, &h->link);
	h->opening = tcp_connect(
	    x->d->loop, &(struct tcp_conf){
			    .to = h->at, .timeout_ms = TCP_MS, .on_socket = on_socket, .arg = h });
	if (tls)
		h->opening = tls_client(h->opening, ctx, h->host);
	stream_set_up(h->opening, &up, h);
	return h;
}

static bool has_room(const struct https *h)
{
	return h->opening ? list_is_empty(&h->waiting) || h->tls
	       : h->h2    ? h->calls < H2_CALLS_MAX
			  : h->calls == 0;
}

/* One with room, or, when there are many already, the one with the least to do. */
static struct https *find(const struct exchange *x)
{
	struct https *best = NULL;
	size_t n = 0;

	list_each (it, &x->d->https) {
		struct https *h = list_entry(it, struct https, link);

		if (!addrport_equal(h->at, x->up.at) || h->inside != x->up.inside ||
		    strcmp(h->host, x->host) != 0)
			continue;
		if (has_room(h))
			return h;
		n++;
		if (!best || h->calls < best->calls)
			best = h;
	}
	return n >= CONNECTIONS_MAX ? best : NULL;
}

bool https_ask(struct exchange *x)
{
	struct https *h = find(x);

	if (!h)
		h = connect_for(x);
	if (!h)
		return false;
	x->https = h;
	if (h->opening)
		list_append(&h->waiting, &x->waiting);
	else
		call(h, x);
	return true;
}

void https_forget(struct exchange *x)
{
	struct https *h = x->https;

	if (!h)
		return;
	list_remove(&x->waiting);
	if (x->call) {
		http_call_cancel(x->call);
		call_over(x);
	}
	x->https = NULL;
}
