#include "io/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/sockaddr.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { SEND_WAIT_MS = 1 }; /* for a full queue; TCP inside adapts better than we could */

static int get_int(int fd, int level, int name, int fallback)
{
	int v = fallback;
	socklen_t n = sizeof(v);

	return getsockopt(fd, level, name, &v, &n) < 0 ? fallback : v;
}

static bool set_int(int fd, int level, int name, int v)
{
	return setsockopt(fd, level, name, &v, sizeof(v)) == 0;
}

/* The FORCE variants pass the system's limit but need a capability. */
static size_t grow_buffers(int fd, size_t bytes)
{
	int n = (int)bytes;

	if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, n))
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, n);
	if (!set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, n))
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, n);
	return (size_t)get_int(fd, SOL_SOCKET, SO_RCVBUF, 0) / 2; /* the kernel doubles it */
}

static void fragmenting(int fd, uint8_t family, bool never)
{
	if (family == 4)
		(void)set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER,
			      never ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	else
		(void)set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
			      never ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT);
}

static int bind_to(int fd, const struct udp_conf *conf, struct err *err)
{
	struct addrport want = { conf->bind, conf->port };
	struct sockaddr_storage addr;
	socklen_t n;

	if (!ip_is_valid(want.ip))
		want.ip.family = conf->family;
	n = sockaddr_of(want, &addr);
	if (bind(fd, (struct sockaddr *)&addr, n) < 0)
		return err_sys(err, "bind UDP port %u (IPv%u)", conf->port, conf->family);
	return 0;
}

static int prepare(int fd, const struct udp_conf *conf, struct err *err)
{
	if (conf->family == 6 && !set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
		return err_sys(err, "IPV6_V6ONLY");
	if (conf->mark && !set_int(fd, SOL_SOCKET, SO_MARK, (int)conf->mark))
		return err_sys(err, "set mark 0x%x on UDP socket", conf->mark);
	(void)grow_buffers(fd, conf->buffer_bytes ? conf->buffer_bytes : UDP_BUFFER_BYTES);
	fragmenting(fd, conf->family, conf->never_fragment);
	if (!conf->no_gro)
		(void)set_int(fd, SOL_UDP, UDP_GRO, 1);
	(void)set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	return bind_to(fd, conf, err);
}

int udp_adopt(struct udp *u, int fd, struct err *err)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t n = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &n) < 0)
		return err_sys(err, "adopt UDP socket");
	if (addr.ss_family != AF_INET && addr.ss_family != AF_INET6)
		return err_set(err, ERR_USAGE, "adopt UDP socket: it is no IP socket");
	u->fd = fd;
	u->family = addr.ss_family == AF_INET ? 4 : 6;
	u->port = sockaddr_addrport(&addr).port;
	u->gro = get_int(fd, SOL_UDP, UDP_GRO, 0) == 1;
	u->rcvbuf = (size_t)get_int(fd, SOL_SOCKET, SO_RCVBUF, 0) / 2;
	/* A kernel that knows the option answers; what devices can do shows when sending. */
	atomic_store_explicit(&u->gso, get_int(fd, SOL_UDP, UDP_SEGMENT, -1) >= 0,
			      memory_order_relaxed);
	return 0;
}

int udp_open(struct udp *u, const struct udp_conf *conf, struct err *err)
{
	int fd = socket(conf->family == 4 ? AF_INET : AF_INET6,
			SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(err, "UDP socket (IPv%u)", conf->family);
	if (prepare(fd, conf, err) < 0 || udp_adopt(u, fd, err) < 0) {
		(void)close(fd);
		return -1;
	}
	if (conf->no_gso)
		atomic_store_explicit(&u->gso, false, memory_order_relaxed);
	return 0;
}

void udp_close(struct udp *u)
{
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
}

int udp_set_mark(struct udp *u, uint32_t mark, struct err *err)
{
	if (!set_int(u->fd, SOL_SOCKET, SO_MARK, (int)mark))
		return err_sys(err, "set mark 0x%x on UDP socket", mark);
	return 0;
}

/* --- sending --- */

static enum udp_sent sent_of(int e)
{
	switch (e) {
	case 0:
		return UDP_SENT;
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return UDP_FULL;
	case EMSGSIZE:
		return UDP_TOO_LONG;
	case EPERM:
	case EACCES:
		return UDP_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case ENODEV:
		return UDP_NO_ROUTE;
	default:
		return UDP_SEND_FAILED;
	}
}

/* True: worth another try. An error that an earlier datagram left behind (ICMP) is not ours. */
static bool again(int fd, int e, bool *waited)
{
	struct pollfd p = { fd, POLLOUT, 0 };

	if (e == EINTR || e == ECONNREFUSED)
		return true;
	if ((e != EAGAIN && e != ENOBUFS) || *waited)
		return false;
	*waited = true;
	(void)poll(&p, 1, SEND_WAIT_MS);
	return true;
}

static int send_message(int fd, const struct msghdr *msg)
{
	bool waited = false;

	for (;;) {
		if (sendmsg(fd, msg, MSG_DONTWAIT) >= 0)
			return 0;
		if (!again(fd, errno, &waited))
			return errno;
	}
}

enum udp_sent udp_send(struct udp *u, const struct addrport *to, const void *p, size_t n)
{
	struct iovec iov = { (void *)p, n };
	struct sockaddr_storage addr;
	struct msghdr msg = { .msg_name = &addr, .msg_iov = &iov, .msg_iovlen = 1 };

	msg.msg_namelen = sockaddr_of(*to, &addr);
	return sent_of(send_message(u->fd, &msg));
}

static int send_segmented(int fd, struct sockaddr_storage *to, socklen_t to_len, const uint8_t *p,
			  size_t n, uint16_t segment)
{
	struct iovec iov = { (void *)p, n };
	union {
		struct cmsghdr hdr;
		uint8_t space[CMSG_SPACE(sizeof(uint16_t))];
	} control = { 0 };
	struct msghdr msg = {
		.msg_name = to, .msg_namelen = to_len, .msg_iov = &iov, .msg_iovlen = 1
	};

	if (n > segment) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.hdr.cmsg_level = SOL_UDP;
		control.hdr.cmsg_type = UDP_SEGMENT;
		control.hdr.cmsg_len = CMSG_LEN(sizeof(uint16_t));
		memcpy(CMSG_DATA(&control.hdr), &segment, sizeof(segment));
	}
	return send_message(fd, &msg);
}

/* One datagram after the other, as many as possible in each call. */
static void send_singles(struct udp *u, struct sockaddr_storage *to, socklen_t to_len,
			 const struct udp_run *run, size_t at, struct udp_run_result *r)
{
	struct mmsghdr msgs[UDP_GSO_SEGMENTS];
	struct iovec iov[UDP_GSO_SEGMENTS];
	bool waited = false;

	while (at < run->n) {
		unsigned count = 0;
		int done;

		for (size_t next = at; next < run->n && count < UDP_GSO_SEGMENTS; count++) {
			size_t left = run->n - next;

			iov[count] = (struct iovec){ (void *)(run->p + next),
						     left < run->segment ? left : run->segment };
			msgs[count] = (struct mmsghdr){ .msg_hdr = { .msg_name = to,
								     .msg_namelen = to_len,
								     .msg_iov = &iov[count],
								     .msg_iovlen = 1 } };
			next += iov[count].iov_len;
		}
		done = sendmmsg(u->fd, msgs, count, MSG_DONTWAIT);
		if (done < 0) {
			int e = errno;

			if (again(u->fd, e, &waited))
				continue;
			r->sent = sent_of(e);
			if (r->sent != UDP_TOO_LONG)
				return; /* the same would happen to the rest */
			done = 1;       /* this one does not fit, a shorter one behind it may */
		} else {
			r->datagrams += (unsigned)done;
		}
		for (int i = 0; i < done; i++)
			at += iov[i].iov_len;
	}
}

/* As many segments as one super-datagram takes. */
static size_t super_bytes(const struct udp_run *run, size_t left)
{
	size_t segments = UDP_GSO_BYTES / run->segment, bytes;

	if (segments > UDP_GSO_SEGMENTS)
		segments = UDP_GSO_SEGMENTS;
	bytes = (segments ? segments : 1) * run->segment;
	return left < bytes ? left : bytes;
}

struct udp_run_result udp_send_run(struct udp *u, const struct udp_run *run)
{
	struct udp_run_result r = { .sent = UDP_SENT };
	struct sockaddr_storage to;
	socklen_t to_len = sockaddr_of(*run->to, &to);
	size_t at = 0;

	while (at < run->n && !run->no_gso && atomic_load_explicit(&u->gso, memory_order_relaxed)) {
		size_t n = super_bytes(run, run->n - at);
		int e = send_segmented(u->fd, &to, to_len, run->p + at, n, (uint16_t)run->segment);

		if (e == EIO && n > run->segment) { /* the device cannot checksum */
			atomic_store_explicit(&u->gso, false, memory_order_relaxed);
			break;
		}
		if ((e == EMSGSIZE || e == EINVAL) && n > run->segment) {
			r.too_long = true;
			break;
		}
		if (e != 0) {
			r.sent = sent_of(e);
			return r;
		}
		r.datagrams += (unsigned)((n + run->segment - 1) / run->segment);
		at += n;
	}
	if (at < run->n)
		send_singles(u, &to, to_len, run, at, &r);
	return r;
}
