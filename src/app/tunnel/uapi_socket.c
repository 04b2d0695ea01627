#include "app/tunnel/uapi_socket.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/tunnel/uapi.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mono.h"
#include "crypto/secret.h"

enum { IDLE_S = 60 }; /* a client that says nothing for so long makes room for others */

struct client {
	int fd; /* -1: free */
	struct buf in, out;
	struct mono heard;
};

struct uapi_socket {
	struct device *d;
	int fd;
	struct sockaddr_un addr;
	struct client clients[UAPI_CLIENTS_MAX];
	int at[UAPI_POLL_MAX]; /* which client each pollfd is of */
};

static bool somebody_listens(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

	if (fd >= 0)
		(void)close(fd);
	return yes;
}

static int listen_at(struct uapi_socket *u, struct err *err)
{
	mode_t before;
	int ret;

	if (somebody_listens(&u->addr))
		return err_set(err, ERR_REFUSED, "%s: another program serves this interface",
			       u->addr.sun_path);
	(void)unlink(u->addr.sun_path);
	u->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	before = umask(0077);
	ret = u->fd < 0 ? -1 : bind(u->fd, (struct sockaddr *)&u->addr, sizeof(u->addr));
	(void)umask(before);
	if (ret < 0 || listen(u->fd, UAPI_CLIENTS_MAX) < 0)
		return err_sys(err, "listen on %s", u->addr.sun_path);
	return 0;
}

struct uapi_socket *uapi_socket_create(struct device *d, const char *name, struct err *err)
{
	struct uapi_socket *u = mem_alloc(sizeof(*u));

	u->d = d;
	u->fd = -1;
	u->addr.sun_family = AF_UNIX;
	(void)snprintf(u->addr.sun_path, sizeof(u->addr.sun_path), UAPI_FOLDER "/%s.sock", name);
	for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
		u->clients[i].fd = -1;
	if (listen_at(u, err) < 0) {
		if (u->fd >= 0)
			(void)close(u->fd);
		mem_free(u);
		return NULL;
	}
	return u;
}

/* Both buffers may hold private keys. */
static void wipe_buf(struct buf *b)
{
	if (b->p)
		secret_wipe(b->p, b->cap);
	buf_fini(b);
}

static void drop(struct client *c)
{
	(void)close(c->fd);
	c->fd = -1;
	wipe_buf(&c->in);
	wipe_buf(&c->out);
}

void uapi_socket_destroy(struct uapi_socket *u)
{
	if (!u)
		return;
	for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
		if (u->clients[i].fd >= 0)
			drop(&u->clients[i]);
	(void)unlink(u->addr.sun_path);
	(void)close(u->fd);
	mem_free(u);
}

int uapi_socket_fds(struct uapi_socket *u, struct pollfd fds[UAPI_POLL_MAX])
{
	int n = 0;

	u->at[n] = -1;
	fds[n++] = (struct pollfd){ u->fd, POLLIN, 0 };
	for (int i = 0; i < UAPI_CLIENTS_MAX; i++) {
		const struct client *c = &u->clients[i];

		if (c->fd < 0)
			continue;
		u->at[n] = i;
		/* An answer that is not taken holds back the next request. */
		fds[n++] = (struct pollfd){ c->fd, c->out.n ? POLLOUT : POLLIN, 0 };
	}
	return n;
}

static struct client *free_client(struct uapi_socket *u)
{
	struct mono now = mono_now();

	for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
		if (u->clients[i].fd < 0)
			return &u->clients[i];
	for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
		if (mono_since_ms(now, u->clients[i].heard) > IDLE_S * 1000) {
			drop(&u->clients[i]);
			return &u->clients[i];
		}
	return NULL;
}

static void accept_one(struct uapi_socket *u)
{
	int fd = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c = fd < 0 ? NULL : free_client(u);

	if (fd < 0)
		return;
	if (!c) {
		(void)close(fd);
		return;
	}
	c->fd = fd;
	c->heard = mono_now();
	buf_init(&c->in, UAPI_REQUEST_MAX);
	buf_init(&c->out, UAPI_ANSWER_MAX);
}

static bool send_answer(struct client *c)
{
	ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	buf_consume(&c->out, (size_t)n);
	return true;
}

static bool answer_all(struct uapi_socket *u, struct client *c)
{
	size_t n;

	while (c->out.n == 0 && (n = uapi_request_length(buf_bytes(&c->in))) > 0) {
		if (!uapi_answer(u->d, bytes_of(c->in.p, n), &c->out))
			return false;
		buf_consume(&c->in, n);
		if (!send_answer(c))
			return false;
	}
	return true;
}

static bool read_request(struct uapi_socket *u, struct client *c)
{
	enum { PIECE = 65536 };
	uint8_t *room = buf_reserve(&c->in, PIECE);
	ssize_t n = room ? recv(c->fd, room, PIECE, MSG_DONTWAIT) : 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->in.n += (size_t)n;
	c->heard = mono_now();
	return answer_all(u, c);
}

void uapi_socket_serve(struct uapi_socket *u, const struct pollfd *fds, int n)
{
	for (int i = 1; i < n; i++) {
		struct client *c = &u->clients[u->at[i]];
		bool alive = true;

		if (!fds[i].revents)
			continue;
		if (c->out.n)
			alive = send_answer(c) && answer_all(u, c);
		else
			alive = read_request(u, c);
		if (!alive)
			drop(c);
	}
	if (n > 0 && fds[0].revents)
		accept_one(u);
}
