/*
 * engine/policy/state.h - a policy joined with nodes, as the files of this engine see it.
 *
 * Every selector has the list of its members and every node the list of its selectors; a class has
 * the running content of its source list. Whatever one node's answers need is reached from there.
 */
#pragma once

#include "engine/policy/policy_model.h"

enum { NO_NODE = UINT32_MAX };

/* In what way a node belongs to a selector. */
enum how {
	HOW_V4 = 1,
	HOW_V6 = 2,
	HOW_ADDR = 3,
	HOW_ROUTE = 4,    /* one of its subnets overlaps the literal */
	HOW_EXIT = 8,     /* it is an exit node and the literal is the internet */
	HOW_PUBLIC = 16,  /* it is an exit node and the literal has public ranges */
	HOW_SERVICE = 32, /* it hosts the service */
	HOW_WIDE = 64,    /* one of its subnets holds addresses of members (see wide) */
	HOW_SEEN = HOW_ADDR | HOW_ROUTE | HOW_EXIT | HOW_SERVICE,
};

struct member {
	uint32_t node, back; /* back: place in the node's list */
};

struct members {
	struct member *v;
	uint32_t n, cap;
};

struct nsel {
	uint32_t sel, pos; /* pos: place in the selector's list */
	uint8_t how;
};

/* A node as a source of a class: addresses it adds, addresses the literals already have. */
struct src_hit {
	uint32_t cls;
	uint8_t adds, lit;
	bool any;   /* "*" or danger-all takes it in */
	bool route; /* one of its subnets overlaps the sources */
};

static inline bool src_hit_addr(const struct src_hit *h)
{
	return h->adds || h->lit || h->any;
}

struct node {
	struct policy_node n; /* pointers lead into blob */
	void *blob;
	uint32_t slot, user; /* user: place or NO_USER when tagged or unknown */
	struct prefix *subnets;
	uint32_t n_subnets;
	bool exit4, exit6;
	bool wide; /* a subnet of it holds addresses where nodes live */
	bool no_ipv4;
	struct nsel *sels;
	uint32_t n_sels;
	bool *postures;
	uint64_t plain[2][2]; /* how a viewer sees it when it has no routes; [1]: without IPv4 */
	uint64_t filter_sum[2];
	bool filter_known;
};

static inline bool node_exits(const struct node *n)
{
	return n->exit4 || n->exit6;
}

/* What others see of it depends on who they are. */
static inline bool node_routes(const struct node *n)
{
	return n->n_subnets || node_exits(n) || n->n.n_services;
}

/* An approved subnet that some node has. */
struct subnet {
	struct prefix prefix;
	uint8_t key[18];
	struct ids nodes;
	uint32_t primary;
	uint32_t *sels; /* selectors whose addresses overlap it, "*" included */
	uint32_t n_sels;
	bool wide;
};

/* A printed source list, shared by every filter that has it. */
struct policy_srcs {
	size_t refs;
	const char **v;
	size_t n;
	char *text;
};

struct class_state {
	uint64_t sum[2];
	uint64_t ssh_sum[2]; /* who the members are, for SSH */
	uint32_t adds;       /* addresses that nodes add */
	struct policy_srcs *srcs, *via_srcs;
};

/* Those of one user's nodes that are sources of a class with autogroup:self behind it. */
struct self_srcs {
	uint32_t cls;
	uint64_t sum[2];
	struct policy_srcs *srcs; /* NULL until printed */
};

struct self_list {
	struct self_srcs *v;
	uint32_t n, cap;
	bool known;
	uint64_t sum[2]; /* of all nodes of the user */
	struct policy_srcs *srcs;
};

struct order_slot {
	uint64_t content[2];
	int proto;
	uint32_t at; /* position + 1; 0: empty */
};

struct policy_state {
	struct policy *p;
	struct node **nodes; /* by slot; holes are NULL */
	uint32_t n_slots, cap_slots, count;
	struct ids free_slots;
	struct map by_id, by_v4, by_v6;
	struct members *members; /* by selector */
	struct class_state *classes;
	struct ids *user_nodes;   /* by user, untagged nodes */
	struct self_list *selves; /* by user */
	struct map subnets;
	uint64_t subnets_sum[2];
	struct ids wide, exits;
	struct order_slot *order; /* where a source list and protocol first appear */
	uint32_t order_cap;
	bool order_known;
	bool filters_stale; /* a change was applied without asking whom it touches */
	/* scratch, valid within one call */
	uint32_t stamp;
	uint32_t *sel_stamp, *sel_at, *cls_stamp, *cls_at, *node_stamp;
	uint8_t *sel_how;
	struct src_hit *cls_hit; /* by class, valid where cls_stamp is vstamp */
	uint32_t vstamp;         /* of the viewer loaded by state_load */
	struct node *viewer;
	bool viewer_internet;
	struct ids viewer_classes; /* of the viewer loaded by state_load */
	struct ids mark_list;
	struct ids row; /* what state_peers returned last */
};

/* ---- policy_state.c ---- */
struct node *state_node(const struct policy_state *s, uint64_t id);
bool state_passes(const struct cls *k, const struct node *n);
/* Classes this node is a source of; the caller frees *out. */
uint32_t state_src_hits(struct policy_state *s, const struct node *n, struct src_hit **out);
/* How the node is a source of one class. */
struct src_hit state_src_hit(const struct policy_state *s, const struct node *n, uint32_t cls);
void state_content(const struct policy_state *s, uint32_t cls, bool via, uint64_t out[2]);
bool state_class_empty(const struct policy_state *s, uint32_t cls);
struct policy_srcs *state_srcs(struct policy_state *s, uint32_t cls, bool via);
struct policy_srcs *srcs_of_ranges(const struct ip_range *r, size_t n);
void srcs_unref(struct policy_srcs *srcs);
struct subnet *state_subnet(const struct policy_state *s, struct prefix p);
uint32_t state_next_stamp(struct policy_state *s);
bool node_overlaps(const struct node *n, struct ip_range r); /* one of its subnets does */
bool node_has_addr(const struct node *n, struct ip_range r);
bool node_has_sel(const struct node *n, uint32_t sel, uint8_t how);
/* Is this destination made of addresses of members (not of literals)? */
static inline bool sel_is_identity(const struct sel *s)
{
	return !sel_is_literal(s) && s->kind != SEL_ANY && s->kind != SEL_DANGER_ALL;
}

struct node *state_make_node(struct policy_state *s, const struct policy_node *from);
void state_drop_node(struct node *n); /* NULL is a no-op */
void state_link(struct policy_state *s, struct node *n, uint32_t slot);
void state_unlink(struct policy_state *s, struct node *n);
void state_free_slot(struct policy_state *s, uint32_t slot);
int state_check_node(const struct policy_state *s, const struct policy_node *n, struct err *err);

/* ---- policy_index.c: which literals an address or a prefix meets ---- */
typedef void span_fn(void *arg, uint32_t sel);
void policy_spans_at(const struct policy *p, struct ip ip, span_fn *fn, void *arg);
void policy_spans_meeting(const struct policy *p, struct prefix q, span_fn *fn, void *arg);
/* Is the address one of the literal's by itself, not inside a range? */
bool sel_names_address(const struct sel *sel, struct ip ip);

/* ---- policy_self.c ---- */
const struct self_list *state_selves(struct policy_state *s, uint32_t user);
struct policy_srcs *state_self_print(struct policy_state *s, uint32_t user, uint32_t entry);
void state_forget_selves(struct policy_state *s, uint32_t user);

/* ---- policy_filter.c ---- */
void state_filter_sum(struct policy_state *s, struct node *n, uint64_t out[2]);
/* The ranges a via grant opens at this router; the caller frees. */
struct ip_range *state_via_ranges(const struct policy_state *s, const struct grant *g,
				  const struct node *n, size_t *count, bool *internet);

/* ---- policy_peers.c ---- */
/* Slots of everybody who sees n, n left out, in no order; valid until the next call. */
const struct ids *state_peers(struct policy_state *s, struct node *n);
/* What viewer sees of peer, added up; both must see each other. state_load(viewer) came before. */
void state_load(struct policy_state *s, struct node *viewer);
void state_view_sum(struct policy_state *s, const struct node *peer, uint64_t out[2]);
void state_plain_sums(struct node *n);
void state_self_sum(struct policy_state *s, const struct node *n, uint64_t out[2]);

/* ---- policy_caps.c, policy_sshrules.c ---- */
void state_caps_sum(struct policy_state *s, const struct node *n, uint64_t out[2]);
void state_ssh_sum(struct policy_state *s, const struct node *n, uint64_t out[2]);
bool state_ssh_dst(const struct policy_state *s, const struct ssh_entry *e, const struct node *n);

/* ---- policy_effect.c ---- */
struct sum_pair {
	uint64_t v[2];
};

static inline bool sums_differ(struct sum_pair a, struct sum_pair b)
{
	return a.v[0] != b.v[0] || a.v[1] != b.v[1];
}

/* One node against all its peers, by slot: how it sees each, how each sees it. */
struct row_entry {
	uint32_t slot;
	struct sum_pair of_pivot, of_other; /* as the other sees it; as the pivot sees the other */
};

struct state_row {
	uint32_t pivot;
	struct row_entry *v; /* the caller frees */
	uint32_t n;
	struct sum_pair self;
};

void state_row_take(struct policy_state *s, uint32_t slot, struct state_row *out);
void state_row_sort(struct state_row *r);
/* Adds the slots, doubles and all, of those that see something else now. */
void state_row_compare(const struct state_row *was, const struct state_row *is,
		       struct ids *changed);
void state_forget_filters(struct policy_state *s);
void policy_ids_push(struct policy_ids *ids, uint64_t id);

/* ---- policy_route.c ---- */
void state_elect(struct policy_state *s, struct subnet *n);
uint32_t state_via_primary(const struct policy_state *s, const struct grant *g,
			   const struct subnet *n);
bool node_has_via_tag(const struct grant *g, const struct node *n);
