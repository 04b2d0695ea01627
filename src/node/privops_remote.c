/* node/privops_remote.c - see privops_remote.h. */
#include "node/privops_remote.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/privops_msg.h"

enum { UNPRIVILEGED_PORT = 1024 };

/* ---- the engine's end ---- */

struct remote {
	struct privops head;
	int sock;
	uint8_t message[PRIVOPS_REQUEST_MAX > PRIVOPS_REPLY_MAX ? PRIVOPS_REQUEST_MAX
								: PRIVOPS_REPLY_MAX];
};

/* What a call gives besides success: neither, a descriptor or an answer. */
struct gain {
	int *fd;
	void *answer;
	size_t answer_len;
};

static int call(struct privops *p, uint32_t op, const void *body, int fd, struct gain gain,
		struct err *err)
{
	struct remote *r = container_of(p, struct remote, head);
	size_t n = privops_request_encode(r->message, op, body);
	int got = -1, ret;

	if (privops_send(r->sock, bytes_of(r->message, n), fd, err) < 0 ||
	    privops_receive(r->sock, r->message, sizeof(r->message), &n, &got, err) < 0)
		return -1;
	if (n == 0)
		return err_set(err, ERR_SYSTEM, "the helper process is gone");
	ret = privops_reply_decode(bytes_of(r->message, n), gain.answer, gain.answer_len, err);
	if (ret == 0 && gain.fd && got < 0)
		return err_set(err, ERR_INTERNAL, "the helper gave no descriptor");
	if (ret == 0 && gain.fd)
		*gain.fd = got;
	else if (got >= 0)
		(void)close(got);
	return ret;
}

static int plain_call(struct privops *p, uint32_t op, const void *body, struct err *err)
{
	return call(p, op, body, -1, (struct gain){ 0 }, err);
}

static int open_tun(struct privops *p, const struct privops_tun *want, int *fd, struct err *err)
{
	return call(p, PRIVOPS_OPEN_TUN, want, -1, (struct gain){ .fd = fd }, err);
}

static int open_udp(struct privops *p, const struct privops_udp *want, int *fd, struct err *err)
{
	return call(p, PRIVOPS_OPEN_UDP, want, -1, (struct gain){ .fd = fd }, err);
}

static int mark_socket(struct privops *p, int fd, struct err *err)
{
	return call(p, PRIVOPS_MARK_SOCKET, NULL, fd, (struct gain){ 0 }, err);
}

static int change_rules(struct privops *p, bool on, struct err *err)
{
	return plain_call(p, PRIVOPS_RULES, &(struct privops_rules){ on }, err);
}

static int dns_watch(struct privops *p, int *fd, struct err *err)
{
	return call(p, PRIVOPS_DNS_WATCH, NULL, -1, (struct gain){ .fd = fd }, err);
}

static void restore(struct privops *p)
{
	struct err ignored; /* a helper that is gone has restored */

	(void)plain_call(p, PRIVOPS_RESTORE, NULL, &ignored);
}

static void destroy(struct privops *p)
{
	struct remote *r = container_of(p, struct remote, head);

	(void)close(r->sock);
	mem_free(r);
}

#define X(name, NAME, type)                                                                        \
	static int name##_call(struct privops *p, const type *body, struct err *err)               \
	{                                                                                          \
		return plain_call(p, PRIVOPS_OP_##NAME, body, err);                                \
	}
PRIVOPS_STRUCT_OPS(X)
#undef X

#define X(name, NAME, type)                                                                        \
	static int name##_call(struct privops *p, type *out, struct err *err)                      \
	{                                                                                          \
		struct gain gain = { .answer = out, .answer_len = sizeof(*out) };                  \
                                                                                                   \
		return call(p, PRIVOPS_OP_##NAME, NULL, -1, gain, err);                            \
	}
PRIVOPS_ANSWER_OPS(X)
#undef X

struct privops *privops_remote_create(int sock)
{
	static const struct privops_ops ops = { .open_tun = open_tun,
						.open_udp = open_udp,
						.mark = mark_socket,
						.rules = change_rules,
						.dns_watch = dns_watch,
						.restore = restore,
						.destroy = destroy,
#define X(name, NAME, type) .name = name##_call,
						PRIVOPS_STRUCT_OPS(X) PRIVOPS_ANSWER_OPS(X)
#undef X
	};
	struct remote *r = mem_alloc(sizeof(*r));

	r->head.ops = &ops;
	r->sock = sock;
	return &r->head;
}

/* ---- the helper's end ---- */

static int check_limits(const struct privops_request *r, const struct privops_limits *limits,
			struct err *err)
{
	if (!r->is_valid)
		return err_set(err, ERR_REFUSED, "the helper does not %s with such values",
			       r->row->name);
	if (r->op == PRIVOPS_OPEN_TUN &&
	    strcmp(((const struct privops_tun *)r->body)->name, limits->device) != 0)
		return err_set(err, ERR_REFUSED, "the helper opens no device but '%s'",
			       limits->device);
	if (r->op == PRIVOPS_OPEN_UDP) {
		uint16_t port = ((const struct privops_udp *)r->body)->port;

		if (port && port < UNPRIVILEGED_PORT && port != limits->port)
			return err_set(err, ERR_REFUSED, "the helper does not open port %u", port);
	}
	return 0;
}

/* Does what was asked for; the length of the reply. */
static size_t run(struct privops *local, const struct privops_request *r,
		  const struct privops_limits *limits, int fd, int *out, uint8_t *reply)
{
	alignas(max_align_t) uint8_t answer[PRIVOPS_ANSWER_MAX] = { 0 };
	struct privops_call c = { r->body, fd, out, answer };
	struct err why = { 0 };
	int ret = check_limits(r, limits, &why);

	if (ret == 0)
		ret = r->row->run(local, &c, &why);
	return privops_reply_encode(reply, ret, &why, bytes_of(answer, r->row->answer));
}

int privops_serve(struct privops *local, int sock, const struct privops_limits *limits,
		  struct err *err)
{
	uint8_t message[PRIVOPS_REQUEST_MAX], reply[PRIVOPS_REPLY_MAX];
	struct privops_request request;
	int fd = -1, out = -1, ret;
	size_t n;

	if (privops_receive(sock, message, sizeof(message), &n, &fd, err) < 0)
		return -1;
	if (n == 0) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	ret = privops_request_decode(&request, bytes_of(message, n), fd >= 0, err);
	if (ret == 0) {
		n = run(local, &request, limits, fd, &out, reply);
		ret = privops_send(sock, bytes_of(reply, n), out, err) < 0 ? 0 : 1;
	}
	/* The device must live as long as the engine, not as long as we do. */
	if (out >= 0)
		(void)close(out);
	if (fd >= 0)
		(void)close(fd);
	return ret;
}
