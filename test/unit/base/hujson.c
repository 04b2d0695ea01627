#include "base/hujson.h"

#include "base/err.h"
#include "kit/kit.h"

static void check_layout(const char *in, const char *want)
{
	struct buf once, twice;

	buf_init(&once, 1 << 16);
	buf_init(&twice, 1 << 16);
	CHECK(hujson_format(bytes_str(in), &once, NULL) == 0);
	CHECK_STR(buf_cstr(&once), want);
	CHECK(hujson_format(buf_bytes(&once), &twice, NULL) == 0);
	CHECK_STR(buf_cstr(&twice), want);
	buf_fini(&once);
	buf_fini(&twice);
}

TEST(hujson_layout_does_not_depend_on_blanks)
{
	static const char want[] = "{\n  \"a\": [1, 2],\n  \"b\": {\"c\": \"d\"},\n}\n";

	check_layout("{\"a\":[1,2],\"b\":{\"c\":\"d\"}}", want);
	check_layout("\t{ \"a\" : [\n1\n,2,], \"b\":{\"c\"\n:\"d\",},}", want);
}

TEST(hujson_keeps_comments)
{
	check_layout(
	    "// head\n{\"a\" /*k*/ : // v\n 1 /* b */, // after\n\n\n// own\n\"g\":[ // in\n2,\n"
	    "// last\n] /*end*/ }\n// tail",
	    "// head\n{\n  /*k*/\n  // v\n  \"a\": 1, /* b */ // after\n\n  // own\n"
	    "  \"g\": [ // in\n    2,\n    // last\n  ], /*end*/\n}\n// tail\n");
}

TEST(hujson_breaks_long_lists)
{
	check_layout("{\"l\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
		     "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"]}",
		     "{\n  \"l\": [\n    \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\n"
		     "    \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\n  ],\n}\n");
}

TEST(hujson_refuses_what_is_none)
{
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 1 << 16);
	CHECK(hujson_format(bytes_str("{\"a\": }"), &out, &err) < 0);
	CHECK(strstr(err.text, "line 1, column 7") != NULL);
	CHECK_INT(out.n, 0);
	buf_fini(&out);
}
