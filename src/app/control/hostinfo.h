/* app/control/hostinfo.h - what a node reports about itself, taken into the model. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct model;
struct tailcfg_hostinfo;
struct tailcfg_map_request;
struct tn_node;

enum { HOSTINFO_MAX = 64 << 10 };

struct hostinfo_change {
	bool stored; /* something is to be written */
	bool seen;   /* peers are to be told */
	bool routes; /* advertised routes differ */
};

/*
 * Merges: a report without NetInfo keeps the one before. Never lets the home relay fall back to 0.
 * cap is the reporter's capability version, 0: unknown.
 */
void hostinfo_apply(struct model *m, struct tn_node *n, const struct tailcfg_hostinfo *h,
		    struct hostinfo_change *change);
/* Endpoints, disco key, version and host information of a lite update. */
void hostinfo_apply_update(struct model *m, struct tn_node *n, const struct tailcfg_map_request *r,
			   struct hostinfo_change *change);
/* After a start: the derived parts of n from n->hostinfo. */
void hostinfo_restore(struct tn_node *n);
