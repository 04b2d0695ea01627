/* Vectors: doc/protocol/derp.md, made by an independent program with client key 11.., server 77..
 */
#include "wire/derp.h"

#include "crypto/x25519.h"

#include "kit/kit.h"

#define S_I "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
#define S_R "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"
#define SERVER "1cf579aba45a10ba1d1ef06d91fca2aa9ed0a1150515653155405d0b18cb9a67"

static struct key key_of(const char *hex)
{
	struct key k;

	memcpy(k.b, kit_hex(hex).p, 32);
	return k;
}

static struct secret32 priv_of(uint8_t byte)
{
	struct secret32 s;

	memset(s.b, byte, sizeof(s.b));
	return s;
}

static bool wrote(const struct writer *w, const char *hex)
{
	return bytes_equal(bytes_of(w->p, writer_done(w)), kit_hex(hex));
}

/* The one frame in these bytes, as a client or a server would see it. */
static bool one(struct bytes in, enum derp_take (*take)(uint8_t, uint32_t), struct derp_frame *f)
{
	struct derp_reader r;
	struct derp_frame more;
	bool ok;

	derp_reader_init(&r, take);
	derp_reader_feed(&r, in);
	ok = derp_reader_next(&r, f) == DERP_PARSE_FRAME;
	ok = ok && derp_reader_next(&r, &more) == DERP_PARSE_MORE;
	derp_reader_fini(&r);
	return ok;
}

TEST(derp_vectors_out)
{
	uint8_t out[256];
	struct key i = key_of(S_I), r = key_of(S_R), server = key_of(SERVER);
	struct writer w = writer_of(out, sizeof(out));

	derp_put_server_key(&w, &server);
	CHECK(wrote(&w, "010000002844455250f09f9491" SERVER));
	w = writer_of(out, sizeof(out));
	derp_put_empty(&w, DERP_KEEP_ALIVE);
	derp_put_note_preferred(&w, true);
	CHECK(wrote(&w, "0600000000070000000101"));
	w = writer_of(out, sizeof(out));
	derp_put_ping(&w, DERP_PING, (const uint8_t[]){ 1, 2, 3, 4, 5, 6, 7, 8 });
	CHECK(wrote(&w, "12000000080102030405060708"));
	w = writer_of(out, sizeof(out));
	derp_put_peer_gone(&w, &i, DERP_GONE_NOT_HERE);
	CHECK(wrote(&w, "0800000021" S_I "01"));
	w = writer_of(out, sizeof(out));
	derp_put_peer_present(&w, &i, (struct addrport){ ip_v4(203, 0, 113, 7), 41641 },
			      DERP_PRESENT_REGULAR);
	CHECK(wrote(&w, "0900000033" S_I "00000000000000000000ffffcb007107a2a901"));
	w = writer_of(out, sizeof(out));
	derp_put_packet(&w, DERP_SEND_PACKET, &r, bytes_str("hello"));
	CHECK(wrote(&w, "0400000025" S_R "68656c6c6f"));
	w = writer_of(out, sizeof(out));
	derp_put_restarting(&w, 1000, 5000);
	CHECK(wrote(&w, "1500000008000003e800001388"));
}

TEST(derp_vectors_in)
{
	struct derp_frame f;
	struct derp_present present;
	struct key k, want = key_of(S_I);
	struct bytes payload;
	uint8_t reason, ping[8];
	uint32_t in, try_for;
	bool home = false;

	CHECK(one(kit_hex("010000002844455250f09f9491" SERVER), derp_take_by_client, &f));
	CHECK(f.type == DERP_SERVER_KEY && derp_get_server_key(f.body, &k));
	want = key_of(SERVER);
	CHECK(key_equal(&k, &want));
	CHECK(one(kit_hex("0800000021" S_I "01"), derp_take_by_client, &f));
	CHECK(derp_get_peer_gone(f.body, &k, &reason) && reason == DERP_GONE_NOT_HERE);
	want = key_of(S_I);
	CHECK(key_equal(&k, &want));
	CHECK(derp_get_peer_gone(bytes_of(f.body.p, 32), &k, &reason) && reason == 0);
	CHECK(one(kit_hex("0900000033" S_I "00000000000000000000ffffcb007107a2a901"),
		  derp_take_by_client, &f));
	CHECK(derp_get_peer_present(f.body, &present));
	CHECK(present.flags == 1 && present.from.port == 41641 && present.from.ip.family == 4);
	CHECK(derp_get_peer_present(bytes_of(f.body.p, 32), &present));
	CHECK(!ip_is_valid(present.from.ip) && present.flags == 0);
	CHECK(one(kit_hex("0400000025" S_R "68656c6c6f"), derp_take_by_server, &f));
	CHECK(derp_get_packet(f.body, &k, &payload) && bytes_equal_str(payload, "hello"));
	CHECK(one(kit_hex("12000000080102030405060708"), derp_take_by_server, &f));
	CHECK(derp_get_ping(f.body, ping) && ping[7] == 8);
	CHECK(one(kit_hex("1500000008000003e800001388"), derp_take_by_client, &f));
	CHECK(derp_get_restarting(f.body, &in, &try_for) && in == 1000 && try_for == 5000);
	CHECK(one(kit_hex("070000000101"), derp_take_by_server, &f));
	CHECK(derp_get_note_preferred(f.body, &home) && home);
}

TEST(derp_greeting_vectors)
{
	struct secret32 client = priv_of(0x11), server = priv_of(0x77), shared, theirs;
	struct derp_client_info info = { .key = key_of(S_I), .version = 2, .can_ack_pings = true };
	struct derp_client_info got;
	struct derp_server_info sinfo;
	uint8_t out[256], nonce[BOX_NONCE_LEN];
	struct writer w = writer_of(out, sizeof(out));
	struct key server_key = key_of(SERVER);

	CHECK(box_shared(&shared, &client, server_key.b));
	CHECK(bytes_equal(
	    bytes_of(shared.b, 32),
	    kit_hex("2bfda31d598151dc93a11a492d1c6d5e5c75d39cca7336fa089053d8451a8148")));
	for (uint8_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = i;
	derp_put_client_info(&w, &info, &shared, nonce);
	CHECK(wrote(&w, "02000000687b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
			"000102030405060708090a0b0c0d0e0f1011121314151617a51c9377aeedee6222f778a86b"
			"5ced60df12ae45bf8dfe8b00f0636a0451c4dcc06890ced2b260c5e00e9d14d4303293"));
	CHECK(derp_get_client_info(kit_copy(bytes_of(out + 5, w.n - 5)), &server, &got, &theirs));
	CHECK(key_equal(&got.key, &info.key) && got.version == 2 && got.can_ack_pings);
	CHECK(got.knows_restarting && !got.has_mesh_key && !got.is_prober && !got.app[0]);
	CHECK(secret_equal(theirs.b, shared.b, 32));
	for (size_t n = 0; n < w.n - 5; n++)
		CHECK(
		    !derp_get_client_info(kit_copy(bytes_of(out + 5, n)), &server, &got, &theirs));
	for (uint8_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = 0x18 + i;
	w = writer_of(out, sizeof(out));
	derp_put_server_info(&w, &(struct derp_server_info){ .version = 2 }, &shared, nonce);
	CHECK(wrote(&w, "030000003518191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f884a1fdf00e0b372"
			"bc442d4808acf6cba4d72c0e776b5e2216772cce2f"));
	CHECK(derp_get_server_info(kit_copy(bytes_of(out + 5, w.n - 5)), &shared, &sinfo));
	CHECK(sinfo.version == 2 && sinfo.bytes_per_second == 0);
}

static bool greet(const char *json, struct derp_client_info *got)
{
	struct secret32 client = priv_of(0x11), server = priv_of(0x77), shared, theirs;
	struct key server_key = key_of(SERVER), me = key_of(S_I);
	uint8_t out[512] = { 0 };

	CHECK(box_shared(&shared, &client, server_key.b));
	memcpy(out, me.b, 32);
	box_seal(out + 32, &shared, out + 400, bytes_str(json));
	return derp_get_client_info(bytes_of(out, 32 + BOX_OVERHEAD + strlen(json)), &server, got,
				    &theirs);
}

TEST(derp_greeting_of_strangers)
{
	struct derp_client_info got;

	/* tailscale-rs: snake case and a mesh key that is none */
	CHECK(greet("{\"version\":2,\"can_ack_pings\":true,\"is_prober\":false,\"mesh_key\":"
		    "\"none\"}",
		    &got));
	CHECK(!got.has_mesh_key && !got.knows_restarting && !got.can_ack_pings);
	CHECK(!greet("{\"version\":2,\"meshKey\":\"none\"}", &got));
	CHECK(greet("{\"version\":2,\"meshKey\":\"" S_I "\",\"IsProber\":true,\"AppName\":\"x\"}",
		    &got));
	CHECK(got.has_mesh_key && got.is_prober);
	CHECK_STR(got.app, "x");
	CHECK(!greet("[]", &got));
	CHECK(!greet("", &got));
}

TEST(derp_stream_in_any_pieces)
{
	struct bytes in = kit_hex("0600000000"       /* KeepAlive */
				  "7700000003aabbcc" /* unknown: skipped */
				  "0500000025" S_R "68656c6c6f"
				  "12000000080102030405060708");

	for (size_t step = 1; step <= in.n; step++) {
		struct derp_reader r;
		struct derp_frame f;
		uint8_t seen[8];
		size_t n = 0;

		derp_reader_init(&r, derp_take_by_client);
		for (size_t at = 0; at < in.n; at += step) {
			size_t len = in.n - at < step ? in.n - at : step;

			derp_reader_feed(&r, kit_copy(bytes_of(in.p + at, len)));
			while (derp_reader_next(&r, &f) == DERP_PARSE_FRAME)
				seen[n++] = f.type;
		}
		CHECK(n == 3 && seen[0] == DERP_KEEP_ALIVE && seen[1] == DERP_RECV_PACKET);
		CHECK(seen[2] == DERP_PING && f.body.n == 8 && !r.bad);
		derp_reader_fini(&r);
	}
}

TEST(derp_length_is_judged_before_the_body_comes)
{
	static const struct {
		const char *header;
		bool fine;
	} cases[] = {
		{ "0400010020", true },  /* largest packet */
		{ "0400010021", false }, /* one past it */
		{ "040000001f", false }, /* shorter than its key */
		{ "04ffffffff", false }, { "0a00010040", true },  { "0a00010041", false },
		{ "0200004000", true },  { "0200004001", false }, { "1000000001", false },
		{ "12000003e8", true },  { "12000003e9", false }, { "1200000007", false },
		{ "7700100000", true }, /* unknown, skipped up to 1 MiB */
		{ "7700100001", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct derp_reader r;
		struct derp_frame f;

		derp_reader_init(&r, derp_take_by_server);
		derp_reader_feed(&r, kit_hex(cases[i].header));
		CHECK_INT(derp_reader_next(&r, &f),
			  cases[i].fine ? DERP_PARSE_MORE : DERP_PARSE_BAD);
		CHECK(r.held.cap < 4096); /* an announced length alone costs no memory */
		derp_reader_feed(&r, bytes_str("more"));
		CHECK_INT(derp_reader_next(&r, &f),
			  cases[i].fine ? DERP_PARSE_MORE : DERP_PARSE_BAD);
		derp_reader_fini(&r);
	}
}

TEST(derp_skipped_frames_are_never_held)
{
	struct derp_reader r;
	struct derp_frame f;
	uint8_t rubbish[1000] = { 0 };

	derp_reader_init(&r, derp_take_by_server);
	derp_reader_feed(&r, kit_hex("7700002710"));
	CHECK(derp_reader_next(&r, &f) == DERP_PARSE_MORE);
	for (int i = 0; i < 10; i++) {
		derp_reader_feed(&r, bytes_of(rubbish, sizeof(rubbish)));
		CHECK(derp_reader_next(&r, &f) == DERP_PARSE_MORE);
	}
	CHECK(r.held.cap < 4096);
	derp_reader_feed(&r, kit_hex("070000000100"));
	CHECK(derp_reader_next(&r, &f) == DERP_PARSE_FRAME && f.type == DERP_NOTE_PREFERRED);
	derp_reader_fini(&r);
}

TEST(derp_disco_is_told_apart)
{
	uint8_t pkt[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

	CHECK(derp_is_disco(bytes_of(pkt, 62)));
	CHECK(!derp_is_disco(kit_copy(bytes_of(pkt, 61))));
	pkt[0] = 1;
	CHECK(!derp_is_disco(bytes_of(pkt, 62)));
}
