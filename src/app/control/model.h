/*
 * app/control/model.h - tailnets, users, nodes and keys in memory: what the store holds, indexed,
 * and for every node a revision per part, from which each map stream works out what its node lacks.
 *
 * One thread owns it. The tailnet is part of every look-up but the one by node key: the node key is
 * what a request brings, and it leads to exactly one tailnet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/control/names.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mono.h"
#include "base/wall.h"
#include "crypto/keytext.h"

struct access;
struct access_peer;
struct access_peers;
struct tailcfg_hostinfo;

enum tn_role {
	ROLE_MEMBER,
	ROLE_OWNER,
	ROLE_ADMIN,
	ROLE_NETWORK_ADMIN,
	ROLE_IT_ADMIN,
	ROLE_AUDITOR,
	ROLES
};

const char *model_role_name(enum tn_role role);
bool model_role_parse(enum tn_role *role, struct bytes name);

/* What may change about a node as its peers see it. Everything but the first travels as a patch. */
enum node_part {
	PART_WHOLE, /* name, addresses, routes, tags, owner, host information */
	PART_ENDPOINTS,
	PART_DERP,
	PART_DISCO,
	PART_ONLINE,
	PART_KEY,
	PART_EXPIRY,
	PART_CAP,
	NODE_PARTS,
};

struct text_set {
	char **v;
	size_t n;
};

/* Who an identity provider says a user is. Issuer and subject are the person, for ever. */
struct tn_identity {
	char *issuer, *subject, *email, *picture;
	bool email_verified;
	struct text_set groups;
	struct wall seen; /* the last login */
};

struct tn_user {
	int64_t id;
	struct tailnet *tailnet;
	char *login;         /* alice@example.com; unique in the tailnet */
	char *name;          /* shown */
	char *password_hash; /* Argon2id, or NULL: cannot log in by password */
	enum tn_role role;
	struct tn_identity *identity; /* NULL: a local user */
	struct wall created;
	uint64_t rev; /* of the profile */
	struct list link;
	struct list nodes; /* untagged ones */
};

struct prefix_set { /* ascending, each once */
	struct prefix *v;
	size_t n;
};

struct node_frag;

struct tn_node {
	int64_t id;
	struct tailnet *tailnet;
	struct tn_user *user; /* owner; who registered it when it is tagged, NULL when nobody did */
	char stable_id[24];
	struct key machine, key, disco;
	struct ip v4, v6;
	char name[NAME_SIZE]; /* unique in the tailnet */
	bool name_fixed;      /* set by the admin: host name changes no longer matter */
	bool ephemeral, authorized;
	struct text_set tags;
	struct prefix_set advertised, approved;
	struct addrport *endpoints;
	size_t n_endpoints;
	int64_t cap, home_derp;
	struct bytes hostinfo; /* JSON as it came, owned; NetInfo merged from earlier requests */
	char *attributes;      /* JSON of custom posture attributes, or NULL */
	struct wall attributes_until;           /* when the first of them ends, or 0 */
	struct bytes host_public;               /* JSON, owned: what peers may know */
	uint64_t host_hash;                     /* of host_public */
	struct wall created, expiry, last_seen; /* expiry 0: never */

	/* presence: live map streams, and the time of grace after the last */
	unsigned streams_open;
	bool online, gone; /* gone: removed from the model, kept until nobody holds it */
	bool polled;       /* had a stream since the server started, or was born with a later one */
	struct mono offline_since; /* 0: is not waiting to be offline */

	uint64_t rev[NODE_PARTS];
	uint64_t rev_last; /* the largest of rev */

	/* kept by access: routes as the policy saw them last and before; one holds nodes' addresses
	 */
	bool has_routes, had_routes, holds_nodes;
	struct access_peers *peers; /* whom it sees and who sees it; NULL: to be asked for again */
	struct list streams;        /* map streams of this node */
	struct node_frag *frag;

	struct list link, user_link;
	struct list machine_link; /* a ring, without head: the nodes of one machine */
};

struct auth_key {
	int64_t id;
	struct tailnet *tailnet;
	struct tn_user *user; /* NULL: tags only */
	uint8_t hash[32];     /* SHA-256 of the secret part */
	bool reusable, ephemeral, preauthorized, used, revoked;
	struct text_set tags;
	struct wall created, expiry; /* expiry 0: never */
	char *description;
	struct list link;
};

struct tailnet {
	int64_t id;
	char name[NAME_SIZE];
	char *domain; /* MagicDNS suffix without dots at the ends */
	char *policy; /* text, or NULL */
	char *dns;    /* JSON of extra DNSConfig members, or NULL */
	bool device_approval;
	int64_t key_expiry_s; /* of nodes of users; 0: never */
	uint32_t ip_cursor;
	uint64_t dns_rev;
	struct text_set groups; /* every group the identity provider ever named, without "group:" */
	struct list users, keys, nodes, link;
	struct map node_by_id, node_by_name, node_by_ip;
	struct map node_by_machine; /* one of the ring */
	struct access *access;
	size_t n_nodes, n_route_holders;
};

struct model {
	struct list tailnets;
	struct map node_by_key; /* over all tailnets: a node key names one node */
	uint64_t rev;           /* counts every change */
};

void model_init(struct model *m);
void model_fini(struct model *m);

struct tailnet *model_add_tailnet(struct model *m, int64_t id, const char *name,
				  const char *domain);
void model_drop_tailnet(struct tailnet *t); /* one that nobody has seen yet */
struct tailnet *model_tailnet(const struct model *m, struct bytes name_or_id);
struct tailnet *model_tailnet_by_id(const struct model *m, int64_t id);

struct tn_user *model_add_user(struct model *m, struct tailnet *t, int64_t id, const char *login);
void model_remove_user(struct tn_user *u); /* has no nodes and no keys */
struct tn_user *model_user(const struct tailnet *t, struct bytes login_or_id);
struct tn_user *model_user_by_id(const struct tailnet *t, int64_t id);

struct tn_user *model_user_by_identity(const struct tailnet *t, const char *issuer,
				       const char *subject);
struct tn_identity *model_identity(struct tn_user *u); /* made when there is none */

struct auth_key *model_add_key(struct tailnet *t, int64_t id);
void model_remove_key(struct auth_key *k);
struct auth_key *model_key(const struct tailnet *t, int64_t id);

/* Takes n, filled in by the caller, into every index. */
void model_add_node(struct model *m, struct tn_node *n);
void model_remove_node(struct model *m, struct tn_node *n); /* sets gone, keeps the memory */
struct tn_node *model_node_new(struct tailnet *t);
void model_node_free(struct tn_node *n);
struct tn_node *model_node_by_key(const struct model *m, const struct key *k);
struct tn_node *model_node_by_id(const struct tailnet *t, int64_t id);
struct tn_node *model_node(const struct tailnet *t, struct bytes name_id_or_ip);
/* The node of this machine with that owner: user, or NULL for tagged nodes. */
struct tn_node *model_node_of_machine(const struct tailnet *t, const struct key *machine,
				      const struct tn_user *user);
void model_rekey(struct model *m, struct tn_node *n, const struct key *key);
/* A free name made from host; n (may be NULL) may keep its own. */
void model_free_name(const struct tailnet *t, const struct tn_node *n, struct bytes host,
		     char out[NAME_SIZE]);
void model_rename(struct tn_node *n, const char *name);
bool model_next_ip(struct tailnet *t, struct ip *v4, struct ip *v6);
/* Cached answer of access_peers(). */
const struct access_peers *model_peers(struct tn_node *n);
void model_forget_peers(struct tn_node *n);
/* viewer now sees n, or no longer does: mends the cached answer. n has no routes. */
void model_mend_peers(struct tn_node *viewer, struct tn_node *n, bool sees);
/* The place of id among p; NULL: not there. */
const struct access_peer *model_find_peer(const struct access_peers *p, int64_t id);
void model_touch(struct model *m, struct tn_node *n, enum node_part part);
/* Since rev changed what connections depend on: endpoints, relay, keys. */
bool model_is_urgent(const struct tn_node *n, uint64_t rev);

bool model_node_is_expired(const struct tn_node *n, struct wall now);
static inline bool model_node_is_tagged(const struct tn_node *n)
{
	return n->tags.n > 0;
}
/* The id under which the map names the owner: MODEL_TAGGED_USER for tagged nodes. */
enum { MODEL_TAGGED_USER = 2147455555 };
int64_t model_owner_id(const struct tn_node *n);

/* Copies in; true when the value changed. */
bool text_set_assign(struct text_set *set, const struct bytes *v, size_t n);
void text_set_fini(struct text_set *set);
/* True when it was not there before. */
bool text_set_add(struct text_set *set, struct bytes v);
void text_set_drop(struct text_set *set, struct bytes v);
bool text_set_has(const struct text_set *set, struct bytes v);
bool prefix_set_assign(struct prefix_set *set, const struct prefix *v, size_t n);
void prefix_set_fini(struct prefix_set *set);
bool prefix_set_has(const struct prefix_set *set, struct prefix p);
