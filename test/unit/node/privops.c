/* The socket between the engine and its helper: every operation over it, and what must not pass. */
#include "node/privops_remote.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/privops_msg.h"

#include "kit/kit.h"

struct fake {
	struct privops head;
	char called[32];
	struct privops_address address;
	struct privops_dns dns;
	bool on;
	int fail;
};

static struct fake *fake_of(struct privops *p)
{
	return container_of(p, struct fake, head);
}

static int did(struct privops *p, const char *what, struct err *err)
{
	struct fake *f = fake_of(p);

	(void)strcpy(f->called, what);
	return f->fail ? err_set(err, ERR_LIMIT, "as asked") : 0;
}

static int fake_tun(struct privops *p, const struct privops_tun *t, int *fd, struct err *err)
{
	(void)t;
	*fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return did(p, "tun", err);
}

static int fake_udp(struct privops *p, const struct privops_udp *u, int *fd, struct err *err)
{
	(void)u;
	*fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	return did(p, "udp", err);
}

static int fake_mark(struct privops *p, int fd, struct err *err)
{
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	return did(p, "mark", err);
}

static int fake_address(struct privops *p, const struct privops_address *a, struct err *err)
{
	fake_of(p)->address = *a;
	return did(p, "address", err);
}

static int fake_route(struct privops *p, const struct privops_route *r, struct err *err)
{
	(void)r;
	return did(p, "route", err);
}

static int fake_rules(struct privops *p, bool on, struct err *err)
{
	fake_of(p)->on = on;
	return did(p, "rules", err);
}

static int fake_dns(struct privops *p, const struct privops_dns *d, struct err *err)
{
	fake_of(p)->dns = *d;
	return did(p, "dns", err);
}

static int fake_about(struct privops *p, struct privops_about *out, struct err *err)
{
	out->pid = 4711;
	return did(p, "about", err);
}

static void fake_restore(struct privops *p)
{
	struct err ignored;

	(void)did(p, "restore", &ignored);
}

static const struct privops_ops fake_ops = {
	.open_tun = fake_tun,
	.open_udp = fake_udp,
	.mark = fake_mark,
	.address = fake_address,
	.route = fake_route,
	.rules = fake_rules,
	.dns = fake_dns,
	.about = fake_about,
	.restore = fake_restore,
};

static const struct privops_limits limits = { "weft0", 53 };

/* Both ends in one process: a request waits in the socket until the helper's end is called. */
struct pair {
	struct privops *remote;
	struct fake fake;
	int sock[2];
};

static void pair_open(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	p->fake.head.ops = &fake_ops;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->sock) == 0);
	p->remote = privops_remote_create(p->sock[0]);
}

static void pair_close(struct pair *p)
{
	privops_destroy(p->remote);
	(void)close(p->sock[1]);
}

/* Puts one request into the socket by hand and lets the helper answer it. */
static int ask_for(struct pair *p, uint32_t op, const void *body, int fd, int *out,
		   struct privops_about *about, struct err *err)
{
	uint8_t msg[PRIVOPS_REQUEST_MAX], reply[PRIVOPS_REPLY_MAX];
	size_t n = privops_request_encode(msg, op, body);

	p->fake.called[0] = '\0';
	*out = -1;
	CHECK(privops_send(p->sock[0], bytes_of(msg, n), fd, err) == 0);
	CHECK(privops_serve(&p->fake.head, p->sock[1], &limits, err) == 1);
	CHECK(privops_receive(p->sock[0], reply, sizeof(reply), &n, out, err) == 0);
	return privops_reply_decode(bytes_of(reply, n), about, about ? sizeof(*about) : 0, err);
}

static int ask(struct pair *p, uint32_t op, const void *body, int fd, int *out, struct err *err)
{
	return ask_for(p, op, body, fd, out, NULL, err);
}

TEST(answers_come_back)
{
	struct privops_about about = { 0 };
	struct err err;
	struct pair p;
	int out;

	pair_open(&p);
	CHECK(ask_for(&p, PRIVOPS_OP_ABOUT, NULL, -1, &out, &about, &err) == 0);
	CHECK_INT(about.pid, 4711);
	/* An answer where none was expected, and none where one was. */
	CHECK(ask(&p, PRIVOPS_OP_ABOUT, NULL, -1, &out, &err) == -1 && err.code == ERR_INTERNAL);
	CHECK(ask_for(&p, PRIVOPS_RESTORE, NULL, -1, &out, &about, &err) == -1);
	about.pid = 0;
	p.fake.fail = 1;
	CHECK(ask_for(&p, PRIVOPS_OP_ABOUT, NULL, -1, &out, &about, &err) == -1);
	CHECK(err.code == ERR_LIMIT && about.pid == 0);
	pair_close(&p);
}

TEST(operations_arrive)
{
	struct privops_address a = { { ip_v4(100, 64, 0, 7), 32 }, true };
	struct privops_dns dns = { .server_count = 1, .match_count = 1, .override_all = true };
	struct privops_tun tun = { "weft0", 1280 };
	struct err err;
	struct pair p;
	int out;

	pair_open(&p);
	dns.servers[0] = ip_v4(100, 100, 100, 100);
	(void)strcpy(dns.match[0], "tail.example");
	CHECK(ask(&p, PRIVOPS_OP_ADDRESS, &a, -1, &out, &err) == 0 && out == -1);
	CHECK(strcmp(p.fake.called, "address") == 0 && prefix_equal(p.fake.address.addr, a.addr));
	CHECK(ask(&p, PRIVOPS_OP_DNS, &dns, -1, &out, &err) == 0);
	CHECK(strcmp(p.fake.dns.match[0], "tail.example") == 0);
	CHECK(ask(&p, PRIVOPS_RULES, &(struct privops_rules){ true }, -1, &out, &err) == 0);
	CHECK(p.fake.on);
	CHECK(ask(&p, PRIVOPS_RESTORE, NULL, -1, &out, &err) == 0);
	CHECK(strcmp(p.fake.called, "restore") == 0);
	CHECK(ask(&p, PRIVOPS_MARK_SOCKET, NULL, p.sock[0], &out, &err) == 0 && out == -1);
	CHECK(strcmp(p.fake.called, "mark") == 0);
	CHECK(ask(&p, PRIVOPS_OPEN_TUN, &tun, -1, &out, &err) == 0);
	CHECK(fcntl(out, F_GETFD) == FD_CLOEXEC);
	(void)close(out);
	pair_close(&p);
}

TEST(failures_come_back_with_their_reason)
{
	struct privops_route r = { { ip_v4(10, 0, 0, 0), 8 }, PRIVOPS_ROUTE_TUNNEL, true };
	struct err err;
	struct pair p;
	int out;

	pair_open(&p);
	p.fake.fail = 1;
	CHECK(ask(&p, PRIVOPS_OP_ROUTE, &r, -1, &out, &err) == -1);
	CHECK(err.code == ERR_LIMIT && strcmp(err.text, "as asked") == 0);
	pair_close(&p);
}

static bool refused(struct pair *p, uint32_t op, const void *body)
{
	struct err err;
	int out;

	return ask(p, op, body, -1, &out, &err) == -1 && err.code == ERR_REFUSED &&
	       !p->fake.called[0];
}

TEST(wrong_values_are_refused)
{
	struct privops_address a = { { ip_v4(100, 64, 0, 7), 32 }, true };
	struct privops_route r = { { ip_v4(10, 0, 0, 0), 8 }, PRIVOPS_ROUTE_TUNNEL, true };
	struct privops_dns dns = { .search_count = 1 };
	struct privops_tun tun = { "weft0", 1280 };
	struct privops_udp udp = { 4, 53 };
	struct pair p;
	uint8_t two = 2;

	pair_open(&p);
	a.addr.len = 33;
	CHECK(refused(&p, PRIVOPS_OP_ADDRESS, &a));
	a.addr.len = 32;
	a.addr.addr.b[15] = 1; /* behind an IPv4 address */
	CHECK(refused(&p, PRIVOPS_OP_ADDRESS, &a));
	a.addr.addr = ip_v4(100, 64, 0, 7);
	memcpy(&a.add, &two, 1);
	CHECK(refused(&p, PRIVOPS_OP_ADDRESS, &a));
	r.kind = 9;
	CHECK(refused(&p, PRIVOPS_OP_ROUTE, &r));
	r.kind = PRIVOPS_ROUTE_THROW;
	r.to.len = 4; /* now there are host bits */
	CHECK(refused(&p, PRIVOPS_OP_ROUTE, &r));
	(void)strcpy(dns.search[0], "a b");
	CHECK(refused(&p, PRIVOPS_OP_DNS, &dns));
	memset(dns.search[0], 'a', sizeof(dns.search[0])); /* no end */
	CHECK(refused(&p, PRIVOPS_OP_DNS, &dns));
	dns.search_count = 255;
	CHECK(refused(&p, PRIVOPS_OP_DNS, &dns));
	(void)strcpy(tun.name, "../x");
	CHECK(refused(&p, PRIVOPS_OPEN_TUN, &tun));
	(void)strcpy(tun.name, "eth0"); /* not the one of the command line */
	CHECK(refused(&p, PRIVOPS_OPEN_TUN, &tun));
	udp.family = 5;
	CHECK(refused(&p, PRIVOPS_OPEN_UDP, &udp));
	udp = (struct privops_udp){ 4, 22 };
	CHECK(refused(&p, PRIVOPS_OPEN_UDP, &udp));
	CHECK(refused(&p, PRIVOPS_RULES, &two));
	pair_close(&p);
}

static void check_nonsense(const void *msg, size_t n, int fds)
{
	struct err err = { 0 };
	struct pair p;

	pair_open(&p);
	CHECK(privops_send(p.sock[0], bytes_of(msg, n), fds ? p.sock[0] : -1, &err) == 0);
	CHECK(privops_serve(&p.fake.head, p.sock[1], &limits, &err) == -1);
	CHECK(err.code == ERR_MALFORMED && !p.fake.called[0]);
	pair_close(&p);
}

TEST(nonsense_ends_the_engine)
{
	static uint8_t msg[PRIVOPS_REQUEST_MAX + 1];
	struct privops_address a = { { ip_v4(100, 64, 0, 7), 32 }, true };
	struct privops_request *r = mem_alloc(sizeof(*r));
	size_t n = privops_request_encode(msg, PRIVOPS_OP_ADDRESS, &a);
	struct err err;

	for (size_t cut = 0; cut < n; cut++) {
		struct bytes exact = kit_copy(bytes_of(msg, cut));

		CHECK(privops_request_decode(r, exact, false, &err) == -1);
	}
	CHECK(privops_request_decode(r, bytes_of(msg, n), false, &err) == 0 && r->is_valid);
	check_nonsense(msg, n - 1, 0);
	check_nonsense(msg, n + 1, 0);
	check_nonsense(msg, n, 1); /* a descriptor that nobody asked for */
	check_nonsense(msg, sizeof(msg), 0);
	msg[0] = PRIVOPS_OPS;
	check_nonsense(msg, n, 0);
	memset(msg, 0, sizeof(msg));
	check_nonsense(msg, n, 0);
	mem_free(r);
}

TEST(several_descriptors_are_closed)
{
	int sock[2], got = -1, before, after;
	uint8_t byte = 0, buffer[8];
	char room[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = room,
			    .msg_controllen = sizeof(room) };
	struct cmsghdr *c;
	struct err err;
	size_t n;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) == 0);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), sock, 2 * sizeof(int));
	CHECK(sendmsg(sock[0], &m, 0) == 1);
	before = dup(0);
	(void)close(before);
	CHECK(privops_receive(sock[1], buffer, sizeof(buffer), &n, &got, &err) == -1);
	CHECK(err.code == ERR_MALFORMED && got == -1);
	after = dup(0);
	(void)close(after);
	CHECK(before == after);
	(void)close(sock[0]);
	CHECK(privops_receive(sock[1], buffer, sizeof(buffer), &n, &got, &err) == 0 && n == 0);
	(void)close(sock[1]);
}

TEST(a_helper_that_is_gone_is_an_error)
{
	struct privops_route r = { { ip_v4(10, 0, 0, 0), 8 }, PRIVOPS_ROUTE_TUNNEL, true };
	struct err err;
	struct pair p;

	pair_open(&p);
	(void)shutdown(p.sock[1], SHUT_RDWR);
	CHECK(p.remote->ops->route(p.remote, &r, &err) == -1 && err.code == ERR_SYSTEM);
	p.remote->ops->restore(p.remote);
	pair_close(&p);
}

TEST(replies_are_checked)
{
	uint8_t reply[PRIVOPS_REPLY_MAX];
	size_t len;
	struct err why, err;

	err_set(&why, ERR_SYSTEM, "%s", "no");
	why.sys = 13;
	len = privops_reply_encode(reply, -1, &why, bytes_of(NULL, 0));
	CHECK(privops_reply_decode(bytes_of(reply, len), NULL, 0, &err) == -1);
	CHECK(err.code == ERR_SYSTEM && err.sys == 13 && strcmp(err.text, "no") == 0);
	for (size_t n = 0; n < len; n++)
		CHECK(privops_reply_decode(kit_copy(bytes_of(reply, n)), NULL, 0, &err) == -1);
	reply[4] = 99; /* no such code */
	CHECK(privops_reply_decode(bytes_of(reply, len), NULL, 0, &err) == -1);
	CHECK(err.code == ERR_INTERNAL);
}
