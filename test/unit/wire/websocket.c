#include "wire/websocket.h"

#include "base/mem.h"
#include "kit/kit.h"

static enum websocket_verdict decode(const char *hex, bool masked, struct websocket_header *h)
{
	struct bytes in = kit_hex(hex);
	size_t used = 99;
	enum websocket_verdict v = websocket_header_decode(h, in, masked, &used);

	if (v == WEBSOCKET_FRAME)
		CHECK_INT(used, in.n);
	else
		CHECK_INT(used, 99);
	return v;
}

static void check_round_trip(uint64_t length, size_t header_len, bool masked)
{
	struct websocket_header in = { true, masked, WEBSOCKET_BINARY, { 0 }, length }, out;
	uint8_t p[WEBSOCKET_HEADER_MAX];
	size_t n, used;

	if (masked)
		memcpy(in.mask, "abcd", 4);
	n = websocket_header_encode(&in, p);
	CHECK_INT(n, header_len + (masked ? 4 : 0));
	CHECK_INT(websocket_header_decode(&out, kit_copy(bytes_of(p, n)), masked, &used),
		  WEBSOCKET_FRAME);
	CHECK(used == n && out.length == length && out.fin && out.opcode == WEBSOCKET_BINARY);
	CHECK(memcmp(out.mask, in.mask, 4) == 0);
	for (size_t cut = 0; cut < n; cut++)
		CHECK_INT(websocket_header_decode(&out, kit_copy(bytes_of(p, cut)), masked, &used),
			  WEBSOCKET_MORE);
	CHECK_INT(websocket_header_decode(&out, kit_copy(bytes_of(p, n)), !masked, &used),
		  WEBSOCKET_BAD);
}

TEST(websocket_headers)
{
	static const uint64_t lengths[] = { 0, 125, 126, 65535, 65536, INT64_MAX };
	static const size_t sizes[] = { 2, 2, 4, 4, 10, 10 };

	for (size_t i = 0; i < array_len(lengths); i++) {
		check_round_trip(lengths[i], sizes[i], false);
		check_round_trip(lengths[i], sizes[i], true);
	}
}

/* The examples of RFC 6455 section 5.7. */
TEST(websocket_rfc_examples)
{
	struct websocket_header h;
	uint8_t hello[] = { 0x7f, 0x9f, 0x4d, 0x51, 0x58 };

	CHECK_INT(decode("8105", false, &h), WEBSOCKET_FRAME);
	CHECK(h.fin && h.opcode == WEBSOCKET_TEXT && h.length == 5);
	CHECK_INT(decode("818537fa213d", true, &h), WEBSOCKET_FRAME);
	websocket_mask(hello, 2, h.mask, 0);
	websocket_mask(hello + 2, 3, h.mask, 2); /* in two pieces */
	CHECK(memcmp(hello, "Hello", 5) == 0);
	CHECK_INT(decode("0103", false, &h), WEBSOCKET_FRAME);
	CHECK(!h.fin && h.opcode == WEBSOCKET_TEXT);
	CHECK_INT(decode("8002", false, &h), WEBSOCKET_FRAME);
	CHECK(h.fin && h.opcode == WEBSOCKET_CONTINUATION);
	CHECK_INT(decode("827e0100", false, &h), WEBSOCKET_FRAME);
	CHECK_INT(h.length, 256);
	CHECK_INT(decode("827f0000000000010000", false, &h), WEBSOCKET_FRAME);
	CHECK_INT(h.length, 65536);
}

TEST(websocket_refused)
{
	struct websocket_header h;

	CHECK_INT(decode("c200", false, &h), WEBSOCKET_BAD); /* reserved bits */
	CHECK_INT(decode("a200", false, &h), WEBSOCKET_BAD);
	CHECK_INT(decode("9200", false, &h), WEBSOCKET_BAD);
	CHECK_INT(decode("8300", false, &h), WEBSOCKET_BAD); /* opcodes */
	CHECK_INT(decode("8b00", false, &h), WEBSOCKET_BAD);
	CHECK_INT(decode("0900", false, &h), WEBSOCKET_BAD); /* a ping in fragments */
	CHECK_INT(decode("897d", false, &h), WEBSOCKET_FRAME);
	CHECK_INT(decode("897e007e", false, &h), WEBSOCKET_BAD); /* a ping too long */
	CHECK_INT(decode("827e007d", false, &h), WEBSOCKET_BAD); /* could be shorter */
	CHECK_INT(decode("827f000000000000ffff", false, &h), WEBSOCKET_BAD);
	CHECK_INT(decode("827f8000000000000000", false, &h), WEBSOCKET_BAD);
	CHECK_INT(decode("8205", true, &h), WEBSOCKET_BAD); /* a client must mask */
	CHECK_INT(decode("c2", false, &h), WEBSOCKET_BAD);  /* as soon as it shows */
}

TEST(websocket_accept_key_of_the_rfc)
{
	char out[WEBSOCKET_ACCEPT_LEN + 1];

	CHECK(websocket_accept_key(bytes_str("dGhlIHNhbXBsZSBub25jZQ=="), out));
	CHECK_STR(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	CHECK(!websocket_accept_key(bytes_str(""), out));
	CHECK(!websocket_accept_key(bytes_str("dGhlIHNhbXBsZSBub25jZQ="), out));
	CHECK(!websocket_accept_key(bytes_str("dGhlIHNhbXBsZSBub25jZSE="), out));
	CHECK(!websocket_accept_key(bytes_str("dGhlIHNhbXBsZSBub25jZ!=="), out));
}
