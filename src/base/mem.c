#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The one switch in this library that outlives a call: tests only, per thread. */
static _Thread_local unsigned fail_countdown;

static void *must(void *p)
{
	if (!p) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_alloc(size_t size)
{
	return must(calloc(1, size ? size : 1));
}

void *mem_alloc_aligned(size_t align, size_t size)
{
	size_t whole = (size + align - 1) & ~(align - 1); /* aligned_alloc() wants a multiple */

	return memset(must(aligned_alloc(align, whole)), 0, whole);
}

void *mem_try_alloc(size_t size)
{
	if (fail_countdown && --fail_countdown == 0)
		return NULL;
	return calloc(1, size ? size : 1);
}

void *mem_resize(void *p, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size)
		must(NULL);
	return must(realloc(p, n && size ? n * size : 1));
}

char *mem_strdup(const char *s)
{
	return must(strdup(s));
}

void mem_free(void *p)
{
	free(p);
}

void mem_fail_after(unsigned n)
{
	fail_countdown = n;
}
