#include "base/heap.h"

#include "base/mem.h"

void heap_init(struct heap *h)
{
	*h = (struct heap){ 0 };
}

void heap_fini(struct heap *h)
{
	for (size_t i = 0; i < h->n; i++)
		h->nodes[i]->slot = 0;
	mem_free(h->nodes);
	heap_init(h);
}

static void place(struct heap *h, size_t i, struct heap_node *node)
{
	h->nodes[i] = node;
	node->slot = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
	struct heap_node *node = h->nodes[i];

	for (; i > 0 && node->at.ns < h->nodes[(i - 1) / 2]->at.ns; i = (i - 1) / 2)
		place(h, i, h->nodes[(i - 1) / 2]);
	place(h, i, node);
}

static void sift_down(struct heap *h, size_t i)
{
	struct heap_node *node = h->nodes[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->nodes[child + 1]->at.ns < h->nodes[child]->at.ns)
			child++;
		if (node->at.ns <= h->nodes[child]->at.ns)
			break;
		place(h, i, h->nodes[child]);
		i = child;
	}
	place(h, i, node);
}

void heap_set(struct heap *h, struct heap_node *node, struct mono at)
{
	node->at = at;
	if (!node->slot) {
		mem_reserve(h->nodes, h->n, h->cap);
		place(h, h->n, node);
		h->n++;
	}
	sift_up(h, node->slot - 1);
	sift_down(h, node->slot - 1);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	size_t i = node->slot;

	if (!i--)
		return;
	node->slot = 0;
	h->n--;
	if (i == h->n)
		return;
	place(h, i, h->nodes[h->n]);
	sift_up(h, i);
	sift_down(h, h->nodes[i]->slot - 1);
}

struct heap_node *heap_first(const struct heap *h)
{
	return h->n ? h->nodes[0] : NULL;
}

struct heap_node *heap_pop_due(struct heap *h, struct mono now)
{
	struct heap_node *node = heap_first(h);

	if (!node || !mono_reached(now, node->at))
		return NULL;
	heap_remove(h, node);
	return node;
}
