/* io/listen.h - an accepting socket of either kind; tcp.h and unix.c build on it. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/ip.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/sock.h"

struct tcp_listener {
	struct loop *loop;
	int fd;
	enum sock_kind kind;
	bool destroyed;
	struct io_watch watch;
	struct io_timer resume;
	struct log log;
	char *path; /* of a unix socket: removed at the end when it is still ours */
	dev_t path_dev;
	ino_t path_ino;
	void (*on_accept)(void *arg, struct stream *s, struct addrport peer);
	void (*on_fd)(void *arg, int fd, struct addrport peer); /* instead of on_accept */
	void *arg;
};

/* Takes fd, listening; closes it on error. */
struct tcp_listener *listen_create(struct loop *loop, int fd, enum sock_kind kind,
				   void (*on_accept)(void *arg, struct stream *s,
						     struct addrport peer),
				   void *arg, struct err *err);
