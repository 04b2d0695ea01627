/*
 * engine/filter/filter_axis.h - which of many ranges hold an address: one binary search.
 *
 * The axis is cut where any range begins or ends; every piece has the sorted list of ids whose
 * ranges cover it. Ranges that cover a whole family do not cut anything: they are kept apart in
 * `any`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

struct err;

struct axis_ids {
	const uint32_t *ids; /* ascending */
	uint32_t n;
};

struct axis_piece {
	struct ip first; /* up to the next piece */
	uint32_t offset, n;
};

struct axis_range {
	struct ip_range range;
	uint32_t id;
};

struct axis {
	struct axis_piece *pieces; /* IPv4 first */
	size_t piece_count;
	uint32_t *first4; /* where the IPv4 pieces begin, once more and dense, for the search */
	size_t count4;
	uint32_t *ids;
	size_t id_count;
	uint32_t *any[2]; /* IPv4, IPv6 */
	uint32_t any_count[2];
};

/* Sorts `ranges`. -1 when the lists would need more than some 4 million ids. */
int axis_build(struct axis *a, struct axis_range *ranges, size_t n, struct err *err);
void axis_fini(struct axis *a);
struct axis_ids axis_lookup(const struct axis *a, struct ip ip); /* without `any` */
struct axis_ids axis_any(const struct axis *a, struct ip ip);
bool axis_has(struct axis_ids ids, uint32_t id);
