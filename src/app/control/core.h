/*
 * app/control/core.h - what the files of the server share: the struct, and the three things every
 * change ends with: written, told, logged.
 */
#pragma once

#include <stdbool.h>

#include "app/control/access.h"
#include "app/control/config.h"
#include "app/control/login.h"
#include "app/control/mapview.h"
#include "app/control/model.h"
#include "app/control/rate.h"
#include "app/control/token.h"
#include "base/list.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/secret.h"
#include "io/loop.h"

struct derp_server;
struct err;
struct http_exchange;
struct httpd;
struct oidc_login;
struct store;
struct stun_server;
struct tcp_listener;
struct tls_ctx;
struct tls_sniff;
typedef struct ZSTD_CCtx_s ZSTD_CCtx;

enum {
	CAPVER_MIN = 113,
	OFFLINE_GRACE_S = 10,
	STANDBY_GRACE_S = 2,       /* of a router whose subnets another one can serve */
	FIRST_POLL_GRACE_S = 1800, /* an ephemeral node that never polled */
	COMMIT_MS = 5,
	BODY_MAX = 1 << 20,
};

struct counters {
	uint64_t connections, handshakes_bad, registers, register_errors, maps, updates, frames,
	    frame_bytes, keepalives, commits, commit_errors;
};

/* Streams with something to say, told in rounds. */
struct lane {
	struct list due;
	struct io_timer timer;
	struct mono ended; /* the last round, and what it cost */
	int64_t cost_ns;
};

/* The last short frame: a change that many see is encoded once. */
struct last_frame {
	struct buf json, frame;
	bool zstd;
};

struct control {
	struct loop *loop;
	struct log_sink *sink;
	struct log log;
	struct config conf;
	struct rng rng;
	struct model model;
	struct store *store;
	struct secret32 noise_key;
	struct key noise_public;
	struct httpd *front, *inner, *admin;
	struct tcp_listener *front_listener, *admin_listener;
	struct tls_ctx *tls;       /* of the server; NULL: plain HTTP */
	struct tls_ctx *relay_tls; /* then the relay still needs TLS: on the same port, pinned */
	struct tls_sniff *sniff;
	struct derp_server *derp;
	struct stun_server *stun;
	struct buf derp_map;
	uint64_t derp_hash;
	struct logins logins;
	struct oidc_login *oidc; /* NULL: people log in by password */
	struct tokens tokens;
	struct rate refused_rate; /* credentials that were wrong */
	struct rate login_rate, connect_rate;
	ZSTD_CCtx *zstd;
	size_t keepalive_zstd; /* length of a compressed keep-alive, 0: not known yet */

	struct lane flush, urgent;
	struct list round; /* streams of the flush that is under way */
	int64_t round_ns;  /* what it cost so far */
	struct last_frame last_frame;
	struct list graveyard; /* deleted nodes, until the end of the turn */
	struct list waiters;   /* answers that wait for the disk */
	struct list c2n_calls; /* questions to nodes that wait for answers */
	size_t n_c2n;
	struct io_timer bury_timer, commit_timer, sweep_timer;
	struct mono pruned; /* the change log */
	bool stopping;
	size_t n_streams;
	struct counters count;
};

/* A node changed in parts that its peers see: they are told soon. */
void core_node_touched(struct control *c, struct tn_node *n);
/* Answers of the policy changed for these nodes of t. Empties ids. */
void core_affected(struct tailnet *t, struct access_ids *ids);
/* n is in the model: tell whoever may see it. Also after changes of tags, owner, routes. */
void core_node_changed(struct control *c, struct tn_node *n);
/* The key is nobody's any more: the relay inside cuts it off. */
void core_key_revoked(struct control *c, const struct key *key);
/* Takes n out of the model and the store; its streams end. */
int core_delete_node(struct control *c, struct tn_node *n, struct err *err);
/* Approves what the policy approves by itself; true when something was. */
bool core_auto_approve(struct control *c, struct tn_node *n);
void core_users_changed(struct control *c, struct tailnet *t);
void core_dns_changed(struct control *c, struct tailnet *t);
int core_set_policy(struct control *c, struct tailnet *t, struct bytes text, const char *actor,
		    struct err *err);

/* Presence. */
void core_stream_opened(struct control *c, struct tn_node *n);
void core_stream_closed(struct control *c, struct tn_node *n);

/* The disk: soon, together with what else comes; or now. */
void core_commit_soon(struct control *c);
int core_commit_now(struct control *c, struct err *err);
/* Answers x with an empty 200 when everything written so far is on the disk, 503 if it cannot be.
 */
void core_answer_when_durable(struct control *c, struct http_exchange *x);

struct mapview_world core_world(const struct control *c);
void core_init(struct control *c);
void core_fini(struct control *c); /* no stream is left */
void core_flush_soon(struct control *c);
void core_urgent_soon(struct control *c);
void core_audit(struct control *c, const struct tailnet *t, const char *actor, const char *action,
		const char *target, const char *detail);
