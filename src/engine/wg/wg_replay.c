#include "engine/wg/wg_replay.h"

bool wg_replay_commit(struct wg_replay *r, uint64_t counter)
{
	uint64_t word = counter / 64, bit = UINT64_C(1) << counter % 64;

	if (!wg_replay_check(r, counter))
		return false;
	if (counter > r->last) {
		uint64_t ahead = word - r->last / 64;

		if (ahead > WG_REPLAY_WORDS)
			ahead = WG_REPLAY_WORDS;
		for (uint64_t i = 0; i < ahead; i++) /* words that come into use forget old bits */
			r->words[(word - i) % WG_REPLAY_WORDS] = 0;
		r->last = counter;
	}
	r->words[word % WG_REPLAY_WORDS] |= bit;
	return true;
}
