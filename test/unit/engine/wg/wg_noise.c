#include "engine/wg/wg_noise.h"

#include "base/rand.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "engine/wg/wg_cookie.h"
#include "kit/kit.h"

/*
 * Both roles with fixed keys, computed by an independent script (hashlib BLAKE2s, X25519 and
 * ChaCha20-Poly1305 of the cryptography package); the constants were checked against boringtun.
 */
static const char initiation_hex[] =
    "01000000040302017b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14"
    "81e498317da959fba46669572516a5e6c021bfa620bb6c56ca0082e1feae14988c2c64d024c61773"
    "4a263f76a008df04d0f94bad8ee75ec8e1c26955d72d5dc0a3c87d5e6db7cf66723bf09dcbc0595b"
    "be37451384922dda1f53280200000000000000000000000000000000";
static const char response_hex[] =
    "020000000807060504030201ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c"
    "1fff3e6b7f52b246c1ea76ed958e7e006971013103019660252babc7e281ddb5bf90a2f900000000"
    "000000000000000000000000";

struct fixed_rng {
	struct rng rng;
	uint8_t byte;
};

static void fill_fixed(struct rng *rng, void *out, size_t n)
{
	memset(out, ((struct fixed_rng *)rng)->byte, n);
}

static struct fixed_rng fixed(uint8_t byte)
{
	return (struct fixed_rng){ { .fill = fill_fixed }, byte };
}

struct world {
	struct wg_identity i, r;
	struct wg_remote to_r, to_i;
	struct wg_noise at_i, at_r;
};

static void world_init(struct world *w)
{
	struct secret32 priv, psk = { 0 };

	memset(priv.b, 0x11, 32);
	wg_identity_init(&w->i, &priv);
	memset(priv.b, 0x22, 32);
	wg_identity_init(&w->r, &priv);
	CHECK(wg_remote_init(&w->to_r, &w->i, &w->r.public_key, &psk));
	CHECK(wg_remote_init(&w->to_i, &w->r, &w->i.public_key, &psk));
}

static void check_hex(const void *p, size_t n, const char *want)
{
	char text[400];

	text_hex(bytes_of(p, n), text);
	CHECK_STR(text, want);
}

TEST(initial_constants_are_hashes_of_the_names)
{
	struct bytes names[] = { bytes_str("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"),
				 bytes_str("WireGuard v1 zx2c4 Jason@zx2c4.com") };
	uint8_t c[32], h[32];
	struct world w;

	hash_blake2s(c, names, 1);
	check_hex(c, 32, "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
	hash_blake2s(h, (struct bytes[]){ bytes_of(c, 32), names[1] }, 2);
	check_hex(h, 32, "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
	world_init(&w); /* the engine keeps both as constants: H after S_r follows from them */
	hash_blake2s(h, (struct bytes[]){ bytes_of(h, 32), bytes_of(w.r.public_key.b, 32) }, 2);
	CHECK(memcmp(h, w.r.hash, 32) == 0);
	CHECK(memcmp(h, w.to_r.hash, 32) == 0);
	check_hex(w.i.public_key.b, 32,
		  "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13");
	check_hex(w.r.public_key.b, 32,
		  "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20");
}

TEST(handshake_vectors_in_both_roles)
{
	struct fixed_rng e_i = fixed(0x33), e_r = fixed(0x44);
	uint8_t msg[WG_INITIATION_LEN], timestamp[WG_TIMESTAMP_LEN], keepalive[32] = { 0 };
	struct bytes tai = kit_hex("400000006553f10a00000000");
	struct secret32 send, receive, send_r, receive_r;
	struct wg_cookie_jar jar;
	struct wg_initiation init = { .sender = 0x01020304 }, init2;
	struct wg_response resp = { .sender = 0x05060708, .receiver = 0x01020304 }, resp2;
	uint8_t nonce[AEAD_NONCE_LEN] = { 0 };
	struct key claimed;
	struct writer wr;
	struct world w;

	world_init(&w);
	CHECK(wg_noise_initiate(&w.at_i, &w.i, &w.to_r, tai.p, &e_i.rng, &init));
	check_hex(w.at_i.chain.b, 32,
		  "24eca314409f2ca9ccbf8d50ebb72b7235d67ed11b21eeefc67942a2596df51e");
	check_hex(w.at_i.hash, 32,
		  "b0368334516a0c37bb427da21337d3cf12bf1273783d82f9a35a329065efa39b");
	wg_initiation_encode(&init, msg);
	wg_cookie_jar_init(&jar, &w.r.public_key);
	wg_cookie_stamp(&jar, (struct mono){ 1 }, msg, WG_INITIATION_LEN);
	check_hex(msg, WG_INITIATION_LEN, initiation_hex);

	CHECK(wg_initiation_decode(&init2, kit_copy(bytes_of(msg, WG_INITIATION_LEN))));
	CHECK_INT(init2.sender, 0x01020304);
	CHECK(wg_noise_open_static(&w.at_r, &w.r, &init2, &claimed));
	CHECK(key_equal(&claimed, &w.i.public_key));
	CHECK(wg_noise_open_timestamp(&w.at_r, &w.to_i, &init2, timestamp));
	CHECK(memcmp(timestamp, tai.p, sizeof(timestamp)) == 0);

	CHECK(wg_noise_respond(&w.at_r, &w.to_i, &e_r.rng, &resp));
	wg_response_encode(&resp, msg);
	wg_cookie_jar_init(&jar, &w.i.public_key);
	wg_cookie_stamp(&jar, (struct mono){ 1 }, msg, WG_RESPONSE_LEN);
	check_hex(msg, WG_RESPONSE_LEN, response_hex);
	CHECK(wg_response_decode(&resp2, kit_copy(bytes_of(msg, WG_RESPONSE_LEN))));
	CHECK_INT(resp2.receiver, 0x01020304);

	CHECK(wg_noise_open_response(&w.at_i, &w.i, &w.to_r, &resp2));
	wg_noise_keys(&w.at_i, true, &send, &receive);
	wg_noise_keys(&w.at_r, false, &send_r, &receive_r);
	check_hex(send.b, 32, "e07b709efbfd0361a08a9de658ceb3847d648c207ed71d4dbdfe248bef23a651");
	check_hex(receive.b, 32,
		  "f76ba55a113d83abf16240859ca361a9017ae9fbac0b4aa43179112c40e0163f");
	CHECK(secret_equal(&send, &receive_r, 32) && secret_equal(&receive, &send_r, 32));
	CHECK(secret_is_zero(&w.at_i, sizeof(w.at_i)));

	wr = writer_of(keepalive, sizeof(keepalive));
	write_le32(&wr, WG_TRANSPORT);
	write_le32(&wr, 0x05060708);
	aead_seal(keepalive + 16, &send, nonce, bytes_of(NULL, 0), bytes_of(NULL, 0));
	check_hex(keepalive, 32,
		  "0400000008070605000000000000000069958abbebcb06f97a256144abed28f6");
}

TEST(psk_must_be_the_same_on_both_sides)
{
	struct rng rng = rng_seeded(3);
	uint8_t timestamp[WG_TIMESTAMP_LEN] = { 0x40 };
	struct wg_initiation init;
	struct wg_response resp;
	struct secret32 psk, none = { 0 };
	struct wg_noise before;
	struct key claimed;
	struct world w;

	world_init(&w);
	memset(psk.b, 9, 32);
	CHECK(wg_remote_init(&w.to_r, &w.i, &w.r.public_key, &psk));
	CHECK(wg_noise_initiate(&w.at_i, &w.i, &w.to_r, timestamp, &rng, &init));
	CHECK(wg_noise_open_static(&w.at_r, &w.r, &init, &claimed));
	CHECK(wg_noise_open_timestamp(&w.at_r, &w.to_i, &init, timestamp));
	CHECK(wg_noise_respond(&w.at_r, &w.to_i, &rng, &resp)); /* without the psk */
	before = w.at_i;
	CHECK(!wg_noise_open_response(&w.at_i, &w.i, &w.to_r, &resp));
	CHECK(memcmp(&before, &w.at_i, sizeof(before)) ==
	      0); /* untouched: the right one may come */
	w.to_r.psk = none;
	CHECK(wg_noise_open_response(&w.at_i, &w.i, &w.to_r, &resp));
}

TEST(low_order_points_end_the_handshake)
{
	struct rng rng = rng_seeded(4);
	struct secret32 none = { 0 };
	struct wg_initiation init = { 0 };
	struct wg_response resp = { 0 };
	struct wg_remote remote;
	struct key zero = { 0 }, claimed;
	uint8_t timestamp[WG_TIMESTAMP_LEN] = { 0x40 };
	struct world w;

	world_init(&w);
	CHECK(!wg_remote_init(&remote, &w.i, &zero, &none));
	CHECK(!wg_noise_open_static(&w.at_r, &w.r, &init, &claimed));
	CHECK(wg_noise_initiate(&w.at_i, &w.i, &w.to_r, timestamp, &rng, &init));
	CHECK(!wg_noise_open_response(&w.at_i, &w.i, &w.to_r, &resp));
}
