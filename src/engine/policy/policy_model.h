/*
 * engine/policy/model.h - a compiled policy, as the files of this engine see it.
 *
 * Every selector that occurs is one struct sel, every combination of sources one struct cls; rules
 * name both by number. Who is in a selector is not known here but in the state.
 */
#pragma once

#include "base/ipset.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "engine/policy/policy.h"

enum limits {
	SPANS_MAX = 1 << 20, /* prefixes of all literals together */
	ISSUES_MAX = 64,
	EXCERPT_MAX = 80,
	PROTOS_MAX = 257, /* 0 to 255 and none */
};

struct ids {
	uint32_t *v;
	uint32_t n, cap;
};

static inline void ids_add(struct ids *l, uint32_t id)
{
	mem_reserve(l->v, l->n, l->cap);
	l->v[l->n++] = id;
}

enum sel_kind {
	SEL_ANY,
	SEL_DANGER_ALL,
	SEL_MEMBER,
	SEL_TAGGED,
	SEL_SELF,
	SEL_INTERNET,
	SEL_ROLE,
	SEL_USER,
	SEL_GROUP,
	SEL_DOMAIN,
	SEL_TAG,
	SEL_ADDRESS,
	SEL_HOST,
	SEL_IPSET,
	SEL_SERVICE,
	SEL_KINDS,
};

/* Where in the policy a selector stands as destination: grant number and place in its list. */
struct dst_use {
	uint32_t grant, pos;
};

struct sel {
	enum sel_kind kind;
	uint32_t id;
	enum policy_role role;  /* SEL_ROLE */
	struct bytes name;      /* canonical spelling, the key */
	struct bytes group;     /* SEL_GROUP: its name; SEL_DOMAIN: the domain */
	uint32_t user;          /* SEL_USER: place among the users, or NO_USER */
	struct ip_range *range; /* literals: what it stands for */
	uint32_t n_ranges;
	bool is_internet; /* its addresses include the whole public internet */
	bool is_public;   /* some of its ranges are public */
	struct dst_use *dst_uses;
	uint32_t n_dst_uses, cap_dst_uses;
	struct ids classes;  /* that have it as a source */
	struct ids attrs;    /* nodeAttrs entries that target it */
	struct ids via;      /* grants that go via this tag */
	struct ids ssh_dsts; /* SSH rules */
	uint32_t uses;       /* anywhere, for the lint */
	uint32_t scratch;    /* of the file being compiled */
};

enum { NO_USER = UINT32_MAX, NO_SEL = UINT32_MAX };

static inline bool sel_is_literal(const struct sel *s)
{
	return s->kind == SEL_ADDRESS || s->kind == SEL_HOST || s->kind == SEL_IPSET ||
	       s->kind == SEL_INTERNET || s->kind == SEL_SERVICE;
}

/* One combination of sources, with the postures they must have. */
struct cls {
	uint32_t id;
	struct ids sels;
	struct ids postures;      /* any of them; none: no condition */
	bool any;                 /* "*" without a posture */
	bool any_posture;         /* "*" with one: the matching nodes and the subnets */
	bool danger;              /* autogroup:danger-all */
	bool to_internet;         /* a grant without via leads from it to the internet */
	struct ipset lits;        /* literals in effect (without "*") */
	struct ip_range *printed; /* lits as they are printed: beside "*" each source by itself */
	uint32_t n_printed;
	uint64_t base[2];  /* content of printed */
	struct ids grants; /* as source, without via */
	struct ids via_grants;
	struct ids self_grants;
	struct ids companions; /* grants whose destinations this class is, with companion caps */
	struct ids ssh;
	struct bytes key;
};

struct port_range {
	uint16_t first, last;
};

struct proto_group {
	int proto; /* -1: none named */
	struct port_range *ports;
	uint32_t n_ports, cap_ports;
};

/* A place in the text. */
struct where {
	uint32_t start, end;
};

struct grant {
	uint32_t id;
	uint32_t src;       /* class */
	uint32_t dst_class; /* the ordinary destinations as a class: sources of companions */
	uint32_t *dsts;     /* selectors, self left out */
	uint32_t n_dsts;
	bool self, acl;
	uint32_t *via; /* selectors */
	uint32_t n_via;
	struct proto_group *protos;
	uint32_t n_protos;
	struct filter_cap *caps;
	uint32_t n_caps;
	bool drive, relay; /* companions to emit */
	uint32_t rule;     /* number in its section */
	struct where where;
};

struct ssh_entry {
	uint32_t id;
	uint32_t src;
	uint32_t *dsts;
	uint32_t n_dsts;
	bool self, check, has_localpart, enforce_recorder, has_src;
	int64_t period_ns;
	struct ssh_user *base; /* the base map */
	uint32_t n_base;
	struct bytes *domains; /* of localpart:*@domain */
	uint32_t n_domains;
	struct bytes *accept_env;
	uint32_t n_accept_env;
	uint32_t recorder; /* tag selector or NO_SEL */
	struct where where;
};

struct attr_entry {
	struct filter_cap *caps;
	uint32_t n_caps;
	bool funnel, disable_ipv4;
	struct prefix *pools;
	uint32_t n_pools;
	struct where where;
};

enum posture_op {
	OP_EQ,
	OP_NE,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_IN,
	OP_NOT_IN,
	OP_IS_SET,
	OP_NOT_SET,
};

struct posture_value {
	enum policy_attr_kind kind;
	struct bytes text;
	double number;
	bool truth;
};

struct assertion {
	struct bytes attr;
	enum posture_op op;
	struct posture_value *values;
	uint32_t n_values;
	bool version;
};

struct posture {
	struct bytes name;
	struct assertion *all;
	uint32_t n;
	uint32_t uses;
	struct where where;
};

/* Approvers of one route prefix, of exit nodes, or of one service. */
struct approver {
	struct prefix prefix;
	struct bytes service;
	uint32_t *sels;
	uint32_t n_sels;
};

struct user {
	uint64_t id;
	struct bytes login, name, subject, local, domain;
	enum policy_role role;
	struct ids sels; /* every selector that takes in this user's nodes */
};

/* A defined name: group, host, tag, ipset. */
struct named {
	struct bytes name;
	enum sel_kind kind;
	const struct json *value;
	struct where where;
	uint32_t sel;         /* or NO_SEL while nothing refers to it */
	struct ids users;     /* groups: members that exist */
	struct bytes *logins; /* groups: members as written */
	uint32_t n_logins;
	bool synced;           /* group of the identity provider */
	struct ids owner_sels; /* tags */
	struct ids owner_tags; /* tags: places in tags[] */
	struct ipset set;      /* hosts, ipsets */
	int mark;              /* cycles */
};

/* Spans of literals, sorted; parent is the next wider span that covers this one. */
struct span {
	struct prefix prefix;
	uint32_t sel, parent;
};

/* One destination of a test; bad: fails whatever the rules say, with this reason. */
struct test_dst {
	const struct json *at;
	uint32_t sel;
	uint16_t port;
	const char *bad;
};

struct test_case {
	const struct json *v, *src_at;
	uint32_t src; /* or NO_SEL */
	int proto;
	const char *bad;
	struct test_dst *accept, *deny;
	uint32_t n_accept, n_deny;
	struct policy_node device; /* its attrs are what the source is taken to have */
};

struct ssh_case {
	const struct json *v, *src_at, *accept, *check, *deny;
	uint32_t src;
	uint32_t *dsts;
	uint32_t n_dsts;
	bool self;
	const char *bad;
	struct policy_node device;
};

struct policy {
	size_t refs;
	struct arena arena;
	struct bytes text;
	const struct json *root; /* NULL: no policy */
	struct user *users;
	uint32_t n_users;
	struct map user_logins;      /* struct user by login */
	struct policy_directory dir; /* domains, services, settings; users above */
	struct named *names;
	uint32_t n_names, cap_names;
	struct map by_name;
	struct sel **sels;
	uint32_t n_sels, cap_sels;
	struct map sel_names;
	struct cls **classes;
	uint32_t n_classes, cap_classes;
	struct map class_keys;
	struct grant *grants;
	uint32_t n_grants, cap_grants;
	struct ids grants_self, grants_via;
	struct ssh_entry *ssh;
	uint32_t n_ssh;
	struct attr_entry *attrs;
	uint32_t n_attrs;
	struct posture *postures;
	uint32_t n_postures;
	struct ids default_postures;
	struct approver *route_approvers, *service_approvers;
	uint32_t n_route_approvers, n_service_approvers;
	uint32_t *exit_approvers;
	uint32_t n_exit_approvers;
	struct span *spans;
	uint32_t n_spans;
	struct ids danger;  /* classes that anything is a source of */
	struct ids publics; /* literals with public ranges that are destinations */
	struct ipset internet, tailnet, wild; /* constants */
	bool allow_all, randomize, disable_ipv4, has_companions;
	struct bytes one_cgnat, derp_map;
	struct test_case *tests;
	uint32_t n_tests;
	struct ssh_case *ssh_tests;
	uint32_t n_ssh_tests;
};

/* ---- address constants (names.c) ---- */
void policy_constants(struct policy *p);

/* ---- hashing of contents: sums, so that parts can be added and taken away ---- */
void content_add(uint64_t sum[2], const void *data, size_t n);
void content_sub(uint64_t sum[2], const void *data, size_t n);
void content_add_range(uint64_t sum[2], struct ip_range r);
void content_sub_range(uint64_t sum[2], struct ip_range r);

struct sel *policy_find_sel(const struct policy *p, struct bytes key);
struct named *policy_name(const struct policy *p, struct bytes name);
bool policy_address(struct bytes text, struct prefix *out); /* IP or CIDR, masked */
bool posture_holds(const struct posture *p, const struct policy_node *n);
void policy_issue_add(struct policy_report *r, enum policy_severity severity, struct bytes text,
		      struct where at, const char *suggestion, const char *subject,
		      const char *message);
