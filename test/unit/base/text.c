#include "base/text.h"

#include "kit/kit.h"

TEST(hex)
{
	uint8_t out[3];
	char text[7];

	text_hex(kit_hex("00ff10"), text);
	CHECK_STR(text, "00ff10");
	CHECK(text_unhex(bytes_str("00FF1a"), out, 3) && out[1] == 0xff && out[2] == 0x1a);
	CHECK(!text_unhex(bytes_str("00ff1"), out, 3) && !text_unhex(bytes_str("00ff1g"), out, 3) &&
	      !text_unhex(bytes_str("00ff1`"), out, 3) &&
	      !text_unhex(bytes_str("00ff1a00"), out, 3));
}

static void base64_pair(const char *plain, const char *coded)
{
	char text[40];
	struct buf b;

	buf_init(&b, 100);
	text_base64(BASE64_STD, bytes_str(plain), text);
	CHECK_STR(text, coded);
	CHECK(text_unbase64(BASE64_STD, bytes_str(coded), &b) &&
	      bytes_equal_str(buf_bytes(&b), plain));
	buf_fini(&b);
}

TEST(base64_vectors) /* RFC 4648, section 10 */
{
	static const char *const bad[] = { "Zg", "Zg=", "Zh==", "Z===", "Zm9v=", "Zm9 v", "Zm9_" };
	struct buf b;

	base64_pair("", "");
	base64_pair("f", "Zg==");
	base64_pair("fo", "Zm8=");
	base64_pair("foo", "Zm9v");
	base64_pair("foobar", "Zm9vYmFy");
	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!text_unbase64(BASE64_STD, bytes_str(bad[i]), &b) && b.n == 0);
	CHECK(text_unbase64(BASE64_URL, bytes_str("-_8"), &b) && b.n == 2 && b.p[0] == 0xfb);
	CHECK(text_unbase64(BASE64_STD_NOPAD, bytes_str("Zg"), &b) && b.n == 3);
	buf_fini(&b);
}

TEST(base32_vectors) /* RFC 4648, section 10, without padding */
{
	uint8_t out[6];
	char text[20];

	text_base32(bytes_str("foobar"), text);
	CHECK_STR(text, "MZXW6YTBOI");
	text_base32(bytes_str("fooba"), text);
	CHECK_STR(text, "MZXW6YTB");
	CHECK(text_unbase32(bytes_str("MZXW6YTBOI"), out, 6) && memcmp(out, "foobar", 6) == 0);
	CHECK(!text_unbase32(bytes_str("MZXW6YTBOJ"), out, 6) &&
	      !text_unbase32(bytes_str("mzxw6ytboi"), out, 6));
}

TEST(utf8)
{
	CHECK(text_is_utf8(bytes_str("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
	CHECK(!text_is_utf8(bytes_str("\xc0\x80")) && !text_is_utf8(bytes_str("\xed\xa0\x80")) &&
	      !text_is_utf8(bytes_str("\xf4\x90\x80\x80")) &&
	      !text_is_utf8(bytes_str("\xe2\x82")) && !text_is_utf8(bytes_str("\x80")));
}

TEST(numbers)
{
	uint64_t v;

	CHECK(text_u64(bytes_str("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
	CHECK(!text_u64(bytes_str("18446744073709551616"), UINT64_MAX, &v));
	CHECK(text_u64(bytes_str("0"), 0, &v) && v == 0 && !text_u64(bytes_str("1"), 0, &v));
	CHECK(!text_u64(bytes_str(""), 9, &v) && !text_u64(bytes_str("01"), 9, &v) &&
	      !text_u64(bytes_str("+1"), 9, &v) && !text_u64(bytes_str("256"), 255, &v));
}

TEST(split_and_trim)
{
	struct bytes rest = bytes_str("a,,b,"), piece;

	CHECK(text_split(&rest, ',', &piece) && bytes_equal_str(piece, "a"));
	CHECK(text_split(&rest, ',', &piece) && piece.n == 0);
	CHECK(text_split(&rest, ',', &piece) && bytes_equal_str(piece, "b"));
	CHECK(text_split(&rest, ',', &piece) && piece.n == 0);
	CHECK(!text_split(&rest, ',', &piece));
	CHECK(bytes_equal_str(text_trim(bytes_str(" \t a b \r\n")), "a b"));
}

TEST(distance_counts_slips)
{
	CHECK_INT(text_distance(bytes_str("autogroup"), bytes_str("autogroup")), 0);
	CHECK_INT(text_distance(bytes_str("grantz"), bytes_str("grants")), 1);
	CHECK_INT(text_distance(bytes_str("hsots"), bytes_str("hosts")), 1);
	CHECK_INT(text_distance(bytes_str(""), bytes_str("abc")), 3);
	CHECK_INT(text_distance(bytes_str("kitten"), bytes_str("sitting")), 3);
}

TEST(words_between_white_space)
{
	struct bytes rest = kit_copy(bytes_str(" \tone two\r\n\vthree")), word;

	CHECK(text_word(&rest, &word) && bytes_equal_str(word, "one"));
	CHECK(text_word(&rest, &word) && bytes_equal_str(word, "two"));
	CHECK(text_word(&rest, &word) && bytes_equal_str(word, "three"));
	CHECK(!text_word(&rest, &word) && word.n == 0);
	rest = kit_copy(bytes_str("  \n"));
	CHECK(!text_word(&rest, &word));
	rest = bytes_of(NULL, 0);
	CHECK(!text_word(&rest, &word));
}

TEST(html_keeps_text_text)
{
	struct buf b;

	buf_init(&b, 100);
	text_html(&b, bytes_str("a<b> & \"c\""));
	CHECK(bytes_equal_str(buf_bytes(&b), "a&lt;b&gt; &amp; &quot;c&quot;"));
	buf_fini(&b);
}
