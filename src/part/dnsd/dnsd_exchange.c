/*
 * One query to one resolver. The ways:
 *
 *   plain resolver              UDP from a random port, or TCP when the engine says so
 *   known public resolver       HTTPS; half a second later, or when it fails, the same in the clear
 *   TLS, HTTPS, HTTP resolver   that and nothing else
 *
 * The first answer with the id of the query ends it; whether it is believed is for the engine.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/httpc.h"
#include "io/sockaddr.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "part/dnsd/dnsd_impl.h"
#include "part/dnsd/dnsd_provider.h"

enum { PORT_FIRST = 1024, PORT_HTTPS = 443 };

/* ---- ends ---- */

static void stop_udp(struct exchange *x)
{
	io_watch_stop(&x->watch);
	if (x->fd >= 0)
		(void)close(x->fd);
	x->fd = -1;
}

static void exchange_free(void *arg)
{
	struct exchange *x = arg;

	buf_fini(&x->in);
	mem_free(x);
}

static void exchange_drop(struct exchange *x)
{
	list_remove(&x->link);
	x->d->exchange_count--;
	io_timer_stop(&x->timer);
	stop_udp(x);
	stream_destroy(x->stream);
	x->stream = NULL;
	https_forget(x);
	loop_defer(x->d->loop, exchange_free, x); /* may be on the stack */
}

void exchange_drop_all(struct dnsd *d)
{
	while (!list_is_empty(&d->exchanges))
		exchange_drop(list_entry(d->exchanges.next, struct exchange, link));
}

static void give_up(struct exchange *x)
{
	struct dnsd *d = x->d;
	struct dns_query q = x->query;

	exchange_drop(x);
	dns_input_failure(d->engine, loop_now(d->loop), q.resolver, q.port);
	dnsd_pump(d);
}

void exchange_answer(struct exchange *x, struct bytes message)
{
	struct dnsd *d = x->d;
	const struct dns_query *q = &x->query;
	bool ours = message.n >= 2 && !memcmp(message.p, q->message, 2);

	dns_input_answer(d->engine, loop_now(d->loop), q->resolver, q->port, q->tcp, message);
	if (ours)
		exchange_drop(x);
	dnsd_pump(d);
}

/* ---- UDP ---- */

static void on_readable(struct io_watch *w, unsigned events)
{
	struct exchange *x = container_of(w, struct exchange, watch);
	struct dnsd *d = x->d;
	int budget = 16;
	ssize_t n;

	(void)events;
	/* The socket is connected: only the resolver's address gets through. */
	while (budget-- && (n = recv(x->fd, d->answer, sizeof(d->answer), MSG_TRUNC)) >= 0) {
		if ((size_t)n > sizeof(d->answer))
			continue;
		exchange_answer(x, bytes_of(d->answer, (size_t)n));
		if (x->fd < 0)
			return;
	}
	if (n >= 0 || errno == EAGAIN || errno == EINTR)
		return;
	stop_udp(x);
	exchange_way_failed(x);
}

/* The port that the engine drew, or, when it is taken, one that the kernel draws. */
static int bind_port(int fd, uint8_t family, uint16_t port)
{
	static const uint8_t any[16] = { 0 };
	struct addrport at = { family == 4 ? ip_v4(0, 0, 0, 0) : ip_v6_of(any), port };
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(at, &sa);

	if (port >= PORT_FIRST && bind(fd, (struct sockaddr *)&sa, len) == 0)
		return 0;
	at.port = 0;
	len = sockaddr_of(at, &sa);
	return bind(fd, (struct sockaddr *)&sa, len);
}

static bool exchange_on_socket(void *exchange, int fd)
{
	struct exchange *x = exchange;

	if (x->up.inside || !x->d->conf.on_socket)
		return true;
	return x->d->conf.on_socket(x->d->conf.arg, fd);
}

static bool start_udp(struct exchange *x)
{
	const struct dns_query *q = &x->query;
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(q->resolver, &sa);

	x->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (x->fd >= 0 && exchange_on_socket(x, x->fd) &&
	    bind_port(x->fd, q->resolver.ip.family, q->port) == 0 &&
	    connect(x->fd, (struct sockaddr *)&sa, len) == 0 &&
	    send(x->fd, q->message, q->n, MSG_NOSIGNAL) == (ssize_t)q->n &&
	    io_watch_start(x->d->loop, &x->watch, x->fd, IO_READ, on_readable, NULL) == 0)
		return true;
	stop_udp(x);
	return false;
}

/* ---- TCP and TLS ---- */

static void on_data(void *arg, struct bytes data)
{
	struct exchange *x = arg;
	size_t n;

	(void)buf_append(&x->in, data); /* what is more than a message is of no use */
	if (x->in.n < 2)
		return;
	n = (size_t)x->in.p[0] << 8 | x->in.p[1];
	if (x->in.n < 2 + n)
		return;
	stream_destroy(x->stream);
	x->stream = NULL;
	exchange_answer(x, bytes_of(x->in.p + 2, n));
	/* Another id: nothing of use comes from there any more. */
	if (!list_is_empty(&x->link))
		exchange_way_failed(x);
}

static void on_close(void *arg, const struct err *why)
{
	struct exchange *x = arg;

	log_debug(&x->d->conf.log, "resolver %s: %s", x->host, why->text);
	stream_destroy(x->stream);
	x->stream = NULL;
	exchange_way_failed(x);
}

static struct tls_ctx *tls_context(struct dnsd *d)
{
	struct err err;

	if (!d->tls_ctx) {
		d->tls_ctx = tls_ctx_client(
		    &(struct tls_client_conf){ .ca_file = d->conf.ca_file, .alpn = "dot" }, &err);
		if (!d->tls_ctx)
			log_warn(&d->conf.log, "DNS over TLS: %s", err.text);
	}
	return d->tls_ctx;
}

static bool start_stream(struct exchange *x, bool tls)
{
	static const struct stream_up up = { .on_data = on_data, .on_close = on_close };
	const struct dns_query *q = &x->query;
	uint8_t length[2] = { (uint8_t)(q->n >> 8), (uint8_t)q->n };
	struct tls_ctx *ctx = tls ? tls_context(x->d) : NULL;

	if (tls && !ctx)
		return false;
	x->stream = tcp_connect(x->d->loop, &(struct tcp_conf){ .to = q->resolver,
								.timeout_ms = TCP_MS,
								.on_socket = exchange_on_socket,
								.arg = x });
	if (tls)
		x->stream = tls_client(x->stream, ctx, x->host);
	stream_set_up(x->stream, &up, x);
	stream_send(x->stream, bytes_of(length, 2));
	stream_send(x->stream, bytes_of(q->message, q->n));
	return true;
}

/* ---- which way ---- */

static bool start_clear(struct exchange *x)
{
	x->clear_due = false;
	return x->query.tcp ? start_stream(x, false) : start_udp(x);
}

static bool is_under_way(const struct exchange *x)
{
	return x->fd >= 0 || x->stream || x->https;
}

void exchange_way_failed(struct exchange *x)
{
	if (is_under_way(x) || (x->clear_due && start_clear(x)))
		return;
	give_up(x);
}

static void on_timer(struct io_timer *t)
{
	struct exchange *x = container_of(t, struct exchange, timer);

	if (!x->clear_due) {
		give_up(x);
		return;
	}
	io_timer_in_ms(x->d->loop, &x->timer, EXCHANGE_MS);
	if (!start_clear(x))
		exchange_way_failed(x);
}

static bool start_upgraded(struct exchange *x)
{
	x->clear_due = !x->up.https_only;
	if (!https_is_down(x->d, x->up.at) && https_ask(x)) {
		if (x->clear_due)
			io_timer_in_ms(x->d->loop, &x->timer, HTTPS_HEAD_START_MS);
		return true;
	}
	return x->clear_due && start_clear(x);
}

static bool start(struct exchange *x)
{
	switch (x->up.kind) {
	case DNSD_TLS:
		return start_stream(x, true);
	case DNSD_HTTPS:
	case DNSD_HTTP:
		return https_ask(x);
	default:
		return x->up.upgrade ? start_upgraded(x) : start_clear(x);
	}
}

static void take_texts(struct exchange *x)
{
	struct dnsd_provider p;
	char text[ADDRPORT_TEXT_MAX];

	if (x->up.upgrade && dnsd_provider_of(x->up.at.ip, &p)) {
		(void)snprintf(x->host, sizeof(x->host), "%s", p.host);
		(void)snprintf(x->path, sizeof(x->path), "%s", p.path);
		x->up.at.port = PORT_HTTPS;
	} else {
		(void)snprintf(x->host, sizeof(x->host), "%s",
			       x->up.host ? x->up.host : addrport_format(x->up.at, text));
		(void)snprintf(x->path, sizeof(x->path), "%s", x->up.path ? x->up.path : "");
	}
	x->up.host = x->host;
	x->up.path = x->path;
}

void exchange_start(struct dnsd *d, const struct dns_query *q)
{
	struct exchange *x;

	if (d->exchange_count >= DNSD_EXCHANGES_MAX) {
		dns_input_failure(d->engine, loop_now(d->loop), q->resolver, q->port);
		return;
	}
	x = mem_alloc(sizeof(*x));
	x->d = d;
	x->query = *q;
	x->fd = -1;
	x->up = upstream_of(d, q->resolver);
	take_texts(x);
	list_init(&x->waiting);
	buf_init(&x->in, 2 + UINT16_MAX);
	io_timer_init(&x->timer, on_timer);
	io_timer_in_ms(d->loop, &x->timer, EXCHANGE_MS);
	list_append(&d->exchanges, &x->link);
	d->exchange_count++;
	if (!start(x))
		give_up(x);
}
