#include "engine/wg/wg_message.h"

#include "kit/kit.h"

TEST(message_types_need_three_zero_bytes)
{
	CHECK_INT(wg_message_type(kit_hex("01000000")), WG_INITIATION);
	CHECK_INT(wg_message_type(kit_hex("0400000000")), WG_TRANSPORT);
	CHECK_INT(wg_message_type(kit_hex("00000000")), 0);
	CHECK_INT(wg_message_type(kit_hex("05000000")), 0);
	CHECK_INT(wg_message_type(kit_hex("01000001")), 0);
	CHECK_INT(wg_message_type(kit_hex("01010000")), 0);
	CHECK_INT(wg_message_type(kit_hex("07")), 0); /* the extra datagram of never-equal-tail */
	CHECK_INT(wg_message_type(kit_hex("")), 0);
}

static bool decode(struct bytes b)
{
	struct wg_initiation i;
	struct wg_response r;
	struct wg_cookie_reply c;

	return wg_initiation_decode(&i, b) | wg_response_decode(&r, b) |
	       wg_cookie_reply_decode(&c, b);
}

TEST(messages_have_one_length)
{
	static const size_t lengths[] = { 0, WG_INITIATION_LEN, WG_RESPONSE_LEN,
					  WG_COOKIE_REPLY_LEN };

	for (uint8_t type = 1; type <= 3; type++)
		for (size_t n = 0; n <= 160; n++) {
			uint8_t raw[160] = { type };

			CHECK(decode(kit_copy(bytes_of(raw, n))) == (n == lengths[type]));
		}
}

TEST(cookie_reply_layout)
{
	struct wg_cookie_reply m = { .receiver = 0x01020304 }, back;
	uint8_t out[WG_COOKIE_REPLY_LEN];

	memset(m.nonce, 0xaa, sizeof(m.nonce));
	memset(m.sealed_cookie, 0xbb, sizeof(m.sealed_cookie));
	wg_cookie_reply_encode(&m, out);
	CHECK(memcmp(out, kit_hex("0300000004030201").p, 8) == 0);
	CHECK(out[8] == 0xaa && out[31] == 0xaa && out[32] == 0xbb && out[63] == 0xbb);
	CHECK(wg_cookie_reply_decode(&back, kit_copy(bytes_of(out, sizeof(out)))));
	CHECK(back.receiver == m.receiver && memcmp(back.nonce, m.nonce, 24) == 0);
}
