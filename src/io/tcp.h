/* io/tcp.h - the bottom of most stacks: TCP and unix sockets as streams. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/ip.h"

struct err;
struct log;
struct loop;
struct stream;
struct tcp_listener;

enum { TCP_ADDRESS_MAX = 16 };

struct tcp_conf {
	const char *host;   /* name or address; resolved off the loop */
	struct addrport to; /* used when host is NULL */
	/* Used when both are empty: several addresses of one server, at most TCP_ADDRESS_MAX. */
	const struct addrport *addresses;
	size_t address_count;
	uint16_t port;       /* with host */
	unsigned timeout_ms; /* whole connect; 0: 10 s */
	uint32_t mark;       /* SO_MARK; 0: none */
	const char *device;  /* SO_BINDTODEVICE, or NULL */
	/* Called with each new socket before connect; false fails the attempt. May be NULL. */
	bool (*on_socket)(void *arg, int fd);
	void *arg;
};

/*
 * Starts at once; on_open or on_close follows. Tries all addresses of a name, the families in turn:
 * the next one when the one before failed or was silent for 250 ms (RFC 8305).
 */
struct stream *tcp_connect(struct loop *loop, const struct tcp_conf *conf);
/* Takes fd, connected; open at once, there is no on_open. */
struct stream *tcp_from_fd(struct loop *loop, int fd);
struct addrport tcp_peer(const struct stream *s); /* works on any stack over TCP */
int tcp_fd(const struct stream *s);               /* -1 when there is none below */
/* The host lost the address that this connection is bound to: nothing will come any more. */
bool tcp_address_is_gone(const struct stream *s);

struct tcp_listener *tcp_listen(struct loop *loop, struct addrport at,
				void (*on_accept)(void *arg, struct stream *s,
						  struct addrport peer),
				void *arg, struct err *err);
struct tcp_listener *tcp_listen_fd(struct loop *loop, int fd,
				   void (*on_accept)(void *arg, struct stream *s,
						     struct addrport peer),
				   void *arg, struct err *err); /* takes fd */
struct addrport tcp_listener_address(const struct tcp_listener *l);
/* Where it says that accepting had to pause because the process or system is out of fds. */
void tcp_listener_set_log(struct tcp_listener *l, const struct log *log);
/*
 * Accepted sockets go to fn as they are, with the listener's arg: a loop of another thread may take
 * them with tcp_from_fd(). on_accept is not called any more.
 */
void tcp_listener_hand_off(struct tcp_listener *l,
			   void (*fn)(void *arg, int fd, struct addrport peer));
void tcp_listener_destroy(struct tcp_listener *l);

/* Replaces a dead socket file, refuses a live one. mode: file permissions. */
struct tcp_listener *unix_listen(struct loop *loop, const char *path, mode_t mode,
				 void (*on_accept)(void *arg, struct stream *s,
						   struct addrport peer),
				 void *arg, struct err *err);
/* The two halves of it, for a privileged process that listens for another one. */
int unix_bind(const char *path, mode_t mode, struct err *err); /* a listening fd */
/* Takes fd; nobody removes the file. */
struct tcp_listener *unix_listen_fd(struct loop *loop, int fd,
				    void (*on_accept)(void *arg, struct stream *s,
						      struct addrport peer),
				    void *arg, struct err *err);
struct stream *unix_connect(struct loop *loop, const char *path);
struct unix_cred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};
bool unix_peer_cred(const struct stream *s, struct unix_cred *cred);
