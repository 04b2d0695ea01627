#include "engine/wg/wg_cookie.h"

#include "base/rand.h"
#include "base/text.h"
#include "kit/kit.h"

static const struct wg_source here = { .addr = { .ip = { 4, { 192, 0, 2, 1 } }, .port = 41641 } };

static struct mono s(int64_t seconds)
{
	return mono_add_s((struct mono){ 1 }, seconds);
}

struct world {
	struct rng rng;
	struct wg_cookie_judge judge;
	struct wg_cookie_jar jar;
	uint8_t msg[WG_INITIATION_LEN];
};

static void world_init(struct world *w)
{
	struct key ours;

	*w = (struct world){ .rng = rng_seeded(5) };
	memcpy(ours.b,
	       kit_hex("0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20").p, 32);
	wg_cookie_judge_init(&w->judge, &ours);
	wg_cookie_jar_init(&w->jar, &ours);
}

static struct bytes stamped(struct world *w, struct mono now)
{
	wg_cookie_stamp(&w->jar, now, w->msg, sizeof(w->msg));
	return bytes_of(w->msg, sizeof(w->msg));
}

/* One round: a message without a cookie, the reply to it, taken. */
static bool get_cookie(struct world *w, struct mono now)
{
	struct wg_cookie_reply m;
	uint8_t reply[WG_COOKIE_REPLY_LEN];

	wg_cookie_issue(&w->judge, now, &w->rng, &here, stamped(w, now), 7, reply);
	return wg_cookie_reply_decode(&m, bytes_of(reply, sizeof(reply))) && m.receiver == 7 &&
	       wg_cookie_take(&w->jar, now, &m);
}

TEST(keys_of_macs_and_cookies) /* vector for the responder key 0faa.. */
{
	struct world w;
	char text[65];

	world_init(&w);
	text_hex(bytes_of(w.judge.mac1_key, 32), text);
	CHECK_STR(text, "2b14c2a1d73fe52519772891d6df632bd2408279e87eb80c61bc395fccadf4a6");
	text_hex(bytes_of(w.jar.reply_key.b, 32), text);
	CHECK_STR(text, "f38243a909cf26b7ec109798fd3dfdbdb7592367db444819154f6582389fdc1b");
}

TEST(mac1_covers_every_byte_before_it)
{
	struct world w;
	struct bytes msg;

	world_init(&w);
	msg = stamped(&w, s(0));
	CHECK(wg_cookie_mac1_ok(&w.judge, msg));
	CHECK(secret_is_zero(w.msg + 132, 16)); /* no cookie: mac2 is zero */
	for (size_t i = 0; i < 132; i++) {
		w.msg[i] ^= 1;
		CHECK(!wg_cookie_mac1_ok(&w.judge, msg));
		w.msg[i] ^= 1;
	}
}

TEST(cookie_works_for_its_source_and_its_time)
{
	struct wg_source other_port = here, other_ip = here, other_via = here;
	struct world w;
	struct bytes msg;

	world_init(&w);
	CHECK(!wg_cookie_mac2_ok(&w.judge, s(0), &here, stamped(&w, s(0))));
	CHECK(get_cookie(&w, s(0)));
	msg = stamped(&w, s(1));
	CHECK(wg_cookie_mac1_ok(&w.judge, msg));
	CHECK(wg_cookie_mac2_ok(&w.judge, s(1), &here, msg));
	other_port.addr.port++;
	other_ip.addr.ip.b[3]++;
	other_via.via++;
	CHECK(!wg_cookie_mac2_ok(&w.judge, s(1), &other_port, msg));
	CHECK(!wg_cookie_mac2_ok(&w.judge, s(1), &other_ip, msg));
	CHECK(!wg_cookie_mac2_ok(&w.judge, s(1), &other_via, msg));
	w.msg[131] ^= 1; /* mac2 covers mac1 */
	CHECK(!wg_cookie_mac2_ok(&w.judge, s(1), &here, msg));
	msg = stamped(&w, s(119));
	CHECK(wg_cookie_mac2_ok(&w.judge, s(119), &here, msg));
	CHECK(!wg_cookie_mac2_ok(&w.judge, s(120), &here, msg)); /* R is over */
	msg = stamped(&w, s(120));
	CHECK(secret_is_zero(w.msg + 132, 16)); /* and the jar knows */
}

TEST(cookie_reply_answers_one_message)
{
	uint8_t reply[WG_COOKIE_REPLY_LEN];
	struct wg_cookie_reply m;
	struct world w;

	world_init(&w);
	wg_cookie_issue(&w.judge, s(0), &w.rng, &here, stamped(&w, s(0)), 7, reply);
	CHECK(wg_cookie_reply_decode(&m, bytes_of(reply, sizeof(reply))));
	w.msg[4] ^= 1;
	(void)stamped(&w, s(0)); /* another message went out since */
	CHECK(!wg_cookie_take(&w.jar, s(0), &m));
	CHECK(get_cookie(&w, s(0)));
	CHECK(!wg_cookie_take(&w.jar, s(0), &m)); /* nothing is waiting for one */
	CHECK(!secret_is_zero(w.jar.cookie, 16));
	wg_cookie_forget(&w.jar);
	(void)stamped(&w, s(1));
	CHECK(secret_is_zero(w.msg + 132, 16));
}

TEST(cookies_end_with_the_secret_behind_them)
{
	struct world w;

	world_init(&w);
	CHECK(get_cookie(&w, s(0)));
	wg_cookie_forget(&w.jar);
	CHECK(get_cookie(&w, s(100))); /* same R, 20 s left */
	CHECK(wg_cookie_mac2_ok(&w.judge, s(110), &here, stamped(&w, s(110))));
	CHECK(!wg_cookie_mac2_ok(&w.judge, s(121), &here, stamped(&w, s(121))));
	CHECK(get_cookie(&w, s(122)));
	CHECK(wg_cookie_mac2_ok(&w.judge, s(123), &here, stamped(&w, s(123))));
}
