/*
 * Dialing: resolve, sort so that the families alternate, try one address, and the next one when the
 * first fails or 250 ms have passed without an answer (RFC 8305). The first that connects wins; the
 * dial is an object of its own that vanishes then, the stream exists from the start.
 */
#include "io/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/resolve.h"
#include "io/sock.h"
#include "io/sockaddr.h"

_Static_assert((int)TCP_ADDRESS_MAX <= (int)RESOLVE_MAX, "there is an attempt for each address");

enum { STAGGER_MS = 250, CONNECT_TIMEOUT_MS = 10000 };

struct dial;

struct attempt {
	struct dial *dial;
	struct addrport to;
	struct io_watch watch;
	int fd; /* -1: not running */
};

struct dial {
	struct sock *sock;
	struct loop *loop;
	char *host, *device;  /* copies; host only when it is a name */
	struct tcp_conf conf; /* points at the copies */
	struct resolve *resolve;
	struct attempt attempts[RESOLVE_MAX];
	size_t count, started, running;
	struct addrport given[TCP_ADDRESS_MAX]; /* addresses that came with conf */
	size_t given_count;
	struct io_timer stagger, timeout;
	struct err why; /* of the attempt that failed last */
	bool done;
};

static void start_next(struct dial *d);

static void attempt_stop(struct attempt *a, bool close_fd)
{
	if (a->fd < 0)
		return;
	io_watch_stop(&a->watch);
	if (close_fd)
		(void)close(a->fd);
	a->fd = -1;
	a->dial->running--;
}

static void dial_destroy(void *arg)
{
	struct dial *d = arg;

	d->done = true;
	resolve_cancel(d->resolve);
	for (size_t i = 0; i < d->count; i++)
		attempt_stop(&d->attempts[i], true);
	io_timer_stop(&d->stagger);
	io_timer_stop(&d->timeout);
	mem_free(d->host);
	mem_free(d->device);
	d->host = d->device = NULL;
	loop_free_later(d->loop, d);
}

/* From the loop only: calls up. */
static void dial_fail(struct dial *d, const struct err *why)
{
	struct sock *k = d->sock;
	struct err err = *why;

	if (d->host)
		err_wrap(&err, "connect %s:%u", d->host, d->conf.port);
	k->on_destroy = NULL;
	dial_destroy(d);
	sock_fail(k, &err);
}

static void dial_won(struct attempt *a)
{
	struct dial *d = a->dial;
	struct sock *k = d->sock;
	int fd = a->fd;

	attempt_stop(a, false);
	k->peer = a->to;
	k->on_destroy = NULL;
	dial_destroy(d);
	if (sock_attach(k, fd))
		stream_emit_open(&k->s);
}

static void attempt_failed(struct attempt *a, int error)
{
	struct dial *d = a->dial;
	char text[ADDRPORT_TEXT_MAX];

	attempt_stop(a, true);
	errno = error;
	err_sys(&d->why, d->host ? "%s" : "connect %s", addrport_format(a->to, text));
	start_next(d);
}

static void on_attempt(struct io_watch *w, unsigned events)
{
	struct attempt *a = container_of(w, struct attempt, watch);
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error)
		attempt_failed(a, error);
	else
		dial_won(a);
}

static int set_options(const struct dial *d, int fd)
{
	if (d->conf.mark &&
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &d->conf.mark, sizeof(d->conf.mark)) < 0)
		return -1;
	if (d->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, d->device,
				    (socklen_t)strlen(d->device)) < 0)
		return -1;
	if (d->conf.on_socket && !d->conf.on_socket(d->conf.arg, fd)) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* 0, or the errno. */
static int attempt_start(struct attempt *a)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(a->to, &sa);

	a->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return errno;
	a->dial->running++;
	if (set_options(a->dial, a->fd) < 0)
		return errno;
	if (connect(a->fd, (struct sockaddr *)&sa, len) < 0 && errno != EINPROGRESS)
		return errno;
	if (io_watch_start(a->dial->loop, &a->watch, a->fd, IO_WRITE, on_attempt, NULL) < 0)
		return errno;
	return 0;
}

/* From the loop only. Starts the next address; fails the dial when none is left or running. */
static void start_next(struct dial *d)
{
	while (d->started < d->count) {
		struct attempt *a = &d->attempts[d->started++];
		char text[ADDRPORT_TEXT_MAX];
		int error = attempt_start(a);

		if (!error) {
			io_timer_in_ms(d->loop, &d->stagger, STAGGER_MS);
			return;
		}
		attempt_stop(a, true);
		errno = error;
		err_sys(&d->why, d->host ? "%s" : "connect %s", addrport_format(a->to, text));
	}
	if (!d->running)
		dial_fail(d, &d->why);
}

static void on_stagger(struct io_timer *t)
{
	start_next(container_of(t, struct dial, stagger));
}

static void on_timeout(struct io_timer *t)
{
	struct dial *d = container_of(t, struct dial, timeout);
	struct err why;
	char text[ADDRPORT_TEXT_MAX];

	if (d->host)
		err_set(&why, ERR_TIMEOUT, "%s", d->count ? "no answer" : "the resolver is slow");
	else
		err_set(&why, ERR_TIMEOUT, "connect %s: no answer",
			addrport_format(d->given[0], text));
	dial_fail(d, &why);
}

/* Takes the first address that is left of the wanted family, or of any. */
static struct addrport take_address(struct addrport *left, size_t n, uint8_t family)
{
	size_t at = 0;
	struct addrport taken;

	for (size_t i = 0; i < n; i++) {
		if (left[i].ip.family == family) {
			at = i;
			break;
		}
	}
	taken = left[at];
	memmove(&left[at], &left[at + 1], (n - at - 1) * sizeof(*left));
	return taken;
}

static void on_addresses(void *arg, const struct addrport *to, size_t n, const struct err *err)
{
	struct dial *d = arg;
	struct addrport left[RESOLVE_MAX];
	uint8_t family;

	d->resolve = NULL;
	if (!n) {
		dial_fail(d, err);
		return;
	}
	memcpy(left, to, n * sizeof(*to));
	family = left[0].ip.family;
	for (size_t i = 0; i < n; i++) {
		d->attempts[i] = (struct attempt){ .dial = d, .fd = -1 };
		d->attempts[i].to = take_address(left, n - i, family);
		family = d->attempts[i].to.ip.family == 4 ? 6 : 4;
	}
	d->count = n;
	start_next(d);
}

static void start_given(void *arg)
{
	struct dial *d = arg;
	struct err why;

	if (d->done)
		return;
	err_set(&why, ERR_USAGE, "connect: no address given");
	on_addresses(d, d->given, d->given_count, &why);
}

static void give(struct dial *d, struct addrport to)
{
	if (ip_is_valid(to.ip) && d->given_count < TCP_ADDRESS_MAX)
		d->given[d->given_count++] = to;
}

/* An address as host is dialed as one: no resolver, and named once in errors. */
static void take_conf(struct dial *d, const struct tcp_conf *conf)
{
	struct addrport literal = { .port = conf->port };

	d->conf = *conf;
	d->conf.host = d->conf.device = NULL;
	d->conf.addresses = NULL;
	if (conf->device)
		d->conf.device = d->device = mem_strdup(conf->device);
	if (conf->host && !ip_parse(&literal.ip, bytes_str(conf->host))) {
		d->conf.host = d->host = mem_strdup(conf->host);
		return;
	}
	give(d, conf->host ? literal : conf->to);
	if (d->given_count)
		return;
	for (size_t i = 0; i < conf->address_count; i++)
		give(d, conf->addresses[i]);
}

struct stream *tcp_connect(struct loop *loop, const struct tcp_conf *conf)
{
	struct sock *k = sock_create(loop, SOCK_TCP);
	struct dial *d = mem_alloc(sizeof(*d));

	d->sock = k;
	d->loop = loop;
	take_conf(d, conf);
	k->on_destroy = dial_destroy;
	k->dialer = d;
	io_timer_init(&d->stagger, on_stagger);
	io_timer_init(&d->timeout, on_timeout);
	io_timer_in_ms(loop, &d->timeout, conf->timeout_ms ? conf->timeout_ms : CONNECT_TIMEOUT_MS);
	if (d->host)
		d->resolve = resolve_start(loop, d->host, conf->port, on_addresses, d);
	else
		loop_defer(loop, start_given, d);
	return &k->s;
}

struct stream *tcp_from_fd(struct loop *loop, int fd)
{
	struct sock *k = sock_create(loop, SOCK_TCP);
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
		k->peer = sockaddr_addrport(&sa);
	k->s.open = sock_attach(k, fd);
	return &k->s;
}

struct addrport tcp_peer(const struct stream *s)
{
	const struct sock *k = sock_below(s);

	return k ? k->peer : (struct addrport){ 0 };
}

int tcp_fd(const struct stream *s)
{
	const struct sock *k = sock_below(s);

	return k ? k->fd : -1;
}

bool tcp_address_is_gone(const struct stream *s)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	int fd = tcp_fd(s), probe;
	struct addrport at;
	bool gone;

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    (sa.ss_family != AF_INET && sa.ss_family != AF_INET6))
		return false;
	at = sockaddr_addrport(&sa);
	at.port = 0;
	len = sockaddr_of(at, &sa);
	/* Whether an address is ours is what bind() decides by. */
	probe = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return false;
	gone = bind(probe, (struct sockaddr *)&sa, len) < 0 && errno == EADDRNOTAVAIL;
	(void)close(probe);
	return gone;
}
