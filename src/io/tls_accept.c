#include "io/tls_accept.h"

#include <unistd.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"

enum {
	RUNNING_MAX = 256,
	WAITING_MAX = 8192,
	HANDSHAKE_MS = 10000,
	WAITING_MS = 20000,
	STARTS_PER_CALL = 8, /* established connections must not wait for a storm */
};

struct entry {
	struct tls_accept *accept;
	struct stream *stream; /* NULL: it waits as fd, which costs a tenth of a stream */
	int fd;
	struct addrport peer;
	struct list node;
	struct io_timer timer;
	bool running;
};

struct tls_accept {
	struct loop *loop;
	struct tls_accept_conf conf;
	struct list running, waiting;
	struct tls_accept_stats stats;
	bool start_due, destroyed;
};

static void start_more(void *arg);

static void start_later(struct tls_accept *a)
{
	if (a->start_due || a->destroyed)
		return;
	a->start_due = true;
	loop_defer(a->loop, start_more, a);
}

static void entry_free(struct entry *e)
{
	struct tls_accept *a = e->accept;

	if (e->running)
		a->stats.running--;
	else
		a->stats.waiting--;
	list_remove(&e->node);
	io_timer_stop(&e->timer);
	stream_destroy(e->stream);
	if (e->fd >= 0)
		(void)close(e->fd);
	loop_free_later(a->loop, e);
	start_later(a);
}

static void on_timeout(struct io_timer *t)
{
	struct entry *e = container_of(t, struct entry, timer);

	e->accept->stats.timeouts++;
	entry_free(e);
}

static void on_open(void *arg)
{
	struct entry *e = arg;
	struct tls_accept *a = e->accept;
	struct stream *s = e->stream;

	e->stream = NULL;
	a->stats.done++;
	stream_set_up(s, NULL, NULL);
	entry_free(e);
	a->conf.on_stream(a->conf.arg, s, e->peer);
}

static void on_close(void *arg, const struct err *why)
{
	struct entry *e = arg;

	(void)why;
	e->accept->stats.failed++;
	entry_free(e);
}

static const struct stream_up up = { .on_open = on_open, .on_close = on_close };

static void start(struct entry *e)
{
	struct tls_accept *a = e->accept;

	list_remove(&e->node);
	list_append(&a->running, &e->node);
	e->running = true;
	a->stats.waiting--;
	a->stats.running++;
	io_timer_in_ms(a->loop, &e->timer, a->conf.handshake_ms);
	if (e->fd >= 0)
		e->stream = tcp_from_fd(a->loop, e->fd);
	else
		stream_pause(e->stream, false);
	e->fd = -1;
	e->stream = tls_server(e->stream, a->conf.ctx);
	stream_set_up(e->stream, &up, e);
}

static void start_more(void *arg)
{
	struct tls_accept *a = arg;

	a->start_due = false;
	for (int i = 0;
	     !a->destroyed && a->stats.running < a->conf.running_max && !list_is_empty(&a->waiting);
	     i++) {
		if (i == STARTS_PER_CALL) {
			start_later(a);
			return;
		}
		start(list_entry(a->waiting.next, struct entry, node));
	}
}

/* Nothing is read while it waits, so only its end is of interest. */
static const struct stream_up waiting_up = { .on_close = on_close };

static struct entry *entry_create(struct tls_accept *a, struct addrport peer)
{
	struct entry *e;

	if (a->stats.waiting >= a->conf.waiting_max) {
		a->stats.refused++;
		return NULL;
	}
	e = mem_alloc(sizeof(*e));
	e->accept = a;
	e->fd = -1;
	e->peer = peer;
	io_timer_init(&e->timer, on_timeout);
	io_timer_in_ms(a->loop, &e->timer, a->conf.waiting_ms);
	list_init(&e->node);
	list_append(&a->waiting, &e->node);
	if (++a->stats.waiting > a->stats.waiting_peak)
		a->stats.waiting_peak = a->stats.waiting;
	return e;
}

void tls_accept_add(struct tls_accept *a, struct stream *tcp, struct addrport peer)
{
	struct entry *e = entry_create(a, peer);

	if (!e) {
		stream_destroy(tcp);
		return;
	}
	e->stream = tcp;
	stream_pause(tcp, true);
	stream_set_up(tcp, &waiting_up, e);
	start_more(a);
}

void tls_accept_add_fd(struct tls_accept *a, int fd, struct addrport peer)
{
	struct entry *e = entry_create(a, peer);

	if (!e) {
		(void)close(fd);
		return;
	}
	e->fd = fd;
	start_later(a);
}

struct tls_accept *tls_accept_create(struct loop *loop, const struct tls_accept_conf *conf)
{
	struct tls_accept *a = mem_alloc(sizeof(*a));

	a->loop = loop;
	a->conf = *conf;
	a->conf.ctx = tls_ctx_ref(conf->ctx);
	if (!a->conf.running_max)
		a->conf.running_max = RUNNING_MAX;
	if (!a->conf.waiting_max)
		a->conf.waiting_max = WAITING_MAX;
	if (!a->conf.handshake_ms)
		a->conf.handshake_ms = HANDSHAKE_MS;
	if (!a->conf.waiting_ms)
		a->conf.waiting_ms = WAITING_MS;
	list_init(&a->running);
	list_init(&a->waiting);
	return a;
}

void tls_accept_destroy(struct tls_accept *a)
{
	if (!a)
		return;
	a->destroyed = true;
	while (!list_is_empty(&a->running))
		entry_free(list_entry(a->running.next, struct entry, node));
	while (!list_is_empty(&a->waiting))
		entry_free(list_entry(a->waiting.next, struct entry, node));
	tls_ctx_unref(a->conf.ctx);
	loop_free_later(a->loop, a);
}

void tls_accept_set_ctx(struct tls_accept *a, struct tls_ctx *ctx)
{
	struct tls_ctx *old = a->conf.ctx;

	a->conf.ctx = tls_ctx_ref(ctx);
	tls_ctx_unref(old);
}

void tls_accept_stats(const struct tls_accept *a, struct tls_accept_stats *out)
{
	*out = a->stats;
}
