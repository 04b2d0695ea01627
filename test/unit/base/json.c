#include "base/json.h"

#include "base/err.h"
#include "kit/kit.h"

/* Parses and writes again; NULL when refused. */
static const char *again(const char *text, unsigned flags, struct err *err)
{
	static char out[4096];
	struct arena arena;
	struct json *v;
	struct buf buf;
	struct json_out o;

	arena_init(&arena, 1 << 20);
	buf_init(&buf, sizeof(out));
	v = json_parse(&arena, kit_copy(bytes_str(text)), flags, err);
	if (v) {
		json_out_init(&o, &buf);
		json_put_value(&o, v);
		CHECK(bytes_to_cstr(buf_bytes(&buf), out, sizeof(out)));
	}
	buf_fini(&buf);
	arena_fini(&arena);
	return v ? out : NULL;
}

TEST(documents_round_trip)
{
	static const char *const same[] = {
		"null",
		"true",
		"-0",
		"1e5",
		"\"a\"",
		"[]",
		"{}",
		"[[],{},[{}]]",
		"{\"a\":[1,2,{\"b\":null}],\"c\":\"/&<\"}",
		"[18446744073709551615,-9223372036854775808]",
	};
	struct err err;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		CHECK_STR(again(same[i], 0, &err), same[i]);
	CHECK_STR(again(" { \"a\" : [ 1 , 2 ] } ", 0, &err), "{\"a\":[1,2]}");
	CHECK_STR(again("\"\\u00e9\\ud83d\\ude00\\ud800x\\/\\u0001\"", 0, &err),
		  "\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbdx/\\u0001\"");
}

TEST(hujson_has_comments_and_trailing_commas)
{
	struct err err;
	const char *text = "// head\n{ /* a */ \"a\": [1, 2,], // tail\n}\n// end";

	CHECK_STR(again(text, JSON_HUJSON, &err), "{\"a\":[1,2]}");
	CHECK(!again(text, 0, &err));
	CHECK_STR(err.text, "line 1, column 1: comments are not allowed here");
	CHECK(!again("[1,]", 0, &err) && !again("[,]", JSON_HUJSON, &err) &&
	      !again("{,}", JSON_HUJSON, &err));
}

TEST(errors_name_the_place)
{
	struct err err;

	CHECK(!again("{\"a\": 1,\n \"b\" 2}", 0, &err));
	CHECK_STR(err.text, "line 2, column 6: expected ':' after the key");
	CHECK(!again("{\"\xc3\xa9\": 01}", 0, &err));
	CHECK_STR(err.text, "line 1, column 7: this is not a JSON number");
	CHECK(!again("[1, 2", 0, &err));
	CHECK_STR(err.text, "line 1, column 1: this array is never closed");
	CHECK(!again("", 0, &err));
	CHECK(!again("1 2", 0, &err));
	CHECK(!again("{\"a\":1,\"a\":2}", JSON_NO_DUPLICATES, &err));
	CHECK_STR(err.text, "line 1, column 8: this key stands twice in the same object");
	CHECK(!again("[1, /* x", JSON_HUJSON, &err));
	CHECK_STR(err.text, "line 1, column 5: this comment is never closed");
	CHECK(!again("\"\xff\"", 0, &err) && !again("\"a\nb\"", 0, &err) &&
	      !again("\"\\x\"", 0, &err));
	CHECK(!again("-", 0, &err) && !again("1.", 0, &err) && !again("1e", 0, &err) &&
	      !again(".5", 0, &err));
	CHECK(!again("nul", 0, &err) && !again("-a", 0, &err) && !again("[1 2]", 0, &err));
}

TEST(nesting_is_bounded)
{
	char text[2 * JSON_DEPTH_MAX + 3];
	struct err err;

	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	text[2 * JSON_DEPTH_MAX] = '\0';
	CHECK_STR(again(text, 0, &err), text);
	memset(text, '[', JSON_DEPTH_MAX + 1);
	memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	text[2 * JSON_DEPTH_MAX + 2] = '\0';
	CHECK(!again(text, 0, &err));
}

TEST(members_and_values)
{
	struct arena arena;
	struct err err;
	struct json *v;
	struct bytes s;
	int64_t i;
	uint64_t u;
	double d;
	bool b;

	arena_init(&arena, 1 << 16);
	v = json_parse(&arena,
		       bytes_str("{\"HostInfo\":{\"Os\":\"linux\"},\"n\":-5,\"n\":7,"
				 "\"big\":18446744073709551615,\"f\":1.5,\"t\":true}"),
		       0, &err);
	CHECK(v);
	CHECK(json_string(json_get_nocase(json_get_nocase(v, "Hostinfo"), "OS"), &s) &&
	      bytes_equal_str(s, "linux"));
	CHECK(!json_get(v, "Hostinfo"));
	CHECK(json_i64(json_get(v, "n"), &i) && i == 7); /* the last of several counts */
	CHECK(json_u64(json_get(v, "big"), &u) && u == UINT64_MAX &&
	      !json_i64(json_get(v, "big"), &i));
	CHECK(json_real(json_get(v, "f"), &d) && d == 1.5 && !json_i64(json_get(v, "f"), &i));
	CHECK(json_bool(json_get(v, "t"), &b) && b && !json_bool(json_get(v, "n"), &b));
	CHECK(!json_get(NULL, "x") && !json_string(NULL, &s));
	arena_fini(&arena);
}

TEST(writer_builds_documents)
{
	struct json_out o;
	struct buf b;

	buf_init(&b, 1000);
	json_out_init(&o, &b);
	json_open_object(&o);
	json_key(&o, "a");
	json_open_array(&o);
	json_put_i64(&o, INT64_MIN);
	json_put_real(&o, 0.1);
	json_put_bool(&o, false);
	json_open_object(&o);
	json_close_object(&o);
	json_close_array(&o);
	json_key(&o, "s");
	json_put_string(&o, bytes_of("q\"\\\n\x01\xff/", 8));
	json_close_object(&o);
	CHECK_STR(buf_cstr(&b), "{\"a\":[-9223372036854775808,0.1,false,{}],\"s\":"
				"\"q\\\"\\\\\\n\\u0001\xef\xbf\xbd/\\u0000\"}");
	buf_fini(&b);
}

TEST(arena_limit_stops_a_large_document)
{
	struct arena arena;
	struct err err;

	arena_init(&arena, 200);
	CHECK(!json_parse(&arena, bytes_str("[1,2,3,4,5,6,7,8]"), 0, &err));
	arena_fini(&arena);
}
