/* node/privops_msg.c - see privops_msg.h. */
#include "node/privops_msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = 8 }; /* received only to be closed again: more than one is an error */

size_t privops_request_encode(uint8_t *out, uint32_t op, const void *body)
{
	const struct privops_row *row = privops_row(op);
	uint32_t size = (uint32_t)row->size;

	memcpy(out, &op, sizeof(op));
	memcpy(out + 4, &size, sizeof(size));
	if (size)
		memcpy(out + PRIVOPS_HEAD_LEN, body, size);
	return PRIVOPS_HEAD_LEN + size;
}

int privops_request_decode(struct privops_request *r, struct bytes msg, bool has_fd,
			   struct err *err)
{
	uint32_t size;

	if (msg.n < PRIVOPS_HEAD_LEN)
		return err_set(err, ERR_MALFORMED, "a request of %zu bytes", msg.n);
	memcpy(&r->op, msg.p, sizeof(r->op));
	memcpy(&size, msg.p + 4, sizeof(size));
	r->row = privops_row(r->op);
	if (!r->row)
		return err_set(err, ERR_MALFORMED, "there is no operation %u", r->op);
	if (size != r->row->size || msg.n != PRIVOPS_HEAD_LEN + r->row->size)
		return err_set(err, ERR_MALFORMED, "'%s' with %zu bytes instead of %zu",
			       r->row->name, msg.n, PRIVOPS_HEAD_LEN + r->row->size);
	if (has_fd != r->row->takes_fd)
		return err_set(err, ERR_MALFORMED, "'%s' %s a descriptor", r->row->name,
			       has_fd ? "with" : "without");
	if (size)
		memcpy(r->body, msg.p + PRIVOPS_HEAD_LEN, size);
	r->is_valid = !r->row->is_valid || r->row->is_valid(r->body);
	return 0;
}

size_t privops_reply_encode(uint8_t out[PRIVOPS_REPLY_MAX], int ret, const struct err *err,
			    struct bytes answer)
{
	int32_t head[3] = { ret < 0 ? -1 : 0, 0, 0 };

	memset(out, 0, PRIVOPS_REPLY_LEN);
	if (ret < 0) {
		head[1] = (int32_t)err->code;
		head[2] = err->sys;
		memcpy(out + sizeof(head), err->text, strnlen(err->text, sizeof(err->text) - 1));
		answer.n = 0;
	}
	memcpy(out, head, sizeof(head));
	if (answer.n)
		memcpy(out + PRIVOPS_REPLY_LEN, answer.p, answer.n);
	return PRIVOPS_REPLY_LEN + answer.n;
}

static int take_failure(struct bytes msg, int32_t code, int32_t sys, struct err *err)
{
	if (code <= ERR_NONE || code > ERR_INTERNAL)
		code = ERR_INTERNAL;
	err_set(err, (enum err_code)code, "%s", (const char *)msg.p + PRIVOPS_REPLY_LEN - 256);
	if (err)
		err->sys = sys;
	return -1;
}

int privops_reply_decode(struct bytes msg, void *answer, size_t n, struct err *err)
{
	int32_t head[3];

	if (msg.n < PRIVOPS_REPLY_LEN || msg.p[PRIVOPS_REPLY_LEN - 1])
		return err_set(err, ERR_INTERNAL, "the helper's reply has %zu bytes", msg.n);
	memcpy(head, msg.p, sizeof(head));
	if (head[0] != 0)
		return take_failure(msg, head[1], head[2], err);
	if (msg.n != PRIVOPS_REPLY_LEN + n)
		return err_set(err, ERR_INTERNAL, "the helper's answer has %zu bytes, not %zu",
			       msg.n - PRIVOPS_REPLY_LEN, n);
	if (n)
		memcpy(answer, msg.p + PRIVOPS_REPLY_LEN, n);
	return 0;
}

/* ---- on the socket ---- */

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int privops_send(int sock, struct bytes msg, int fd, struct err *err)
{
	struct iovec iov = { .iov_base = (void *)msg.p, .iov_len = msg.n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control = { 0 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(sizeof(fd));
	}
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, "write to the other half of the daemon") : 0;
}

static unsigned take_fds(struct msghdr *m, int fds[FDS_MAX])
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i + sizeof(int) <= len && n < FDS_MAX; i += sizeof(int))
			memcpy(&fds[n++], CMSG_DATA(c) + i, sizeof(int));
	}
	return n;
}

int privops_receive(int sock, uint8_t *msg, size_t size, size_t *n, int *fd, struct err *err)
{
	struct iovec iov = { .iov_base = msg, .iov_len = size };
	union control control;
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	int fds[FDS_MAX];
	unsigned count;
	ssize_t got;

	do {
		got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno != ECONNRESET)
		return err_sys(err, "read from the other half of the daemon");
	count = got < 0 ? 0 : take_fds(&m, fds);
	if (count > 1 || (got > 0 && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))) {
		for (unsigned i = 0; i < count; i++)
			(void)close(fds[i]);
		return err_set(err, ERR_MALFORMED, "a message that is too long, or %u descriptors",
			       count);
	}
	*n = got < 0 ? 0 : (size_t)got;
	*fd = count ? fds[0] : -1;
	return 0;
}
