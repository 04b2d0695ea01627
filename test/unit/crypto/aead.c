#include "crypto/aead.h"

#include "base/text.h"
#include "crypto/box.h"
#include "crypto/x25519.h"
#include "base/rand.h"
#include "kit/kit.h"

TEST(chacha20poly1305_vector) /* RFC 8439, 2.8.2 */
{
	struct bytes plain =
	    bytes_str("Ladies and Gentlemen of the class of '99: If I could offer you "
		      "only one tip for the future, sunscreen would be it.");
	struct bytes ad = kit_hex("50515253c0c1c2c3c4c5c6c7");
	const uint8_t *nonce = kit_hex("070000004041424344454647").p;
	struct secret32 key;
	uint8_t out[130], back[114];
	char text[33];

	memcpy(key.b, kit_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f").p,
	       32);
	aead_seal(out, &key, nonce, plain, ad);
	text_hex(bytes_of(out + 114, 16), text);
	CHECK_STR(text, "1ae10b594f09e26a7e902ecbd0600691");
	CHECK(aead_open(back, &key, nonce, bytes_of(out, 130), ad) &&
	      memcmp(back, plain.p, 114) == 0);
	for (size_t n = 0; n < 130; n++)
		CHECK(!aead_open(back, &key, nonce, kit_copy(bytes_of(out, n)), ad));
	out[5] ^= 1;
	CHECK(!aead_open(back, &key, nonce, bytes_of(out, 130), ad));
}

TEST(nonces_count_in_either_byte_order)
{
	uint8_t nonce[12];

	aead_nonce_be(nonce, 256);
	CHECK(memcmp(nonce, kit_hex("000000000000000000000100").p, 12) == 0);
	aead_nonce_le(nonce, 256);
	CHECK(memcmp(nonce, kit_hex("000000000001000000000000").p, 12) == 0);
}

TEST(box_opens_for_its_pair_only)
{
	struct rng rng = rng_seeded(1);
	struct secret32 a, b, c, ab, ba, ca;
	uint8_t pa[32], pb[32], nonce[24] = { 1 }, sealed[5 + BOX_OVERHEAD], back[5];

	x25519_generate(&a, &rng);
	x25519_generate(&b, &rng);
	x25519_generate(&c, &rng);
	x25519_public(pa, &a);
	x25519_public(pb, &b);
	CHECK(box_shared(&ab, &a, pb) && box_shared(&ba, &b, pa) && box_shared(&ca, &c, pa));
	box_seal(sealed, &ab, nonce, bytes_str("hello"));
	CHECK(box_open(back, &ba, bytes_of(sealed, sizeof(sealed))) &&
	      memcmp(back, "hello", 5) == 0);
	CHECK(!box_open(back, &ca, bytes_of(sealed, sizeof(sealed))));
	for (size_t n = 0; n < sizeof(sealed); n++)
		CHECK(!box_open(back, &ba, kit_copy(bytes_of(sealed, n))));
}
