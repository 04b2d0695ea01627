/* The engine against the independent peer of judge.h. */
#include <stdlib.h>

#include "engine/wg/wg.h"
#include "engine/wg/wg_allowed.h"
#include "judge.h"
#include "kit/kit.h"

struct court {
	struct rng rng;
	struct wg *wg;
	struct wg_peer_id peer;
	struct judge judge;
	struct wg_time now;
	struct wg_source from;
	struct wg_received got;
	uint8_t inner[2048];
	/* The last datagram the engine sent. */
	uint8_t out[2048];
	size_t out_n;
	struct wg_source reply_to;
	bool to_peer;
};

static void court_open(struct court *c, const struct wg_peer_conf *more)
{
	struct wg_peer_conf peer = more ? *more : (struct wg_peer_conf){ 0 };
	struct wg_conf conf = { .rng = &c->rng };
	struct judge engine_keys;

	memset(c, 0, sizeof(*c));
	judge_init(&c->judge, 1);
	judge_init(&engine_keys, 2);
	c->rng = rng_seeded(3);
	conf.private_key = engine_keys.static_priv;
	memcpy(c->judge.their_static, engine_keys.static_pub, 32);
	c->judge.psk = peer.psk;
	c->wg = wg_create(&conf, NULL);
	memcpy(peer.public_key.b, c->judge.static_pub, 32);
	peer.owner = 5;
	CHECK(wg_peer_add(c->wg, &peer, &c->peer, NULL) == 0);
	c->now = (struct wg_time){ { 1000000000 }, { 1700000000123456789 } };
	c->from.addr = (struct addrport){ ip_v4(203, 0, 113, 5), 5000 };
}

static void court_close(struct court *c)
{
	wg_destroy(c->wg);
}

static void pass_ms(struct court *c, int64_t ms)
{
	c->now.mono.ns += ms * 1000000;
	c->now.wall.ns += ms * 1000000;
	wg_tick(c->wg, c->now);
}

/* In an exact-size block, for ASan. */
static enum wg_verdict give(struct court *c, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	enum wg_verdict v;

	memcpy(copy, p, n);
	v = wg_input(c->wg, c->now, &c->from, copy, n, &c->got);
	if (v == WG_DELIVER) {
		memcpy(c->inner, c->got.packet.p, c->got.packet.n);
		c->got.packet.p = c->inner;
	}
	free(copy);
	return v;
}

static bool fetch(struct court *c)
{
	struct wg_datagram d;

	if (!wg_next_datagram(c->wg, &d))
		return false;
	memcpy(c->out, d.p, d.n);
	c->out_n = d.n;
	c->reply_to = d.reply_to;
	c->to_peer = !wg_peer_id_is_none(d.peer);
	return true;
}

/* The judge begins at that many seconds past the epoch of the test. */
static enum wg_verdict initiate(struct court *c, uint64_t s, uint32_t nanos)
{
	uint8_t msg[148];

	judge_initiation(&c->judge, 1700000000 + s, nanos, NULL, msg);
	return give(c, msg, sizeof(msg));
}

static enum wg_verdict give_sealed(struct court *c, uint64_t counter, const void *plain, size_t n)
{
	uint8_t msg[2048];
	size_t len = judge_seal(&c->judge, counter, plain, n, msg);

	return give(c, msg, len);
}

/* The judge as initiator, up to its first keepalive. */
static void establish(struct court *c)
{
	CHECK_INT(initiate(c, 1, 0), WG_HANDSHAKE);
	CHECK(fetch(c) && c->to_peer && judge_take_response(&c->judge, c->out, c->out_n));
	CHECK_INT(give_sealed(c, 0, "", 0), WG_KEEPALIVE);
	CHECK(!fetch(c));
}

static const uint8_t inner[] = { 0x45, 0,   0,  21, 0, 0,   0,  0, 64, 17,  0,
				 0,    100, 64, 0,  1, 100, 64, 0, 2,  0x77 };

TEST(judge_begins_and_packets_pass_both_ways)
{
	uint8_t plain[2048], out[64];
	struct court c;
	uint64_t counter;

	court_open(&c, NULL);
	establish(&c);
	CHECK(c.got.peer.slot == c.peer.slot && c.got.owner == 5);
	CHECK_INT(give_sealed(&c, 1, inner, sizeof(inner)), WG_DELIVER);
	CHECK(bytes_equal(c.got.packet, bytes_of(inner, sizeof(inner))));
	CHECK(wg_output(c.wg, c.now, c.peer, bytes_of(inner, sizeof(inner))));
	CHECK(fetch(&c));
	CHECK_INT(judge_open(&c.judge, c.out, c.out_n, &counter, plain), 32); /* padded */
	CHECK_INT(counter, 0);
	CHECK(memcmp(plain, inner, sizeof(inner)) == 0);
	memset(out, 0, sizeof(out));
	CHECK(memcmp(plain + sizeof(inner), out, 32 - sizeof(inner)) == 0);
	court_close(&c);
}

TEST(engine_begins_and_sends_what_waited)
{
	uint8_t response[92], plain[2048];
	struct court c;
	uint64_t counter;

	court_open(&c, NULL);
	CHECK(wg_output(c.wg, c.now, c.peer, bytes_of(inner, sizeof(inner))));
	CHECK(fetch(&c) && !fetch(&c));
	CHECK(judge_take_initiation(&c.judge, c.out, c.out_n));
	/* 1700000000.123456789, the low 24 bits of the nanoseconds cleared */
	CHECK(memcmp(c.judge.tai64n, kit_hex("400000006553f10a07000000").p, 12) == 0);
	judge_response(&c.judge, response);
	CHECK_INT(give(&c, response, sizeof(response)), WG_HANDSHAKE);
	CHECK(fetch(&c));
	CHECK_INT(judge_open(&c.judge, c.out, c.out_n, &counter, plain), 32);
	CHECK_INT(counter, 0);
	CHECK(memcmp(plain, inner, sizeof(inner)) == 0);
	CHECK(!fetch(&c));
	CHECK_INT(give(&c, response, sizeof(response)), WG_DROP_INDEX); /* a replay */
	CHECK_INT(give_sealed(&c, 0, inner, sizeof(inner)), WG_DELIVER);
	court_close(&c);
}

TEST(engine_confirms_with_a_keepalive_when_nothing_waits)
{
	uint8_t response[92], plain[16];
	struct court c;
	uint64_t counter;

	court_open(&c, NULL);
	wg_peer_handshake(c.wg, c.now, c.peer);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	judge_response(&c.judge, response);
	CHECK_INT(give(&c, response, sizeof(response)), WG_HANDSHAKE);
	CHECK(fetch(&c));
	CHECK_INT(c.out_n, 32);
	CHECK_INT(judge_open(&c.judge, c.out, c.out_n, &counter, plain), 0);
	court_close(&c);
}

TEST(responder_waits_for_the_first_datagram)
{
	uint8_t plain[2048], response[92];
	struct judge other;
	struct court c;
	uint64_t counter;

	court_open(&c, NULL);
	CHECK_INT(initiate(&c, 1, 0), WG_HANDSHAKE);
	CHECK(fetch(&c) && judge_take_response(&c.judge, c.out, c.out_n));
	CHECK(wg_output(c.wg, c.now, c.peer, bytes_of(inner, sizeof(inner))));
	CHECK(fetch(&c) && c.out[0] == 1); /* no session to send with: one of its own */
	other = c.judge;
	CHECK(judge_take_initiation(&other, c.out, c.out_n));
	judge_response(&other, response);
	CHECK(!fetch(&c));
	CHECK_INT(give_sealed(&c, 0, "", 0), WG_KEEPALIVE);
	CHECK(fetch(&c));
	CHECK_INT(judge_open(&c.judge, c.out, c.out_n, &counter, plain), 32);
	CHECK_INT(give(&c, response, sizeof(response)), WG_DROP_INDEX); /* no longer wanted */
	court_close(&c);
}

TEST(only_the_newest_unconfirmed_session_stands)
{
	struct judge first;
	struct court c;

	court_open(&c, NULL);
	CHECK_INT(initiate(&c, 1, 0), WG_HANDSHAKE);
	CHECK(fetch(&c) && judge_take_response(&c.judge, c.out, c.out_n));
	first = c.judge;
	pass_ms(&c, 100);
	CHECK_INT(initiate(&c, 2, 0), WG_HANDSHAKE);
	CHECK(fetch(&c) && judge_take_response(&c.judge, c.out, c.out_n));
	CHECK_INT(give_sealed(&c, 0, inner, sizeof(inner)), WG_DELIVER);
	c.judge = first;
	CHECK_INT(give_sealed(&c, 0, inner, sizeof(inner)), WG_DROP_INDEX);
	court_close(&c);
}

TEST(preshared_key)
{
	struct wg_peer_conf more = { 0 };
	struct court c;

	memset(more.psk.b, 0x5a, 32);
	court_open(&c, &more);
	establish(&c);
	court_close(&c);
	court_open(&c, &more);
	c.judge.psk.b[0] ^= 1;
	CHECK_INT(initiate(&c, 1, 0), WG_HANDSHAKE); /* the psk comes with the response */
	CHECK(fetch(&c) && !judge_take_response(&c.judge, c.out, c.out_n));
	court_close(&c);
}

TEST(mac1_is_required)
{
	uint8_t msg[148];
	struct court c;

	court_open(&c, NULL);
	judge_initiation(&c.judge, 1700000001, 0, NULL, msg);
	for (size_t i = 0; i < 132; i++) {
		if (i < 4)
			continue; /* the type is checked before */
		msg[i] ^= 0x10;
		CHECK_INT(give(&c, msg, sizeof(msg)), WG_DROP_MAC1);
		msg[i] ^= 0x10;
	}
	CHECK(!fetch(&c));
	CHECK_INT(give(&c, msg, sizeof(msg)), WG_HANDSHAKE);
	court_close(&c);
}

TEST(every_sealed_byte_counts)
{
	uint8_t msg[148];
	struct court c;

	court_open(&c, NULL);
	judge_initiation(&c.judge, 1700000001, 0, NULL, msg);
	for (size_t i = 8; i < 116; i++) {
		msg[i] ^= 0x10;
		judge_stamp(&c.judge, msg, sizeof(msg));
		CHECK_INT(give(&c, msg, sizeof(msg)), WG_DROP_CRYPTO);
		msg[i] ^= 0x10;
	}
	CHECK(!fetch(&c));
	judge_stamp(&c.judge, msg, sizeof(msg));
	CHECK_INT(give(&c, msg, sizeof(msg)), WG_HANDSHAKE);
	court_close(&c);
}

/* The points of order 1, 2, 4 and 8 and their non-canonical forms. */
static const char *const low_order[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(low_order_points_are_refused)
{
	uint8_t msg[148], response[92];
	struct court c;

	court_open(&c, NULL);
	for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
		judge_initiation(&c.judge, 1700000001 + i, 0, kit_hex(low_order[i]).p, msg);
		CHECK_INT(give(&c, msg, sizeof(msg)), WG_DROP_CRYPTO);
		pass_ms(&c, 100);
	}
	CHECK(!fetch(&c));
	wg_peer_handshake(c.wg, c.now, c.peer);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	judge_response(&c.judge, response);
	for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
		uint8_t bad[92];

		memcpy(bad, response, sizeof(bad));
		memcpy(bad + 12, kit_hex(low_order[i]).p, 32);
		judge_stamp(&c.judge, bad, sizeof(bad));
		CHECK_INT(give(&c, bad, sizeof(bad)), WG_DROP_CRYPTO);
	}
	CHECK_INT(give(&c, response, sizeof(response)), WG_HANDSHAKE); /* forgeries did no harm */
	court_close(&c);
}

TEST(timestamps_must_grow)
{
	struct court c;

	court_open(&c, NULL);
	CHECK_INT(initiate(&c, 10, 500), WG_HANDSHAKE);
	pass_ms(&c, 100);
	CHECK_INT(initiate(&c, 10, 500), WG_DROP_OLD_TIMESTAMP);
	CHECK_INT(initiate(&c, 10, 499), WG_DROP_OLD_TIMESTAMP);
	CHECK_INT(initiate(&c, 9, 900), WG_DROP_OLD_TIMESTAMP);
	CHECK(!wg_peer_id_is_none(c.peer) && wg_peer_id_is_none(c.got.peer));
	CHECK_INT(initiate(&c, 10, 501), WG_HANDSHAKE);
	court_close(&c);
}

TEST(initiations_need_20_ms_between_them)
{
	struct court c;

	court_open(&c, NULL);
	CHECK_INT(initiate(&c, 1, 0), WG_HANDSHAKE);
	pass_ms(&c, 19);
	CHECK_INT(initiate(&c, 2, 0), WG_DROP_FLOOD);
	pass_ms(&c, 1);
	CHECK_INT(initiate(&c, 2, 0), WG_HANDSHAKE); /* the flood did not move the timestamp */
	court_close(&c);
}

TEST(engine_asks_for_cookies_under_load)
{
	struct court c;

	court_open(&c, NULL);
	wg_set_under_load(c.wg, true);
	CHECK_INT(initiate(&c, 1, 0), WG_COOKIE_SENT);
	CHECK(fetch(&c) && !c.to_peer && addrport_equal(c.reply_to.addr, c.from.addr));
	CHECK(judge_take_cookie(&c.judge, c.out, c.out_n));
	c.from.addr.port++; /* bound to the port */
	CHECK_INT(initiate(&c, 2, 0), WG_COOKIE_SENT);
	c.from.addr.port--;
	c.from.addr.ip.b[3]++; /* and to the address */
	CHECK_INT(initiate(&c, 3, 0), WG_COOKIE_SENT);
	c.from.addr.ip.b[3]--;
	while (fetch(&c))
		CHECK_INT(c.out_n, 64);
	CHECK_INT(initiate(&c, 4, 0), WG_HANDSHAKE);
	CHECK(fetch(&c) && judge_take_response(&c.judge, c.out, c.out_n));
	pass_ms(&c, 121000);
	CHECK_INT(initiate(&c, 200, 0), WG_COOKIE_SENT); /* too old */
	court_close(&c);
}

TEST(source_rate_holds_under_load)
{
	unsigned taken = 0;
	struct court c;

	court_open(&c, NULL);
	wg_set_under_load(c.wg, true);
	CHECK_INT(initiate(&c, 1, 0), WG_COOKIE_SENT);
	CHECK(fetch(&c) && judge_take_cookie(&c.judge, c.out, c.out_n));
	for (unsigned i = 0; i < 100; i++)
		taken += initiate(&c, 2 + i, 0) != WG_DROP_RATE;
	CHECK_INT(taken, 5);
	court_close(&c);
}

TEST(cookie_replies_to_strangers_are_bounded)
{
	unsigned replies = 0;
	struct court c;

	court_open(&c, NULL);
	wg_set_under_load(c.wg, true);
	for (unsigned i = 0; i < 1000; i++)
		(void)initiate(&c, i, 0);
	while (fetch(&c))
		replies++;
	CHECK_INT(replies, 64);
	CHECK_INT(wg_count_verdict(c.wg, WG_COOKIE_SENT), 64);
	CHECK_INT(initiate(&c, 2000, 0), WG_COOKIE_SENT); /* they were given back */
	court_close(&c);
}

/* Forged addresses never show a cookie, so they take nothing from those who do. */
TEST(a_flood_does_not_lock_out_who_has_a_cookie)
{
	uint8_t flood[148];
	struct wg_source honest;
	struct court c;

	court_open(&c, NULL);
	wg_set_under_load(c.wg, true);
	CHECK_INT(initiate(&c, 1, 0), WG_COOKIE_SENT);
	CHECK(fetch(&c) && judge_take_cookie(&c.judge, c.out, c.out_n));
	honest = c.from;
	judge_initiation(&c.judge, 1700000002, 0, NULL, flood);
	for (unsigned i = 0; i < 20000; i++) {
		c.from.addr.ip = ip_v4_of(0x0a000000 + i);
		CHECK(give(&c, flood, sizeof(flood)) != WG_HANDSHAKE);
	}
	c.from = honest;
	CHECK_INT(initiate(&c, 3, 0), WG_HANDSHAKE);
	court_close(&c);
}

TEST(a_flood_turns_cookies_on_by_itself)
{
	enum wg_verdict v = WG_HANDSHAKE;
	struct court c;
	unsigned i;

	court_open(&c, NULL);
	for (i = 0; i < 1000 && v != WG_COOKIE_SENT; i++)
		v = initiate(&c, 1, 0);
	CHECK(i > 100 && i < 200); /* an eighth of a second's worth at once */
	pass_ms(&c, 1500);
	CHECK_INT(initiate(&c, 5000, 0), WG_HANDSHAKE);
	court_close(&c);
}

TEST(engine_uses_a_cookie_it_got)
{
	static const uint8_t here[6] = { 203, 0, 113, 1, 1, 2 };
	uint8_t reply[64], response[92];
	struct court c;

	court_open(&c, NULL);
	CHECK(wg_output(c.wg, c.now, c.peer, bytes_of(inner, sizeof(inner))));
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	CHECK(!judge_mac2_ok(&c.judge, here, c.out, c.out_n));
	judge_cookie_reply(&c.judge, here, c.out, c.out_n, reply);
	reply[40] ^= 1;
	CHECK_INT(give(&c, reply, sizeof(reply)), WG_DROP_COOKIE);
	reply[40] ^= 1;
	CHECK_INT(give(&c, reply, sizeof(reply)), WG_COOKIE_TAKEN);
	CHECK_INT(give(&c, reply, sizeof(reply)), WG_DROP_COOKIE); /* once */
	CHECK(wg_peer_id_is_none(c.got.peer)); /* a cookie proves no peer: no roaming */
	pass_ms(&c, 5400);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	CHECK(judge_mac2_ok(&c.judge, here, c.out, c.out_n));
	judge_response(&c.judge, response);
	CHECK_INT(give(&c, response, sizeof(response)), WG_HANDSHAKE);
	court_close(&c);
}

TEST(a_nudge_forgets_the_cookie)
{
	static const uint8_t here[6] = { 203, 0, 113, 1, 1, 2 };
	uint8_t reply[64];
	struct court c;

	court_open(&c, NULL);
	wg_peer_handshake(c.wg, c.now, c.peer);
	CHECK(fetch(&c));
	judge_cookie_reply(&c.judge, here, c.out, c.out_n, reply);
	CHECK_INT(give(&c, reply, sizeof(reply)), WG_COOKIE_TAKEN);
	wg_peer_nudge(c.wg, c.peer); /* another implementation may sit there now */
	pass_ms(&c, 5400);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	CHECK(secret_is_zero(c.out + 132, 16));
	court_close(&c);
}

TEST(retries_are_fresh)
{
	uint8_t first[148];
	uint8_t tai[12];
	struct court c;

	court_open(&c, NULL);
	wg_peer_handshake(c.wg, c.now, c.peer);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	memcpy(first, c.out, sizeof(first));
	memcpy(tai, c.judge.tai64n, 12);
	pass_ms(&c, 4999);
	CHECK(!fetch(&c));
	pass_ms(&c, 335);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	CHECK(memcmp(first + 4, c.out + 4, 4) != 0);  /* index */
	CHECK(memcmp(first + 8, c.out + 8, 32) != 0); /* ephemeral */
	CHECK(memcmp(tai, c.judge.tai64n, 12) < 0);
	court_close(&c);
}

TEST(a_try_that_had_no_way_out_is_repeated_at_once)
{
	uint8_t first[148];
	struct court c;

	court_open(&c, NULL);
	wg_peer_retry(c.wg, c.now, c.peer);
	CHECK(!fetch(&c)); /* nothing waits */
	wg_peer_handshake(c.wg, c.now, c.peer);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	memcpy(first, c.out, sizeof(first));
	pass_ms(&c, 100);
	wg_peer_retry(c.wg, c.now, c.peer);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	CHECK(memcmp(first + 8, c.out + 8, 32) != 0);
	court_close(&c);
}

TEST(an_answer_to_an_older_try_is_refused)
{
	uint8_t old[92], new[92];
	struct judge before;
	struct court c;

	court_open(&c, NULL);
	wg_peer_handshake(c.wg, c.now, c.peer);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	before = c.judge;
	judge_response(&before, old);
	pass_ms(&c, 5400);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	CHECK_INT(give(&c, old, sizeof(old)), WG_DROP_INDEX);
	judge_response(&c.judge, new);
	CHECK_INT(give(&c, new, sizeof(new)), WG_HANDSHAKE);
	court_close(&c);
}

TEST(replay_window_over_the_wire)
{
	struct court c;

	court_open(&c, NULL);
	establish(&c);
	CHECK_INT(give_sealed(&c, 0, "", 0), WG_DROP_REPLAY);
	CHECK_INT(give_sealed(&c, 20000, inner, sizeof(inner)), WG_DELIVER);
	CHECK_INT(give_sealed(&c, 20000 - 8127, inner, sizeof(inner)), WG_DELIVER);
	CHECK_INT(give_sealed(&c, 20000 - 8127, inner, sizeof(inner)), WG_DROP_REPLAY);
	CHECK_INT(give_sealed(&c, 20000 - 8128, inner, sizeof(inner)), WG_DROP_REPLAY);
	CHECK_INT(give_sealed(&c, UINT64_C(1) << 40, inner, sizeof(inner)), WG_DELIVER);
	CHECK_INT(give_sealed(&c, UINT64_MAX - 8192, inner, sizeof(inner)), WG_DROP_EXPIRED);
	CHECK_INT(give_sealed(&c, UINT64_MAX, inner, sizeof(inner)), WG_DROP_EXPIRED);
	CHECK_INT(give_sealed(&c, UINT64_MAX - 8193, inner, sizeof(inner)), WG_DELIVER);
	court_close(&c);
}

TEST(a_forged_counter_moves_nothing)
{
	uint8_t msg[64];
	struct court c;
	size_t n;

	court_open(&c, NULL);
	establish(&c);
	n = judge_seal(&c.judge, 1, inner, sizeof(inner), msg);
	msg[12] = 1; /* 2^32 further */
	CHECK_INT(give(&c, msg, n), WG_DROP_AUTH);
	CHECK(wg_peer_id_is_none(c.got.peer));
	msg[12] = 0;
	CHECK_INT(give(&c, msg, n), WG_DELIVER);
	court_close(&c);
}

TEST(every_byte_of_a_transport_datagram_counts)
{
	uint8_t msg[64];
	struct court c;
	size_t n;

	court_open(&c, NULL);
	establish(&c);
	n = judge_seal(&c.judge, 1, inner, sizeof(inner), msg);
	for (size_t i = 0; i < n; i++) {
		msg[i] ^= 0x40;
		CHECK(give(&c, msg, n) >= WG_DROP_LOGGED_OUT);
		msg[i] ^= 0x40;
	}
	for (size_t len = 0; len < n; len++)
		CHECK(give(&c, msg, len) >= WG_DROP_LOGGED_OUT);
	CHECK_INT(give(&c, msg, n), WG_DELIVER);
	court_close(&c);
}

TEST(reserved_bytes_and_types)
{
	uint8_t msg[148];
	struct court c;

	court_open(&c, NULL);
	judge_initiation(&c.judge, 1700000001, 0, NULL, msg);
	for (int i = 1; i < 4; i++) {
		msg[i] = 1;
		judge_stamp(&c.judge, msg, sizeof(msg));
		CHECK_INT(give(&c, msg, sizeof(msg)), WG_DROP_TYPE);
		msg[i] = 0;
	}
	for (int type = 5; type < 256; type++) {
		msg[0] = (uint8_t)type;
		CHECK_INT(give(&c, msg, sizeof(msg)), WG_DROP_TYPE);
	}
	CHECK_INT(give(&c, (const uint8_t *)"\x07", 1), WG_DROP_TYPE);
	CHECK_INT(give(&c, msg, 0), WG_DROP_TYPE);
	court_close(&c);
}

TEST(inner_sources_must_belong_to_the_peer)
{
	struct wg_allowed_entry e[] = { { { { 4, { 100, 64, 0, 1 } }, 32 }, 5 },
					{ { { 4, { 100, 64, 0, 9 } }, 32 }, 6 } };
	struct wg_allowed *allowed = wg_allowed_create(e, 2);
	uint8_t packet[sizeof(inner)];
	struct court c;

	court_open(&c, NULL);
	wg_set_allowed(c.wg, allowed);
	wg_allowed_unref(allowed); /* the engine has its own reference */
	establish(&c);
	memcpy(packet, inner, sizeof(packet));
	CHECK_INT(give_sealed(&c, 1, packet, sizeof(packet)), WG_DELIVER);
	packet[15] = 9; /* someone else's */
	CHECK_INT(give_sealed(&c, 2, packet, sizeof(packet)), WG_DROP_SOURCE);
	CHECK(c.got.packet.n == 0 && c.got.owner == 5); /* authentic all the same */
	packet[15] = 77;                                /* nobody's */
	CHECK_INT(give_sealed(&c, 3, packet, sizeof(packet)), WG_DROP_SOURCE);
	packet[0] = 0x55;
	CHECK_INT(give_sealed(&c, 4, packet, sizeof(packet)), WG_DROP_INNER);
	wg_set_allowed(c.wg, NULL);
	court_close(&c);
}

TEST(padding_stays_within_the_mtu)
{
	static const size_t sizes[][2] = { { 20, 32 },     { 32, 32 },     { 1264, 1264 },
					   { 1265, 1280 }, { 1279, 1280 }, { 1280, 1280 },
					   { 1300, 1300 } };
	uint8_t packet[1300] = { 0x45 }, plain[2048];
	struct court c;
	uint64_t counter;

	court_open(&c, NULL);
	establish(&c);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CHECK(wg_output(c.wg, c.now, c.peer, bytes_of(packet, sizes[i][0])));
		CHECK(fetch(&c));
		CHECK_INT(judge_open(&c.judge, c.out, c.out_n, &counter, plain), sizes[i][1]);
		CHECK_INT(counter, i);
	}
	wg_set_mtu(c.wg, 1278);
	CHECK(wg_output(c.wg, c.now, c.peer, bytes_of(packet, 1277)));
	CHECK(fetch(&c));
	CHECK_INT(judge_open(&c.judge, c.out, c.out_n, &counter, plain), 1278);
	CHECK(!wg_output(c.wg, c.now, c.peer, bytes_of(packet, 0)));
	court_close(&c);
}

TEST(initiator_keeps_the_old_session_for_late_datagrams)
{
	uint8_t response[92];
	struct judge old;
	struct court c;

	court_open(&c, NULL);
	establish(&c);
	old = c.judge;
	pass_ms(&c, 6000);
	wg_peer_handshake(c.wg, c.now, c.peer);
	CHECK(fetch(&c) && judge_take_initiation(&c.judge, c.out, c.out_n));
	judge_response(&c.judge, response);
	CHECK_INT(give(&c, response, sizeof(response)), WG_HANDSHAKE);
	CHECK_INT(give_sealed(&c, 0, inner, sizeof(inner)), WG_DELIVER);
	c.judge = old;
	CHECK_INT(give_sealed(&c, 5, inner, sizeof(inner)), WG_DELIVER);
	court_close(&c);
}

/* The engine as initiator, up to the keepalive that confirms. */
static void establish_by_engine(struct court *c, uint8_t response[92])
{
	uint8_t plain[64];
	uint64_t counter;

	wg_peer_handshake(c->wg, c->now, c->peer);
	CHECK(fetch(c) && judge_take_initiation(&c->judge, c->out, c->out_n));
	judge_response(&c->judge, response);
	CHECK_INT(give(c, response, 92), WG_HANDSHAKE);
	CHECK(fetch(c) && judge_open(&c->judge, c->out, c->out_n, &counter, plain) == 0);
	CHECK_INT(counter, 0);
}

TEST(a_response_counts_once)
{
	uint8_t response[92];
	struct court c;

	court_open(&c, NULL);
	establish_by_engine(&c, response);
	CHECK_INT(give(&c, response, sizeof(response)), WG_DROP_INDEX);
	CHECK(!fetch(&c));
	CHECK_INT(give_sealed(&c, 0, inner, sizeof(inner)), WG_DELIVER);
	pass_ms(&c, 30000);
	CHECK_INT(give(&c, response, sizeof(response)), WG_DROP_INDEX);
	CHECK_INT(give_sealed(&c, 1, inner, sizeof(inner)), WG_DELIVER);
	CHECK_INT(wg_count(c.wg, WG_COUNT_SESSIONS), 1);
	court_close(&c);
}

TEST(responses_are_fresh)
{
	uint8_t first[92];
	struct court c;

	court_open(&c, NULL);
	CHECK_INT(initiate(&c, 1, 0), WG_HANDSHAKE);
	CHECK(fetch(&c) && c.out_n == sizeof(first));
	memcpy(first, c.out, sizeof(first));
	pass_ms(&c, 100);
	CHECK_INT(initiate(&c, 2, 0), WG_HANDSHAKE);
	CHECK(fetch(&c) && judge_take_response(&c.judge, c.out, c.out_n));
	CHECK(memcmp(first + 4, c.out + 4, 4) != 0);    /* index */
	CHECK(memcmp(first + 12, c.out + 12, 32) != 0); /* ephemeral */
	court_close(&c);
}

TEST(counters_rise_by_one_and_never_repeat)
{
	uint8_t response[92], plain[64];
	struct court c;
	uint64_t counter;

	court_open(&c, NULL);
	establish_by_engine(&c, response);
	for (uint64_t i = 1; i < 1000; i++) {
		CHECK(wg_output(c.wg, c.now, c.peer, bytes_of(inner, sizeof(inner))));
		CHECK(fetch(&c));
		CHECK_INT(judge_open(&c.judge, c.out, c.out_n, &counter, plain), 32);
		CHECK_INT(counter, i);
	}
	court_close(&c);
}

/* Datagrams of type 4 the engine sends when it has a packet; initiations are counted apart. */
static unsigned sends(struct court *c, unsigned *initiations)
{
	unsigned data = 0;

	(void)wg_output(c->wg, c->now, c->peer, bytes_of(inner, sizeof(inner)));
	while (fetch(c)) {
		data += c->out[0] == 4;
		*initiations += c->out[0] == 1;
	}
	return data;
}

TEST(initiator_rekeys_at_120_s_and_stops_at_180_s)
{
	uint8_t response[92];
	unsigned initiations = 0;
	struct court c;

	court_open(&c, NULL);
	establish_by_engine(&c, response);
	pass_ms(&c, 119000);
	while (fetch(&c))
		;
	CHECK_INT(sends(&c, &initiations), 1);
	CHECK_INT(initiations, 0);
	pass_ms(&c, 1500);
	while (fetch(&c))
		initiations += c.out[0] == 1;
	CHECK_INT(sends(&c, &initiations), 1);
	CHECK_INT(initiations, 1);
	CHECK_INT(give_sealed(&c, 0, inner, sizeof(inner)), WG_DELIVER);
	pass_ms(&c, 60000);
	while (fetch(&c))
		CHECK_INT(c.out[0], 1);
	CHECK_INT(sends(&c, &initiations), 0);
	CHECK(give_sealed(&c, 1, inner, sizeof(inner)) >= WG_DROP_LOGGED_OUT);
	court_close(&c);
}

TEST(responder_does_not_rekey_and_stops_at_180_s)
{
	unsigned initiations = 0;
	struct court c;

	court_open(&c, NULL);
	establish(&c);
	pass_ms(&c, 121000);
	CHECK_INT(sends(&c, &initiations), 1);
	CHECK_INT(initiations, 0);
	CHECK_INT(give_sealed(&c, 1, inner, sizeof(inner)), WG_DELIVER);
	pass_ms(&c, 60000);
	while (fetch(&c)) {
		CHECK_INT(c.out[0], 1); /* it has something to say: now it begins itself */
		initiations++;
	}
	CHECK_INT(sends(&c, &initiations), 0);
	CHECK_INT(initiations, 1);
	CHECK(give_sealed(&c, 2, inner, sizeof(inner)) >= WG_DROP_LOGGED_OUT);
	court_close(&c);
}
