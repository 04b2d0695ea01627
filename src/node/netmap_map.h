/* node/netmap_map.h - what a snapshot holds; for the files netmap*.c only. */
#pragma once

#include "node/netmap.h"
#include "node/netmap_part.h"

struct netmap {
	unsigned refs;
	struct netmap_part *self;         /* tailcfg_node */
	struct netmap_part *derp;         /* tailcfg_derp_map */
	struct netmap_part *dns;          /* tailcfg_dns */
	struct netmap_part *domain, *tka; /* the text is the name */
	struct netmap_part *ssh;          /* JSON */
	struct netmap_part *health;       /* tailcfg_map_response with nothing else */
	struct netmap_parts peers;        /* tailcfg_node, by ID */
	struct netmap_parts profiles;
	struct netmap_parts filters, messages; /* named JSON */
	int64_t clock_offset_ns;
};
