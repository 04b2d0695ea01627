/*
 * node/netmap_part.h - one refcounted piece of a map: a node, a profile, a relay map, some JSON.
 *
 * A part is copied out of a frame once, by encoding and decoding it into an arena of its own, and
 * then shared by every snapshot that still holds it.
 */
#pragma once

#include "base/arena.h"
#include "wire/schema.h"

struct err;

struct netmap_part {
	unsigned refs;
	struct arena arena;
	struct bytes name; /* of a named one */
	struct bytes text; /* JSON */
	void *v;           /* decoded; NULL for plain JSON */
};

struct netmap_part *netmap_part_of(const struct schema *schema, const void *v, struct err *err);
struct netmap_part *netmap_part_json(struct bytes name, struct bytes json, struct err *err);
struct netmap_part *netmap_part_ref(struct netmap_part *p); /* NULL is fine */
void netmap_part_unref(struct netmap_part *p);
bool netmap_part_equal(const struct netmap_part *a, const struct netmap_part *b);

/* An array of parts. */
struct netmap_parts {
	struct netmap_part **v;
	size_t n, cap;
};

void netmap_parts_add(struct netmap_parts *a, struct netmap_part *p); /* takes the reference */
void netmap_parts_copy(struct netmap_parts *to, const struct netmap_parts *from);
void netmap_parts_fini(struct netmap_parts *a);
bool netmap_parts_equal(const struct netmap_parts *a, const struct netmap_parts *b);
/* By name; index, or -1. */
long netmap_parts_find(const struct netmap_parts *a, struct bytes name);
void netmap_parts_remove(struct netmap_parts *a, size_t i);
