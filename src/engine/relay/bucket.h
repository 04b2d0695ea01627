/*
 * engine/relay/bucket.h - a token bucket that may go into debt: what has been taken is charged, and
 * ready_at says when the debt is paid. Rate 0 means no limit. And one that several threads charge.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

struct bucket {
	double tokens;
	struct mono at; /* zero: never used, hence full */
};

static inline void bucket_refill(struct bucket *b, uint64_t rate, uint64_t burst, struct mono now)
{
	if (mono_is_zero(b->at))
		b->tokens = (double)burst;
	else if (now.ns > b->at.ns)
		b->tokens += (double)(now.ns - b->at.ns) * (double)rate / 1e9;
	if (b->tokens > (double)burst)
		b->tokens = (double)burst;
	b->at = now;
}

static inline void bucket_charge(struct bucket *b, uint64_t rate, uint64_t burst, struct mono now,
				 uint64_t n)
{
	if (!rate)
		return;
	bucket_refill(b, rate, burst, now);
	b->tokens -= (double)n;
}

/* Takes n when there are as many. */
static inline bool bucket_take(struct bucket *b, uint64_t rate, uint64_t burst, struct mono now,
			       uint64_t n)
{
	if (!rate)
		return true;
	bucket_refill(b, rate, burst, now);
	if (b->tokens < (double)n)
		return false;
	b->tokens -= (double)n;
	return true;
}

/* When a bucket in debt is at zero again; zero time when it is not in debt. */
static inline struct mono bucket_ready_at(const struct bucket *b, uint64_t rate)
{
	if (!rate || b->tokens >= 0)
		return (struct mono){ 0 };
	return mono_add_ns(b->at, (int64_t)(-b->tokens * 1e9 / (double)rate) + 1);
}

/* When a bucket that has just been emptied would be full: the same bucket as one number. */
struct bucket_shared {
	_Atomic int64_t full_at_ns;
};

/* Returns when the debt is paid; zero time when there is none. */
static inline struct mono bucket_shared_charge(struct bucket_shared *b, uint64_t rate,
					       uint64_t burst, struct mono now, uint64_t n)
{
	int64_t at = atomic_load_explicit(&b->full_at_ns, memory_order_relaxed), paid, next;

	if (!rate)
		return (struct mono){ 0 };
	do {
		int64_t full = now.ns - (int64_t)((double)burst * 1e9 / (double)rate);

		paid = at > full ? at : full;
		next = paid + (int64_t)((double)n * 1e9 / (double)rate);
	} while (!atomic_compare_exchange_weak_explicit(
	    &b->full_at_ns, &at, next, memory_order_relaxed, memory_order_relaxed));
	if (next <= now.ns)
		next = 0;
	return (struct mono){ next };
}
