/*
 * node/netmap.h - what control says about the network, as an immutable snapshot.
 *
 *   frame (wire/tailcfg_map) --netmap_apply--> snapshot n+1 --netmap_diff--> engines, os
 *
 * Each frame makes a new snapshot that shares every unchanged part with the one before. Pure: no
 * clock, no I/O. Merge rules: upstream control/controlclient/map.go.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/wall.h"
#include "wire/tailcfg_map.h"

struct err;
struct netmap;

enum {
	NETMAP_PEERS_MAX = 1 << 17,
	NETMAP_PROFILES_MAX = 1 << 17,
	NETMAP_NAMED_MAX = 4096, /* filters, and messages of control */
	NETMAP_PART_MAX = 64 << 20,
};

/*
 * first: the first frame of a stream, which starts from nothing; old (may be NULL) is then only
 * asked whether a disco key is staler than what is known. Keep-alives must not come here. NULL:
 * the frame cannot be used, the stream must end. old is untouched either way.
 */
struct netmap *netmap_apply(const struct netmap *old, bool first,
			    const struct tailcfg_map_response *frame, struct wall now,
			    struct err *err);
struct netmap *netmap_ref(const struct netmap *m);
void netmap_unref(struct netmap *m); /* NULL is a no-op */

/* A whole first frame that leads back to this map: for the cache on disk. */
bool netmap_encode(const struct netmap *m, struct buf *out);
struct netmap *netmap_decode(struct bytes json, struct wall now, struct err *err);

const struct tailcfg_node *netmap_self(const struct netmap *m); /* never NULL */
size_t netmap_peer_count(const struct netmap *m);
const struct tailcfg_node *netmap_peer(const struct netmap *m, size_t i); /* sorted by ID */
const struct tailcfg_node *netmap_peer_by_id(const struct netmap *m, int64_t id);
const struct tailcfg_node *netmap_peer_by_key(const struct netmap *m, const struct key *key);
/* Self or peer with exactly this address. */
const struct tailcfg_node *netmap_node_by_ip(const struct netmap *m, struct ip ip);
const struct tailcfg_derp_map *netmap_derp(const struct netmap *m);                  /* or NULL */
const struct tailcfg_derp_region *netmap_region(const struct netmap *m, int64_t id); /* or NULL */
const struct tailcfg_dns *netmap_dns(const struct netmap *m);                        /* or NULL */
const struct tailcfg_user_profile *netmap_profile(const struct netmap *m, int64_t id);
size_t netmap_profile_count(const struct netmap *m);
const struct tailcfg_user_profile *netmap_profile_at(const struct netmap *m, size_t i);
struct bytes netmap_domain(const struct netmap *m);
struct bytes netmap_ssh_policy(const struct netmap *m); /* JSON; n 0: none */
struct bytes netmap_tka_head(const struct netmap *m);
/* Named filters, JSON lists of rules; no filter at all blocks everything. */
size_t netmap_filter_count(const struct netmap *m);
struct named_json netmap_filter(const struct netmap *m, size_t i);
/* What control wants people to read: id and DisplayMessage, or plain texts of an older server. */
size_t netmap_message_count(const struct netmap *m);
struct named_json netmap_message(const struct netmap *m, size_t i);
const struct text_list *netmap_health(const struct netmap *m);
/* Control's clock minus ours, 0 when it is less than a minute. */
int64_t netmap_clock_offset_ns(const struct netmap *m);

bool netmap_node_has_cap(const struct tailcfg_node *n, const char *name);
/* By its own flag, or because its key's time is over on control's clock. */
bool netmap_node_is_expired(const struct netmap *m, const struct tailcfg_node *n, struct wall now);
/* The first label of its name; the suffix behind it, without trailing dot. */
struct bytes netmap_node_label(const struct tailcfg_node *n);
struct bytes netmap_node_suffix(const struct tailcfg_node *n);
/* When the next key runs out, in our clock; ns INT64_MAX: none does. */
struct wall netmap_next_expiry(const struct netmap *m, struct wall now);

enum netmap_change {
	NETMAP_KEY = 1,   /* node key: a new WireGuard peer */
	NETMAP_DISCO = 2, /* disco key */
	NETMAP_ENDPOINTS = 4,
	NETMAP_HOME = 8,     /* home relay */
	NETMAP_ALLOWED = 16, /* AllowedIPs or Addresses */
	NETMAP_ONLINE = 32,
	NETMAP_EXPIRY = 64,
	NETMAP_CAPS = 128,  /* capability map, jail, masquerade */
	NETMAP_OTHER = 256, /* name, user, host info ... */
};

struct netmap_peer_diff {
	const struct tailcfg_node *before, *after; /* NULL: was or is not there */
	unsigned what;                             /* enum netmap_change; 0 for added and removed */
};

struct netmap_diff {
	struct netmap_peer_diff *peers; /* changed ones only, sorted by ID */
	size_t peer_count;
	unsigned self; /* enum netmap_change */
	bool filter, derp, dns, profiles, domain, ssh, messages, tka;
};

/* before NULL: everything is new. Points into both maps. */
void netmap_diff(const struct netmap *before, const struct netmap *after, struct netmap_diff *d);
void netmap_diff_fini(struct netmap_diff *d);
