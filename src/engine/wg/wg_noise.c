/*
 * C is the chaining key, H the transcript hash, k a one-time key (nonce 0).
 *
 *   both        H = hash of names and S_r
 *   -> e        C = KDF1(C, E_i)                     H += E_i
 *      es, s    C,k = KDF2(C, DH(E_i, S_r))          H += static = AEAD(k, S_i, H)
 *      ss, t    C,k = KDF2(C, DH(S_i, S_r))          H += timestamp = AEAD(k, TAI64N, H)
 *   <- e        C = KDF1(C, E_r)                     H += E_r
 *      ee, se   C = KDF1(C, DH(E_r, E_i)); C = KDF1(C, DH(E_r, S_i))
 *      psk      C,t,k = KDF3(C, PSK); H += t         H += empty = AEAD(k, "", H)
 *   keys        T_i->r, T_r->i = KDF2(C, "")
 */
#include "engine/wg/wg_noise.h"

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"

/* HASH("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"), and HASH(that, "WireGuard v1 zx2c4
 * Jason@zx2c4.com"). The unit test computes both. */
static const uint8_t initial_chain[32] = { 0x60, 0xe2, 0x6d, 0xae, 0xf3, 0x27, 0xef, 0xc0,
					   0x2e, 0xc3, 0x35, 0xe2, 0xa0, 0x25, 0xd2, 0xd0,
					   0x16, 0xeb, 0x42, 0x06, 0xf8, 0x72, 0x77, 0xf5,
					   0x2d, 0x38, 0xd1, 0x98, 0x8b, 0x78, 0xcd, 0x36 };
static const uint8_t initial_hash[32] = { 0x22, 0x11, 0xb3, 0x61, 0x08, 0x1a, 0xc5, 0x66,
					  0x69, 0x12, 0x43, 0xdb, 0x45, 0x8a, 0xd5, 0x32,
					  0x2d, 0x9c, 0x6c, 0x66, 0x22, 0x93, 0xe8, 0xb7,
					  0x0e, 0xe1, 0x9c, 0x65, 0xba, 0x07, 0x9e, 0xf3 };

static void mix_hash(uint8_t hash[32], const void *p, size_t n)
{
	struct bytes parts[] = { bytes_of(hash, 32), bytes_of(p, n) };

	hash_blake2s(hash, parts, 2);
}

/* C = first output; the others, up to two, follow. */
static void mix_chain(struct secret32 *chain, const void *p, size_t n, struct secret32 *second,
		      struct secret32 *third)
{
	uint8_t out[3][HASH_LEN];

	hash_hkdf(out, third ? 3 : second ? 2 : 1, chain->b, bytes_of(p, n));
	memcpy(chain->b, out[0], 32);
	if (second)
		memcpy(second->b, out[1], 32);
	if (third)
		memcpy(third->b, out[2], 32);
	secret_wipe(out, sizeof(out));
}

static bool mix_dh(struct secret32 *chain, const struct secret32 *priv, const uint8_t pub[32],
		   struct secret32 *key)
{
	struct secret32 shared;
	bool ok = x25519_shared(&shared, priv, pub);

	if (ok)
		mix_chain(chain, shared.b, sizeof(shared.b), key, NULL);
	secret32_wipe(&shared);
	return ok;
}

static void seal(struct wg_noise *n, const struct secret32 *key, struct bytes plain, uint8_t *out)
{
	static const uint8_t nonce[AEAD_NONCE_LEN];

	aead_seal(out, key, nonce, plain, bytes_of(n->hash, 32));
	mix_hash(n->hash, out, plain.n + AEAD_TAG_LEN);
}

static bool unseal(struct wg_noise *n, const struct secret32 *key, struct bytes sealed,
		   uint8_t *out)
{
	static const uint8_t nonce[AEAD_NONCE_LEN];

	if (!aead_open(out, key, nonce, sealed, bytes_of(n->hash, 32)))
		return false;
	mix_hash(n->hash, sealed.p, sealed.n);
	return true;
}

static void hash_with_static(uint8_t hash[32], const struct key *responder)
{
	memcpy(hash, initial_hash, 32);
	mix_hash(hash, responder->b, 32);
}

void wg_identity_init(struct wg_identity *me, const struct secret32 *private_key)
{
	me->private_key = *private_key;
	x25519_public(me->public_key.b, private_key);
	hash_with_static(me->hash, &me->public_key);
}

bool wg_remote_init(struct wg_remote *peer, const struct wg_identity *me,
		    const struct key *public_key, const struct secret32 *psk)
{
	peer->public_key = *public_key;
	peer->psk = *psk;
	hash_with_static(peer->hash, public_key);
	return x25519_shared(&peer->static_static, &me->private_key, public_key->b);
}

static void begin(struct wg_noise *n, const uint8_t hash[32], const uint8_t ephemeral[32])
{
	memcpy(n->hash, hash, 32);
	memcpy(n->chain.b, initial_chain, 32);
	mix_chain(&n->chain, ephemeral, 32, NULL, NULL);
	mix_hash(n->hash, ephemeral, 32);
}

bool wg_noise_initiate(struct wg_noise *n, const struct wg_identity *me,
		       const struct wg_remote *peer, const uint8_t timestamp[WG_TIMESTAMP_LEN],
		       struct rng *rng, struct wg_initiation *m)
{
	struct secret32 key;
	bool ok;

	x25519_generate(&n->ephemeral, rng);
	x25519_public(m->ephemeral, &n->ephemeral);
	begin(n, peer->hash, m->ephemeral);
	ok = mix_dh(&n->chain, &n->ephemeral, peer->public_key.b, &key);
	if (ok) {
		seal(n, &key, bytes_of(me->public_key.b, 32), m->sealed_static);
		mix_chain(&n->chain, peer->static_static.b, 32, &key, NULL);
		seal(n, &key, bytes_of(timestamp, WG_TIMESTAMP_LEN), m->sealed_timestamp);
	}
	secret32_wipe(&key);
	return ok;
}

bool wg_noise_open_static(struct wg_noise *n, const struct wg_identity *me,
			  const struct wg_initiation *m, struct key *claimed)
{
	struct secret32 key;
	bool ok;

	begin(n, me->hash, m->ephemeral);
	memcpy(n->remote_ephemeral, m->ephemeral, 32);
	ok = mix_dh(&n->chain, &me->private_key, m->ephemeral, &key) &&
	     unseal(n, &key, bytes_of(m->sealed_static, sizeof(m->sealed_static)), claimed->b);
	secret32_wipe(&key);
	return ok;
}

bool wg_noise_open_timestamp(struct wg_noise *n, const struct wg_remote *peer,
			     const struct wg_initiation *m, uint8_t timestamp[WG_TIMESTAMP_LEN])
{
	struct secret32 key;
	bool ok;

	mix_chain(&n->chain, peer->static_static.b, 32, &key, NULL);
	ok = unseal(n, &key, bytes_of(m->sealed_timestamp, sizeof(m->sealed_timestamp)), timestamp);
	secret32_wipe(&key);
	return ok;
}

/* From the psk on both sides do the same. */
static void mix_psk(struct wg_noise *n, const struct secret32 *psk, struct secret32 *key)
{
	struct secret32 tau;

	mix_chain(&n->chain, psk->b, 32, &tau, key);
	mix_hash(n->hash, tau.b, 32);
	secret32_wipe(&tau);
}

bool wg_noise_respond(struct wg_noise *n, const struct wg_remote *peer, struct rng *rng,
		      struct wg_response *m)
{
	struct secret32 key = { 0 };
	bool ok;

	x25519_generate(&n->ephemeral, rng);
	x25519_public(m->ephemeral, &n->ephemeral);
	mix_hash(n->hash, m->ephemeral, 32);
	mix_chain(&n->chain, m->ephemeral, 32, NULL, NULL);
	ok = mix_dh(&n->chain, &n->ephemeral, n->remote_ephemeral, NULL) &&
	     mix_dh(&n->chain, &n->ephemeral, peer->public_key.b, NULL);
	if (ok) {
		mix_psk(n, &peer->psk, &key);
		seal(n, &key, bytes_of(NULL, 0), m->sealed_empty);
	}
	secret32_wipe(&key);
	return ok;
}

bool wg_noise_open_response(struct wg_noise *n, const struct wg_identity *me,
			    const struct wg_remote *peer, const struct wg_response *m)
{
	struct wg_noise next = *n;
	struct secret32 key = { 0 };
	uint8_t nothing;
	bool ok;

	mix_hash(next.hash, m->ephemeral, 32);
	mix_chain(&next.chain, m->ephemeral, 32, NULL, NULL);
	ok = mix_dh(&next.chain, &next.ephemeral, m->ephemeral, NULL) &&
	     mix_dh(&next.chain, &me->private_key, m->ephemeral, NULL);
	if (ok) {
		mix_psk(&next, &peer->psk, &key);
		ok = unseal(&next, &key, bytes_of(m->sealed_empty, sizeof(m->sealed_empty)),
			    &nothing);
	}
	if (ok)
		*n = next;
	secret32_wipe(&key);
	secret_wipe(&next, sizeof(next));
	return ok;
}

void wg_noise_keys(struct wg_noise *n, bool initiator, struct secret32 *send,
		   struct secret32 *receive)
{
	uint8_t out[2][HASH_LEN];

	hash_hkdf(out, 2, n->chain.b, bytes_of(NULL, 0));
	memcpy(send->b, out[initiator ? 0 : 1], 32);
	memcpy(receive->b, out[initiator ? 1 : 0], 32);
	secret_wipe(out, sizeof(out));
	secret_wipe(n, sizeof(*n));
}
