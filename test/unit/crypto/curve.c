#include "base/rand.h"
#include "base/text.h"
#include "crypto/ed25519.h"
#include "crypto/x25519.h"
#include "kit/kit.h"

TEST(x25519_vectors) /* control-protocol.md 2.12: keys, and the dh of steps 4 and 6 */
{
	struct secret32 ce, cs, shared;
	uint8_t server[32];
	char text[65];

	memset(ce.b, 0x22, 32);
	memset(cs.b, 0x11, 32);
	memcpy(server,
	       kit_hex("7b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14").p, 32);
	CHECK(x25519_shared(&shared, &ce, server));
	text_hex(bytes_of(shared.b, 32), text);
	CHECK_STR(text, "1fdc192faa0212a9aae7bb4f41b580227fd5ad3e5d777faae230dfe973f3e805");
	CHECK(x25519_shared(&shared, &cs, server));
	text_hex(bytes_of(shared.b, 32), text);
	CHECK_STR(text, "5bf22caf31c0316785b0b9bc60e56d48582ce59435ce5b3c028052be42631e0f");
	x25519_public(server, &cs);
	text_hex(bytes_of(server, 32), text);
	CHECK_STR(text, "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13");
}

TEST(low_order_points_are_refused) /* the points of small order, from the Curve25519 page */
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct rng rng = rng_seeded(5);
	struct secret32 priv, out;

	x25519_generate(&priv, &rng);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		CHECK(!x25519_shared(&out, &priv, kit_hex(points[i]).p));
}

TEST(ed25519_vector) /* RFC 8032, 7.1, test 1 */
{
	struct ed25519_key key;
	struct secret32 seed;
	uint8_t sig[64], pub[32];
	char text[129];

	memcpy(seed.b,
	       kit_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").p, 32);
	ed25519_from_seed(&key, &seed);
	ed25519_public(pub, &key);
	text_hex(bytes_of(pub, 32), text);
	CHECK_STR(text, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	ed25519_sign(sig, &key, bytes_of(NULL, 0));
	text_hex(bytes_of(sig, 64), text);
	CHECK_STR(text, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
			"5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
	CHECK(ed25519_verify(sig, pub, bytes_of(NULL, 0)) &&
	      !ed25519_verify(sig, pub, bytes_str("x")));
	sig[63] |= 0x80;
	CHECK(!ed25519_verify(sig, pub, bytes_of(NULL, 0)));
}
