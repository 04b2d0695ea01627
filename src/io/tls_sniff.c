#include "io/tls_sniff.h"

#include "base/list.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"

enum { TLS_HANDSHAKE_RECORD = 0x16, WAITING_MAX = 4096, WAITING_MS = 10000 };

struct tls_sniff {
	struct loop *loop;
	struct tls_sniff_conf conf;
	struct list waiting;
	size_t count;
};

struct newcomer {
	struct list link;
	struct tls_sniff *sniff;
	struct stream *stream;
	struct addrport peer;
	struct io_timer timeout;
};

struct tls_sniff *tls_sniff_create(struct loop *loop, const struct tls_sniff_conf *conf)
{
	struct tls_sniff *t = mem_alloc(sizeof(*t));

	t->loop = loop;
	t->conf = *conf;
	if (!t->conf.waiting_max)
		t->conf.waiting_max = WAITING_MAX;
	if (!t->conf.waiting_ms)
		t->conf.waiting_ms = WAITING_MS;
	list_init(&t->waiting);
	return t;
}

/* The stream, which is the caller's again; the newcomer is forgotten. */
static struct stream *release(struct newcomer *n)
{
	struct stream *s = n->stream;

	io_timer_stop(&n->timeout);
	list_remove(&n->link);
	n->sniff->count--;
	stream_set_up(s, NULL, NULL);
	loop_free_later(n->sniff->loop, n);
	return s;
}

static void on_data(void *arg, struct bytes data)
{
	struct newcomer *n = arg;
	struct tls_sniff *t = n->sniff;
	struct addrport peer = n->peer;
	bool tls = data.n && data.p[0] == TLS_HANDSHAKE_RECORD;
	struct stream *s;

	if (!data.n)
		return;
	s = release(n);
	stream_unread(s, data);
	t->conf.on_stream(t->conf.arg, s, peer, tls);
}

static void on_close(void *arg, const struct err *why)
{
	(void)why;
	stream_destroy(release(arg));
}

static void on_timeout(struct io_timer *timer)
{
	stream_destroy(release(container_of(timer, struct newcomer, timeout)));
}

void tls_sniff_add(struct tls_sniff *t, struct stream *s, struct addrport peer)
{
	static const struct stream_up up = { .on_data = on_data, .on_close = on_close };
	struct newcomer *n;

	if (t->count >= t->conf.waiting_max) {
		stream_destroy(s);
		return;
	}
	n = mem_alloc(sizeof(*n));
	n->sniff = t;
	n->stream = s;
	n->peer = peer;
	list_append(&t->waiting, &n->link);
	t->count++;
	io_timer_init(&n->timeout, on_timeout);
	io_timer_in_ms(t->loop, &n->timeout, t->conf.waiting_ms);
	stream_set_up(s, &up, n);
}

void tls_sniff_destroy(struct tls_sniff *t)
{
	struct list *it;

	if (!t)
		return;
	while ((it = list_first(&t->waiting)))
		stream_destroy(release(list_entry(it, struct newcomer, link)));
	mem_free(t);
}
