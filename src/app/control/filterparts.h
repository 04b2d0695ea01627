/*
 * app/control/filterparts.h - a node's packet filter as named parts (PacketFilters of the map), so
 * that one address more in a list of thousands is one small part again, not the list.
 *
 * A rule with few sources is in the part "base". The sources of any other rule are cut after
 * addresses that their own hash chooses: a cut does not move when others come and go, so all but
 * one of the parts stay what they were. Clients join the parts; the order of rules means nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/filterrule.h"

struct filterpart {
	uint32_t rule; /* 0: base; else its place in the filter, from 1 */
	uint64_t key;  /* hash of the first source */
	uint64_t hash; /* of all of it */
};

/* What a stream was told, in ascending order. Zero is nothing. */
struct filterparts {
	struct filterpart *v;
	size_t n, cap;
};

void filterparts_fini(struct filterparts *p);

/*
 * Cut lists, shared by the nodes that have the same one. A list is known by its address, so the
 * owner of its memory is kept for as long as the list is remembered.
 */
struct filterlists;
struct filterlists_owner {
	void *arg;
	void (*ref)(void *arg);
	void (*unref)(void *arg);
};

struct filterlists *filterlists_create(void);
void filterlists_destroy(struct filterlists *l); /* NULL is a no-op */

/*
 * Appends the JSON members of PacketFilters that turn what was told into these rules, and takes
 * note of it. Appends nothing when nothing changed. owner holds the sources of rules.
 */
void filterparts_delta(struct filterparts *told, struct filterlists *l,
		       const struct filter_rule *rules, size_t n,
		       const struct filterlists_owner *owner, struct buf *out);
