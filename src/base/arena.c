#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

enum { BLOCK_FIRST = 4096, BLOCK_MAX = 1 << 20, ALIGN = _Alignof(max_align_t) };

struct arena_block {
	struct arena_block *older;
	size_t size, used;
	_Alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *a, size_t max)
{
	*a = (struct arena){ .max = max };
}

static void free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *older = b->older;

		mem_free(b);
		b = older;
	}
}

void arena_fini(struct arena *a)
{
	free_blocks(a->block);
	*a = (struct arena){ .max = a->max };
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = a->block;

	a->used = 0;
	a->bad = false;
	if (!keep)
		return;
	free_blocks(keep->older);
	keep->older = NULL;
	memset(keep->data, 0, keep->used);
	keep->used = 0;
}

static struct arena_block *grow(struct arena *a, size_t size)
{
	size_t want = a->block ? a->block->size * 2 : BLOCK_FIRST;
	struct arena_block *b;

	if (want > BLOCK_MAX)
		want = BLOCK_MAX;
	if (want < size)
		want = size;
	b = mem_try_alloc(sizeof(*b) + want);
	if (!b)
		return NULL;
	b->size = want;
	b->older = a->block;
	a->block = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->block;
	void *p;

	if (a->bad || size > a->max || a->used > a->max - size)
		goto bad;
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (!b || b->size - b->used < size)
		b = grow(a, size);
	if (!b)
		goto bad;
	p = b->data + b->used;
	b->used += size;
	a->used += size;
	return p;
bad:
	a->bad = true;
	return NULL;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		a->bad = true;
		return NULL;
	}
	return arena_alloc(a, n * size);
}

char *arena_str(struct arena *a, struct bytes b)
{
	char *p = b.n < SIZE_MAX ? arena_alloc(a, b.n + 1) : NULL;

	if (p && b.n)
		memcpy(p, b.p, b.n);
	return p;
}

struct bytes arena_bytes(struct arena *a, struct bytes b)
{
	char *p = arena_str(a, b);

	return p ? bytes_of(p, b.n) : bytes_of(NULL, 0);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
