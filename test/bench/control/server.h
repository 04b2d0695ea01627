/*
 * bench/control/server.h - the server under load: a weft-control of our own in a temporary folder,
 * or only the number of a process whose time and memory are read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/ip.h"

struct err;
struct loop;

enum server_kind { SERVER_WEFT, SERVER_HEADSCALE };

struct server {
	const char *program; /* NULL: somebody else's */
	enum server_kind kind;
	char dir[64];
	pid_t pid; /* 0: none */
	struct addrport at;
};

/* Writes the configuration; the server is started by server_start(). */
int server_init(struct server *s, enum server_kind kind, const char *program, struct err *err);
int server_start(struct server *s, struct err *err); /* back when it accepts connections */
void server_stop(struct server *s);                  /* SIGTERM, after 20 s SIGKILL */
void server_fini(struct server *s);                  /* stops; removes the folder */
/* Its command line; words end with NULL, at most 12. out (or NULL) gets what it printed. */
int server_command(struct server *s, struct loop *loop, const char *const *words,
		   struct bytes input, struct buf *out, struct err *err);

/* What every product can do, each by its own command line. */
int server_make_user(struct server *s, struct loop *loop, struct err *err);
/* tag: NULL where nodes ask for their tags themselves. out has NODE_KEY_TEXT bytes. */
int server_make_key(struct server *s, struct loop *loop, const char *tag, bool ephemeral, char *out,
		    struct err *err);
int server_set_policy(struct server *s, struct loop *loop, struct bytes text, struct err *err);
const char *server_owner(const struct server *s); /* of tags, as the policy names the user */

int64_t server_cpu_ns(const struct server *s); /* user and system, all threads; 0: unknown */
long server_rss_kib(const struct server *s);
