/*
 * One recvmmsg, one answer or silence for each datagram, one sendmmsg; at most a few rounds before
 * others run. Limits are token buckets in a table of fixed size: networks that share a slot share a
 * bucket, which the per-process hash seed keeps from being arranged by a stranger.
 */
#include "part/stun_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "engine/relay/bucket.h"
#include "io/loop.h"
#include "io/sockaddr.h"
#include "wire/stun.h"

enum {
	BATCH = 32,
	ROUNDS = 8,
	DATAGRAM_MAX = 512, /* longer ones are cut and then ignored */
	SLOTS = 4096,
	NODE_RATE = 2000,
	PLAIN_RATE = 20,
	SOCKET_BUFFER = 1 << 20,
};

enum { CONTROL_LEN = CMSG_SPACE(sizeof(struct in6_pktinfo)) }; /* either family's packet info */

struct datagram {
	struct sockaddr_storage from;
	_Alignas(struct cmsghdr) char control[CONTROL_LEN];
	uint8_t data[DATAGRAM_MAX];
	uint8_t answer[STUN_ERROR_MAX];
	struct iovec in, out;
};

struct stun_server {
	struct loop *loop;
	struct io_watch watch;
	int fd;
	struct stun_server_conf conf;
	struct stun_stats stats;
	uint64_t seed[2];
	struct bucket slots[2][SLOTS]; /* nodes, ordinary clients */
	struct datagram batch[BATCH];
	struct mmsghdr in[BATCH], out[BATCH];
};

_Static_assert((int)STUN_ERROR_MAX >= (int)STUN_RESPONSE_MAX, "an answer fits");

static bool is_allowed(struct stun_server *s, struct ip from, bool plain)
{
	struct prefix net = prefix_masked((struct prefix){ from, from.family == 4 ? 24 : 64 });
	uint64_t slot = map_hash(s->seed, bytes_of(net.addr.b, sizeof(net.addr.b))) % SLOTS;
	unsigned rate = plain ? s->conf.plain_rate : s->conf.node_rate;

	return bucket_take(&s->slots[plain][slot], rate, rate, loop_now(s->loop), 1);
}

/* Length of the answer in d->answer, 0 for none. */
static size_t answer(struct stun_server *s, struct datagram *d, size_t n, struct addrport from)
{
	struct stun_unknown unknown;
	struct stun_txid txid;
	enum stun_request kind = stun_request_decode(bytes_of(d->data, n), &txid, &unknown);

	if (kind == STUN_NO_REQUEST || (kind != STUN_TAILNODE && s->conf.nodes_only)) {
		s->stats.ignored++;
		return 0;
	}
	if (!is_allowed(s, from.ip, kind != STUN_TAILNODE)) {
		s->stats.limited++;
		return 0;
	}
	switch (kind) {
	case STUN_TAILNODE:
		s->stats.nodes++;
		return stun_response_encode(d->answer, &txid, from);
	case STUN_PLAIN:
		s->stats.plain++;
		return stun_response_encode(d->answer, &txid, from);
	default:
		s->stats.refused_attributes++;
		return stun_error_encode(d->answer, &txid, &unknown);
	}
}

/* The answer leaves from where the request arrived; by which interface is for routing to say. */
static void forget_interface(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
		((struct in_pktinfo *)(void *)CMSG_DATA(c))->ipi_ifindex = 0;
	else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
		return; /* link-local answers need it, and others do not mind */
	else
		msg->msg_controllen = 0;
}

static void prepare(struct stun_server *s)
{
	for (unsigned i = 0; i < BATCH; i++) {
		struct datagram *d = &s->batch[i];

		d->in = (struct iovec){ d->data, sizeof(d->data) };
		s->in[i].msg_hdr = (struct msghdr){
			.msg_name = &d->from,
			.msg_namelen = sizeof(d->from),
			.msg_iov = &d->in,
			.msg_iovlen = 1,
			.msg_control = d->control,
			.msg_controllen = sizeof(d->control),
		};
	}
}

static unsigned answer_all(struct stun_server *s, unsigned received)
{
	unsigned n = 0;

	for (unsigned i = 0; i < received; i++) {
		struct datagram *d = &s->batch[i];
		struct msghdr *msg = &s->in[i].msg_hdr;
		size_t len = 0;

		s->stats.received++;
		if (!(msg->msg_flags & MSG_TRUNC))
			len = answer(s, d, s->in[i].msg_len, sockaddr_addrport(&d->from));
		if (!len)
			continue;
		d->out = (struct iovec){ d->answer, len };
		s->out[n].msg_hdr = *msg;
		s->out[n].msg_hdr.msg_iov = &d->out;
		s->out[n].msg_hdr.msg_flags = 0;
		forget_interface(&s->out[n].msg_hdr);
		n++;
	}
	return n;
}

/* What the kernel does not take now is lost: clients ask again. */
static void send_all(struct stun_server *s, unsigned n)
{
	unsigned at = 0;

	while (at < n) {
		int sent = sendmmsg(s->fd, s->out + at, n - at, MSG_DONTWAIT);

		if (sent > 0) {
			s->stats.sent += (unsigned)sent;
			at += (unsigned)sent;
		} else if (sent < 0 && errno == EINTR) {
			continue;
		} else {
			s->stats.send_errors++;
			at++; /* this one cannot be sent; the next may go elsewhere */
		}
	}
}

static void on_ready(struct io_watch *w, unsigned events)
{
	struct stun_server *s = container_of(w, struct stun_server, watch);

	(void)events;
	for (int round = 0; round < ROUNDS; round++) {
		int n;

		prepare(s);
		n = recvmmsg(s->fd, s->in, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return;
		send_all(s, answer_all(s, (unsigned)n));
		if (n < BATCH)
			return;
	}
}

static int open_socket(struct addrport at, struct err *err)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(at, &sa);
	int on = 1, size = SOCKET_BUFFER, fd;
	bool six = sa.ss_family == AF_INET6;
	char text[ADDRPORT_TEXT_MAX];

	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "STUN socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if ((six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVPKTINFO : IP_PKTINFO,
		       &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, len) < 0) {
		err_sys(err, "STUN on %s", addrport_format(at, text));
		(void)close(fd);
		return -1;
	}
	return fd;
}

struct stun_server *stun_server_create(struct loop *loop, const struct stun_server_conf *conf,
				       struct err *err)
{
	struct stun_server *s = mem_alloc(sizeof(*s));
	struct rng rng = rng_system();

	s->loop = loop;
	s->conf = *conf;
	if (!s->conf.node_rate)
		s->conf.node_rate = NODE_RATE;
	if (!s->conf.plain_rate)
		s->conf.plain_rate = PLAIN_RATE;
	rng.fill(&rng, s->seed, sizeof(s->seed));
	s->fd = open_socket(conf->at, err);
	if (s->fd < 0 || io_watch_start(loop, &s->watch, s->fd, IO_READ, on_ready, err) < 0) {
		if (s->fd >= 0)
			(void)close(s->fd);
		mem_free(s);
		return NULL;
	}
	return s;
}

void stun_server_destroy(struct stun_server *s)
{
	if (!s)
		return;
	io_watch_stop(&s->watch);
	(void)close(s->fd);
	loop_free_later(s->loop, s);
}

struct addrport stun_server_address(const struct stun_server *s)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
		return (struct addrport){ 0 };
	return sockaddr_addrport(&sa);
}

void stun_server_stats(const struct stun_server *s, struct stun_stats *out)
{
	*out = s->stats;
}
