/*
 * app/weftd/linkpicture.h - what of the network under us matters, as something to compare. Pure.
 *
 * A picture is made of links, addresses and default routes. Two hashes come out: `core` changes
 * when our paths may be broken, `all` also when a bridge for containers came or went, which moves
 * nobody's packets but changes which networks are ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/mono.h"
#include "os/rtnl/rtnl.h"

enum { LINKPICTURE_LINKS_MAX = 256 };

struct linkpicture {
	const char *own; /* our device, which does not count */
	struct buf core, all;
	unsigned usable[LINKPICTURE_LINKS_MAX];
	bool is_virtual[LINKPICTURE_LINKS_MAX];
	size_t n;
};

struct linkpicture_hash {
	uint8_t core[32], all[32];
};

/* Links first, then addresses and routes, then the end. */
void linkpicture_begin(struct linkpicture *p, const char *own);
void linkpicture_link(struct linkpicture *p, const struct rtnl_link *l);
void linkpicture_addr(struct linkpicture *p, const struct rtnl_addr *a);
void linkpicture_route(struct linkpicture *p, const struct rtnl_route *r);
void linkpicture_end(struct linkpicture *p, struct linkpicture_hash *out);

enum linkpicture_change { LINKPICTURE_SAME, LINKPICTURE_MINOR, LINKPICTURE_MAJOR };
enum linkpicture_change linkpicture_compare(const struct linkpicture_hash *before,
					    const struct linkpicture_hash *after);

/* A change comes as a burst of messages: how long to wait for its end, in ms, when the first one
 * came this long ago. A storm does not put it off for ever. */
unsigned linkpicture_settle_ms(int64_t since_first_ms);
/* How often a timer looks, and whether between two looks the machine slept: the clock that counts
 * sleep went ahead of the one that does not. */
enum { LINKPICTURE_CLOCK_MS = 5000 };
bool linkpicture_slept(int64_t awake_ms, int64_t all_ms);

/* When policy rules were removed by somebody: at most ten times in a row and once in 5 s for long.
 */
struct linkpicture_budget {
	unsigned used;
	struct mono last; /* when one was regained */
};
bool linkpicture_may_restore(struct linkpicture_budget *b, struct mono now);
