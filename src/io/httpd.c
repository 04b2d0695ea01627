/*
 * io/httpd.c - connections: how they come, which protocol they speak, how they go.
 *
 * A closed connection keeps its memory until the end of the turn, because a handler, a parser or
 * nghttp2 may be below us on the stack: `dead` is looked at after every call that can run a
 * handler.
 */
#include "io/httpd.h"

#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wall.h"
#include "io/httpd_conn.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void check_idle(struct httpd *h)
{
	void (*on_idle)(void *arg) = h->on_idle;

	if (!h->draining || h->conn_count || !on_idle)
		return;
	h->on_idle = NULL;
	on_idle(h->idle_arg);
}

static void conn_free(void *arg)
{
	struct httpd_conn *c = arg;

	if (c->ops && c->ops->fini)
		c->ops->fini(c);
	buf_fini(&c->in);
	buf_fini(&c->out);
	mem_free(c);
}

void httpd_conn_close(struct httpd_conn *c)
{
	struct httpd *h = c->httpd;
	struct list *node;

	if (c->dead)
		return;
	c->dead = true;
	io_timer_stop(&c->timer);
	if (c->ops->stop)
		c->ops->stop(c);
	list_remove(&c->node);
	h->conn_count--;
	stream_destroy(c->stream);
	c->stream = NULL;
	while ((node = list_pop(&c->exchanges)))
		exchange_gone(list_entry(node, struct http_exchange, node));
	if (c->on_gone)
		c->on_gone(c->conn_arg);
	loop_defer(h->loop, conn_free, c);
	if (!h->dead)
		check_idle(h);
}

const char *httpd_date(struct httpd *h)
{
	int64_t now = wall_s(wall_now());
	time_t t = (time_t)now;
	struct tm tm;

	if (h->date_s != now && gmtime_r(&t, &tm)) {
		h->date_s = now;
		/* The C locale is in force: no program of ours calls setlocale() for LC_TIME. */
		strftime(h->date, sizeof(h->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return h->date;
}

/* ---- which protocol ---- */

static void sniff_data(struct httpd_conn *c, struct bytes data)
{
	size_t n;

	buf_append(&c->in, data);
	n = c->in.n < sizeof(preface) - 1 ? c->in.n : sizeof(preface) - 1;
	if (memcmp(c->in.p, preface, n) != 0)
		httpd_h1_start(c);
	else if (n == sizeof(preface) - 1)
		httpd_h2_start(c);
}

static void sniff_timer(struct httpd_conn *c)
{
	httpd_conn_close(c);
}

static const struct httpd_proto_ops sniff_ops = {
	.on_data = sniff_data,
	.on_timer = sniff_timer,
	.drain = sniff_timer,
};

/* ---- events from the stream ---- */

static void on_data(void *arg, struct bytes data)
{
	struct httpd_conn *c = arg;

	c->ops->on_data(c, data);
}

static void on_drain(void *arg)
{
	struct httpd_conn *c = arg;

	if (c->ops->on_drain)
		c->ops->on_drain(c);
}

static void on_close(void *arg, const struct err *why)
{
	(void)why;
	httpd_conn_close(arg);
}

static const struct stream_up conn_up = { .on_data = on_data,
					  .on_drain = on_drain,
					  .on_close = on_close };

static void on_timer(struct io_timer *t)
{
	struct httpd_conn *c = container_of(t, struct httpd_conn, timer);

	c->ops->on_timer(c);
}

static void refused(void *arg)
{
	struct httpd_conn *c = arg;

	if (c->on_gone)
		c->on_gone(c->conn_arg);
	mem_free(c);
}

void httpd_serve(struct httpd *h, struct stream *s, enum httpd_proto proto, struct addrport peer,
		 void *conn_arg, void (*on_gone)(void *conn_arg))
{
	struct httpd_conn *c = mem_alloc(sizeof(*c));

	c->peer = peer;
	c->conn_arg = conn_arg;
	c->on_gone = on_gone;
	if (h->draining || h->conn_count >= h->conf.connections_max) {
		log_debug(h->conf.log, "connection refused, %s",
			  h->draining ? "shutting down" : "too many");
		stream_destroy(s);
		loop_defer(h->loop, refused, c);
		return;
	}
	c->httpd = h;
	c->stream = s;
	c->ops = &sniff_ops;
	list_init(&c->exchanges);
	list_append(&h->conns, &c->node);
	h->conn_count++;
	buf_init(&c->in, SIZE_MAX / 4); /* a parser pauses the stream long before */
	buf_init(&c->out, SIZE_MAX / 4);
	io_timer_init(&c->timer, on_timer);
	io_timer_in_ms(h->loop, &c->timer, (int64_t)h->conf.head_timeout_s * 1000);
	stream_set_up(s, &conn_up, c);
	if (proto == HTTPD_H1)
		httpd_h1_start(c);
	else if (proto == HTTPD_H2)
		httpd_h2_start(c);
}

/* ---- the server ---- */

static unsigned or_default(unsigned value, unsigned otherwise)
{
	return value ? value : otherwise;
}

struct httpd *httpd_create(struct loop *loop, const struct httpd_conf *conf)
{
	struct httpd *h = mem_alloc(sizeof(*h));

	h->loop = loop;
	h->conf = *conf;
	h->conf.head_timeout_s = or_default(conf->head_timeout_s, 10);
	h->conf.body_timeout_s = or_default(conf->body_timeout_s, 30);
	h->conf.idle_timeout_s = or_default(conf->idle_timeout_s, 120);
	h->conf.connections_max = or_default(conf->connections_max, 20000);
	h->conf.streams_max = or_default(conf->streams_max, 250);
	if (!conf->log)
		h->conf.log = &h->silent;
	list_init(&h->conns);
	return h;
}

void httpd_destroy(struct httpd *h)
{
	struct list *node;

	if (!h || h->dead)
		return;
	h->dead = h->draining = true;
	while ((node = list_first(&h->conns)))
		httpd_conn_close(list_entry(node, struct httpd_conn, node));
	loop_free_later(h->loop, h);
}

void httpd_drain(struct httpd *h, void (*on_idle)(void *arg), void *arg)
{
	h->draining = true;
	h->on_idle = on_idle;
	h->idle_arg = arg;
	list_each_safe (node, &h->conns) {
		struct httpd_conn *c = list_entry(node, struct httpd_conn, node);

		c->ops->drain(c);
	}
	check_idle(h);
}
