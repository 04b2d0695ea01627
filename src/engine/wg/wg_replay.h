/*
 * engine/wg/wg_replay.h - which counters of a session were seen (RFC 6479).
 *
 * A ring of 128 words of 64 bits; the word being filled is never trusted to hold old bits, so
 * 127 * 64 = 8128 counters below the highest one are usable.
 *
 * wg_replay_check() may run beside a commit in another thread and then answers for before or after
 * it. Commits are one at a time: wg_session_lock().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { WG_REPLAY_WORDS = 128, WG_REPLAY_WINDOW = (WG_REPLAY_WORDS - 1) * 64 };

struct wg_replay {
	uint64_t last; /* highest counter committed */
	uint64_t words[WG_REPLAY_WORDS];
};

/* Cheap test before the tag is verified; changes nothing. */
static inline bool wg_replay_check(const struct wg_replay *r, uint64_t counter)
{
	uint64_t last = __atomic_load_n(&r->last, __ATOMIC_RELAXED);
	uint64_t word =
	    __atomic_load_n(&r->words[counter / 64 % WG_REPLAY_WORDS], __ATOMIC_RELAXED);

	return counter > last || (last - counter < WG_REPLAY_WINDOW && !(word >> counter % 64 & 1));
}

/* After the tag verified: false when the counter was seen or is too old, else marks it. */
bool wg_replay_commit(struct wg_replay *r, uint64_t counter);
