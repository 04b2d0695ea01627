/* Whatever parses must print, parse again and print the same. The first byte picks the flags. */
#include "base/json.h"

#include <stdlib.h>

#include "base/err.h"

static bool print(struct arena *arena, struct bytes text, unsigned flags, struct buf *out)
{
	struct err err;
	struct json *v = json_parse(arena, text, flags, &err);
	struct json_out o;

	if (!v)
		return false;
	json_out_init(&o, out);
	json_put_value(&o, v);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena;
	struct buf once, twice;

	if (!n)
		return 0;
	arena_init(&arena, 1 << 24);
	buf_init(&once, 1 << 24);
	buf_init(&twice, 1 << 24);
	if (print(&arena, bytes_of(data + 1, n - 1), data[0] & 3, &once) && !once.bad) {
		if (!print(&arena, buf_bytes(&once), 0, &twice) ||
		    !bytes_equal(buf_bytes(&once), buf_bytes(&twice)))
			abort();
	}
	buf_fini(&once);
	buf_fini(&twice);
	arena_fini(&arena);
	return 0;
}
