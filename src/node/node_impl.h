/*
 * node/node_impl.h - a node's inside, shared by its own files only.
 *
 *   node.c           state, what is wanted, node_update(): the world follows
 *   node_map.c       what a map means for tunnel, routes, names and the disk
 *   node_tunnel.c    the tunnel and what it asks of the node
 *   node_control.c   the control client and what it tells
 *   node_profiles.c  several accounts, one of them active
 */
#pragma once

#include "base/log.h"
#include "base/rand.h"
#include "io/loop.h"
#include "node/lan.h"
#include "node/node.h"

struct control_client;
struct netmap_diff;
struct nodedns;
struct peerapi;
struct routes;
struct state;

enum { NODE_URL_MAX = 2048 };

struct node {
	struct loop *loop;
	struct node_conf conf;
	struct log log;
	struct rng rng;
	struct state *state;
	enum node_state now;
	struct control_client *control;
	char control_url[NODE_URL_MAX]; /* of the client above */
	struct tunnel *tunnel;
	bool tunnel_broken; /* on_broken() came; replaced at the next change */
	struct routes *routes;
	struct lan lan;
	struct nodedns *dns;
	struct peerapi *peerapi;
	struct netmap *map;
	bool map_stale, map_applied;
	bool auth_blocked; /* control waits for a person */
	bool login_wanted; /* somebody asked for a login that has not ended */
	bool key_login;    /* ... with an auth key, and nothing was said against it yet */
	bool online, destroyed;
	char auth_url[NODE_URL_MAX];
	char error[512];
	struct io_timer save_map, expiry;
	struct list listeners, pings;
	uint64_t next_token;
	void (*logout_done)(void *arg, const struct err *err);
	void *logout_arg;
};

/* events */
void node_tell(struct node *n, unsigned events);
void node_set_error(struct node *n, const char *text);
void node_save(struct node *n);

/* the state */
bool node_is_expired(const struct node *n);
enum node_state node_next_state(const struct node *n);
void node_set_state(struct node *n, enum node_state next);
/* Makes the tunnel and the control client be as preferences, keys and the map say. */
void node_update(struct node *n);

/* the map */
bool node_may_pass(const struct node *n);
void node_settle_exit_node(struct node *n);
void node_apply_map(struct node *n, const struct netmap_diff *diff);
void node_arm_expiry(struct node *n);
void node_on_expiry(struct io_timer *t);
void node_save_map(struct node *n);
void node_on_save_map(struct io_timer *t);
void node_load_map(struct node *n);

/* the tunnel */
void node_deferred_update(void *arg);
void node_send_hostinfo(struct node *n);
void node_send_endpoints(struct node *n);
void node_make_tunnel(struct node *n);
void node_drop_tunnel(struct node *n);
void node_send_to_peer(void *arg, struct bytes packet);
bool node_may_exit(void *arg, int64_t node_id, struct ip from);
void node_on_dns_change(void *arg);
void node_write_host(void *arg, struct bytes packet);

/* the control client */
int node_need_control(struct node *n, struct err *err);
void node_drop_control(struct node *n);
void node_on_logout(void *arg, const struct err *err);
