/* The transcript: a vector computed by two independent scripts, private keys are repeated bytes. */
#include "engine/ts2021/ts2021.h"

#include "base/err.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "engine/ts2021/noise_ik.h"
#include "kit/kit.h"

#define INITIATION                                                                                 \
	"00910100600faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f2061d2949213e755" \
	"bc18"                                                                                     \
	"0b5d5dbbd8c50a2a1beb69f8940d24cab4606a34cd5d417919c6f9474000703def54c272c14b2560acd658eb" \
	"99aa"                                                                                     \
	"f547a8893b9fd52502"
#define RESPONSE                                                                                   \
	"020030ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c1fff3e6b8d49996f4858df9086" \
	"12ea"                                                                                     \
	"5208c39084"
#define HASH "e0b66189323d867a179fe6cf7af381b1a43ac77d51cefa32cb85ad923418974f"

static void fill_state(struct rng *rng, void *out, size_t n)
{
	memset(out, (int)rng->state[0], n);
}

static struct rng rng_of(uint8_t byte)
{
	return (struct rng){ fill_state, { byte } };
}

static struct secret32 secret_of(uint8_t byte)
{
	struct secret32 s;

	memset(s.b, byte, sizeof(s.b));
	return s;
}

static struct key public_of(uint8_t byte)
{
	struct secret32 s = secret_of(byte);
	struct key k;

	x25519_public(k.b, &s);
	return k;
}

struct pair {
	struct ts2021 *node, *server;
	struct err err;
};

static struct pair pair_make(void)
{
	struct secret32 cs = secret_of(0x11), ss = secret_of(0x33);
	struct rng ce = rng_of(0x22), se = rng_of(0x44);
	struct key server = public_of(0x33);
	struct pair p = { 0 };

	p.node = ts2021_create_client(&cs, &server, 145, (struct mono){ 1 }, &ce, &p.err);
	p.server = ts2021_create_server(
	    &ss, kit_copy(bytes_of(ts2021_initiation(p.node), TS2021_INITIATION_LEN)), &se, &p.err);
	return p;
}

static void pair_free(struct pair *p)
{
	ts2021_destroy(p->node);
	ts2021_destroy(p->server);
}

static struct pair pair_open(void)
{
	struct pair p = pair_make();
	struct bytes plain;

	CHECK(ts2021_input(p.node, ts2021_next_bytes(p.server), &p.err) == 0);
	CHECK(ts2021_next_plain(p.node, &plain, &p.err) == 0 && !plain.n);
	CHECK(ts2021_is_open(p.node));
	return p;
}

static bool sealed_as(struct ts2021 *t, struct bytes plain, const char *hex)
{
	return ts2021_output(t, plain) && bytes_equal(ts2021_next_bytes(t), kit_hex(hex));
}

TEST(transcript_handshake)
{
	struct pair p = pair_make();
	struct key machine = public_of(0x11);

	CHECK(bytes_equal(bytes_of(ts2021_initiation(p.node), TS2021_INITIATION_LEN),
			  kit_hex(INITIATION)));
	CHECK(p.server != NULL);
	CHECK(bytes_equal(bytes_of(ts2021_hash(p.server), 32), kit_hex(HASH)));
	CHECK(key_equal(ts2021_machine(p.server), &machine));
	CHECK_INT(ts2021_version(p.server), 145);
	CHECK(bytes_equal(ts2021_next_bytes(p.server), kit_hex(RESPONSE)));
	pair_free(&p);
}

TEST(transcript_steps)
{
	static const char *const want[] = {
		"247ca9933aea868dfd279438dcd7ba1d589ee77e9946c89930b404f722d4f9f7", /* 1 is inside 2
										     */
		"392b7a4113ac2d8914d95ee320450117c08fbde03cee399487a69a829a8de8d3",
		"2f3a37f518a8d0d1dc2258163a3970bb0e0e0176767e464417783a3698d76974",
	};
	struct key ss = public_of(0x33), ce = public_of(0x22), cs = public_of(0x11),
		   se = public_of(0x44);
	struct secret32 ce_priv = secret_of(0x22), cs_priv = secret_of(0x11);
	struct secret32 k1, k2;
	struct noise_ik n;
	uint8_t out[48];

	noise_ik_init(&n, 145, ss.b);
	CHECK(bytes_equal(bytes_of(n.h, 32), kit_hex(want[1])));
	noise_ik_mix_hash(&n, bytes_of(ce.b, 32));
	CHECK(bytes_equal(bytes_of(n.h, 32), kit_hex(want[2])));
	CHECK(noise_ik_mix_dh(&n, &ce_priv, ss.b));
	CHECK(bytes_equal(
	    bytes_of(n.ck, 32),
	    kit_hex("b2de8259dc35a197c9d08ff3bb3a1ab6be2ac4ced1087f2eda169649bc5ea22e")));
	CHECK(bytes_equal(
	    bytes_of(n.k.b, 32),
	    kit_hex("8a69c1fad7a0cd24bedc1307c95b584809ea82e8367fba67f30818757045fa96")));
	noise_ik_seal(&n, out, bytes_of(cs.b, 32));
	CHECK(bytes_equal(
	    bytes_of(n.h, 32),
	    kit_hex("57d3c0ccc37016613d4a68122b234dd47fbcd96dd082eadb36c0611da4395544")));
	CHECK(noise_ik_mix_dh(&n, &cs_priv, ss.b));
	CHECK(bytes_equal(
	    bytes_of(n.k.b, 32),
	    kit_hex("940f1610fcc0489ca02d3648b5a684961027cb750b22987a7c7d3ef54238215e")));
	noise_ik_seal(&n, out, (struct bytes){ 0 });
	CHECK(bytes_equal(
	    bytes_of(n.h, 32),
	    kit_hex("9869429940a397b3eeec0703315f4cc54851ad27d09ef970dba0c5782dad6022")));
	noise_ik_mix_hash(&n, bytes_of(se.b, 32));
	CHECK(bytes_equal(
	    bytes_of(n.h, 32),
	    kit_hex("247137f5d3c9dd802c4a3d3ffcc520e78d8ebe4f27f6fef66c6e4dbb4378ff59")));
	CHECK(noise_ik_mix_dh(&n, &ce_priv, se.b));
	CHECK(bytes_equal(
	    bytes_of(n.ck, 32),
	    kit_hex("087f9335cadb63569b8422c59d96c15fce38ec88b0e6fdae299d89e6783e81c9")));
	CHECK(noise_ik_mix_dh(&n, &cs_priv, se.b));
	CHECK(bytes_equal(
	    bytes_of(n.k.b, 32),
	    kit_hex("dcfdf0025ab85e86cd90ab1508cb0da397e72d7258d4e4a8d3dbfef0b914dd3f")));
	noise_ik_seal(&n, out, (struct bytes){ 0 });
	CHECK(bytes_equal(bytes_of(n.h, 32), kit_hex(HASH)));
	noise_ik_split(&n, &k1, &k2);
	CHECK(bytes_equal(
	    bytes_of(k1.b, 32),
	    kit_hex("d9811dd6a320dc8484bb37ea989640c99f99a8582f50b829e347bd75da510717")));
	CHECK(bytes_equal(
	    bytes_of(k2.b, 32),
	    kit_hex("8561e3fd4551ed82ee22220925e41e923d64b1c04b856f8ec1eaa544a511a427")));
}

TEST(transcript_records)
{
	static const char challenge[] =
	    "{\"nodeKeyChallenge\":\"chalpub:"
	    "38ab664bd86f77d7e66bdd9ae0792913a94fd8b33a1260027e4b46c1f4884c67\"}";
	struct pair p = pair_open();

	CHECK(sealed_as(p.node, bytes_str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
			"0400280680e2431415e6cb8713377a233d6e4ef69c7f9514028e920e7e2ee664b81d8b0c9c"
			"d3a77fe79020"));
	CHECK(sealed_as(p.node, bytes_str("abc"), "0400130f23759fdc041cf25a23eee66408dfd92fd390"));
	CHECK(sealed_as(p.server, kit_hex("ffffff5453"),
			"04001506f1bcb53469718bba16e3d284695183692f9d231c"));
	CHECK(sealed_as(p.server, kit_hex("0000005f"),
			"040014a9750286e41a6bec73c09fb033bc7c123bd7d066"));
	CHECK(sealed_as(p.server, bytes_str(challenge),
			"04006f5da05bd75c60204d07db65b121c8fc05483564371d18657916e2baaed5a99d6cba2b"
			"7c8a4896c3dc6d93"
			"a91c024b3f0b0327961ed1f6f332bc23babec0c31d5100fb30d81e19444a83fedc9185478a"
			"1c465d6fc9f2428bf"
			"014f057ee67fe0826aba4ec37777521d0439d9aac998b01"));
	CHECK(sealed_as(p.server, kit_hex("000000040000000000"),
			"0400195f32d652ed48008b3bc71ec21646887f8c2876d58d934a36a3"));
	for (int i = 4; i < 256; i++) {
		CHECK(ts2021_output(p.server, bytes_str("-")));
		(void)ts2021_next_bytes(p.server);
	}
	CHECK(sealed_as(p.server, bytes_str("x"), "040011fc72bd648b1b5d599173a38bd17e7179d3"));
	pair_free(&p);
}

TEST(records_split_and_join)
{
	struct pair p = pair_open();
	uint8_t big[10000], got[10000];
	size_t n = 0;
	struct bytes wire;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7);
	CHECK(ts2021_output(p.node, bytes_of(big, sizeof(big))));
	wire = kit_copy(ts2021_next_bytes(p.node));
	CHECK_INT(wire.n, sizeof(big) + 3 * (TS2021_HEADER_LEN + TS2021_TAG_LEN));
	for (size_t i = 0; i < wire.n; i++) {
		struct bytes plain;

		CHECK(ts2021_input(p.server, bytes_of(wire.p + i, 1), &p.err) == 0);
		while (ts2021_next_plain(p.server, &plain, &p.err) == 0 && plain.n) {
			memcpy(got + n, plain.p, plain.n);
			n += plain.n;
		}
	}
	CHECK(n == sizeof(big) && memcmp(got, big, n) == 0);
	CHECK(ts2021_next_bytes(p.node).n == 0);
	pair_free(&p);
}

TEST(flipped_bit_kills_for_good)
{
	struct pair p = pair_open();
	struct bytes plain, good;
	uint8_t bad[64];

	CHECK(ts2021_output(p.node, bytes_str("hello")));
	good = ts2021_next_bytes(p.node);
	memcpy(bad, good.p, good.n);
	bad[5] ^= 1;
	CHECK(ts2021_input(p.server, bytes_of(bad, good.n), &p.err) == 0);
	CHECK(ts2021_next_plain(p.server, &plain, &p.err) < 0);
	CHECK_INT(p.err.code, ERR_AUTH);
	CHECK(ts2021_input(p.server, good, &p.err) < 0);
	CHECK(!ts2021_output(p.server, good));
	pair_free(&p);
}

TEST(wrong_frames_kill)
{
	static const char *const bad[] = {
		"020030", /* a response again */
		"04000f", /* shorter than a tag */
		"040ffe", /* longer than a record may be */
		"050010", /* no such type */
		"030001"
		"61" /* an error after the handshake */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pair p = pair_open();
		struct bytes plain, in = kit_hex(bad[i]);
		uint8_t padded[64] = { 0 };

		memcpy(padded, in.p, in.n);
		CHECK(ts2021_input(p.node, bytes_of(padded, i ? in.n : 51), &p.err) == 0);
		CHECK(ts2021_next_plain(p.node, &plain, &p.err) < 0);
		pair_free(&p);
	}
}

TEST(initiation_damaged_or_cut)
{
	struct secret32 ss = secret_of(0x33);
	struct bytes msg = kit_hex(INITIATION);
	struct rng rng = rng_of(0x44);
	struct err err;

	for (size_t i = 0; i < msg.n; i++) {
		uint8_t copy[TS2021_INITIATION_LEN];

		CHECK(!ts2021_create_server(&ss, kit_copy(bytes_of(msg.p, i)), &rng, &err));
		memcpy(copy, msg.p, msg.n);
		copy[i] ^= i == 36 ? 0x41 : 1; /* X25519 ignores the top bit of a point */
		CHECK(!ts2021_create_server(&ss, bytes_of(copy, msg.n), &rng, &err));
	}
}

TEST(server_error_frame_is_a_hint)
{
	struct pair p = pair_make();
	struct bytes plain;

	CHECK(ts2021_input(p.node, kit_hex("03000474657374"), &p.err) == 0);
	CHECK(ts2021_next_plain(p.node, &plain, &p.err) < 0);
	CHECK_INT(p.err.code, ERR_REFUSED);
	CHECK_STR(p.err.text, "control server says: test");
	pair_free(&p);
}

TEST(output_before_open_waits)
{
	struct pair p = pair_make();
	struct bytes plain;

	CHECK(ts2021_output(p.node, bytes_str("early")));
	CHECK(ts2021_next_bytes(p.node).n == 0);
	CHECK(ts2021_input(p.node, ts2021_next_bytes(p.server), &p.err) == 0);
	CHECK(ts2021_next_plain(p.node, &plain, &p.err) == 0);
	CHECK(ts2021_input(p.server, ts2021_next_bytes(p.node), &p.err) == 0);
	CHECK(ts2021_next_plain(p.server, &plain, &p.err) == 0 && bytes_equal_str(plain, "early"));
	pair_free(&p);
}

TEST(handshake_deadline)
{
	struct pair p = pair_make();
	struct mono end = ts2021_deadline(p.node);

	CHECK(ts2021_tick(p.node, (struct mono){ end.ns - 1 }, &p.err) == 0);
	CHECK(ts2021_tick(p.node, end, &p.err) < 0 && p.err.code == ERR_TIMEOUT);
	CHECK(ts2021_deadline(p.server).ns == MONO_NEVER.ns);
	pair_free(&p);
}
