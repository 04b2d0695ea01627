/* Input: rules as JSON, a zero byte, packets of 60 bytes. Nothing crashes; no packet from nowhere
 * passes. */
#include "engine/filter/filter.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"

enum { PACKET = 60 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
	struct bytes text = bytes_of(data, zero ? (size_t)(zero - data) : n);
	struct bytes rest = bytes_from(bytes_of(data, n), text.n + 1);
	struct ip_range local = { ip_v4(0, 0, 0, 0), ip_v4(127, 255, 255, 255) };
	struct filter_conf conf = { .local = &local, .local_count = 1, .list_count = 1 };
	struct filter_source from = { .caps = 1 };
	const struct json *list;
	struct filter *f;
	struct arena arena;
	struct err err;

	arena_init(&arena, 1 << 24);
	list = json_parse(&arena, text, 0, &err);
	conf.lists = &list;
	conf.flows = filter_flows_create((const uint8_t *)"0123456789abcdef");
	f = filter_create(&conf, NULL, &err);
	for (; f && rest.n; rest = bytes_from(rest, PACKET)) {
		struct ippkt pkt;

		if (!ippkt_parse(&pkt, bytes_of(rest.p, rest.n < PACKET ? rest.n : PACKET)))
			continue;
		if (filter_accepts(filter_in(f, &from, &pkt)) && !range_contains(local, pkt.dst))
			abort();
		(void)filter_out(f, &pkt);
	}
	filter_unref(f);
	filter_flows_destroy(conf.flows);
	arena_fini(&arena);
	return 0;
}
