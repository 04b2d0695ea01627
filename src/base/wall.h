/* base/wall.h - calendar time, for what people and certificates see. Never for timers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct wall {
	int64_t ns; /* since 1970-01-01T00:00:00Z */
};

enum { WALL_TEXT_MAX = 40 };

/* Go's zero time, 0001-01-01T00:00:00Z: on the wire it means "not set". */
#define WALL_ZERO_S (-62135596800LL)

struct wall wall_now(void);
static inline struct wall wall_from_s(int64_t s)
{
	return (struct wall){ s * 1000000000 };
}
static inline int64_t wall_s(struct wall t)
{
	/* Rounds towards the past, also before 1970. */
	return t.ns / 1000000000 - (t.ns % 1000000000 < 0);
}

/*
 * RFC 3339 with optional fraction and any offset. The zero time and everything before 1678 or after
 * 2261 clamps to the ends of what 64 bits of nanoseconds hold. False when it is no such text.
 */
bool wall_parse(struct wall *t, struct bytes text);
/* "2026-01-02T03:04:05Z", with a fraction only when there is one. Returns out. */
const char *wall_format(struct wall t, char out[WALL_TEXT_MAX]);
