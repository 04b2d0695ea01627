/*
 * base/mem.h - heap memory.
 *
 * Small fixed sizes abort when there is no memory: a daemon cannot do better. A size that comes
 * from the wire is compared to a limit first and then uses mem_try_alloc().
 */
#pragma once

#include <stddef.h>

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define array_len(a) (sizeof(a) / sizeof((a)[0]))

/* `scoped(noun) x = ...;` calls noun_destroy(x) at the end of the scope. */
#define scoped(noun) __attribute__((cleanup(noun##_destroy_at))) struct noun *
#define SCOPED_DEFINE(noun)                                                                        \
	static inline void noun##_destroy_at(struct noun **p)                                      \
	{                                                                                          \
		noun##_destroy(*p);                                                                \
	}

void *mem_alloc(size_t size); /* zeroed; aborts when there is none */
/* The same on a boundary (a power of two), for objects that hold _Alignas members. */
void *mem_alloc_aligned(size_t align, size_t size);
void *mem_try_alloc(size_t size);                 /* zeroed; NULL when there is none */
void *mem_resize(void *p, size_t n, size_t size); /* aborts on failure or when n * size overflows */
char *mem_strdup(const char *s);
void mem_free(void *p);

/* Makes room for one more element in an array that grows by doubling. */
#define mem_reserve(ptr, n, cap)                                                                   \
	do {                                                                                       \
		if ((n) >= (cap)) {                                                                \
			(cap) = (cap) ? (cap)*2 : 8;                                               \
			(ptr) = mem_resize((ptr), (cap), sizeof(*(ptr)));                          \
		}                                                                                  \
	} while (0)

/*
 * Test builds fail the n-th mem_try_alloc() from now on (0: never). Parsers must survive it.
 */
void mem_fail_after(unsigned n);
