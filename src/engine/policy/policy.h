/*
 * engine/policy/policy.h - what the tailnet policy file means for every node.
 *
 * Two objects. struct policy is a compiled file: immutable, refcounted, shared freely. struct
 * policy_state joins one policy with the nodes of a tailnet; it answers per node and says after
 * every change exactly whose answers changed. No clock, no I/O, no threads: one owner per state.
 *
 *   struct policy *p = policy_compile(text, &directory, &report);        errors have a position
 *   struct policy_state *s = policy_state_create(p);                     or policy_state_with(old,
 * p) policy_state_upsert(s, &node, &affected, &err);                      a node came or changed
 *   policy_state_filter(s, id, &filter); policy_state_peers(s, id, &peers); ...
 *
 * Writing a policy is: compile; next = policy_state_with(old, p); policy_run_tests(next, &report);
 * policy_state_diff(old, next, &affected); swap. Whatever fails before the swap changes nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "wire/filterrule.h"
#include "wire/sshrule.h"

struct err;
struct json_out;
struct policy;
struct policy_state;

/* ---- who there is ---- */

enum policy_role {
	POLICY_MEMBER,
	POLICY_OWNER,
	POLICY_ADMIN,
	POLICY_NETWORK_ADMIN,
	POLICY_IT_ADMIN,
	POLICY_BILLING_ADMIN,
	POLICY_AUDITOR,
	POLICY_SHARED, /* accepted a shared device; no member of this tailnet */
	POLICY_ROLES,
};

struct policy_user {
	uint64_t id;          /* ascending in the order of creation */
	struct bytes login;   /* alice@example.com */
	struct bytes name;    /* matched by "alice@"; may be empty */
	struct bytes subject; /* identifier at the identity provider; may be empty */
	enum policy_role role;
};

/* A group the identity provider keeps: "group:eng@example.com" or "group:eng". */
struct policy_group {
	struct bytes name;
	const struct bytes *members; /* logins */
	size_t n_members;
};

struct policy_service {
	struct bytes name; /* svc:web */
	struct ip v4, v6;
	const struct bytes *tags; /* for approvers named by a service tag */
	size_t n_tags;
};

/* Everything about the tailnet that is no node; copied by policy_compile(). */
struct policy_directory {
	const struct policy_user *users;
	size_t n_users;
	const struct policy_group *groups;
	size_t n_groups;
	const struct bytes *domains; /* associated with the tailnet, none of them shared */
	size_t n_domains;
	const struct policy_service *services;
	size_t n_services;
	struct bytes display_name;
	bool auto_update; /* value of the capability default-auto-update */
	bool https;       /* certificates are available to nodes */
};

enum policy_attr_kind { POLICY_ATTR_STRING, POLICY_ATTR_NUMBER, POLICY_ATTR_BOOL };

/* A posture attribute: node:os, node:tsVersion, custom:tier, ... */
struct policy_posture_attr {
	struct bytes name;
	enum policy_attr_kind kind;
	struct bytes text;
	double number;
	bool truth;
};

struct policy_node {
	uint64_t id;
	uint64_t user; /* the owner; not looked at when there are tags */
	const struct bytes *tags;
	size_t n_tags;
	struct ip v4, v6;            /* no family: has none */
	const struct prefix *routes; /* approved, default routes included */
	size_t n_routes;
	const struct bytes *services; /* svc:... this node may host */
	size_t n_services;
	const struct policy_posture_attr *attrs;
	size_t n_attrs;
	int64_t created; /* the earlier node wins an election; then the lower id */
	bool offline;    /* offline nodes serve no route, and lose nothing else */
};

/* ---- compiling ---- */

enum policy_severity { POLICY_ERROR, POLICY_WARNING };

struct policy_issue {
	enum policy_severity severity;
	unsigned line, column;  /* from 1; 0: not about one place */
	const char *message;    /* in the words of the hosted service where those are known */
	const char *excerpt;    /* the offending text, shortened; "" when there is none */
	const char *suggestion; /* "did you mean ...?", or "" */
	const char *subject;    /* tests: the source they speak for; else "" */
};

struct policy_report {
	struct arena arena; /* holds the strings */
	struct policy_issue *issues;
	size_t n, cap, errors;
};

void policy_report_init(struct policy_report *r);
void policy_report_fini(struct policy_report *r);
/* The first error's message, or "". */
const char *policy_report_message(const struct policy_report *r);
/* {"message": ..., "data": [{"user": ..., "errors": [...], "warnings": [...]}]}, as the API
 * answers. */
void policy_report_encode(const struct policy_report *r, struct json_out *o);

enum { POLICY_TEXT_MAX = 4 << 20 };

/*
 * HuJSON or JSON. NULL when the report has an error; warnings alone do not stop it. Empty text is
 * "no policy", which allows everything.
 */
struct policy *policy_compile(struct bytes text, const struct policy_directory *dir,
			      struct policy_report *report);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);               /* NULL is a no-op */
struct bytes policy_text(const struct policy *p);  /* as it was given */
void policy_etag(struct bytes text, char out[65]); /* hex SHA-256 of the canonical form, or of the
						      text itself when it does not parse */

/* ---- questions that need no other nodes ---- */

/* May the auto-approvers wave this route of this node through? */
bool policy_approves_route(const struct policy *p, const struct policy_node *n,
			   struct prefix route);
bool policy_approves_service(const struct policy *p, const struct policy_node *n,
			     struct bytes service);
/* Every tag must be defined and owned by the user; *bad is the first that is not. */
bool policy_user_may_tag(const struct policy *p, uint64_t user, const struct bytes *tags, size_t n,
			 struct bytes *bad);
/* The same for a credential that holds tags. */
bool policy_tags_may_tag(const struct policy *p, const struct bytes *held, size_t n_held,
			 const struct bytes *tags, size_t n, struct bytes *bad);
/* The IPv4 pools a new node must be numbered from; 0: any. */
size_t policy_ip_pools(const struct policy *p, const struct policy_node *n,
		       const struct prefix **pools, size_t max);
struct bytes policy_derp_map(const struct policy *p); /* JSON object, or empty */
bool policy_randomizes_port(const struct policy *p);
bool policy_disables_ipv4(const struct policy *p);
struct bytes policy_one_cgnat(const struct policy *p); /* "", "mac-always", "mac-never" */

/* ---- the nodes under a policy ---- */

/* Ids in ascending order, each once. */
struct policy_ids {
	uint64_t *v;
	size_t n, cap;
};

void policy_ids_init(struct policy_ids *ids);
void policy_ids_fini(struct policy_ids *ids);

struct policy_state *policy_state_create(struct policy *p); /* takes a reference of its own */
/* The nodes of old (and who serves which route) under another policy; old stays as it is. */
struct policy_state *policy_state_with(const struct policy_state *old, struct policy *p);
void policy_state_destroy(struct policy_state *s); /* NULL is a no-op */
struct policy *policy_state_policy(const struct policy_state *s);
size_t policy_state_count(const struct policy_state *s);

/*
 * Adds or replaces a node; copies it. *affected (may be NULL) gets the ids of every node for which
 * one of the answers below changed, the node itself included when it is new. -1 when the node
 * cannot be: no address in the tailnet's ranges, or the address of another node.
 */
int policy_state_upsert(struct policy_state *s, const struct policy_node *n,
			struct policy_ids *affected, struct err *err);
void policy_state_remove(struct policy_state *s, uint64_t id, struct policy_ids *affected);
/* Coming and going moves primary routes and nothing else. */
void policy_state_set_online(struct policy_state *s, uint64_t id, bool online,
			     struct policy_ids *affected);
/* Every node whose answers differ; nodes of only one side included. */
void policy_state_diff(struct policy_state *old, struct policy_state *next,
		       struct policy_ids *affected);

/* The rules a node enforces. No rules: it admits nothing. Valid until fini, whatever changes. */
struct policy_filter {
	struct arena arena;
	const struct filter_rule *rules;
	size_t n;
	struct policy_srcs **held; /* source lists shared with other nodes' filters */
	size_t n_held;
	struct policy *policy;
};

int policy_state_filter(struct policy_state *s, uint64_t id, struct policy_filter *out,
			struct err *err);
void policy_filter_fini(struct policy_filter *f);

/* One peer as one viewer sees it. */
struct policy_peer {
	uint64_t id;
	const struct prefix *addresses; /* what stays of its addresses under disable-ipv4 */
	size_t n_addresses;
	const struct prefix *routes; /* behind addresses in AllowedIPs: subnets, services, exits */
	size_t n_routes;
	const struct prefix *primary; /* the subnets among routes */
	size_t n_primary;
	bool exit_node; /* routes hold a default route: the peer carries suggest-exit-node */
};

struct policy_peers {
	struct arena arena;
	struct policy_peer self; /* its own view of itself: all its approved routes */
	struct policy_peer *v;   /* by ascending id */
	size_t n;
};

int policy_state_peers(struct policy_state *s, uint64_t id, struct policy_peers *out,
		       struct err *err);
void policy_peers_fini(struct policy_peers *p);
bool policy_state_visible(struct policy_state *s, uint64_t a, uint64_t b);
/* The node that serves a subnet for the network; 0: nobody. */
uint64_t policy_state_primary(const struct policy_state *s, struct prefix route);

/* The node's own capability map, by ascending name. */
struct policy_caps {
	struct arena arena;
	const struct filter_cap *v;
	size_t n;
};

int policy_state_caps(struct policy_state *s, uint64_t id, struct policy_caps *out,
		      struct err *err);
void policy_caps_fini(struct policy_caps *c);
/* What peer src may do at node id, as WhoIs answers there. */
int policy_state_peer_caps(struct policy_state *s, uint64_t id, uint64_t src,
			   struct policy_caps *out, struct err *err);

struct policy_ssh {
	struct arena arena;
	const struct ssh_rule *rules;
	size_t n;
	struct policy *policy;
};

int policy_state_ssh(struct policy_state *s, uint64_t id, struct policy_ssh *out, struct err *err);
void policy_ssh_fini(struct policy_ssh *f);
/* How long a check of src at dst counts; false when no check rule joins the two. 0: never. */
bool policy_state_ssh_check(struct policy_state *s, uint64_t src, uint64_t dst, int64_t *period_ns);

/* Runs tests and sshTests of the state's policy; false and errors in the report when one fails. */
bool policy_run_tests(struct policy_state *s, struct policy_report *report);
