#include "engine/ts2021/ts2021.h"

#include "base/err.h"
#include "base/mem.h"
#include "crypto/aead.h"
#include "crypto/x25519.h"
#include "engine/ts2021/noise_ik.h"

enum {
	TX_MAX = 64 << 20,      /* what the owner may queue between two ts2021_next_bytes() */
	WAITING_MAX = 64 << 10, /* plaintext kept until the handshake is done */
	RX_MAX = 16 << 20,      /* what the owner may put in before it takes plaintext out */
};

enum state { DEAD, WAITING, OPEN };

struct ts2021 {
	enum state state;
	struct noise_ik noise;
	struct secret32 ephemeral, machine_key; /* client, until the response is in */
	struct secret32 rx_key, tx_key;
	uint64_t rx_count, tx_count;
	uint16_t version;
	struct key machine;
	struct mono deadline;
	struct buf rx, tx, waiting;
	size_t rx_taken; /* bytes of rx whose frames were handed up */
	bool tx_taken;
	uint8_t initiation[TS2021_INITIATION_LEN];
};

static struct ts2021 *channel_new(uint16_t version)
{
	struct ts2021 *t = mem_alloc(sizeof(*t));

	t->state = WAITING;
	t->version = version;
	t->deadline = MONO_NEVER;
	buf_init(&t->rx, RX_MAX);
	buf_init(&t->tx, TX_MAX);
	buf_init(&t->waiting, WAITING_MAX);
	return t;
}

void ts2021_destroy(struct ts2021 *t)
{
	if (!t)
		return;
	buf_fini(&t->rx);
	buf_fini(&t->tx);
	buf_fini(&t->waiting);
	secret_wipe(t, sizeof(*t));
	mem_free(t);
}

static int dead(struct ts2021 *t, struct err *err, enum err_code code, const char *why)
{
	t->state = DEAD;
	return err_set(err, code, "%s", why);
}

/* ---- node ---- */

static bool initiate(struct ts2021 *t, const struct key *server)
{
	struct ts2021_initiation msg = { .version = t->version };

	noise_ik_init(&t->noise, t->version, server->b);
	x25519_public(msg.ephemeral, &t->ephemeral);
	noise_ik_mix_hash(&t->noise, bytes_of(msg.ephemeral, sizeof(msg.ephemeral)));
	if (!noise_ik_mix_dh(&t->noise, &t->ephemeral, server->b))
		return false;
	noise_ik_seal(&t->noise, msg.sealed_key, bytes_of(t->machine.b, sizeof(t->machine.b)));
	if (!noise_ik_mix_dh(&t->noise, &t->machine_key, server->b))
		return false;
	noise_ik_seal(&t->noise, msg.tag, (struct bytes){ 0 });
	ts2021_initiation_encode(&msg, t->initiation);
	return true;
}

struct ts2021 *ts2021_create_client(const struct secret32 *machine_key, const struct key *server,
				    uint16_t version, struct mono now, struct rng *rng,
				    struct err *err)
{
	struct ts2021 *t = channel_new(version);

	t->machine_key = *machine_key;
	x25519_public(t->machine.b, machine_key);
	secret32_random(&t->ephemeral, rng);
	t->deadline = mono_add_s(now, TS2021_HANDSHAKE_S);
	if (initiate(t, server))
		return t;
	(void)err_set(err, ERR_AUTH, "the control server's key is not usable");
	ts2021_destroy(t);
	return NULL;
}

static void open_channel(struct ts2021 *t, bool client)
{
	noise_ik_split(&t->noise, client ? &t->tx_key : &t->rx_key,
		       client ? &t->rx_key : &t->tx_key);
	secret32_wipe(&t->ephemeral);
	secret32_wipe(&t->machine_key);
	t->state = OPEN;
	t->deadline = MONO_NEVER;
}

static int take_response(struct ts2021 *t, const struct ts2021_frame *f, struct err *err)
{
	struct ts2021_response msg;
	struct bytes whole = bytes_of(f->body.p - TS2021_HEADER_LEN, f->size);
	uint8_t nothing[1];

	if (f->type == TS2021_ERROR) {
		t->state = DEAD;
		return err_set(err, ERR_REFUSED, "control server says: %.*s",
			       f->body.n > 200 ? 200 : (int)f->body.n, (const char *)f->body.p);
	}
	if (!ts2021_response_decode(&msg, whole))
		return dead(t, err, ERR_MALFORMED, "no Noise response");
	noise_ik_mix_hash(&t->noise, bytes_of(msg.ephemeral, sizeof(msg.ephemeral)));
	if (!noise_ik_mix_dh(&t->noise, &t->ephemeral, msg.ephemeral) ||
	    !noise_ik_mix_dh(&t->noise, &t->machine_key, msg.ephemeral) ||
	    !noise_ik_open(&t->noise, nothing, bytes_of(msg.tag, sizeof(msg.tag))))
		return dead(t, err, ERR_AUTH, "the Noise response does not verify");
	open_channel(t, true);
	(void)ts2021_output(t, buf_bytes(&t->waiting));
	buf_fini(&t->waiting);
	return 0;
}

/* ---- server ---- */

static bool answer(struct ts2021 *t, const struct secret32 *key, const struct ts2021_initiation *in)
{
	struct noise_ik *n = &t->noise;
	struct ts2021_response msg;
	uint8_t pub[32], out[TS2021_RESPONSE_LEN], nothing[1];

	x25519_public(pub, key);
	noise_ik_init(n, in->version, pub);
	noise_ik_mix_hash(n, bytes_of(in->ephemeral, sizeof(in->ephemeral)));
	if (!noise_ik_mix_dh(n, key, in->ephemeral) ||
	    !noise_ik_open(n, t->machine.b, bytes_of(in->sealed_key, sizeof(in->sealed_key))) ||
	    !noise_ik_mix_dh(n, key, t->machine.b) ||
	    !noise_ik_open(n, nothing, bytes_of(in->tag, sizeof(in->tag))))
		return false;
	x25519_public(msg.ephemeral, &t->ephemeral);
	noise_ik_mix_hash(n, bytes_of(msg.ephemeral, sizeof(msg.ephemeral)));
	if (!noise_ik_mix_dh(n, &t->ephemeral, in->ephemeral) ||
	    !noise_ik_mix_dh(n, &t->ephemeral, t->machine.b))
		return false;
	noise_ik_seal(n, msg.tag, (struct bytes){ 0 });
	ts2021_response_encode(&msg, out);
	return buf_append(&t->tx, bytes_of(out, sizeof(out)));
}

struct ts2021 *ts2021_create_server(const struct secret32 *server_key, struct bytes initiation,
				    struct rng *rng, struct err *err)
{
	struct ts2021_initiation in;
	struct ts2021 *t;

	if (!ts2021_initiation_decode(&in, initiation)) {
		(void)err_set(err, ERR_MALFORMED, "no Noise initiation");
		return NULL;
	}
	t = channel_new(in.version);
	secret32_random(&t->ephemeral, rng);
	if (!answer(t, server_key, &in)) {
		(void)err_set(err, ERR_AUTH, "the Noise initiation does not verify");
		ts2021_destroy(t);
		return NULL;
	}
	open_channel(t, false);
	return t;
}

/* ---- records ---- */

int ts2021_input(struct ts2021 *t, struct bytes data, struct err *err)
{
	if (t->state == DEAD)
		return err_set(err, ERR_MALFORMED, "the Noise channel is closed");
	buf_consume(&t->rx, t->rx_taken);
	t->rx_taken = 0;
	if (!buf_append(&t->rx, data))
		return dead(t, err, ERR_LIMIT, "too much unread data in the Noise channel");
	return 0;
}

/* Decrypts in place: the plaintext stays in rx, behind the header. */
static int open_record(struct ts2021 *t, struct bytes body, struct bytes *plain, struct err *err)
{
	uint8_t nonce[AEAD_NONCE_LEN], *at = t->rx.p + (body.p - t->rx.p);

	if (t->rx_count == UINT64_MAX)
		return dead(t, err, ERR_LIMIT, "the Noise channel has run out of nonces");
	aead_nonce_be(nonce, t->rx_count++);
	if (!aead_open(at, &t->rx_key, nonce, body, (struct bytes){ 0 }))
		return dead(t, err, ERR_AUTH, "a Noise record does not verify");
	*plain = bytes_of(at, body.n - AEAD_TAG_LEN);
	return 0;
}

static int one_frame(struct ts2021 *t, const struct ts2021_frame *f, struct bytes *plain,
		     struct err *err)
{
	if (t->state == WAITING)
		return take_response(t, f, err);
	if (f->type != TS2021_RECORD)
		return dead(t, err, ERR_MALFORMED, "a Noise frame that is no record");
	return open_record(t, f->body, plain, err);
}

int ts2021_next_plain(struct ts2021 *t, struct bytes *plain, struct err *err)
{
	*plain = (struct bytes){ 0 };
	while (!plain->n) { /* empty records are legal and mean nothing */
		struct ts2021_frame f;

		if (t->state == DEAD)
			return err_set(err, ERR_MALFORMED, "the Noise channel is closed");
		switch (ts2021_frame_split(&f, bytes_from(buf_bytes(&t->rx), t->rx_taken))) {
		case TS2021_MORE:
			*plain = (struct bytes){ 0 };
			return 0;
		case TS2021_BAD:
			return dead(t, err, ERR_MALFORMED, "a Noise frame of unknown shape");
		default:
			break;
		}
		t->rx_taken += f.size;
		if (one_frame(t, &f, plain, err) < 0)
			return -1;
	}
	return 0;
}

static bool seal_record(struct ts2021 *t, struct bytes plain)
{
	uint8_t nonce[AEAD_NONCE_LEN];
	struct writer w;
	uint8_t *at;

	if (t->tx_count == UINT64_MAX)
		return false;
	at = buf_reserve(&t->tx, TS2021_HEADER_LEN + plain.n + AEAD_TAG_LEN);
	if (!at)
		return false;
	w = writer_of(at, TS2021_HEADER_LEN);
	write_u8(&w, TS2021_RECORD);
	write_be16(&w, (uint16_t)(plain.n + AEAD_TAG_LEN));
	aead_nonce_be(nonce, t->tx_count++);
	aead_seal(at + TS2021_HEADER_LEN, &t->tx_key, nonce, plain, (struct bytes){ 0 });
	t->tx.n += TS2021_HEADER_LEN + plain.n + AEAD_TAG_LEN;
	return true;
}

bool ts2021_output(struct ts2021 *t, struct bytes plain)
{
	if (t->state == DEAD)
		return false;
	if (t->state == WAITING)
		return buf_append(&t->waiting, plain);
	if (t->tx_taken)
		buf_clear(&t->tx);
	t->tx_taken = false;
	while (plain.n) {
		size_t n = plain.n < TS2021_PLAIN_MAX ? plain.n : TS2021_PLAIN_MAX;

		if (!seal_record(t, bytes_of(plain.p, n))) {
			t->state = DEAD;
			return false;
		}
		plain = bytes_from(plain, n);
	}
	return true;
}

struct bytes ts2021_next_bytes(struct ts2021 *t)
{
	if (t->tx_taken)
		return (struct bytes){ 0 };
	t->tx_taken = true;
	return buf_bytes(&t->tx);
}

struct mono ts2021_deadline(const struct ts2021 *t)
{
	return t->deadline;
}

int ts2021_tick(struct ts2021 *t, struct mono now, struct err *err)
{
	if (!mono_reached(now, t->deadline))
		return 0;
	t->deadline = MONO_NEVER;
	return dead(t, err, ERR_TIMEOUT, "no Noise response in time");
}

const uint8_t *ts2021_initiation(const struct ts2021 *t)
{
	return t->initiation;
}

bool ts2021_is_open(const struct ts2021 *t)
{
	return t->state == OPEN;
}

uint16_t ts2021_version(const struct ts2021 *t)
{
	return t->version;
}

const struct key *ts2021_machine(const struct ts2021 *t)
{
	return &t->machine;
}

const uint8_t *ts2021_hash(const struct ts2021 *t)
{
	return t->noise.h;
}
