#include "wire/schema.h"

#include "base/err.h"
#include "kit/kit.h"

struct inner {
	int64_t n;
};
static const struct field inner_fields[] = {
	{ "N", FIELD_I64, offsetof(struct inner, n), .flags = FIELD_ALWAYS },
};
static const struct schema inner_schema = { "Inner", sizeof(struct inner), inner_fields, 1, 0 };
struct inner_list {
	struct inner *v;
	size_t n;
	bool set;
};

struct outer {
	struct bytes raw;
	bool b;
	enum opt_bool o;
	struct bytes text, blob;
	struct wall at;
	struct opt_time maybe;
	struct key key;
	struct inner *one;
	struct inner_list many, loose;
	struct id_object_list by_id;
	struct prefix_list nets;
	struct named_json_list any;
};
#define AT(m) offsetof(struct outer, m)
static const struct field outer_fields[] = {
	{ "B", FIELD_BOOL, AT(b) },
	{ "O", FIELD_OPT_BOOL, AT(o) },
	{ "Text", FIELD_TEXT, AT(text), .flags = FIELD_ALWAYS },
	{ "Blob", FIELD_BASE64, AT(blob), .flags = FIELD_ALWAYS },
	{ "At", FIELD_TIME, AT(at), .flags = FIELD_ALWAYS },
	{ "Maybe", FIELD_OPT_TIME, AT(maybe) },
	{ "Key", FIELD_KEY, AT(key), .key = KEY_NODE },
	{ "One", FIELD_OBJECT, AT(one), .sub = &inner_schema },
	{ "Many", FIELD_OBJECTS, AT(many), .sub = &inner_schema },
	{ "Loose", FIELD_OBJECTS, AT(loose), .flags = FIELD_LENIENT, .sub = &inner_schema },
	{ "ByID", FIELD_ID_OBJECTS, AT(by_id), .sub = &inner_schema },
	{ "Nets", FIELD_PREFIXES, AT(nets) },
	{ "Any", FIELD_NAMED_JSONS, AT(any) },
};
static const struct schema outer_schema = { "Outer", sizeof(struct outer), outer_fields, 13, 0 };

static int decode(struct outer *out, struct arena *arena, const char *text, struct err *err)
{
	return schema_decode(out, &outer_schema, arena, kit_copy(bytes_str(text)), err);
}

static void round_trip(const char *in, const char *want)
{
	struct arena arena;
	struct outer o;
	struct json_out out;
	struct err err;
	struct buf buf;

	arena_init(&arena, 1 << 20);
	buf_init(&buf, 1 << 20);
	if (!CHECK(decode(&o, &arena, in, &err) == 0))
		CHECK_STR(err.text, "");
	json_out_init(&out, &buf);
	schema_encode(&out, &outer_schema, &o);
	CHECK_STR(buf_cstr(&buf), want);
	buf_fini(&buf);
	arena_fini(&arena);
}

TEST(empty_and_null_are_alike)
{
	const char *zero = "{\"Text\":\"\",\"Blob\":null,\"At\":\"0001-01-01T00:00:00Z\"}";

	round_trip("{}", zero);
	round_trip("{\"B\":null,\"O\":null,\"Many\":null,\"One\":null,\"Key\":null,\"At\":null}",
		   zero);
	round_trip(zero, zero);
}

TEST(case_and_unknown_members) /* T56 */
{
	round_trip("{\"tExT\":\"a/b&c\",\"Unknown\":{\"deep\":[1,2]},\"many\":[{\"n\":7}]}",
		   "{\"Text\":\"a/"
		   "b&c\",\"Blob\":null,\"At\":\"0001-01-01T00:00:00Z\",\"Many\":[{\"N\":7}]}");
}

TEST(values_survive)
{
	const char *all =
	    "{\"B\":true,\"O\":false,\"Text\":\"x\",\"Blob\":\"AQI=\",\"At\":\"2026-01-02T03:04:"
	    "05Z\","
	    "\"Maybe\":\"0001-01-01T00:00:00Z\",\"Key\":\"nodekey:"
	    "0101010101010101010101010101010101010101010101010101010101010101\",\"One\":{\"N\":1},"
	    "\"Many\":[],\"ByID\":{\"7\":{\"N\":9007199254740993},\"-8\":null},"
	    "\"Nets\":[\"10.0.0.0/8\",\"\"],\"Any\":{\"a\":null,\"b\":[1,{\"c\":2}]}}";

	round_trip(all, all);
}

TEST(wrong_kinds_fail_with_the_place)
{
	static const struct {
		const char *in, *says;
	} cases[] = {
		{ "{\"B\":\"true\"}", "Outer: B: needs true or false" },
		{ "{\"O\":\"true\"}", "Outer: O: needs true or false" },
		{ "{\"Key\":\"\"}", "Outer: Key: needs a key with its prefix" },
		{ "{\"Many\":[{\"N\":1},{\"N\":1e3}]}",
		  "Outer: Many: [1]: N: needs a whole number" },
		{ "{\"Nets\":[\"10.0.0.0\"]}",
		  "Outer: Nets: [0]: needs a prefix such as 192.0.2.0/24" },
		{ "{\"ByID\":{\"x\":{}}}", "Outer: ByID: [0]: needs numbers as keys" },
		{ "{\"Any\":[]}", "Outer: Any: needs an object" },
		{ "[]", "Outer: needs an object" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena;
		struct outer o;
		struct err err = { 0 };

		arena_init(&arena, 1 << 20);
		CHECK(decode(&o, &arena, cases[i].in, &err) < 0);
		CHECK_STR(err.text, cases[i].says);
		arena_fini(&arena);
	}
}

TEST(lenient_lists_lose_the_bad_element_only) /* T33, seen from the node */
{
	round_trip(
	    "{\"Loose\":[{\"N\":1},{\"N\":\"x\"},{\"N\":3}]}",
	    "{\"Text\":\"\",\"Blob\":null,\"At\":\"0001-01-01T00:00:00Z\",\"Loose\":[{\"N\":1},{"
	    "\"N\":3}]}");
}
