/*
 * bench/control/server.h - the server under load: a weft-control of our own in a temporary folder,
 * or only the number of a process whose time and memory are read.
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/ip.h"

struct err;
struct loop;

struct server {
	const char *program; /* NULL: somebody else's */
	char dir[64];
	pid_t pid; /* 0: none */
	struct addrport at;
};

/* Writes the configuration; the server is started by server_start(). */
int server_init(struct server *s, const char *program, struct err *err);
int server_start(struct server *s, struct err *err); /* back when it accepts connections */
void server_stop(struct server *s);                  /* SIGTERM, after 20 s SIGKILL */
void server_fini(struct server *s);                  /* stops; removes the folder */
/* Its command line; words end with NULL, at most 12. out (or NULL) gets what it printed. */
int server_command(struct server *s, struct loop *loop, const char *const *words,
		   struct bytes input, struct buf *out, struct err *err);

int64_t server_cpu_ns(const struct server *s); /* user and system, all threads; 0: unknown */
long server_rss_kib(const struct server *s);
