/*
 * Two engines under a script: what one says reaches the other whole, bent, bent with its mac1 made
 * good again, twice, late or not at all; between that come raw bytes, time, load and changes of
 * peers. Nothing may be delivered that was not sent, and nothing twice.
 */
#include <stdlib.h>

#include "base/rand.h"
#include "crypto/x25519.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_cookie.h"

enum { KEPT = 16, PACKETS = 256, DATAGRAM_MAX = 512 };

struct side {
	struct rng rng;
	struct wg *wg;
	struct key public_key;
	struct wg_peer_id peer;
	uint32_t next;           /* number of the next packet */
	bool delivered[PACKETS]; /* packets of the other side */
};

struct datagram {
	uint8_t b[DATAGRAM_MAX];
	size_t n;
};

struct world {
	struct side side[2];
	struct wg_time now;
	struct datagram kept[KEPT]; /* ring of what was said */
	int kept_to[KEPT];
	unsigned kept_n;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void meet(struct world *w, int i, uint8_t how)
{
	struct wg_peer_conf peer = { .public_key = w->side[1 - i].public_key,
				     .owner = 1,
				     .keepalive_s = how & 1 ? 25 : 0,
				     .lazy = how & 2 };

	(void)wg_peer_add(w->side[i].wg, &peer, &w->side[i].peer, NULL);
}

static void begin(struct world *w)
{
	w->now = (struct wg_time){ { 1000000000 }, { 1700000000000000000 } };
	for (int i = 0; i < 2; i++) {
		struct side *s = &w->side[i];
		struct wg_conf conf = { .rng = &s->rng };

		s->rng = rng_seeded((uint64_t)i + 1);
		x25519_generate(&conf.private_key, &s->rng);
		x25519_public(s->public_key.b, &conf.private_key);
		s->wg = wg_create(&conf, NULL);
	}
	meet(w, 0, 0);
	meet(w, 1, 0);
}

static void note_delivered(struct world *w, int to, struct bytes packet)
{
	struct reader r = reader_of(packet);
	uint32_t number;

	read_skip(&r, 20);
	number = read_be32(&r);
	must(!r.bad && packet.n == 24 && number < w->side[1 - to].next);
	must(!w->side[to].delivered[number]);
	w->side[to].delivered[number] = true;
}

static void give(struct world *w, int to, const uint8_t *p, size_t n)
{
	struct wg_source from = { .addr = { { 4, { 192, 0, 2, (uint8_t)to } }, 1 } };
	uint8_t *copy = malloc(n ? n : 1);
	struct wg_received got;

	if (n)
		memcpy(copy, p, n);
	if (wg_input(w->side[to].wg, w->now, &from, copy, n, &got) == WG_DELIVER)
		note_delivered(w, to, got.packet);
	free(copy);
}

static bool take(struct world *w, int from, struct datagram *d)
{
	struct wg_datagram out;

	if (!wg_next_datagram(w->side[from].wg, &out))
		return false;
	must(out.n <= sizeof(d->b));
	memcpy(d->b, out.p, out.n);
	d->n = out.n;
	w->kept[w->kept_n % KEPT] = *d;
	w->kept_to[w->kept_n++ % KEPT] = 1 - from;
	return true;
}

static void send(struct world *w, int from)
{
	struct side *s = &w->side[from];
	uint8_t packet[24] = { 0x45, 0, 0, 24 };
	struct writer wr = writer_of(packet + 20, 4);

	if (s->next == PACKETS)
		return;
	write_be32(&wr, s->next++);
	(void)wg_output(s->wg, w->now, s->peer, bytes_of(packet, sizeof(packet)));
}

/* Bends a byte; `heal` makes mac1 good again, so that it gets further. */
static void bend(struct world *w, int from, struct reader *r, bool heal)
{
	struct datagram d;
	uint16_t at = read_le16(r);
	uint8_t bits = read_u8(r);
	struct wg_cookie_jar jar;

	if (!take(w, from, &d))
		return;
	d.b[at % d.n] ^= bits;
	if (heal && d.n >= 92) {
		wg_cookie_jar_init(&jar, &w->side[1 - from].public_key);
		wg_cookie_stamp(&jar, w->now.mono, d.b, d.n);
	}
	give(w, 1 - from, d.b, d.n);
}

static void pass(struct world *w, int64_t ms, int64_t wall_ms)
{
	w->now.mono = mono_add_ms(w->now.mono, ms);
	w->now.wall.ns += wall_ms * 1000000;
	wg_tick(w->side[0].wg, w->now);
	wg_tick(w->side[1].wg, w->now);
	for (int i = 0; i < 2; i++)
		must(wg_deadline(w->side[i].wg).ns > w->now.mono.ns);
}

static void step(struct world *w, struct reader *r)
{
	uint8_t op = read_u8(r);
	int side = op >> 7;
	struct side *s = &w->side[side];
	struct datagram d;
	struct bytes raw;
	unsigned i;

	switch (op & 0x0f) {
	case 0:
		send(w, side);
		break;
	case 1:
	case 2:
	case 3:
		if (take(w, side, &d))
			give(w, 1 - side, d.b, d.n);
		break;
	case 4:
		bend(w, side, r, false);
		break;
	case 5:
		bend(w, side, r, true);
		break;
	case 6:
		i = read_u8(r) % KEPT;
		give(w, w->kept_to[i], w->kept[i].b, w->kept[i].n);
		break;
	case 7:
		raw = read_bytes(r, read_u8(r));
		give(w, side, raw.p, raw.n);
		break;
	case 8:
		pass(w, read_u8(r) * INT64_C(10), read_u8(r) * INT64_C(10));
		break;
	case 9:
		pass(w, read_u8(r) * INT64_C(5000), -read_u8(r) * INT64_C(1000));
		break;
	case 10:
		(void)take(w, side, &d); /* lost */
		break;
	case 11:
		wg_set_under_load(s->wg, op & 0x40);
		break;
	case 12:
		(void)wg_peer_remove(s->wg, s->peer);
		break;
	case 13:
		meet(w, side, op >> 4);
		break;
	case 14:
		wg_peer_nudge(s->wg, s->peer);
		break;
	case 15:
		wg_peer_handshake(s->wg, w->now, s->peer);
		wg_notice(s->wg, w->now, 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct world w;
	struct reader r = reader_of(bytes_of(data, n));

	memset(&w, 0, sizeof(w));
	begin(&w);
	for (int steps = 0; reader_left(&r) && steps < 600; steps++)
		step(&w, &r);
	wg_destroy(w.side[0].wg);
	wg_destroy(w.side[1].wg);
	return 0;
}
