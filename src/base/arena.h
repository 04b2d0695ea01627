/*
 * base/arena.h - memory that is freed all at once: a decoded message, a request, a parsed policy.
 *
 * An arena has a limit, so what a stranger sends cannot grow without bound: past it arena_alloc()
 * returns NULL, and so does everything after, until arena_reset().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct arena_block;

struct arena {
	struct arena_block *block; /* newest first */
	size_t used, max;
	bool bad; /* the limit was reached or the system had no memory */
};

void arena_init(struct arena *a, size_t max);
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);               /* frees all but one block */
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
/* n elements; NULL also when n * size overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);
struct bytes arena_bytes(struct arena *a, struct bytes b); /* a copy; {NULL, 0} at the limit */
char *arena_str(struct arena *a, struct bytes b);          /* a copy with NUL */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
