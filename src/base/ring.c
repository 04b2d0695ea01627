#include "base/ring.h"

#include "base/mem.h"

/*
 * Every record starts at a multiple of 8 with its length as a 64-bit number; SKIP as length says
 * that the rest up to the end of the ring is unused and the next record starts at its beginning.
 */
enum { ALIGN = 8, HEAD = 8 };
#define SKIP UINT64_MAX

static size_t padded(size_t n)
{
	return HEAD + ((n + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

void ring_init(struct ring *r, size_t size)
{
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	r->reserved = 0;
	r->size = size;
	r->p = mem_alloc(size);
}

void ring_fini(struct ring *r)
{
	mem_free(r->p);
	r->p = NULL;
}

static void put_length(struct ring *r, size_t at, uint64_t n)
{
	memcpy(r->p + (at & (r->size - 1)), &n, sizeof(n));
}

static uint64_t get_length(const struct ring *r, size_t at)
{
	uint64_t n;

	memcpy(&n, r->p + (at & (r->size - 1)), sizeof(n));
	return n;
}

uint8_t *ring_reserve(struct ring *r, size_t n)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	size_t to_end = r->size - (head & (r->size - 1)), need = padded(n);
	size_t skip = to_end < need ? to_end : 0;

	if (n > r->size / 2 || head - tail + skip + need > r->size)
		return NULL;
	if (skip)
		put_length(r, head, SKIP);
	head += skip;
	put_length(r, head, n);
	r->reserved = head + need;
	return r->p + (head & (r->size - 1)) + HEAD;
}

void ring_commit(struct ring *r)
{
	atomic_store_explicit(&r->head, r->reserved, memory_order_release);
}

bool ring_peek(struct ring *r, uint8_t **p, size_t *n)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (head != tail && get_length(r, tail) == SKIP) {
		tail += r->size - (tail & (r->size - 1));
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
	if (head == tail)
		return false;
	*n = (size_t)get_length(r, tail);
	*p = r->p + (tail & (r->size - 1)) + HEAD;
	return true;
}

void ring_pop(struct ring *r)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + padded((size_t)get_length(r, tail)),
			      memory_order_release);
}

bool ring_is_empty(const struct ring *r)
{
	return atomic_load(&r->head) == atomic_load(&r->tail);
}

size_t ring_used(const struct ring *r)
{
	/* The tail first: a head that is read later is never behind it. */
	size_t tail = atomic_load(&r->tail);

	return atomic_load(&r->head) - tail;
}

size_t ring_written(const struct ring *r)
{
	return atomic_load(&r->head);
}

size_t ring_taken(const struct ring *r)
{
	return atomic_load(&r->tail);
}
