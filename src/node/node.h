/*
 * node/node.h - one node in one tailnet: state, control client, map, tunnel and routes joined.
 *
 *   control client --frames--> netmap --diff--> tunnel, routes
 *   tunnel --endpoints, relay choice--> control client
 *   LocalAPI --prefs, login, logout--> node --events--> LocalAPI
 *
 * Nothing here is global: a process may hold several nodes, one per tailnet.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/log.h"
#include "node/peerapi.h"
#include "node/tunnel.h"

struct err;
struct loop;
struct netmap;
struct nodedns;
struct node;
struct prefs;
struct profiles;
struct privops;
struct privops_host;
struct state_profile;
struct tailcfg_node;
struct tun;

enum node_state { /* numbers of the IPN bus */
		  NODE_NO_STATE = 0,
		  NODE_NEEDS_LOGIN = 2,
		  NODE_NEEDS_MACHINE_AUTH = 3,
		  NODE_STOPPED = 4,
		  NODE_STARTING = 5,
		  NODE_RUNNING = 6,
};
const char *node_state_name(enum node_state s); /* "NeedsLogin" ... */

struct node_conf {
	const char *state_dir;
	const char *tun_name;      /* NULL: no device */
	const struct tun *packets; /* instead of one (node/tunnel.h); the host gets no routes */
	const char *ca_file;       /* for the control server; NULL: the system's */
	const char *version;
	uint16_t port;
	unsigned threads;
	struct log_sink *sink;
	struct privops *priv; /* borrowed */
	bool ephemeral;
	const char *notice; /* a sentence about how this process runs, for status; NULL: none */
};

struct node *node_create(struct loop *loop, const struct node_conf *conf, struct err *err);
/* Takes back routes and rules, saves the map. */
void node_destroy(struct node *n);

/* ---- what a person wants ---- */

int node_edit_prefs(struct node *n, struct bytes masked, struct err *err);
/* Whole preferences (n 0: as they are) and an auth key (may be NULL): what `up` begins with. */
int node_start(struct node *n, struct bytes prefs, const char *auth_key, struct err *err);
void node_login_interactive(struct node *n);
/* done(arg, err): the server knows it (ERR_NONE), or it could not be told. */
void node_logout(struct node *n, void (*done)(void *arg, const struct err *err), void *arg);
/* Profiles: what is current leaves the network; the other one goes on as it was left. */
int node_new_profile(struct node *n, struct err *err);
int node_switch_profile(struct node *n, const char *id, struct err *err);
int node_remove_profile(struct node *n, const char *id, struct err *err);
const struct profiles *node_profiles(const struct node *n);
void node_kick(struct node *n);        /* the network changed */
void node_lan_changed(struct node *n); /* only networks that lead nowhere else */
void node_rules_gone(struct node *n);  /* somebody removed our policy rules */

/* ---- what is ---- */

enum node_state node_state(const struct node *n);
const struct prefs *node_prefs(const struct node *n);
const struct netmap *node_map(const struct node *n); /* NULL: none */
bool node_map_is_stale(const struct node *n);        /* from disk: control was not heard yet */
struct tunnel *node_tunnel(const struct node *n);    /* NULL: stopped */
struct nodedns *node_dns(const struct node *n);
/* Where we serve our peers; see node/peerapi.h. */
size_t node_peerapi(const struct node *n, struct addrport out[PEERAPI_ADDRESSES_MAX]);
struct state_profile *node_profile(const struct node *n);
bool node_has_key(const struct node *n);
struct key node_key(const struct node *n);
const char *node_auth_url(const struct node *n); /* "" */
const char *node_error(const struct node *n);    /* the last failure that still holds; "" */
bool node_is_online(const struct node *n);       /* the map stream is up */
const char *node_version(const struct node *n);
const char *node_notice(const struct node *n); /* of the conf */
/* See node/exitnode.h. */
const struct tailcfg_node *node_suggest_exit(struct node *n, struct err *err);
/* What the kernel is set up for, looked at now; never NULL. */
const struct privops_host *node_host(const struct node *n);
struct loop *node_loop(const struct node *n);

/* One result; the peer's address must be known. -1: err says why not. */
struct node_ping {
	struct list node;
	uint64_t token;
	void (*on_result)(struct node_ping *p, const struct tunnel_ping *r);
};
int node_ping(struct node *n, int64_t node_id, enum tunnel_ping_kind kind, struct ip to,
	      struct node_ping *p, struct err *err);
void node_ping_cancel(struct node_ping *p); /* no on_result */

enum node_event {
	NODE_EVENT_STATE = 1,
	NODE_EVENT_PREFS = 2,
	NODE_EVENT_URL = 4,
	NODE_EVENT_ERROR = 8,
	NODE_EVENT_MAP = 16,
	NODE_EVENT_LOGIN = 32,
};
struct node_listener {
	struct list node;
	void (*on_event)(struct node_listener *l, unsigned events);
};
void node_listen(struct node *n, struct node_listener *l);
void node_unlisten(struct node_listener *l);
