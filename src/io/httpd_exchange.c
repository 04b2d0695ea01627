/*
 * io/httpd_exchange.c - one request and its answer, for both protocols.
 *
 *   READING --dispatch--> OPEN --start--> STREAMING --end--> ENDED
 *                          '------ reply ----------------------^
 *
 * Invariant: from OPEN on, exactly one of these happens once: the handler ends or aborts it, or
 * on_gone is called. The memory stays until the end of that turn (and, over HTTP/2, until its last
 * bytes are framed), so a handler may look at its request after it has answered.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/httpd_conn.h"
#include "wire/url.h"

struct http_exchange *exchange_create(struct httpd_conn *c)
{
	struct http_exchange *x = mem_alloc(sizeof(*x));

	x->conn = c;
	x->started = loop_now(c->httpd->loop);
	arena_init(&x->arena, HTTPD_ARENA_MAX);
	buf_init(&x->body, 0);
	buf_init(&x->out, SIZE_MAX / 4); /* http_reply_send() holds the limit */
	x->req.peer = c->peer;
	x->req.conn_arg = c->conn_arg;
	list_append(&c->exchanges, &x->node);
	return x;
}

static void exchange_free(void *arg)
{
	struct http_exchange *x = arg;

	arena_fini(&x->arena);
	buf_fini(&x->body);
	buf_fini(&x->out);
	mem_free(x);
}

static void free_later(struct http_exchange *x)
{
	io_timer_stop(&x->timer);
	list_remove(&x->node);
	x->state = EXCHANGE_ENDED;
	loop_defer(x->conn->httpd->loop, exchange_free, x);
}

static void log_answer(const struct http_exchange *x)
{
	const struct httpd *h = x->conn->httpd;
	char peer[ADDRPORT_TEXT_MAX];

	log_debug(h->conf.log, "%s %.*s %.*s answered %u, %llu bytes in %lld ms",
		  addrport_format(x->req.peer, peer), BYTES_FMT(x->req.method),
		  BYTES_FMT(x->req.path), x->status, (unsigned long long)x->sent,
		  (long long)mono_since_ms(loop_now(h->loop), x->started));
}

void exchange_ended(struct http_exchange *x)
{
	log_answer(x);
	x->state = EXCHANGE_ENDED;
}

int64_t exchange_body_time_left(const struct http_exchange *x)
{
	const struct httpd *h = x->conn->httpd;
	int64_t allowed = (int64_t)h->conf.body_timeout_s * 1000 +
			  (int64_t)(x->body_seen * 1000 / HTTPD_BODY_RATE);

	return allowed - mono_since_ms(loop_now(h->loop), x->started);
}

void exchange_gone(struct http_exchange *x)
{
	void (*on_gone)(void *arg) = x->on_gone;
	bool is_open = x->state == EXCHANGE_OPEN || x->state == EXCHANGE_STREAMING;

	x->on_gone = NULL;
	free_later(x);
	if (is_open && on_gone)
		on_gone(x->gone_arg);
}

void exchange_drained(struct http_exchange *x)
{
	if (!x->draining || x->state != EXCHANGE_STREAMING)
		return;
	x->draining = false;
	if (x->on_drain)
		x->on_drain(x->drain_arg);
}

/* ---- routes ---- */

static bool take_segment(struct bytes *rest, struct bytes *segment)
{
	if (!rest->n || rest->p[0] != '/')
		return false;
	*rest = bytes_of(rest->p + 1, rest->n - 1);
	*segment = *rest;
	for (size_t i = 0; i < rest->n; i++)
		if (rest->p[i] == '/')
			segment->n = i < segment->n ? i : segment->n;
	*rest = bytes_of(rest->p + segment->n, rest->n - segment->n);
	return true;
}

static void add_param(struct http_exchange *x, struct bytes name, struct bytes value)
{
	if (x->param_count < HTTPD_PARAMS_MAX)
		x->params[x->param_count++] = (struct http_header){ name, value };
}

static bool pattern_matches(struct http_exchange *x, const char *text)
{
	struct bytes pattern = bytes_str(text), path = x->req.path, want, have;

	x->param_count = 0;
	while (take_segment(&pattern, &want)) {
		if (!take_segment(&path, &have))
			return false;
		if (bytes_equal_str(want, "*") && !pattern.n) {
			add_param(x, want, bytes_of(have.p, have.n + path.n));
			return true;
		}
		if (want.n > 2 && want.p[0] == '{') {
			if (!have.n)
				return false;
			add_param(x, bytes_of(want.p + 1, want.n - 2), have);
		} else if (!bytes_equal(want, have)) {
			return false;
		}
	}
	return !path.n;
}

static bool method_matches(const struct httpd_route *route, struct bytes method)
{
	if (!route->method || bytes_equal_str(method, route->method))
		return true;
	return bytes_equal_str(method, "HEAD") && strcmp(route->method, "GET") == 0;
}

/* The first route in the table whose pattern and method fit. */
static unsigned find_route(struct http_exchange *x)
{
	const struct httpd_conf *conf = &x->conn->httpd->conf;
	char allow[96] = "";
	size_t n = 0;

	for (size_t i = 0; i < conf->route_count; i++) {
		const struct httpd_route *route = &conf->routes[i];

		if (!pattern_matches(x, route->pattern))
			continue;
		if (method_matches(route, x->req.method)) {
			x->route = route;
			return 0;
		}
		if (n < sizeof(allow) && !http1_list_has(bytes_str(allow), route->method))
			n += (size_t)snprintf(allow + n, sizeof(allow) - n, "%s%s%s", n ? ", " : "",
					      route->method,
					      strcmp(route->method, "GET") ? "" : ", HEAD");
	}
	x->param_count = 0;
	if (!n)
		return 404;
	http_add_header(x, "allow", allow);
	return 405;
}

unsigned exchange_route(struct http_exchange *x, struct bytes target)
{
	struct bytes authority, path;
	uint8_t *decoded;
	struct writer w;

	x->is_head = bytes_equal_str(x->req.method, "HEAD");
	if (!url_target_split(target, &authority, &path, &x->req.query))
		return 400;
	if (authority.n)
		x->req.authority = authority;
	decoded = arena_alloc(&x->arena, path.n + 1);
	if (!decoded)
		return 431;
	w = writer_of(decoded, path.n + 1);
	if (!url_path_decode(path, &w))
		return bytes_equal_str(path, "*") ? 404 : 400;
	x->req.path = bytes_of(decoded, w.n);
	return find_route(x);
}

void exchange_dispatch(struct http_exchange *x)
{
	x->req.body = buf_bytes(&x->body);
	io_timer_stop(&x->timer);
	x->state = EXCHANGE_OPEN;
	x->route->handle(x->conn->httpd->conf.arg, x, &x->req);
}

/* ---- for handlers ---- */

struct bytes http_header_get(const struct http_request *req, const char *name)
{
	return http1_header_get(req->headers, req->header_count, name);
}

bool http_query_get(const struct http_request *req, const char *name, char *out, size_t size)
{
	return url_query_get(req->query, name, out, size);
}

struct bytes http_path_param(const struct http_exchange *x, const char *name)
{
	return http1_header_get(x->params, x->param_count, name);
}

struct loop *http_loop(struct http_exchange *x)
{
	return x->conn->httpd->loop;
}

void http_on_gone(struct http_exchange *x, void (*fn)(void *arg), void *arg)
{
	x->on_gone = fn;
	x->gone_arg = arg;
}

void http_on_drain(struct http_exchange *x, void (*fn)(void *arg), void *arg)
{
	x->on_drain = fn;
	x->drain_arg = arg;
}

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
	struct bytes v = bytes_str(value);
	uint8_t *lower = arena_alloc(&x->arena, strlen(name) + 1);
	struct http_header added;

	if (!lower || x->added_count == HTTPD_ADDED_MAX || !http1_is_value(v)) {
		/* A header that would break the head is left out rather than repaired. */
		log_warn(x->conn->httpd->conf.log, "header %s not sent, it cannot be written",
			 name);
		return;
	}
	for (size_t i = 0; name[i]; i++)
		lower[i] = (uint8_t)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	added.name = bytes_of(lower, strlen(name));
	added.value = arena_bytes(&x->arena, v);
	if (http1_is_token(added.name) && (added.value.p || !v.n))
		x->added[x->added_count++] = added;
}

void http_add_security_headers(struct http_exchange *x, const char *content_policy)
{
	http_add_header(x, "content-security-policy",
			content_policy ? content_policy
				       : "default-src 'self'; frame-ancestors 'none'; "
					 "base-uri 'none'; form-action 'self'; object-src 'none'");
	http_add_header(x, "x-content-type-options", "nosniff");
	http_add_header(x, "x-frame-options", "DENY");
	http_add_header(x, "referrer-policy", "no-referrer");
	http_add_header(x, "cross-origin-opener-policy", "same-origin");
}

static bool has_no_body(const struct http_exchange *x)
{
	return x->is_head || x->status == 204 || x->status == 304;
}

void http_reply(struct http_exchange *x, unsigned status, const char *content_type,
		struct bytes body)
{
	const struct httpd_proto_ops *ops = x->conn->ops;

	x->status = status;
	ops->start(x, content_type, (int64_t)body.n);
	x->state = EXCHANGE_STREAMING;
	if (!has_no_body(x)) {
		x->sent = body.n;
		ops->data(x, body);
	}
	ops->end(x);
}

void http_reply_text(struct http_exchange *x, unsigned status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if ((size_t)n > sizeof(text) - 2)
		n = sizeof(text) - 2;
	if (!n || text[n - 1] != '\n')
		text[n++] = '\n';
	http_reply(x, status, "text/plain; charset=utf-8", bytes_of(text, (size_t)n));
}

void http_reply_start(struct http_exchange *x, unsigned status, const char *content_type)
{
	x->status = status;
	x->conn->ops->start(x, content_type, -1);
	x->state = EXCHANGE_STREAMING;
	x->conn->ops->flush(x);
}

static void doom(void *arg)
{
	struct http_exchange *x = arg;

	if (x->state == EXCHANGE_ENDED)
		return;
	log_warn(x->conn->httpd->conf.log, "answer dropped, the client does not read it");
	x->conn->ops->abort(x);
}

void exchange_doom(struct http_exchange *x)
{
	if (x->doomed)
		return;
	x->doomed = true; /* not now: the caller does not expect on_gone inside his call */
	loop_defer(http_loop(x), doom, x);
}

void http_reply_send(struct http_exchange *x, struct bytes data)
{
	if (!data.n || has_no_body(x) || x->doomed)
		return;
	if (http_reply_queued(x) + data.n > HTTPD_REPLY_QUEUE_MAX) {
		exchange_doom(x);
		return;
	}
	x->sent += data.n;
	x->conn->ops->data(x, data);
	x->conn->ops->flush(x);
	if (http_reply_queued(x) > STREAM_HIGH)
		x->draining = true;
}

size_t http_reply_queued(const struct http_exchange *x)
{
	return x->conn->ops->queued(x);
}

void http_reply_end(struct http_exchange *x)
{
	x->conn->ops->end(x);
}

void http_reply_abort(struct http_exchange *x)
{
	x->on_gone = NULL;
	x->conn->ops->abort(x);
}
