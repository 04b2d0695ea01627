/* What decodes must encode, decode again and encode the same. The first byte picks the message. */
#include <stdlib.h>

#include "base/err.h"
#include "wire/tailcfg_map.h"
#include "wire/tailcfg_register.h"

static const struct schema *pick(uint8_t byte)
{
	switch (byte & 3) {
	case 0:
		return &tailcfg_register_request_schema;
	case 1:
		return &tailcfg_map_request_schema;
	case 2:
		return &tailcfg_map_response_schema;
	default:
		return &tailcfg_register_response_schema;
	}
}

static bool again(struct arena *arena, const struct schema *s, struct bytes text, struct buf *out)
{
	void *object = arena_alloc(arena, s->size);
	struct json_out o;
	struct err err;

	if (!object || schema_decode(object, s, arena, text, &err) < 0)
		return false;
	json_out_init(&o, out);
	schema_encode(&o, s, object);
	return !out->bad;
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
	if (again(&arena, pick(data[0]), bytes_of(data + 1, n - 1), &once)) {
		if (!again(&arena, pick(data[0]), buf_bytes(&once), &twice) && !arena.bad)
			abort();
		if (!arena.bad && !bytes_equal(buf_bytes(&once), buf_bytes(&twice)))
			abort();
	}
	buf_fini(&once);
	buf_fini(&twice);
	arena_fini(&arena);
	return 0;
}
