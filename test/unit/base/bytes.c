#include "base/bytes.h"

#include "kit/kit.h"

TEST(reader_walks_down_and_remembers_failure)
{
	struct reader r = reader_of(kit_hex("01020304050607080910"));
	uint8_t out[2] = { 9, 9 };

	CHECK(read_u8(&r) == 1);
	CHECK(read_be16(&r) == 0x0203);
	CHECK(read_le32(&r) == 0x07060504);
	CHECK(reader_left(&r) == 3);
	CHECK(read_be32(&r) == 0 && r.bad);
	CHECK(reader_left(&r) == 0);
	read_copy(&r, out, 2);
	CHECK(out[0] == 0 && out[1] == 0);
	CHECK(read_u8(&r) == 0);
}

TEST(writer_mirrors_reader)
{
	uint8_t out[30];
	struct writer w = writer_of(out, sizeof(out));
	struct reader r;

	write_u8(&w, 1);
	write_be16(&w, 0x1234);
	write_le16(&w, 0x1234);
	write_be32(&w, 0xdeadbeef);
	write_le32(&w, 0xdeadbeef);
	write_be64(&w, 0x0102030405060708);
	write_le64(&w, 0x0102030405060708);
	CHECK(writer_done(&w) == 29);
	r = reader_of(bytes_of(out, 29));
	CHECK(read_u8(&r) == 1 && read_be16(&r) == 0x1234 && read_le16(&r) == 0x1234);
	CHECK(read_be32(&r) == 0xdeadbeef && read_le32(&r) == 0xdeadbeef);
	CHECK(read_be64(&r) == 0x0102030405060708 && read_le64(&r) == 0x0102030405060708);
	CHECK(!r.bad && reader_left(&r) == 0);
	write_be16(&w, 1);
	CHECK(w.bad && writer_done(&w) == 0);
}

TEST(buf_keeps_to_its_maximum)
{
	struct buf b;

	buf_init(&b, 5);
	CHECK(buf_append_str(&b, "abc"));
	CHECK(buf_append_u8(&b, 'd'));
	CHECK(!buf_append_str(&b, "ef") && b.bad && b.n == 4);
	CHECK(!buf_append_str(&b, "e")); /* once bad, always bad: no holes in what was written */
	buf_clear(&b);
	CHECK(buf_append_str(&b, "12345") && !b.bad);
	buf_consume(&b, 2);
	CHECK(bytes_equal_str(buf_bytes(&b), "345"));
	CHECK_STR(buf_cstr(&b), "345");
	buf_fini(&b);
}

TEST(bytes_compare)
{
	CHECK(bytes_equal_nocase(bytes_str("HostInfo"), bytes_str("hostinfo")));
	CHECK(!bytes_equal_nocase(bytes_str("a["), bytes_str("A{")));
	CHECK(bytes_has_prefix(bytes_str("nodekey:00"), "nodekey:"));
	CHECK(!bytes_has_prefix(bytes_str("node"), "nodekey:"));
	CHECK(bytes_from(bytes_str("abc"), 4).n == 0);
}
