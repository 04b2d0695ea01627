#include "engine/ts2021/noise_ik.h"

#include <stdio.h>

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"

void noise_ik_init(struct noise_ik *n, uint16_t version, const uint8_t responder_static[32])
{
	struct bytes name = bytes_str("Noise_IK_25519_ChaChaPoly_BLAKE2s");
	char prologue[48];

	/* The name is longer than a hash, so it is hashed. */
	hash_blake2s(n->h, &name, 1);
	memcpy(n->ck, n->h, sizeof(n->ck));
	(void)snprintf(prologue, sizeof(prologue), "Tailscale Control Protocol v%u", version);
	noise_ik_mix_hash(n, bytes_str(prologue));
	noise_ik_mix_hash(n, bytes_of(responder_static, 32));
}

void noise_ik_fini(struct noise_ik *n)
{
	secret_wipe(n, sizeof(*n));
}

void noise_ik_mix_hash(struct noise_ik *n, struct bytes data)
{
	struct bytes parts[] = { bytes_of(n->h, sizeof(n->h)), data };

	hash_blake2s(n->h, parts, 2);
}

static void mix_key(struct noise_ik *n, struct bytes input)
{
	uint8_t out[2][HASH_LEN];

	hash_hkdf(out, 2, n->ck, input);
	memcpy(n->ck, out[0], sizeof(n->ck));
	memcpy(n->k.b, out[1], sizeof(n->k.b));
	secret_wipe(out, sizeof(out));
}

bool noise_ik_mix_dh(struct noise_ik *n, const struct secret32 *priv, const uint8_t pub[32])
{
	struct secret32 shared;

	if (!x25519_shared(&shared, priv, pub))
		return false;
	mix_key(n, bytes_of(shared.b, sizeof(shared.b)));
	secret32_wipe(&shared);
	return true;
}

void noise_ik_seal(struct noise_ik *n, uint8_t *out, struct bytes in)
{
	static const uint8_t nonce[AEAD_NONCE_LEN];

	aead_seal(out, &n->k, nonce, in, bytes_of(n->h, sizeof(n->h)));
	noise_ik_mix_hash(n, bytes_of(out, in.n + AEAD_TAG_LEN));
}

bool noise_ik_open(struct noise_ik *n, uint8_t *out, struct bytes in)
{
	static const uint8_t nonce[AEAD_NONCE_LEN];

	if (!aead_open(out, &n->k, nonce, in, bytes_of(n->h, sizeof(n->h))))
		return false;
	noise_ik_mix_hash(n, in);
	return true;
}

void noise_ik_split(const struct noise_ik *n, struct secret32 *to_server,
		    struct secret32 *to_client)
{
	uint8_t out[2][HASH_LEN];

	hash_hkdf(out, 2, n->ck, (struct bytes){ 0 });
	memcpy(to_server->b, out[0], sizeof(to_server->b));
	memcpy(to_client->b, out[1], sizeof(to_client->b));
	secret_wipe(out, sizeof(out));
}
