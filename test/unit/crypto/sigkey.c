#include "crypto/sigkey.h"

#include "base/err.h"

#include "kit/kit.h"

TEST(sigkey_ed25519_of_rfc8032) /* section 7.1, test 2 */
{
	struct sig_key *k = sig_key_ed25519(
	    kit_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"), NULL);
	struct bytes sig =
	    kit_hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
		    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");

	CHECK_INT(sig_key_alg(k), SIG_EDDSA);
	CHECK(sig_key_verify(k, kit_hex("72"), sig));
	CHECK(!sig_key_verify(k, kit_hex("73"), sig));
	CHECK(!sig_key_verify(k, kit_hex("72"), bytes_of(sig.p, 63)));
	sig_key_destroy(k);
}

TEST(sigkey_p256_of_rfc6979) /* A.2.5, SHA-256, message "sample" */
{
	struct bytes x = kit_hex(
			 "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"),
		     y = kit_hex(
			 "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299");
	struct bytes sig =
	    kit_hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
		    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8");
	struct sig_key *k = sig_key_p256(x, y, NULL);
	struct err err;

	CHECK(k && sig_key_verify(k, bytes_str("sample"), sig));
	CHECK(!sig_key_verify(k, bytes_str("simple"), sig));
	CHECK(!sig_key_verify(k, bytes_str("sample"), bytes_of(sig.p, 32)));
	CHECK(!sig_key_verify(k, bytes_str("sample"), (struct bytes){ 0 }));
	sig_key_destroy(k);
	CHECK(!sig_key_p256(x, x, &err) && err.code == ERR_MALFORMED);
	CHECK(!sig_key_p256(bytes_of(x.p, 31), y, &err));
}

TEST(sigkey_weak_rsa_is_refused)
{
	uint8_t n[1025];
	struct err err;
	struct sig_key *k;

	memset(n, 0xff, sizeof(n));
	CHECK(!sig_key_rsa(bytes_of(n, 255), kit_hex("010001"), &err)); /* 2040 bits */
	CHECK(!sig_key_rsa(bytes_of(n, 1025), kit_hex("010001"), &err));
	CHECK(!sig_key_rsa(bytes_of(n, 256), kit_hex("01"), &err));
	CHECK(!sig_key_rsa(bytes_of(n, 256), kit_hex("02"), &err));
	CHECK(!sig_key_rsa((struct bytes){ 0 }, kit_hex("010001"), &err));
	k = sig_key_rsa(bytes_of(n, 256), kit_hex("010001"), &err);
	CHECK(k && !sig_key_verify(k, bytes_str("m"), bytes_of(n, 256)));
	sig_key_destroy(k);
}

TEST(sigkey_algorithm_names)
{
	CHECK_INT(sig_alg_parse(bytes_str("RS256")), SIG_RS256);
	CHECK_INT(sig_alg_parse(bytes_str("EdDSA")), SIG_EDDSA);
	CHECK_INT(sig_alg_parse(bytes_str("none")), SIG_NONE);
	CHECK_INT(sig_alg_parse(bytes_str("HS256")), SIG_NONE);
	CHECK_INT(sig_alg_parse(bytes_str("rs256")), SIG_NONE);
	CHECK_STR(sig_alg_name(SIG_ES256), "ES256");
}
