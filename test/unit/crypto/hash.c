#include "crypto/hash.h"

#include "base/text.h"
#include "kit/kit.h"

static const char *hex(const uint8_t *p, size_t n)
{
	static char out[200];

	text_hex(bytes_of(p, n), out);
	return out;
}

TEST(blake2s_vectors) /* "abc": RFC 7693 appendix B; empty: the BLAKE2 reference */
{
	struct bytes parts[] = { bytes_str("a"), bytes_str("bc") };
	uint8_t out[32];

	hash_blake2s(out, parts, 2);
	CHECK_STR(hex(out, 32), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
	hash_blake2s(out, NULL, 0);
	CHECK_STR(hex(out, 32), "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
}

TEST(wireguard_initial_constants) /* transport.md 16.1 computes the same two */
{
	struct bytes parts[2] = { bytes_str("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s") };
	uint8_t c[32], h[32];

	hash_blake2s(c, parts, 1);
	CHECK_STR(hex(c, 32), "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
	parts[0] = bytes_of(c, 32);
	parts[1] = bytes_str("WireGuard v1 zx2c4 Jason@zx2c4.com");
	hash_blake2s(h, parts, 2);
	CHECK_STR(hex(h, 32), "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
}

TEST(keyed_mac_differs_by_key_and_length)
{
	uint8_t a[16], b[16];

	hash_blake2s_mac(a, kit_hex("00112233445566778899aabbccddeeff"), bytes_str("message"));
	hash_blake2s_mac(b, kit_hex("00112233445566778899aabbccddee00"), bytes_str("message"));
	CHECK(memcmp(a, b, 16) != 0);
	hash_blake2s_mac(b, kit_hex("00112233445566778899aabbccddeeff"), bytes_str("message"));
	CHECK(memcmp(a, b, 16) == 0);
}

TEST(hmac_sha256_vector) /* RFC 4231, case 2 */
{
	uint8_t out[32];

	hash_hmac_sha256(out, bytes_str("Jefe"), bytes_str("what do ya want for nothing?"));
	CHECK_STR(hex(out, 32), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hash_sha256(out, bytes_str("abc"));
	CHECK_STR(hex(out, 32), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(sha1_vector) /* FIPS 180-2, appendix A.1 */
{
	uint8_t out[20];

	hash_sha1(out, bytes_str("abc"));
	CHECK_STR(hex(out, 20), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(hkdf_reproduces_the_control_handshake) /* control-protocol.md 2.12, step 4 */
{
	uint8_t out[2][32];

	hash_hkdf(out, 2,
		  kit_hex("bbea022b948cf3bc5857d70804229179e1116bc40cb8cc074835349c464bca36").p,
		  kit_hex("1fdc192faa0212a9aae7bb4f41b580227fd5ad3e5d777faae230dfe973f3e805"));
	CHECK_STR(hex(out[0], 32),
		  "b2de8259dc35a197c9d08ff3bb3a1ab6be2ac4ced1087f2eda169649bc5ea22e");
	CHECK_STR(hex(out[1], 32),
		  "8a69c1fad7a0cd24bedc1307c95b584809ea82e8367fba67f30818757045fa96");
}

TEST(hmac_blake2s_at_the_block_size) /* computed with Python's hmac and hashlib */
{
	static const struct {
		size_t key_len;
		const char *want;
	} rows[] = {
		{ 0, "5e3417d647c3e59c76ab07a4a2ce6428409e3b479027ee646059275715c5ecf3" },
		{ 32, "db1ebbda189c6ec2d7755c2592537050e44264aa57a3d4f825f451ebcdff4cd3" },
		{ 64, "ff8bca3074af8b7a53b76b5b69fe511d796ef1253beac4259f83cc9b5d1b7855" },
		{ 65, "7cca1aaf33f2ae03171de093085c551bd7c7a236868613cfe5b8ecf59228db76" },
		{ 100, "0d91cbef198cf7e3847de5efd2c35fa5e8b8f90b5d751a12f7c76154a6d0b56f" },
	};
	struct bytes parts[] = { bytes_str("mess"), bytes_str("age") };
	uint8_t key[100], out[32];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hash_hmac_blake2s(out, bytes_of(key, rows[i].key_len), parts, 2);
		CHECK_STR(hex(out, 32), rows[i].want);
	}
}
