/* Clients over TCP: two bytes of length, a message, and again (RFC 7766). */
#include "base/err.h"
#include "base/mem.h"
#include "io/stream.h"
#include "part/dnsd/dnsd_impl.h"

struct front {
	struct list link; /* dnsd.fronts */
	struct client client;
	struct dnsd *d;
	struct stream *s;
	struct addrport from;
	struct buf in;
	struct io_timer idle;
};

static void front_free(void *arg)
{
	struct front *f = arg;

	buf_fini(&f->in);
	mem_free(f);
}

static void front_drop(struct front *f)
{
	if (!f->s)
		return;
	list_remove(&f->link);
	f->d->front_count--;
	client_remove(f->d, &f->client);
	io_timer_stop(&f->idle);
	stream_destroy(f->s);
	f->s = NULL;
	loop_defer(f->d->loop, front_free, f); /* may be on the stack */
}

static void stay(struct front *f)
{
	io_timer_in_ms(f->d->loop, &f->idle, DNSD_STREAM_IDLE_S * INT64_C(1000));
}

static void on_idle(struct io_timer *t)
{
	front_drop(container_of(t, struct front, idle));
}

static void on_reply(struct client *c, struct bytes message)
{
	struct front *f = container_of(c, struct front, client);
	uint8_t length[2] = { (uint8_t)(message.n >> 8), (uint8_t)message.n };

	if (stream_queued(f->s) > DNSD_STREAM_UNREAD_MAX) {
		front_drop(f);
		return;
	}
	stream_send(f->s, bytes_of(length, 2));
	stream_send(f->s, message);
	stay(f);
}

/* False: there is no whole message, or no front any more. */
static bool take_one(struct front *f)
{
	struct dns_client from = { .addr = f->from, .token = f->client.id, .tcp = true };
	size_t n;

	if (f->in.n < 2)
		return false;
	n = (size_t)f->in.p[0] << 8 | f->in.p[1];
	if (n > DNSD_STREAM_REQUEST_MAX) {
		front_drop(f);
		return false;
	}
	if (f->in.n < 2 + n)
		return false;
	dns_input_query(f->d->engine, loop_now(f->d->loop), &from, bytes_of(f->in.p + 2, n));
	buf_consume(&f->in, 2 + n);
	return true;
}

static void on_data(void *arg, struct bytes data)
{
	struct front *f = arg;

	/* Whole messages are taken out at once, so that one is all that ever waits. */
	while (data.n && f->s) {
		size_t n = f->in.max - f->in.n;

		if (n > data.n)
			n = data.n;
		(void)buf_append(&f->in, bytes_of(data.p, n));
		data = bytes_from(data, n);
		while (f->s && take_one(f))
			;
	}
	if (f->s)
		stay(f);
	dnsd_pump(f->d);
}

static void on_close(void *arg, const struct err *why)
{
	(void)why;
	front_drop(arg);
}

void dnsd_input_stream(struct dnsd *d, struct stream *s, const struct addrport *from)
{
	static const struct stream_up up = { .on_data = on_data, .on_close = on_close };
	struct front *f;

	if (d->front_count >= DNSD_STREAMS_MAX) {
		stream_destroy(s);
		return;
	}
	f = mem_alloc(sizeof(*f));
	f->d = d;
	f->s = s;
	f->from = *from;
	f->client.on_reply = on_reply;
	buf_init(&f->in, 2 + DNSD_STREAM_REQUEST_MAX);
	io_timer_init(&f->idle, on_idle);
	list_append(&d->fronts, &f->link);
	d->front_count++;
	client_add(d, &f->client);
	stream_set_up(s, &up, f);
	stay(f);
}

void front_drop_all(struct dnsd *d)
{
	while (!list_is_empty(&d->fronts))
		front_drop(list_entry(d->fronts.next, struct front, link));
}
