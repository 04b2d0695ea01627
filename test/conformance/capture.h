/* test/conformance/capture.h - one recorded answer of the hosted service, and ours to the same. */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "engine/policy/policy.h"

enum { CAPTURE_NODES_MAX = 256, DIFF_MAX = 1200 };

struct capture {
	struct arena arena;
	const struct json *root, *captures;
	const char *category; /* the name of its folder */
	const char *name;
	struct bytes policy;
	bool accepted;
	struct bytes message; /* why the service refused */
	struct policy_user users[16];
	struct policy_directory dir;
	struct policy_node nodes[CAPTURE_NODES_MAX];
	struct bytes names[CAPTURE_NODES_MAX]; /* of nodes, same places; the id is the place + 1 */
	size_t n_nodes;
	bool late_approval; /* the netmaps show routes that the topology has not approved yet */
	struct policy_node late[CAPTURE_NODES_MAX];
};

bool capture_load(struct capture *c, const char *category, const char *path, char diff[DIFF_MAX]);
void capture_fini(struct capture *c);
/* What the service sent this node; NULL when it was not captured. */
const struct json *capture_of(const struct capture *c, size_t node);

/* False and the first difference. */
bool compare_filter_behaviour(const struct json *want, const struct json *got, char diff[DIFF_MAX]);
/* order: also the order of sources and of destinations inside a rule. */
bool compare_filter_wire(const struct json *want, const struct json *got, bool order,
			 char diff[DIFF_MAX]);
bool compare_peers(const struct capture *c, struct policy_state *s, size_t node, bool caps,
		   char diff[DIFF_MAX]);
bool compare_caps(const struct capture *c, struct policy_state *s, size_t node,
		  char diff[DIFF_MAX]);
bool compare_whois(const struct capture *c, struct policy_state *s, size_t node,
		   char diff[DIFF_MAX]);
bool compare_ssh(const struct json *want, const struct json *got, char diff[DIFF_MAX]);

/* JSON with sorted keys and no blanks, so that equal values are equal text. */
struct bytes canonical(struct arena *a, const struct json *v);
const struct json *member(const struct json *v, const char *path); /* "a.b.c" */
/* Texts of an array of strings, sorted. */
struct texts {
	struct bytes v[4096];
	size_t n;
};
bool texts_equal(const struct texts *a, const struct texts *b, struct bytes *odd, bool *missing);
void texts_sort(struct texts *t);
