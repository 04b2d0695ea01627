/* base/list.h - intrusive doubly linked list. A node that is on no list points at itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert_before(struct list *at, struct list *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}
static inline void list_append(struct list *l, struct list *node)
{
	list_insert_before(l, node);
}
static inline void list_prepend(struct list *l, struct list *node)
{
	list_insert_before(l->next, node);
}
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}
static inline struct list *list_first(struct list *l)
{
	return list_is_empty(l) ? NULL : l->next;
}
static inline struct list *list_pop(struct list *l)
{
	struct list *node = list_first(l);

	if (node)
		list_remove(node);
	return node;
}

#define list_each(it, l) for (struct list *it = (l)->next; it != (l); it = it->next)
/* The current node may be removed. */
#define list_each_safe(it, l)                                                                      \
	for (struct list *it = (l)->next, *it##_next = it->next; it != (l);                        \
	     it = it##_next, it##_next = it->next)
#define list_entry(it, type, member) container_of(it, type, member)
