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

/* The kinds that the table above has not. */
struct rest {
	double real;
	struct ip ip;
	struct prefix prefix;
	struct addrport at;
	struct bytes json;
	struct ip_list ips;
	struct addrport_list ats;
	struct i64_list numbers;
	struct text_list texts;
	struct named_real_list reals;
	struct id_bool_list bools;
};
#define REST(m) offsetof(struct rest, m)
static const struct field rest_fields[] = {
	{ "Real", FIELD_REAL, REST(real) },       { "IP", FIELD_IP, REST(ip) },
	{ "Prefix", FIELD_PREFIX, REST(prefix) }, { "At", FIELD_ADDRPORT, REST(at) },
	{ "JSON", FIELD_JSON, REST(json) },       { "IPs", FIELD_IPS, REST(ips) },
	{ "Ats", FIELD_ADDRPORTS, REST(ats) },    { "Numbers", FIELD_I64S, REST(numbers) },
	{ "Texts", FIELD_TEXTS, REST(texts) },    { "Reals", FIELD_NAMED_REALS, REST(reals) },
	{ "Bools", FIELD_ID_BOOLS, REST(bools) },
};
static const struct schema rest_schema = { "Rest", sizeof(struct rest), rest_fields,
					   sizeof(rest_fields) / sizeof(rest_fields[0]), 0 };

static int decode_rest(struct rest *out, struct arena *arena, const char *text, struct err *err)
{
	return schema_decode(out, &rest_schema, arena, kit_copy(bytes_str(text)), err);
}

static void rest_round_trip(const char *in, const char *want)
{
	struct arena arena;
	struct json_out out;
	struct rest r;
	struct err err;
	struct buf buf;

	arena_init(&arena, 1 << 20);
	buf_init(&buf, 1 << 20);
	if (!CHECK(decode_rest(&r, &arena, in, &err) == 0))
		CHECK_STR(err.text, "");
	json_out_init(&out, &buf);
	schema_encode(&out, &rest_schema, &r);
	CHECK_STR(buf_cstr(&buf), want);
	buf_fini(&buf);
	arena_fini(&arena);
}

TEST(the_other_kinds_survive)
{
	const char *all = "{\"Real\":0.25,\"IP\":\"192.0.2.1\",\"Prefix\":\"2001:db8::/32\","
			  "\"At\":\"192.0.2.1:41641\",\"JSON\":{\"a\":[1]},"
			  "\"IPs\":[\"192.0.2.1\",\"2001:db8::1\"],\"Ats\":[\"[2001:db8::1]:1\"],"
			  "\"Numbers\":[-1,9007199254740993],\"Texts\":[\"\",\"x\"],"
			  "\"Reals\":{\"derp-1\":0.5},\"Bools\":{\"7\":true,\"-8\":false}}";

	rest_round_trip(all, all);
	rest_round_trip("{}", "{}");
	rest_round_trip("{\"IP\":\"\",\"Prefix\":\"\",\"At\":\"\"}", "{}");
}

TEST(the_other_kinds_fail_with_the_place)
{
	static const struct {
		const char *in, *says;
	} cases[] = {
		{ "{\"Real\":\"1\"}", "Rest: Real: needs a number" },
		{ "{\"IP\":\"192.0.2\"}", "Rest: IP: needs an IP address" },
		{ "{\"Prefix\":\"192.0.2.0\"}",
		  "Rest: Prefix: needs a prefix such as 192.0.2.0/24" },
		{ "{\"At\":\"192.0.2.1\"}", "Rest: At: needs an address with port" },
		{ "{\"IPs\":[\"192.0.2.1\",1]}", "Rest: IPs: [1]: needs texts" },
		{ "{\"IPs\":[\"x\"]}", "Rest: IPs: [0]: needs an IP address" },
		{ "{\"Ats\":[\"x\"]}", "Rest: Ats: [0]: needs an address with port" },
		{ "{\"Numbers\":[0.5]}", "Rest: Numbers: [0]: needs whole numbers" },
		{ "{\"Texts\":{}}", "Rest: Texts: needs a list" },
		{ "{\"Reals\":{\"a\":\"b\"}}", "Rest: Reals: [0]: needs numbers" },
		{ "{\"Bools\":{\"a\":true}}", "Rest: Bools: [0]: needs numbers as keys" },
		{ "{\"Bools\":{\"1\":1}}", "Rest: Bools: [0]: needs true or false" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena arena;
		struct rest r;
		struct err err = { 0 };

		arena_init(&arena, 1 << 20);
		CHECK(decode_rest(&r, &arena, cases[i].in, &err) < 0);
		CHECK_STR(err.text, cases[i].says);
		arena_fini(&arena);
	}
}

TEST(times_and_blobs_of_no_form_are_refused)
{
	static const struct {
		const char *in, *says;
	} cases[] = {
		{ "{\"At\":\"yesterday\"}", "Outer: At: needs a time (RFC 3339)" },
		{ "{\"Maybe\":\"2026-13-01T00:00:00Z\"}", "Outer: Maybe: needs a time (RFC 3339)" },
		{ "{\"Blob\":\"A*==\"}", "Outer: Blob: needs standard base64" },
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

/* A small message must not become a large one: what it unfolds to has its limit, too. */
TEST(a_full_arena_is_an_error)
{
	const char *text = "{\"Many\":[{},{},{}],\"Blob\":\"AQIDBAUGBwgJCgsMDQ4P\","
			   "\"One\":{\"N\":1},\"ByID\":{\"1\":{\"N\":2}}}";
	unsigned full = 0, fits = 0;

	for (size_t max = 16; max < 8192; max += 16) {
		struct arena arena;
		struct outer o;
		struct err err = { 0 };

		arena_init(&arena, max);
		if (decode(&o, &arena, text, &err) == 0)
			fits++;
		else
			full += err.code == ERR_LIMIT;
		arena_fini(&arena);
	}
	CHECK(fits > 0);
	CHECK(full > 0);
}
