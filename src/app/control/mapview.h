/*
 * app/control/mapview.h - what one map stream has been told, and what it lacks. Pure: a model goes
 * in, the JSON of a MapResponse comes out.
 *
 * There is no queue of changes. The view remembers a revision per peer and a hash of everything
 * else, and compares: ten changes that one slow reader missed are one delta, and a change that
 * changed nothing costs nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/control/filterparts.h"
#include "base/bytes.h"
#include "base/wall.h"

struct access_routes;
struct tn_node;

struct mapview_peer {
	int64_t id;
	uint64_t rev; /* 0: must be sent whole */
	struct access_routes *routes;
};

struct mapview_profile {
	int64_t id;
	uint64_t rev;
};

struct mapview {
	struct tn_node *node;
	int64_t cap;                /* of the reader */
	struct mapview_peer *peers; /* by ascending id */
	size_t n_peers, cap_peers;
	struct mapview_profile *profiles;
	size_t n_profiles, cap_profiles;
	uint64_t self_hash, derp_hash, dns_hash, ssh_hash;
	struct filterparts filter;
	bool started;
	/* What may have changed since the last frame. access_due: every answer of the policy. */
	bool self_due, access_due, rules_due, derp_due, dns_due, profiles_due;
	int64_t *due; /* peers that came, changed or left */
	size_t n_due, cap_due;
};

struct mapview_world {         /* what all maps share */
	struct bytes derp_map; /* JSON */
	uint64_t derp_hash;
	struct wall now;
	const char *base_url; /* of requests inside the Noise channel */
};

void mapview_init(struct mapview *v, struct tn_node *node, int64_t cap);
void mapview_fini(struct mapview *v);
void mapview_peer_due(struct mapview *v, int64_t id);
/* Appends the next frame: the whole map first, deltas then. False: there is nothing to say. */
bool mapview_next(struct mapview *v, const struct mapview_world *w, bool with_peers,
		  struct buf *out);
/*
 * Appends a frame with what cannot wait: patches of peers whose endpoints, relay or keys are new.
 * All marks stay. False: there is nothing of the kind.
 */
bool mapview_urgent(struct mapview *v, const struct mapview_world *w, struct buf *out);
/* Anything marked but peers and the node itself: a frame that costs more. */
static inline bool mapview_is_heavy(const struct mapview *v)
{
	return v->access_due || v->rules_due || v->derp_due || v->dns_due || v->profiles_due;
}
/* The last frame for a node that was deleted. */
void mapview_goodbye(const struct mapview *v, const struct mapview_world *w, struct buf *out);
uint64_t mapview_hash(struct bytes b);
