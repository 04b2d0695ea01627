/*
 * app/control/access.h - who may see and reach whom in one tailnet: the only place that asks the
 * policy.
 *
 * Without a policy file a user's own nodes reach each other and nothing else is allowed: users are
 * strangers to each other, and tagged nodes to everybody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

struct err;
struct filterparts;
struct json_out;
struct tailnet;
struct text_set;
struct tn_node;

/* Routes of a peer as a viewer gets them, behind the peer's own addresses. Shared, counted. */
struct access_routes {
	unsigned refs;
	uint64_t hash;
	size_t n, n_primary;
	bool exit_node;
	struct prefix v[]; /* the first n_primary are subnets, exit routes follow */
};
struct access_routes *access_routes_ref(struct access_routes *r); /* NULL stays NULL */
void access_routes_unref(struct access_routes *r);

struct access_peer {
	struct tn_node *node;
	struct access_routes *routes; /* NULL: none */
};

struct access_peers {
	struct access_peer *v; /* by ascending node id */
	size_t n, cap;
	struct access_routes *self;
};
void access_peers_fini(struct access_peers *p);

/* Nodes for which an answer below has changed, by id; the caller looks them up again. */
struct access_ids {
	int64_t *v;
	size_t n, cap;
};
void access_ids_add(struct access_ids *ids, int64_t id);
void access_ids_fini(struct access_ids *ids);

/* Reads t's policy text. -1 with what is wrong with it; then the old one stays in force. */
int access_load(struct tailnet *t, struct bytes policy, struct access_ids *affected,
		struct err *err);
int access_check(struct tailnet *t, struct bytes policy, struct err *err);
/*
 * What the API says about a policy: {"message", "data"}; -1 when it is not good. With tests run.
 */
int access_report(struct tailnet *t, struct bytes policy, struct json_out *out);
/* The text in force: the default one when nobody set any. */
struct bytes access_text(const struct tailnet *t);
/*
 * SHA-256 of the text as it is. Tools that push policies hash their file in the canonical layout of
 * tailscale/hujson: files in that layout (tabs) get the same tag, others are pushed once more.
 */
void access_etag(struct bytes text, char out[65]);
void access_free(struct tailnet *t);

void access_node_changed(struct tn_node *n, struct access_ids *affected); /* new ones too */
void access_node_gone(struct tn_node *n, struct access_ids *affected);
void access_node_online(struct tn_node *n, struct access_ids *affected);
void access_users_changed(struct tailnet *t, struct access_ids *affected);

void access_peers(struct tn_node *n, struct access_peers *out);
/* True when the only answers about pairs that n's last change can have altered are n's own. */
bool access_only_own_pairs(const struct tn_node *n);
/* Appends the members of PacketFilters that are news to a reader who was told that much. */
void access_filter(struct tn_node *n, struct filterparts *told, struct buf *out);
/* Appends JSON: the SSHPolicy (nothing when there is none), the CapMap. */
/* base_url: where nodes ask in check mode. */
void access_ssh(struct tn_node *n, const char *base_url, struct buf *out);
void access_caps(struct tn_node *n, struct buf *out);
bool access_approves_route(struct tn_node *n, struct prefix route);
/* May this user give these tags to a node of theirs? *bad is the first that is refused. */
bool access_user_may_tag(struct tailnet *t, int64_t user, const struct bytes *tags, size_t n,
			 struct bytes *bad);

/* The same for a credential that holds tags. */
bool access_tags_may_tag(struct tailnet *t, const struct text_set *held, const struct bytes *tags,
			 size_t n, struct bytes *bad);

/* For people; each appends one JSON value (engine/policy/policy_explain.h says which). */
int access_explain(struct tailnet *t, struct bytes src, struct bytes dst, struct buf *out,
		   struct err *err);
int access_preview_node(struct tn_node *n, struct buf *out, struct err *err);
int access_preview_user(struct tailnet *t, struct bytes login, struct buf *out, struct err *err);
int access_preview_user_in(struct tailnet *t, struct bytes policy, struct bytes login,
			   struct buf *out, struct err *err);
/* Who gains and who loses what if this policy came into force. */
int access_compare(struct tailnet *t, struct bytes policy, struct buf *out, struct err *err);
void access_lint(struct tailnet *t, struct buf *out);
void access_fix(struct tailnet *t, struct buf *out); /* text, not JSON */
