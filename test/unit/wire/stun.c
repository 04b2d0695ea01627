#include "wire/stun.h"

#include "kit/kit.h"

#define TXID "0102030405060708090a0b0c"
#define REQUEST "000100142112a442" TXID "802200087461696c6e6f646580280004b32c370f"

static const struct stun_txid txid = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } };

static enum stun_request kind(const char *hex)
{
	struct stun_txid t;

	return stun_request_decode(kit_hex(hex), &t, NULL);
}

TEST(stun_vectors)
{
	struct addrport seen = { ip_v4(203, 0, 113, 7), 41641 }, got = { 0 };
	struct stun_txid t;
	uint8_t out[STUN_RESPONSE_MAX];
	size_t n;

	n = stun_request_encode(out, &txid);
	CHECK(bytes_equal(bytes_of(out, n), kit_hex(REQUEST)));
	CHECK(stun_request_decode(kit_hex(REQUEST), &t, NULL) == STUN_TAILNODE);
	CHECK(memcmp(t.b, txid.b, STUN_TXID_LEN) == 0);
	n = stun_response_encode(out, &txid, seen);
	CHECK(bytes_equal(bytes_of(out, n),
			  kit_hex("0101000c2112a442" TXID "00200008000183bbea12d545")));
	CHECK(stun_response_decode(kit_copy(bytes_of(out, n)), &t, &got));
	CHECK(addrport_equal(got, seen));
	got = (struct addrport){ 0 };
	CHECK(stun_response_decode(
	    kit_hex("010100182112a442" TXID "00200014000283bb2112a442010203040506f8f7c20a7a0b"), &t,
	    &got));
	CHECK(addrport_equal(got, seen));
	CHECK(stun_is(kit_hex(REQUEST)) && stun_is(bytes_of(out, n)));
	CHECK(!stun_is(kit_hex("0001")) &&
	      !stun_is(kit_hex("5453f09f92ac0000000000000000000000000000")));
}

TEST(stun_six)
{
	struct addrport seen = { 0 }, got = { 0 };
	struct stun_txid t;
	uint8_t out[STUN_RESPONSE_MAX];
	size_t n;

	CHECK(addrport_parse(&seen, bytes_str("[2001:db8::7]:3478")));
	n = stun_response_encode(out, &txid, seen);
	CHECK(n == 44 && stun_response_decode(kit_copy(bytes_of(out, n)), &t, &got));
	CHECK(addrport_equal(got, seen));
	for (size_t i = 0; i < n; i++)
		CHECK(!stun_response_decode(kit_copy(bytes_of(out, i)), &t, &got));
}

TEST(stun_requests_are_sorted)
{
	struct stun_unknown unknown;
	struct stun_txid t;
	struct bytes whole = kit_hex(REQUEST);
	uint8_t out[STUN_ERROR_MAX];

	for (size_t i = 0; i < whole.n; i++)
		CHECK(stun_request_decode(kit_copy(bytes_of(whole.p, i)), &t, NULL) ==
		      STUN_NO_REQUEST);
	/* wrong sum; nothing at all behind the header; another program's name */
	CHECK(kind("000100142112a442" TXID "802200087461696c6e6f646580280004b32c3700") ==
	      STUN_NO_REQUEST);
	CHECK(kind("000100002112a442" TXID) == STUN_PLAIN);
	CHECK(kind("0001000c2112a442" TXID "802200087461696c6e6f6465") == STUN_PLAIN);
	CHECK(kind("000100082112a442" TXID "8022000361626300") == STUN_PLAIN);
	/* response, indication, no cookie, lying length, attribute past the end */
	CHECK(kind("010100002112a442" TXID) == STUN_NO_REQUEST);
	CHECK(kind("001100002112a442" TXID) == STUN_NO_REQUEST);
	CHECK(kind("000100002112a443" TXID) == STUN_NO_REQUEST);
	CHECK(kind("000100042112a442" TXID) == STUN_NO_REQUEST);
	CHECK(kind("000100082112a442" TXID "8022000861626300") == STUN_NO_REQUEST);
	/* CHANGE-REQUEST of RFC 5780 must be understood, so it is refused by number */
	CHECK(stun_request_decode(kit_hex("000100082112a442" TXID "0003000400000006"), &t,
				  &unknown) == STUN_UNKNOWN);
	CHECK(unknown.n == 1 && unknown.types[0] == 3);
	CHECK(bytes_equal(bytes_of(out, stun_error_encode(out, &t, &unknown)),
			  kit_hex("011100102112a442" TXID "0009000400000414000a000200030000")));
}

TEST(stun_answers_of_other_servers)
{
	struct addrport got = { 0 };
	struct stun_txid t;

	/* MAPPED-ADDRESS only, behind an attribute nobody knows, rubbish at the end */
	CHECK(stun_response_decode(kit_hex("010100142112a442" TXID "8099000361626300"
					   "00010008000100501b020304"
					   "ffff"),
				   &t, &got));
	CHECK(got.port == 80 && ip_equal(got.ip, ip_v4(0x1b, 2, 3, 4)));
	/* the XORed one wins over the plain one; its old number counts as well */
	CHECK(stun_response_decode(kit_hex("010100182112a442" TXID "00010008000100501b020304"
					   "80200008000183bbea12d545"),
				   &t, &got));
	CHECK(got.port == 41641);
	CHECK(!stun_response_decode(kit_hex("010100002112a442" TXID), &t, &got));
}
