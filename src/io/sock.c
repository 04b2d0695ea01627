/*
 * Sending copies into a list of chunks that leaves with one writev() at the end of the turn, or at
 * once when it is long; so the head and the body of a message are one packet although TCP_NODELAY
 * is on. Reading stops after a few buffers to let others run; the loop reports what is left.
 *
 * A broken write does not close at once: what the peer said before it went (often: why) is read
 * first.
 */
#include "io/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	READ_BYTES = 64 << 10,
	READS_PER_TURN = 4,
	WRITE_NOW_BYTES = 64 << 10,
	CHUNK_MIN_BYTES = 4 << 10,
	IOV_COUNT = 32,
	LINGER_MS = 5000,
	STALL_MS = 30000,
	KEEPALIVE_IDLE_S = 30,
	KEEPALIVE_EVERY_S = 15,
};

struct chunk {
	struct list node;
	size_t at, n, cap; /* bytes at .. n are still to be sent */
	uint8_t data[];
};

static struct sock *sock_of(const struct stream *s)
{
	return container_of((struct stream *)s, struct sock, s);
}

/* ---- out ---- */

static void drop_chunks(struct sock *k)
{
	for (struct list *node; (node = list_pop(&k->chunks));)
		mem_free(list_entry(node, struct chunk, node));
	k->queued = 0;
}

/* What still fits into the last chunk; returns the rest. */
static struct bytes fill_last(struct sock *k, struct bytes data)
{
	struct chunk *c;
	size_t n;

	if (list_is_empty(&k->chunks))
		return data;
	c = list_entry(k->chunks.prev, struct chunk, node);
	n = c->cap - c->n < data.n ? c->cap - c->n : data.n;
	memcpy(c->data + c->n, data.p, n);
	c->n += n;
	k->queued += n;
	return bytes_from(data, n);
}

static void queue(struct sock *k, struct bytes data)
{
	struct chunk *c;
	size_t cap;

	data = fill_last(k, data);
	if (!data.n)
		return;
	cap = data.n > CHUNK_MIN_BYTES ? data.n : CHUNK_MIN_BYTES;
	c = mem_resize(NULL, 1, sizeof(*c) + cap);
	c->at = 0;
	c->n = data.n;
	c->cap = cap;
	memcpy(c->data, data.p, data.n);
	list_init(&c->node);
	list_append(&k->chunks, &c->node);
	k->queued += data.n;
}

static int gather(struct sock *k, struct iovec iov[IOV_COUNT])
{
	int n = 0;

	list_each (node, &k->chunks) {
		struct chunk *c = list_entry(node, struct chunk, node);

		if (n == IOV_COUNT)
			break;
		iov[n++] = (struct iovec){ c->data + c->at, c->n - c->at };
	}
	return n;
}

static void take_off(struct sock *k, size_t sent)
{
	k->queued -= sent;
	while (sent) {
		struct chunk *c = list_entry(k->chunks.next, struct chunk, node);
		size_t n = c->n - c->at < sent ? c->n - c->at : sent;

		c->at += n;
		sent -= n;
		if (c->at == c->n) {
			list_remove(&c->node);
			mem_free(c);
		}
	}
}

static void update_events(struct sock *k)
{
	io_watch_events(&k->watch, (k->s.paused ? 0u : IO_READ) | (k->blocked ? IO_WRITE : 0u));
}

static void send_end(struct sock *k)
{
	if (!k->s.finished || k->shut || k->queued || k->fd < 0)
		return;
	k->shut = true;
	(void)shutdown(k->fd, SHUT_WR);
	/* The peer's end of the stream closes us; a peer that never ends is not waited for. */
	io_timer_in_ms(k->s.loop, &k->linger, LINGER_MS);
}

/* After stream_finish() nobody may be left to watch a peer that takes nothing. */
static void limit_stall(struct sock *k)
{
	if (k->s.finished && !k->shut && k->queued && k->fd >= 0)
		io_timer_in_ms(k->s.loop, &k->linger, STALL_MS);
}

/* Writes what the kernel takes. Calls nobody: errors and drains are reported from the loop. */
static void write_out(struct sock *k)
{
	while (k->queued && !k->blocked && !k->failed && k->fd >= 0) {
		struct iovec iov[IOV_COUNT];
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)gather(k, iov) };
		ssize_t n = sendmsg(k->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			take_off(k, (size_t)n);
		} else if (errno == EAGAIN) {
			k->blocked = true;
		} else if (errno != EINTR) {
			struct err why;

			err_sys(&why, "send");
			sock_fail(k, &why);
		}
	}
	send_end(k);
	update_events(k);
	limit_stall(k);
}

static void report_drain(struct sock *k)
{
	if (!k->drain_owed || k->queued >= k->s.low || k->failed)
		return;
	k->drain_owed = false;
	stream_emit_drain(&k->s);
}

static void write_deferred(void *arg)
{
	struct sock *k = arg;

	k->write_due = false;
	if (k->s.destroyed || k->s.closed)
		return;
	write_out(k);
	report_drain(k);
}

static void write_later(struct sock *k)
{
	if (k->write_due)
		return;
	k->write_due = true;
	loop_defer(k->s.loop, write_deferred, k);
}

static void sock_send(struct stream *s, struct bytes data)
{
	struct sock *k = sock_of(s);

	if (k->failed)
		return;
	queue(k, data);
	if (k->queued >= k->s.low)
		k->drain_owed = true;
	if (k->queued >= WRITE_NOW_BYTES && !k->blocked)
		write_out(k);
	write_later(k);
}

static void sock_finish(struct stream *s)
{
	write_later(sock_of(s));
}

static size_t sock_queued(const struct stream *s)
{
	return sock_of(s)->queued;
}

/* ---- in, and the end ---- */

static void hang_up(struct sock *k)
{
	io_timer_stop(&k->linger);
	io_watch_stop(&k->watch);
	if (k->fd >= 0)
		(void)close(k->fd);
	k->fd = -1;
	drop_chunks(k);
}

static void close_with(struct sock *k, const struct err *why)
{
	hang_up(k);
	stream_emit_close(&k->s, why);
}

/* False when there is no more to read now, for whatever reason. */
static bool read_once(struct sock *k)
{
	/* Not zeroed: 64 KiB per packet would cost more than the packet. */
	__attribute__((uninitialized)) uint8_t data[READ_BYTES];
	ssize_t n = recv(k->fd, data, sizeof(data), MSG_DONTWAIT);
	struct err why;

	if (n > 0) {
		stream_emit_data(&k->s, bytes_of(data, (size_t)n));
		return k->fd >= 0 && !k->s.paused && (size_t)n == sizeof(data);
	}
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (k->failed) {
		close_with(k, &k->why);
		return false;
	}
	if (n < 0 && !k->shut) {
		err_sys(&why, "receive");
		close_with(k, &why);
		return false;
	}
	close_with(k, NULL); /* after our own end a reset is as good as an end */
	return false;
}

static void on_ready(struct io_watch *w, unsigned events)
{
	struct sock *k = container_of(w, struct sock, watch);

	if (events & IO_WRITE) {
		k->blocked = false;
		write_out(k);
		report_drain(k);
	}
	if (!(events & IO_READ) || k->s.paused)
		return;
	for (int i = 0; i < READS_PER_TURN && k->fd >= 0 && read_once(k);)
		i++;
}

static void report_failure(void *arg)
{
	struct sock *k = arg;

	if (k->s.destroyed || k->s.closed)
		return;
	while (k->fd >= 0 && !k->s.paused && read_once(k))
		;
	if (!k->s.destroyed && !k->s.closed)
		close_with(k, &k->why);
}

void sock_fail(struct sock *k, const struct err *why)
{
	if (k->failed)
		return;
	k->failed = true;
	k->why = *why;
	drop_chunks(k);
	loop_defer(k->s.loop, report_failure, k);
}

static void on_linger(struct io_timer *t)
{
	struct sock *k = container_of(t, struct sock, linger);
	struct err why;

	if (k->shut) {
		close_with(k, NULL);
		return;
	}
	err_set(&why, ERR_TIMEOUT, "the peer took nothing of the last %zu bytes for %d s",
		k->queued, STALL_MS / 1000);
	close_with(k, &why);
}

static void sock_pause(struct stream *s, bool paused)
{
	(void)paused;
	update_events(sock_of(s));
}

static void sock_destroy(struct stream *s)
{
	struct sock *k = sock_of(s);

	if (k->on_destroy)
		k->on_destroy(k->dialer);
	k->on_destroy = NULL;
	/* At once, but what was sent in this turn still goes to the kernel. */
	if (!k->blocked)
		write_out(k);
	hang_up(k);
	stream_fini(s);
	loop_free_later(s->loop, k);
}

static const struct stream_ops tcp_ops = {
	.name = "tcp",
	.send = sock_send,
	.pause = sock_pause,
	.finish = sock_finish,
	.queued = sock_queued,
	.destroy = sock_destroy,
};

static const struct stream_ops unix_ops = {
	.name = "unix",
	.send = sock_send,
	.pause = sock_pause,
	.finish = sock_finish,
	.queued = sock_queued,
	.destroy = sock_destroy,
};

struct sock *sock_create(struct loop *loop, enum sock_kind kind)
{
	struct sock *k = mem_alloc(sizeof(*k));

	stream_init(&k->s, kind == SOCK_TCP ? &tcp_ops : &unix_ops, loop);
	k->fd = -1;
	list_init(&k->chunks);
	io_timer_init(&k->linger, on_linger);
	return k;
}

static void set_tcp_options(int fd)
{
	int on = 1, idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_EVERY_S;

	/* None of these can fail on a TCP socket in a way that would matter. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
}

bool sock_attach(struct sock *k, int fd)
{
	struct err err;

	if (k->s.ops == &tcp_ops)
		set_tcp_options(fd);
	if (io_watch_start(k->s.loop, &k->watch, fd, 0, on_ready, &err) < 0) {
		(void)close(fd);
		sock_fail(k, &err);
		return false;
	}
	k->fd = fd;
	update_events(k);
	if (k->queued || k->s.finished)
		write_later(k);
	return true;
}

struct sock *sock_below(const struct stream *s)
{
	const struct stream *at = s;

	while (at && at->ops != &tcp_ops && at->ops != &unix_ops)
		at = at->ops->below ? at->ops->below(at) : NULL;
	return at ? sock_of(at) : NULL;
}
