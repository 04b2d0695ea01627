/*
 * io/sock.h - the bottom stream over one connected socket: what TCP and unix streams share.
 *
 * A sock without fd (-1) is still being dialed: what is sent queues. Whoever dials sets on_destroy
 * to hear that the owner gave up.
 */
#pragma once

#include <sys/uio.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/list.h"
#include "io/loop.h"
#include "io/stream.h"

enum sock_kind { SOCK_TCP, SOCK_UNIX };

struct sock {
	struct stream s;
	int fd;
	struct io_watch watch;
	struct list chunks;
	size_t queued;
	bool drain_owed; /* the queue was above STREAM_LOW */
	bool blocked;    /* the kernel's buffer is full */
	bool write_due;  /* a deferred write is queued */
	bool shut;       /* our end of the stream was sent */
	bool failed;     /* why is in `why`; the close is on its way */
	struct err why;
	struct io_timer linger;
	struct addrport peer;
	void (*on_destroy)(void *dialer);
	void *dialer;
};

struct sock *sock_create(struct loop *loop, enum sock_kind kind);
/* Takes fd, connected and non-blocking. False: the close is on its way. */
bool sock_attach(struct sock *k, int fd);
/* Reports the error at the end of this turn. */
void sock_fail(struct sock *k, const struct err *why);
/* The sock at the bottom of a stack, or NULL. */
struct sock *sock_below(const struct stream *s);
