#include "crypto/keytext.h"

#include "kit/kit.h"

TEST(keys_round_trip)
{
	const char *text =
	    "nodekey:7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13";
	char out[KEYTEXT_MAX], brief[KEYTEXT_SHORT_MAX];
	struct key k;

	CHECK(keytext_parse(&k, KEY_NODE, bytes_str(text)));
	CHECK_STR(keytext_format(&k, KEY_NODE, out), text);
	CHECK_STR(keytext_short(&k, KEY_NODE, brief), "[e06Qm]");
	CHECK_STR(keytext_short(&k, KEY_DISCO, brief), "d:7b4e909bbe7ffe44");
	CHECK(!keytext_parse(&k, KEY_MACHINE, bytes_str(text)));
	CHECK(!keytext_parse(&k, KEY_NODE, bytes_str("")));
	CHECK(!keytext_parse(&k, KEY_NODE, bytes_str("nodekey:00")));
	CHECK(!keytext_parse(&k, KEY_NODE, bytes_of(text, strlen(text) - 1)));
	CHECK(!keytext_parse(
	    &k, KEY_NODE,
	    bytes_str("NodeKey:7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13")));
}

TEST(tailnet_lock_keys_have_two_spellings)
{
	struct key k;

	CHECK(keytext_parse(
	    &k, KEY_NL,
	    bytes_str("tlpub:7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13")));
	CHECK(!key_is_zero(&k));
}

TEST(secrets_compare_and_wipe)
{
	struct secret32 a = { { 1, 2 } }, b = { { 1, 2 } };

	CHECK(secret_equal(&a, &b, 32));
	b.b[31] = 1;
	CHECK(!secret_equal(&a, &b, 32));
	secret32_wipe(&b);
	CHECK(secret_is_zero(&b, 32) && !secret_is_zero(&a, 32));
}
