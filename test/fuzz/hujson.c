/* Whatever parses must format to the same value, and formatting that again must change nothing. */
#include "base/hujson.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"

static void print(struct bytes text, struct buf *out)
{
	struct arena arena;
	struct json_out o;
	struct json *v;

	arena_init(&arena, 1 << 24);
	v = json_parse(&arena, text, JSON_HUJSON, NULL);
	if (!v)
		abort();
	json_out_init(&o, out);
	json_put_value(&o, v);
	arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf once, twice, was, is;

	if (n > 1 << 16)
		return 0;
	buf_init(&once, 1 << 24);
	buf_init(&twice, 1 << 24);
	buf_init(&was, 1 << 24);
	buf_init(&is, 1 << 24);
	if (hujson_format(bytes_of(data, n), &once, NULL) == 0) {
		if (hujson_format(buf_bytes(&once), &twice, NULL) < 0 ||
		    !bytes_equal(buf_bytes(&once), buf_bytes(&twice)))
			abort();
		print(bytes_of(data, n), &was);
		print(buf_bytes(&once), &is);
		if (!bytes_equal(buf_bytes(&was), buf_bytes(&is)))
			abort();
	}
	buf_fini(&once);
	buf_fini(&twice);
	buf_fini(&was);
	buf_fini(&is);
	return 0;
}
