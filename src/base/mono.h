/* base/mono.h - monotonic time as a type, so that seconds and milliseconds cannot be mixed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mono {
	int64_t ns; /* since an arbitrary start; 0 is "never happened" */
};

#define MONO_NEVER ((struct mono){ INT64_MAX }) /* a deadline that does not come */

struct mono mono_now(void); /* io and tests only: engines get the time as an argument */

static inline struct mono mono_add_ns(struct mono t, int64_t ns)
{
	return (struct mono){ t.ns > INT64_MAX - ns ? INT64_MAX : t.ns + ns };
}
static inline struct mono mono_add_ms(struct mono t, int64_t ms)
{
	return mono_add_ns(t, ms * 1000000);
}
static inline struct mono mono_add_s(struct mono t, int64_t s)
{
	return mono_add_ns(t, s * 1000000000);
}
static inline int64_t mono_since_ms(struct mono now, struct mono then)
{
	return (now.ns - then.ns) / 1000000;
}
static inline bool mono_reached(struct mono now, struct mono deadline)
{
	return now.ns >= deadline.ns;
}
static inline struct mono mono_min(struct mono a, struct mono b)
{
	return a.ns < b.ns ? a : b;
}
static inline bool mono_is_zero(struct mono t)
{
	return t.ns == 0;
}
