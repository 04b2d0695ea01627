/* Accepting, for TCP and unix sockets. */
#include "io/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/listen.h"
#include "io/sockaddr.h"

enum {
	ACCEPTS_PER_TURN = 64,
	HAND_OFFS_PER_TURN = 1024, /* they cost next to nothing, and a full backlog drops SYNs */
	OUT_OF_FDS_PAUSE_MS = 100,
	BACKLOG = 4096
};

static void hand_up(struct tcp_listener *l, int fd, const struct sockaddr_storage *sa)
{
	struct sock *k;

	if (l->on_fd) {
		l->on_fd(l->arg, fd, sockaddr_addrport(sa));
		return;
	}
	k = sock_create(l->loop, l->kind);
	k->peer = sockaddr_addrport(sa);
	k->s.open = true;
	(void)sock_attach(k, fd);
	l->on_accept(l->arg, &k->s, k->peer);
}

/* Out of descriptors or memory: the queue waits in the kernel, and we do not spin on it. */
static void pause_accepting(struct tcp_listener *l, int error)
{
	struct err why;

	errno = error;
	err_sys(&why, "accept");
	log_warn(&l->log, "%s, pausing for %d ms", why.text, OUT_OF_FDS_PAUSE_MS);
	io_watch_events(&l->watch, 0);
	io_timer_in_ms(l->loop, &l->resume, OUT_OF_FDS_PAUSE_MS);
}

static void on_resume(struct io_timer *t)
{
	io_watch_events(&container_of(t, struct tcp_listener, resume)->watch, IO_READ);
}

static void on_incoming(struct io_watch *w, unsigned events)
{
	struct tcp_listener *l = container_of(w, struct tcp_listener, watch);

	int most = l->on_fd ? HAND_OFFS_PER_TURN : ACCEPTS_PER_TURN;

	(void)events;
	for (int i = 0; i < most && !l->destroyed; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof(sa);
		int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			hand_up(l, fd, &sa);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			pause_accepting(l, errno);
			return;
		}
		/* Anything else is about the connection that was to be accepted, and it is gone. */
	}
}

struct tcp_listener *listen_create(struct loop *loop, int fd, enum sock_kind kind,
				   void (*on_accept)(void *arg, struct stream *s,
						     struct addrport peer),
				   void *arg, struct err *err)
{
	struct tcp_listener *l = mem_alloc(sizeof(*l));

	l->loop = loop;
	l->fd = fd;
	l->kind = kind;
	l->on_accept = on_accept;
	l->arg = arg;
	io_timer_init(&l->resume, on_resume);
	if (io_watch_start(loop, &l->watch, fd, IO_READ, on_incoming, err) < 0) {
		(void)close(fd);
		mem_free(l);
		return NULL;
	}
	return l;
}

static int bind_and_listen(int fd, struct addrport at, struct err *err)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(at, &sa);
	int on = 1, only_v6 = !ip_is_unspecified(at.ip);
	char text[ADDRPORT_TEXT_MAX];

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at.ip.family == 6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6));
	if (bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(err, "listen on %s", addrport_format(at, text));
	return 0;
}

struct tcp_listener *tcp_listen(struct loop *loop, struct addrport at,
				void (*on_accept)(void *arg, struct stream *s,
						  struct addrport peer),
				void *arg, struct err *err)
{
	bool any = !ip_is_valid(at.ip);
	int fd;

	if (any)
		at.ip = ip_v6_of((const uint8_t[16]){ 0 });
	fd = socket(at.ip.family == 4 ? AF_INET : AF_INET6,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 && any && errno == EAFNOSUPPORT) {
		at.ip = ip_v4(0, 0, 0, 0);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd < 0) {
		err_sys(err, "listen: socket");
		return NULL;
	}
	if (bind_and_listen(fd, at, err) < 0) {
		(void)close(fd);
		return NULL;
	}
	return listen_create(loop, fd, SOCK_TCP, on_accept, arg, err);
}

struct tcp_listener *tcp_listen_fd(struct loop *loop, int fd,
				   void (*on_accept)(void *arg, struct stream *s,
						     struct addrport peer),
				   void *arg, struct err *err)
{
	int family = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof(family);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0) {
		err_sys(err, "listen on inherited socket");
		(void)close(fd);
		return NULL;
	}
	return listen_create(loop, fd, family == AF_UNIX ? SOCK_UNIX : SOCK_TCP, on_accept, arg,
			     err);
}

struct addrport tcp_listener_address(const struct tcp_listener *l)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(l->fd, (struct sockaddr *)&sa, &len) < 0)
		return (struct addrport){ 0 };
	return sockaddr_addrport(&sa);
}

void tcp_listener_set_log(struct tcp_listener *l, const struct log *log)
{
	l->log = *log;
}

void tcp_listener_hand_off(struct tcp_listener *l,
			   void (*fn)(void *arg, int fd, struct addrport peer))
{
	l->on_fd = fn;
}

static void remove_socket_file(const struct tcp_listener *l)
{
	struct stat st;

	if (lstat(l->path, &st) == 0 && st.st_dev == l->path_dev && st.st_ino == l->path_ino)
		(void)unlink(l->path);
}

void tcp_listener_destroy(struct tcp_listener *l)
{
	if (!l || l->destroyed)
		return;
	l->destroyed = true;
	if (l->path)
		remove_socket_file(l);
	mem_free(l->path);
	io_timer_stop(&l->resume);
	io_watch_stop(&l->watch);
	(void)close(l->fd);
	loop_free_later(l->loop, l);
}
