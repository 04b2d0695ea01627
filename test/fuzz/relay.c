/*
 * Random frames from three clients, one mesh member and one link, to a relay of two shards: two
 * clients and the link at one, the others at the other. First byte of each step: who, and
 * whether time passes; then type and length. Destinations come from a small set, so packets meet.
 */
#include "engine/relay/relay.h"

#include <stdlib.h>

#include "base/rand.h"
#include "crypto/x25519.h"

enum { ENDS = 5 };

struct world {
	struct relay *shard[2];
	uint64_t sibling[2];
	struct derp_reader between[2]; /* from shard i to the other */
	struct rng rng;
	struct mono now;
	uint64_t id[ENDS];
	struct key key[ENDS];
	struct buf out;
};

static struct relay *home(struct world *w, int at)
{
	return w->shard[at == 2 || at == 3];
}

static void join(struct world *w, int at, bool mesh)
{
	struct relay *r = home(w, at);
	struct derp_client_info info = { .version = 2, .can_ack_pings = at & 1 };
	struct secret32 priv, shared;
	uint8_t frame[512], nonce[24] = { 0 };
	struct writer wr = writer_of(frame, sizeof(frame));
	struct derp_frame f = { .type = DERP_CLIENT_INFO };

	memset(priv.b, at % 3 + 1, 32); /* 0 and 3 hold the same key */
	x25519_public(info.key.b, &priv);
	w->key[at] = info.key;
	info.has_mesh_key = mesh;
	memset(info.mesh_key.b, 5, 32);
	w->id[at] = relay_accept(r, w->now, (struct addrport){ ip_v4(1, 2, 3, 4), 5 }, false);
	if (!w->id[at] || !box_shared(&shared, &priv, relay_key(r)->b))
		return;
	derp_put_client_info(&wr, &info, &shared, nonce);
	f.body = bytes_from(bytes_of(frame, wr.n), DERP_HEADER_LEN);
	(void)relay_input(r, w->now, w->id[at], &f);
	relay_admit(r, w->now, w->id[at], true);
}

static void carry(struct world *w, int from)
{
	struct derp_frame f;

	derp_reader_feed(&w->between[from], buf_bytes(&w->out));
	while (derp_reader_next(&w->between[from], &f) == DERP_PARSE_FRAME)
		(void)relay_input(w->shard[!from], w->now, w->sibling[!from], &f);
}

static bool serve_shard(struct world *w, int at)
{
	struct relay *r = w->shard[at];
	bool any = false;
	unsigned wants;
	uint64_t id;

	while ((id = relay_next(r, &wants)) != 0) {
		any = true;
		if (wants & RELAY_WANT_OUTPUT) {
			buf_clear(&w->out);
			while (relay_output(r, w->now, id, &w->out, w->out.n + 1000))
				;
			if (w->out.bad)
				abort();
			if (id == w->sibling[at])
				carry(w, at);
		}
		if (wants & RELAY_WANT_CLOSE)
			relay_remove(r, w->now, id);
	}
	return any;
}

static void serve(struct world *w)
{
	bool any = true;

	while (any) {
		any = serve_shard(w, 0);
		any |= serve_shard(w, 1);
	}
}

static void step(struct world *w, struct reader *in)
{
	uint8_t what = read_u8(in), body[256], len;
	int who = what % ENDS;
	struct derp_frame f;

	f.type = read_u8(in);
	len = read_u8(in);
	if (len > reader_left(in))
		len = (uint8_t)reader_left(in);
	read_copy(in, body, len);
	if (len >= 32 && body[0] < 16) /* a short name for a key of ours */
		memcpy(body, w->key[body[0] % ENDS].b, 32);
	if (len >= 64 && body[32] < 16)
		memcpy(body + 32, w->key[body[32] % ENDS].b, 32);
	f.body = bytes_of(body, len);
	(void)relay_input(home(w, who), w->now, w->id[who], &f);
	if (what & 0x40) {
		w->now = mono_add_ms(w->now, 1000 * (what >> 5));
		relay_tick(w->shard[0], w->now);
		relay_tick(w->shard[1], w->now);
	}
	if (what & 0x80)
		serve(w);
	if (what == 0xff)
		relay_drain(w->shard[body[0] & 1], w->now, 1000, 1000);
	if (what == 0xfe)
		relay_remove(home(w, body[0] % ENDS), w->now, w->id[body[0] % ENDS]);
	if (what == 0xfd && body[0] % ENDS < 4)
		join(w, body[0] % ENDS, body[0] & 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world w = { .rng = rng_seeded(7), .now = { 1000000000 } };
	struct relay_conf conf = { .rng = &w.rng, .queue_bytes = 4000, .memory_bytes = 6000 };
	struct reader in = reader_of(bytes_of(data, n));
	struct relay_stats st;

	memset(conf.private_key.b, 0x77, 32);
	memset(conf.mesh_key.b, 5, 32);
	for (int i = 0; i < 2; i++) {
		w.shard[i] = relay_create(&conf);
		w.sibling[i] = relay_sibling(w.shard[i]);
		derp_reader_init(&w.between[i], relay_take_by_sibling);
	}
	buf_init(&w.out, 8 << 20);
	for (int i = 0; i < 4; i++)
		join(&w, i, i == 3);
	w.id[4] = relay_link(w.shard[0], w.now);
	while (reader_left(&in))
		step(&w, &in);
	serve(&w);
	for (int i = 0; i < 2; i++) {
		relay_stats(w.shard[i], &st);
		if (st.queued_bytes > 6000)
			abort();
	}
	for (int i = 0; i < 2; i++) {
		relay_destroy(w.shard[i]);
		derp_reader_fini(&w.between[i]);
	}
	buf_fini(&w.out);
	return 0;
}
