/*
 * app/control/login.h - interactive logins that wait for a person: what the node asked for, and
 * the requests parked until it is decided. Bounded in number and in time.
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/mono.h"
#include "crypto/keytext.h"

struct http_exchange;
struct login;
struct rng;

enum { LOGINS_MAX = 4096, LOGIN_MINUTES = 15, LOGIN_TOKEN_SIZE = 33, LOGIN_PARKED_MAX = 8 };

struct logins {
	struct list all; /* oldest first */
	size_t n;
};

struct login {
	char token[LOGIN_TOKEN_SIZE];
	char csrf[LOGIN_TOKEN_SIZE];
	struct key machine, node_key;
	struct bytes hostinfo; /* JSON, owned */
	char hostname[64];
	char os[32];
	char tailnet[64]; /* as wanted, or empty */
	bool ephemeral;
	int64_t version;
	struct mono expires;
	unsigned tries; /* wrong passwords */
	/* A person proved who they are and was asked once more: who, and what their page knows. */
	int64_t tailnet_id, user_id;
	char confirm[LOGIN_TOKEN_SIZE]; /* "": nobody yet */
	struct list parked;             /* struct login_wait */
	struct list link;
};

struct login_wait {
	struct http_exchange *x;
	struct list link;
};

void logins_init(struct logins *l);
void logins_fini(struct logins *l);
/* A new entry; an older one of the same machine goes, and the oldest when there are too many. */
struct login *login_add(struct logins *l, struct rng *rng, struct mono now,
			const struct key *machine, const struct key *node_key,
			struct bytes hostinfo);
struct login *login_find(struct logins *l, struct bytes token, struct mono now);
void login_remove(struct logins *l, struct login *login); /* parked exchanges are dropped */
void logins_expire(struct logins *l, struct mono now);
/* Nobody but the page that is shown now can finish this login. */
void login_prove(struct login *login, struct rng *rng, int64_t tailnet, int64_t user);
/* Parks x until login_next_parked() hands it out. False when too many wait already. */
bool login_park(struct login *login, struct http_exchange *x);
struct http_exchange *login_next_parked(struct login *login); /* NULL when there is none left */
