/*
 * app/control/fragment.h - a node as JSON, for its peers and for itself. What peers get is encoded
 * once per change and shared by all streams.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/wall.h"

struct access_routes;
struct arena;
struct key;
struct tailcfg_hostinfo;
struct tn_node;

struct node_frag {
	unsigned refs;
	uint64_t routes_hash;
	size_t n;
	uint8_t p[];
};
void fragment_unref(struct node_frag *f); /* NULL is a no-op */

/* The Node for PeersChanged. The caller gives it back with fragment_unref(). */
struct node_frag *fragment_peer(struct tn_node *n, const struct access_routes *routes,
				struct wall now);
/* Appends the Node for `Node`. caps: JSON object. */
void fragment_self(struct tn_node *n, const struct access_routes *routes, struct bytes caps,
		   int64_t viewer_cap, struct buf *out);
/* Appends a PeerChange with everything that changed after rev; false when only a whole node will
 * do. */
bool fragment_patch(const struct tn_node *n, uint64_t rev, struct wall now, struct buf *out);
/* Appends a Node for a key that is no longer known: expired, so that its daemon asks for a login.
 */
void fragment_unknown(const struct key *key, const char *domain, struct wall now, struct buf *out);
void fragment_deleted(const struct tn_node *n, struct wall now, struct buf *out);

/* What peers may know of a host, without what would break a strict reader. Appends JSON. */
void fragment_host(const struct tailcfg_hostinfo *h, struct arena *arena, struct buf *out);
