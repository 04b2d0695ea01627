/* base/heap.h - deadlines in order: an intrusive binary heap, smallest deadline first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mono.h"

struct heap_node {
	struct mono at;
	size_t slot; /* position + 1; 0: not in a heap */
};

struct heap {
	struct heap_node **nodes;
	size_t n, cap;
};

void heap_init(struct heap *h);
void heap_fini(struct heap *h);
/* Adds the node or moves it to its new deadline. */
void heap_set(struct heap *h, struct heap_node *node, struct mono at);
void heap_remove(struct heap *h, struct heap_node *node); /* no-op when it is not in */
struct heap_node *heap_first(const struct heap *h);       /* NULL when empty */
/* Takes out the first node whose deadline is reached, or NULL. */
struct heap_node *heap_pop_due(struct heap *h, struct mono now);
static inline bool heap_has(const struct heap_node *node)
{
	return node->slot != 0;
}
