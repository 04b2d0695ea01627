/*
 * bench/control/node.h - one simulated node: Noise over /ts2021, HTTP/2, register, lite update, a
 * streaming map poll with zstd.
 *
 *   node_connect -> dial, upgrade -> register (first time) -> lite update -> map poll -> NODE_UP
 */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rand.h"
#include "bench/control/view.h"
#include "crypto/keytext.h"

struct http_upgrading;
struct httpc;
struct loop;
struct ts2021;
typedef struct ZSTD_DCtx_s ZSTD_DCtx;

enum { NODE_CAPABILITY = 145, NODE_KEY_TEXT = 160 };

enum node_state { NODE_IDLE, NODE_JOINING, NODE_UP, NODE_LOST };

struct node;

/* What all nodes of a run share. */
struct node_world {
	struct loop *loop;
	struct addrport server; /* on loopback */
	struct key server_key;
	char auth_key[NODE_KEY_TEXT];
	/* Where keys hold the tags: of each group, one for lasting nodes, one for ephemeral ones.
	 */
	char (*tagged_keys)[NODE_KEY_TEXT];
	struct rng rng;
	struct arena arena;
	struct buf plain;
	ZSTD_DCtx *zstd;
	uint64_t bytes_closed, frames;
	void (*on_frame)(void *arg, struct node *n);                 /* the view is up to date */
	void (*on_lost)(void *arg, struct node *n, const char *why); /* was joining or up */
	void *arg;
};

struct node {
	struct node_world *world;
	unsigned index, group;
	bool ephemeral, registered;
	enum node_state state;
	struct secret32 machine;
	struct key node_key, disco;
	uint16_t port; /* of the endpoint that it tells */
	struct view view;

	/* What the fleet waits for. */
	bool is_pending, in_flight;
	size_t want_peers;
	int64_t want_online; /* -1: any */
	int64_t want_id;     /* 0: none */
	uint16_t want_port;
	uint64_t want_filters; /* at least so many frames with rules */

	struct http_upgrading *upgrading;
	struct ts2021 *channel; /* while upgrading */
	struct httpc *h2;
	int fd;
	struct buf answer, stream;
	unsigned status;
};

void node_world_init(struct node_world *w);
void node_world_fini(struct node_world *w);
void node_init(struct node *n, struct node_world *w, unsigned index, unsigned group);
void node_fini(struct node *n);

void node_connect(struct node *n);
void node_hang_up(struct node *n);         /* no on_lost */
void node_update(struct node *n);          /* tells port again */
void node_logout(struct node *n);          /* an ephemeral node is deleted by it */
uint64_t node_bytes(const struct node *n); /* of its TCP connection, both ways */
