#include "engine/wg/wg.h"

#include "base/err.h"
#include "base/rand.h"
#include "crypto/x25519.h"
#include "engine/wg/wg_allowed.h"
#include "kit/kit.h"

struct side {
	struct rng rng;
	struct wg *wg;
	struct secret32 priv;
	struct key pub;
	struct wg_peer_id peer;
	struct wg_source at;
	unsigned delivered;
	uint8_t last[2048];
	size_t last_n;
};

static struct wg_time at_ms(int64_t ms)
{
	return (struct wg_time){ { 1000000000 + ms * 1000000 },
				 { 1700000000000000000 + ms * 1000000 } };
}

static void pair_init(struct side *a, struct side *b)
{
	struct side *both[2] = { a, b };

	for (int i = 0; i < 2; i++) {
		struct side *s = both[i];
		struct wg_conf conf = { .rng = &s->rng };

		*s = (struct side){ .rng = rng_seeded(100 + (uint64_t)i) };
		x25519_generate(&s->priv, &s->rng);
		x25519_public(s->pub.b, &s->priv);
		s->at.addr = (struct addrport){ ip_v4(192, 0, 2, (uint8_t)(i + 1)), 41641 };
		conf.private_key = s->priv;
		s->wg = wg_create(&conf, NULL);
	}
	for (int i = 0; i < 2; i++) {
		struct wg_peer_conf peer = { .public_key = both[1 - i]->pub, .owner = 7 };

		CHECK(wg_peer_add(both[i]->wg, &peer, &both[i]->peer, NULL) == 0);
	}
}

static void pair_fini(struct side *a, struct side *b)
{
	wg_destroy(a->wg);
	wg_destroy(b->wg);
}

static unsigned carry(struct side *from, struct side *to, struct wg_time now)
{
	struct wg_datagram d;
	unsigned n = 0;

	while (wg_next_datagram(from->wg, &d)) {
		uint8_t copy[2048];
		struct wg_received got;

		memcpy(copy, d.p, d.n);
		n++;
		if (wg_input(to->wg, now, &from->at, copy, d.n, &got) == WG_DELIVER) {
			to->delivered++;
			memcpy(to->last, got.packet.p, got.packet.n);
			to->last_n = got.packet.n;
		}
	}
	return n;
}

TEST(first_packet_makes_a_session_and_arrives)
{
	struct bytes ping = kit_hex("4500001d000000004063b1fb6440000164400002700102030405060708");
	struct side a, b;

	pair_init(&a, &b);
	CHECK(wg_output(a.wg, at_ms(0), a.peer, ping));
	while (carry(&a, &b, at_ms(1)) + carry(&b, &a, at_ms(2)))
		;
	CHECK_INT(b.delivered, 1);
	CHECK(bytes_equal(bytes_of(b.last, b.last_n), ping));
	CHECK(wg_output(b.wg, at_ms(3), b.peer, ping));
	CHECK_INT(carry(&b, &a, at_ms(3)), 1);
	CHECK_INT(a.delivered, 1);
	pair_fini(&a, &b);
}
