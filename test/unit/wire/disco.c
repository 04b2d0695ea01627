#include "wire/disco.h"

#include "base/text.h"
#include "crypto/box.h"
#include "crypto/x25519.h"
#include "kit/kit.h"

/* transport.md 16.3: A's private key is 0x55 x 32, B's 0x66 x 32; nonce 80..97, txid 01..0c. */
#define NODE_KEY "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
#define A_PUB "38ab664bd86f77d7e66bdd9ae0792913a94fd8b33a1260027e4b46c1f4884c67"
#define PING_BODY "01000102030405060708090a0b0c" NODE_KEY
#define PONG_BODY "02000102030405060708090a0b0c00000000000000000000ffffcb007107a2a9"
#define CMM_BODY "030000000000000000000000ffffc000020aa2a9"
#define PING_PACKET                                                                                \
	"5453f09f92ac38ab664bd86f77d7e66bdd9ae0792913a94fd8b33a1260027e4b46c1f4884c678081"         \
	"82838485868788898a8b8c8d8e8f9091929394959697d197ba3b4fc042f9e3ce8cd945229d393ed0"         \
	"c5b29ca77e324fe8d3cbecac3d738011616e201ddd76e4930ae3917fa46408dd0f68b54a351b7a31"         \
	"442b29a7"

static struct secret32 pair_key(void)
{
	struct secret32 a, b, shared;
	uint8_t b_pub[32];

	memset(a.b, 0x55, 32);
	memset(b.b, 0x66, 32);
	x25519_public(b_pub, &b);
	CHECK(box_shared(&shared, &a, b_pub));
	return shared;
}

TEST(ping_vector)
{
	struct bytes packet = kit_hex(PING_PACKET);
	struct secret32 shared = pair_key();
	struct disco_ping ping;
	uint8_t body[DISCO_MESSAGE_MAX], out[DISCO_MESSAGE_MAX], nonce[24];
	struct key a;
	size_t n;

	CHECK(disco_is_envelope(packet));
	a = disco_sender(packet);
	CHECK(memcmp(a.b, kit_hex(A_PUB).p, 32) == 0);
	n = disco_open(body, packet, &shared);
	CHECK(n == DISCO_PING_LEN && memcmp(body, kit_hex(PING_BODY).p, n) == 0);
	CHECK(disco_ping_decode(&ping, bytes_of(body, n)) && ping.has_node_key &&
	      ping.padding == 0);
	CHECK(ping.txid[0] == 1 && ping.txid[11] == 12);
	CHECK(disco_ping_encode(&ping, out, sizeof(out)) == n && memcmp(out, body, n) == 0);
	for (uint8_t i = 0; i < 24; i++)
		nonce[i] = 0x80 + i;
	CHECK(disco_seal(out, &a, &shared, nonce, bytes_of(body, n)) == packet.n);
	CHECK(memcmp(out, packet.p, packet.n) == 0);
}

TEST(truncated_or_changed_envelopes_do_not_open)
{
	struct bytes packet = kit_hex(PING_PACKET);
	struct secret32 shared = pair_key();
	uint8_t body[DISCO_MESSAGE_MAX];

	for (size_t n = 0; n < packet.n; n++) {
		struct bytes cut = kit_copy(bytes_of(packet.p, n));

		CHECK(disco_is_envelope(cut) == (n >= 62));
		CHECK(disco_open(body, cut, &shared) == 0);
	}
	for (size_t i = 38; i < packet.n; i++) {
		uint8_t *changed = (uint8_t *)kit_copy(packet).p;

		changed[i] ^= 1;
		CHECK(disco_open(body, bytes_of(changed, packet.n), &shared) == 0);
	}
}

TEST(old_and_padded_pings)
{
	struct disco_ping ping;

	CHECK(disco_ping_decode(&ping, kit_hex("01000102030405060708090a0b0c000000")));
	CHECK(!ping.has_node_key && ping.padding == 3);
	CHECK(disco_ping_decode(&ping, kit_hex(PING_BODY "00000000")));
	CHECK(ping.has_node_key && ping.padding == 4);
	for (size_t n = 0; n < 14; n++)
		CHECK(!disco_ping_decode(&ping, kit_copy(bytes_of(kit_hex(PING_BODY).p, n))));
}

TEST(pong_vector)
{
	struct bytes body = kit_hex(PONG_BODY);
	char text[ADDRPORT_TEXT_MAX];
	struct disco_pong pong;
	uint8_t out[64];

	CHECK(disco_pong_decode(&pong, body));
	CHECK_STR(addrport_format(pong.src, text), "203.0.113.7:41641");
	CHECK(disco_pong_encode(&pong, out, sizeof(out)) == body.n &&
	      memcmp(out, body.p, body.n) == 0);
	CHECK(disco_pong_encode(&pong, out, body.n - 1) == 0);
	CHECK(disco_pong_decode(&pong, kit_hex(PONG_BODY "ff"))); /* newer peers may append */
	for (size_t n = 0; n < body.n; n++)
		CHECK(!disco_pong_decode(&pong, kit_copy(bytes_of(body.p, n))));
}

TEST(call_me_maybe_vector)
{
	struct bytes body = kit_hex(CMM_BODY);
	struct disco_call_me_maybe cmm;
	char text[ADDRPORT_TEXT_MAX];
	uint8_t out[64];

	CHECK(disco_call_me_maybe_decode(&cmm, body) && cmm.n == 1);
	CHECK_STR(addrport_format(cmm.endpoints[0], text), "192.0.2.10:41641");
	CHECK(disco_call_me_maybe_encode(&cmm, out, sizeof(out)) == body.n &&
	      memcmp(out, body.p, body.n) == 0);
	CHECK(disco_call_me_maybe_decode(&cmm, kit_hex(CMM_BODY "00")) && cmm.n == 0);
	CHECK(disco_call_me_maybe_decode(&cmm, kit_hex("0301")) && cmm.n == 0);
	CHECK(!disco_call_me_maybe_decode(&cmm, kit_hex("03")));
}

TEST(call_me_maybe_is_bounded)
{
	struct disco_call_me_maybe cmm;
	static uint8_t body[2 + 18 * (DISCO_ENDPOINTS_MAX + 5)] = { DISCO_CALL_ME_MAYBE, 0 };

	CHECK(disco_call_me_maybe_decode(&cmm, bytes_of(body, sizeof(body))));
	CHECK_INT(cmm.n, DISCO_ENDPOINTS_MAX);
}
