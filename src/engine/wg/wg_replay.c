#include "engine/wg/wg_replay.h"

bool wg_replay_commit(struct wg_replay *r, uint64_t counter)
{
	uint64_t word = counter / 64, bit = UINT64_C(1) << counter % 64;
	uint64_t *at;

	if (!wg_replay_check(r, counter))
		return false;
	if (counter > r->last) {
		uint64_t ahead = word - r->last / 64;

		if (ahead > WG_REPLAY_WORDS)
			ahead = WG_REPLAY_WORDS;
		for (uint64_t i = 0; i < ahead; i++) /* words that come into use forget old bits */
			__atomic_store_n(&r->words[(word - i) % WG_REPLAY_WORDS], 0,
					 __ATOMIC_RELAXED);
		__atomic_store_n(&r->last, counter, __ATOMIC_RELAXED);
	}
	at = &r->words[word % WG_REPLAY_WORDS];
	__atomic_store_n(at, *at | bit, __ATOMIC_RELAXED);
	return true;
}
