/* Unix sockets: who may come in is a matter of file permissions, who came in of the kernel's word.
 */
#include "io/tcp.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/listen.h"
#include "io/sock.h"

enum { BACKLOG = 128, RETRY_MS = 10, RETRIES = 500 };

static int make_address(struct sockaddr_un *sa, const char *path, struct err *err)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path || !bytes_to_cstr(bytes_str(path), sa->sun_path, sizeof(sa->sun_path)))
		return err_set(err, ERR_USAGE, "socket path %.60s: must have 1 to %zu characters",
			       path, sizeof(sa->sun_path) - 1);
	return 0;
}

static int make_socket(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? err_sys(err, "unix socket") : fd;
}

/* ---- listening ---- */

/* Removes what a dead process left behind; refuses what is alive or is no socket. */
static int clear_path(const struct sockaddr_un *sa, struct err *err)
{
	struct stat st;
	int fd, error;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "look at %s", sa->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_REFUSED, "%s exists and is no socket", sa->sun_path);
	fd = make_socket(err);
	if (fd < 0)
		return -1;
	error = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? errno : 0;
	(void)close(fd);
	if (error != ECONNREFUSED)
		return err_set(err, ERR_REFUSED, "%s belongs to a running process", sa->sun_path);
	if (unlink(sa->sun_path) < 0)
		return err_sys(err, "remove dead socket %s", sa->sun_path);
	return 0;
}

static int bind_path(int fd, const struct sockaddr_un *sa, mode_t mode, struct err *err)
{
	/*
	 * The mode of the socket before bind becomes the mode of the file, less the umask: there is
	 * no moment in which the file is wider open than asked. chmod then undoes the umask.
	 */
	if (fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return err_sys(err, "listen on %s", sa->sun_path);
	if (chmod(sa->sun_path, mode) < 0 || listen(fd, BACKLOG) < 0) {
		err_sys(err, "listen on %s", sa->sun_path);
		(void)unlink(sa->sun_path);
		return -1;
	}
	return 0;
}

int unix_bind(const char *path, mode_t mode, struct err *err)
{
	struct sockaddr_un sa;
	int fd;

	if (make_address(&sa, path, err) < 0 || clear_path(&sa, err) < 0)
		return -1;
	fd = make_socket(err);
	if (fd >= 0 && bind_path(fd, &sa, mode, err) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

struct tcp_listener *unix_listen_fd(struct loop *loop, int fd,
				    void (*on_accept)(void *arg, struct stream *s,
						      struct addrport peer),
				    void *arg, struct err *err)
{
	return listen_create(loop, fd, SOCK_UNIX, on_accept, arg, err);
}

struct tcp_listener *unix_listen(struct loop *loop, const char *path, mode_t mode,
				 void (*on_accept)(void *arg, struct stream *s,
						   struct addrport peer),
				 void *arg, struct err *err)
{
	int fd = unix_bind(path, mode, err);
	struct tcp_listener *l;
	struct stat st;

	if (fd < 0)
		return NULL;
	l = listen_create(loop, fd, SOCK_UNIX, on_accept, arg, err);
	if (l && lstat(path, &st) == 0) {
		l->path = mem_strdup(path);
		l->path_dev = st.st_dev;
		l->path_ino = st.st_ino;
	}
	return l;
}

/* ---- connecting ---- */

struct unix_dial {
	struct sock *sock;
	struct loop *loop;
	struct sockaddr_un sa;
	struct err why; /* set when the path cannot be an address */
	struct io_timer retry;
	unsigned tries;
	bool done;
};

static void unix_dial_destroy(void *arg)
{
	struct unix_dial *d = arg;

	d->done = true;
	io_timer_stop(&d->retry);
	loop_free_later(d->loop, d);
}

static void unix_dial_end(struct unix_dial *d, int fd)
{
	struct sock *k = d->sock;

	k->on_destroy = NULL;
	unix_dial_destroy(d);
	if (fd < 0)
		sock_fail(k, &d->why);
	else if (sock_attach(k, fd))
		stream_emit_open(&k->s);
}

static void unix_dial_try(struct unix_dial *d)
{
	int fd = make_socket(&d->why);

	if (fd < 0) {
		unix_dial_end(d, -1);
		return;
	}
	if (connect(fd, (struct sockaddr *)&d->sa, sizeof(d->sa)) == 0) {
		unix_dial_end(d, fd);
		return;
	}
	err_sys(&d->why, "connect %s", d->sa.sun_path);
	(void)close(fd);
	if (d->why.sys == EAGAIN && ++d->tries < RETRIES) /* a full backlog says so at once */
		io_timer_in_ms(d->loop, &d->retry, RETRY_MS);
	else
		unix_dial_end(d, -1);
}

static void on_retry(struct io_timer *t)
{
	unix_dial_try(container_of(t, struct unix_dial, retry));
}

static void unix_dial_start(void *arg)
{
	struct unix_dial *d = arg;

	if (d->done)
		return;
	if (d->why.code != ERR_NONE)
		unix_dial_end(d, -1);
	else
		unix_dial_try(d);
}

struct stream *unix_connect(struct loop *loop, const char *path)
{
	struct sock *k = sock_create(loop, SOCK_UNIX);
	struct unix_dial *d = mem_alloc(sizeof(*d));

	d->sock = k;
	d->loop = loop;
	k->on_destroy = unix_dial_destroy;
	k->dialer = d;
	io_timer_init(&d->retry, on_retry);
	(void)make_address(&d->sa, path, &d->why);
	loop_defer(loop, unix_dial_start, d);
	return &k->s;
}

bool unix_peer_cred(const struct stream *s, struct unix_cred *cred)
{
	const struct sock *k = sock_below(s);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!k || k->fd < 0 || stream_find((struct stream *)s, "unix") == NULL ||
	    getsockopt(k->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	*cred = (struct unix_cred){ peer.pid, peer.uid, peer.gid };
	return true;
}
