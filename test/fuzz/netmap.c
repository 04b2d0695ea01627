/* Map frames, one JSON object per line, merged one after the other; and the cache's way back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "node/netmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct netmap *next(struct netmap *old, struct bytes json)
{
	struct wall now = wall_from_s(1770000000);
	struct tailcfg_map_response f = { 0 };
	struct netmap_diff d;
	struct netmap *m = NULL;
	struct arena arena;
	struct err err;

	arena_init(&arena, 8 << 20);
	if (schema_decode(&f, &tailcfg_map_response_schema, &arena, json, &err) == 0)
		m = netmap_apply(old, false, &f, now, &err);
	arena_fini(&arena);
	if (!m)
		return old;
	netmap_diff(old, m, &d);
	netmap_diff_fini(&d);
	(void)netmap_next_expiry(m, now);
	netmap_unref(old);
	return m;
}

static void there_and_back(const struct netmap *m)
{
	struct netmap *again;
	struct netmap_diff d;
	struct err err;
	struct buf json;

	buf_init(&json, 8 << 20);
	if (netmap_encode(m, &json)) {
		again = netmap_decode(buf_bytes(&json), wall_from_s(1770000000), &err);
		if (!again)
			abort();
		netmap_diff(m, again, &d);
		if (d.peer_count || d.filter)
			abort();
		netmap_diff_fini(&d);
		netmap_unref(again);
	}
	buf_fini(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes rest = bytes_of(data, n), line;
	struct netmap *m = NULL;

	if (n > 64 << 10)
		return 0;
	while (text_split(&rest, '\n', &line))
		m = next(m, line);
	if (m)
		there_and_back(m);
	netmap_unref(m);
	return 0;
}
