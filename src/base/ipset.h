/*
 * base/ipset.h - sets of IP addresses: sorted, disjoint, coalesced intervals.
 *
 * A set costs as much as it has intervals, never as much as it has addresses. Building from many
 * prefixes at once (ipset_add_all) sorts; single additions insert.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"

struct ipset {
	struct ip_range *r; /* IPv4 first, ascending; no two touch */
	size_t n, cap;
};

void ipset_init(struct ipset *s);
void ipset_fini(struct ipset *s);
void ipset_add(struct ipset *s, struct ip_range r);
void ipset_add_all(struct ipset *s, const struct ip_range *r, size_t n);
void ipset_add_set(struct ipset *s, const struct ipset *other);
void ipset_remove(struct ipset *s, struct ip_range r);
void ipset_remove_set(struct ipset *s, const struct ipset *other);
bool ipset_contains(const struct ipset *s, struct ip ip);
bool ipset_overlaps(const struct ipset *s, struct ip_range r);
bool ipset_covers(const struct ipset *s, struct ip_range r); /* all of r */
bool ipset_overlaps_set(const struct ipset *a, const struct ipset *b);
bool ipset_covers_set(const struct ipset *s, const struct ipset *inner);
bool ipset_equal(const struct ipset *a, const struct ipset *b);
/* The prefix that is exactly this range, if there is one. */
bool range_is_prefix(struct ip_range r, struct prefix *out);
bool ranges_overlap(struct ip_range a, struct ip_range b);
