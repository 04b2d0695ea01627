#include "maps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "kit/kit.h"
#include "node/lan.h"

struct netmap *maps_make(const char *self, const char *peers)
{
	const size_t size = strlen(self) + strlen(peers) + 1024;
	struct tailcfg_map_response f = { 0 };
	char *text = mem_alloc(size);
	struct netmap *m = NULL;
	struct err err = { 0 };
	struct arena arena;

	(void)snprintf(
	    text, size,
	    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.net.\",\"User\":7,"
	    "\"Key\":\"nodekey:" MAPS_HEX(1) "\",\"Addresses\":[\"100.64.0.1/32\","
					     "\"fd7a:115c:a1e0::1/128\"],"
					     "\"MachineAuthorized\":true%s},"
					     "\"Peers\":[%s]}",
	    self, peers);
	arena_init(&arena, 64 << 20);
	if (schema_decode(&f, &tailcfg_map_response_schema, &arena, bytes_str(text), &err) == 0)
		m = netmap_apply(NULL, true, &f, MAPS_NOW, &err);
	if (!CHECK(m != NULL))
		printf("# %s\n", err.text);
	arena_fini(&arena);
	mem_free(text);
	return m;
}

struct prefs *maps_prefs(const char *json)
{
	struct prefs *defaults = prefs_create(), *p;
	struct err err = { 0 };

	p = prefs_edit(defaults, bytes_str(json), &err);
	if (!CHECK(p != NULL))
		printf("# %s\n", err.text);
	prefs_destroy(defaults);
	return p;
}

struct prefix maps_prefix(const char *text)
{
	struct prefix p = { 0 };

	CHECK(prefix_parse(&p, bytes_str(text)));
	return p;
}

void maps_lan(struct lan *lan, const char *addresses)
{
	struct bytes rest = bytes_str(addresses), one;
	struct prefix p;

	lan->n = 0;
	while (rest.n && text_split(&rest, ' ', &one))
		if (CHECK(prefix_parse(&p, one)))
			lan_add(lan, p, false);
}
