#include "judge.h"

#include <string.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void hash2(uint8_t out[32], const void *a, size_t an, const void *b, size_t bn)
{
	uint8_t all[600];

	memcpy(all, a, an);
	if (bn)
		memcpy(all + an, b, bn);
	hash_blake2s(out, (struct bytes[]){ bytes_of(all, an + bn) }, 1);
}

/* HMAC as its definition says, 64-byte blocks. */
static void hmac(uint8_t out[32], const uint8_t key[32], const void *msg, size_t n)
{
	uint8_t inner[64], outer[64], mid[32];

	memset(inner, 0x36, 64);
	memset(outer, 0x5c, 64);
	for (int i = 0; i < 32; i++) {
		inner[i] ^= key[i];
		outer[i] ^= key[i];
	}
	hash2(mid, inner, 64, msg, n);
	hash2(out, outer, 64, mid, 32);
}

/* t1 .. t3 of KDFn; each may be NULL past n. Reads everything before it writes. */
static void kdf(const uint8_t ck[32], const void *in, size_t n, uint8_t *t1, uint8_t *t2,
		uint8_t *t3)
{
	uint8_t t0[32], a[33], b[33], one = 1;

	hmac(t0, ck, in, n);
	hmac(a, t0, &one, 1);
	memcpy(t1, a, 32);
	if (!t2)
		return;
	a[32] = 2;
	hmac(b, t0, a, 33);
	memcpy(t2, b, 32);
	if (!t3)
		return;
	b[32] = 3;
	hmac(t3, t0, b, 33);
}

static void mix_hash(struct judge *j, const void *p, size_t n)
{
	hash2(j->h, j->h, 32, p, n);
}

static bool dh(uint8_t out[32], const struct secret32 *priv, const uint8_t pub[32])
{
	struct secret32 s;
	bool ok = x25519_shared(&s, priv, pub);

	memcpy(out, s.b, 32);
	return ok;
}

/* (C, k) = KDF2(C, DH) */
static void mix_dh(struct judge *j, const struct secret32 *priv, const uint8_t pub[32],
		   uint8_t k[32])
{
	uint8_t shared[32];

	(void)dh(shared, priv, pub);
	kdf(j->ck, shared, 32, j->ck, k, NULL);
}

static void seal(struct judge *j, const uint8_t k[32], const void *plain, size_t n, uint8_t *out)
{
	struct secret32 key;
	uint8_t nonce[12] = { 0 };

	memcpy(key.b, k, 32);
	aead_seal(out, &key, nonce, bytes_of(plain, n), bytes_of(j->h, 32));
	mix_hash(j, out, n + 16);
}

static bool unseal(struct judge *j, const uint8_t k[32], const uint8_t *in, size_t n, uint8_t *out)
{
	struct secret32 key;
	uint8_t nonce[12] = { 0 };

	memcpy(key.b, k, 32);
	if (!aead_open(out, &key, nonce, bytes_of(in, n), bytes_of(j->h, 32)))
		return false;
	mix_hash(j, in, n);
	return true;
}

static void mac(uint8_t out[16], const uint8_t *key, size_t key_n, const void *msg, size_t n)
{
	hash_blake2s_mac(out, bytes_of(key, key_n), bytes_of(msg, n));
}

static void start(struct judge *j, const uint8_t responder[32])
{
	hash_blake2s(j->ck, (struct bytes[]){ bytes_str("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s") },
		     1);
	hash2(j->h, j->ck, 32, "WireGuard v1 zx2c4 Jason@zx2c4.com", 34);
	mix_hash(j, responder, 32);
}

void judge_init(struct judge *j, uint64_t seed)
{
	memset(j, 0, sizeof(*j));
	j->rng = rng_seeded(seed);
	x25519_generate(&j->static_priv, &j->rng);
	x25519_public(j->static_pub, &j->static_priv);
	j->rng.fill(&j->rng, j->cookie_secret, 32);
}

void judge_stamp(struct judge *j, uint8_t *msg, size_t n)
{
	uint8_t key[32];

	hash2(key, "mac1----", 8, j->their_static, 32);
	mac(msg + n - 32, key, 32, msg, n - 32);
	memcpy(j->last_mac1, msg + n - 32, 16);
	memset(msg + n - 16, 0, 16);
	if (j->has_cookie)
		mac(msg + n - 16, j->cookie, 16, msg, n - 16);
}

void judge_initiation(struct judge *j, uint64_t unix_s, uint32_t nanos, const uint8_t *ephemeral,
		      uint8_t out[148])
{
	uint8_t k[32], tai[12], *e = out + 8;
	uint64_t t = UINT64_C(0x400000000000000a) + unix_s;

	memset(out, 0, 148);
	out[0] = 1;
	j->my_index = rng_u32(&j->rng);
	put32(out + 4, j->my_index);
	x25519_generate(&j->ephemeral_priv, &j->rng);
	x25519_public(e, &j->ephemeral_priv);
	if (ephemeral)
		memcpy(e, ephemeral, 32);
	start(j, j->their_static);
	kdf(j->ck, e, 32, j->ck, NULL, NULL);
	mix_hash(j, e, 32);
	if (ephemeral) { /* what a liar knows of the shared secret: it is zero */
		uint8_t zero[32] = { 0 };

		kdf(j->ck, zero, 32, j->ck, k, NULL);
	} else {
		mix_dh(j, &j->ephemeral_priv, j->their_static, k);
	}
	seal(j, k, j->static_pub, 32, out + 40);
	mix_dh(j, &j->static_priv, j->their_static, k);
	for (int i = 0; i < 8; i++)
		tai[i] = (uint8_t)(t >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		tai[8 + i] = (uint8_t)(nanos >> (24 - 8 * i));
	seal(j, k, tai, 12, out + 88);
	judge_stamp(j, out, 148);
}

bool judge_take_initiation(struct judge *j, const uint8_t *in, size_t n)
{
	uint8_t k[32], key[32], want[16], who[32];

	if (n != 148 || get32(in) != 1)
		return false;
	hash2(key, "mac1----", 8, j->static_pub, 32);
	mac(want, key, 32, in, 116);
	if (memcmp(want, in + 116, 16) != 0)
		return false;
	start(j, j->static_pub);
	memcpy(j->their_ephemeral, in + 8, 32);
	kdf(j->ck, in + 8, 32, j->ck, NULL, NULL);
	mix_hash(j, in + 8, 32);
	mix_dh(j, &j->static_priv, in + 8, k);
	if (!unseal(j, k, in + 40, 48, who) || memcmp(who, j->their_static, 32) != 0)
		return false;
	mix_dh(j, &j->static_priv, who, k);
	if (!unseal(j, k, in + 88, 28, j->tai64n))
		return false;
	j->their_index = get32(in + 4);
	return true;
}

static void finish(struct judge *j, bool initiator)
{
	uint8_t first[32], second[32];

	kdf(j->ck, "", 0, first, second, NULL);
	memcpy(j->send_key, initiator ? first : second, 32);
	memcpy(j->receive_key, initiator ? second : first, 32);
}

void judge_response(struct judge *j, uint8_t out[92])
{
	uint8_t tau[32], k[32], shared[32];

	memset(out, 0, 92);
	out[0] = 2;
	j->my_index = rng_u32(&j->rng);
	put32(out + 4, j->my_index);
	put32(out + 8, j->their_index);
	x25519_generate(&j->ephemeral_priv, &j->rng);
	x25519_public(out + 12, &j->ephemeral_priv);
	kdf(j->ck, out + 12, 32, j->ck, NULL, NULL);
	mix_hash(j, out + 12, 32);
	(void)dh(shared, &j->ephemeral_priv, j->their_ephemeral);
	kdf(j->ck, shared, 32, j->ck, NULL, NULL);
	(void)dh(shared, &j->ephemeral_priv, j->their_static);
	kdf(j->ck, shared, 32, j->ck, NULL, NULL);
	kdf(j->ck, j->psk.b, 32, j->ck, tau, k);
	mix_hash(j, tau, 32);
	seal(j, k, "", 0, out + 44);
	judge_stamp(j, out, 92);
	finish(j, false);
}

bool judge_take_response(struct judge *j, const uint8_t *in, size_t n)
{
	uint8_t tau[32], k[32], shared[32], key[32], want[16], nothing[1];

	if (n != 92 || get32(in) != 2 || get32(in + 8) != j->my_index)
		return false;
	hash2(key, "mac1----", 8, j->static_pub, 32);
	mac(want, key, 32, in, 60);
	if (memcmp(want, in + 60, 16) != 0)
		return false;
	j->their_index = get32(in + 4);
	kdf(j->ck, in + 12, 32, j->ck, NULL, NULL);
	mix_hash(j, in + 12, 32);
	if (!dh(shared, &j->ephemeral_priv, in + 12))
		return false;
	kdf(j->ck, shared, 32, j->ck, NULL, NULL);
	(void)dh(shared, &j->static_priv, in + 12);
	kdf(j->ck, shared, 32, j->ck, NULL, NULL);
	kdf(j->ck, j->psk.b, 32, j->ck, tau, k);
	mix_hash(j, tau, 32);
	if (!unseal(j, k, in + 44, 16, nothing))
		return false;
	finish(j, true);
	return true;
}

static void cookie_key(struct secret32 *key, const uint8_t pub[32])
{
	hash2(key->b, "cookie--", 8, pub, 32);
}

void judge_cookie_reply(struct judge *j, const uint8_t where[6], const uint8_t *msg, size_t n,
			uint8_t out[64])
{
	struct secret32 key;
	uint8_t cookie[16];

	memset(out, 0, 64);
	out[0] = 3;
	memcpy(out + 4, msg + 4, 4);
	j->rng.fill(&j->rng, out + 8, 24);
	mac(cookie, j->cookie_secret, 32, where, 6);
	cookie_key(&key, j->static_pub);
	aead_xseal(out + 32, &key, out + 8, bytes_of(cookie, 16), bytes_of(msg + n - 32, 16));
}

bool judge_mac2_ok(struct judge *j, const uint8_t where[6], const uint8_t *msg, size_t n)
{
	uint8_t cookie[16], want[16];

	mac(cookie, j->cookie_secret, 32, where, 6);
	mac(want, cookie, 16, msg, n - 16);
	return memcmp(want, msg + n - 16, 16) == 0;
}

bool judge_take_cookie(struct judge *j, const uint8_t *in, size_t n)
{
	struct secret32 key;

	if (n != 64 || get32(in) != 3 || get32(in + 4) != j->my_index)
		return false;
	cookie_key(&key, j->their_static);
	j->has_cookie =
	    aead_xopen(j->cookie, &key, in + 8, bytes_of(in + 32, 32), bytes_of(j->last_mac1, 16));
	return j->has_cookie;
}

static void nonce_of(uint8_t nonce[12], uint64_t counter)
{
	memset(nonce, 0, 4);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
}

size_t judge_seal(struct judge *j, uint64_t counter, const uint8_t *plain, size_t n, uint8_t *out)
{
	struct secret32 key;
	uint8_t nonce[12];

	nonce_of(nonce, counter);
	memset(out, 0, 16);
	out[0] = 4;
	put32(out + 4, j->their_index);
	memcpy(out + 8, nonce + 4, 8);
	memcpy(key.b, j->send_key, 32);
	aead_seal(out + 16, &key, nonce, bytes_of(plain, n), bytes_of(NULL, 0));
	return 16 + n + 16;
}

int judge_open(struct judge *j, const uint8_t *in, size_t n, uint64_t *counter, uint8_t *plain)
{
	struct secret32 key;
	uint8_t nonce[12];

	if (n < 32 || get32(in) != 4 || get32(in + 4) != j->my_index)
		return -1;
	*counter = get32(in + 8) | (uint64_t)get32(in + 12) << 32;
	nonce_of(nonce, *counter);
	memcpy(key.b, j->receive_key, 32);
	if (!aead_open(plain, &key, nonce, bytes_of(in + 16, n - 16), bytes_of(NULL, 0)))
		return -1;
	return (int)(n - 32);
}
