#include "crypto/aead.h"

#include <sodium.h>

void aead_seal(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_NONCE_LEN],
	       struct bytes in, struct bytes ad)
{
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in.p, in.n, ad.p, ad.n, NULL,
							nonce, key->b);
}

bool aead_open(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_NONCE_LEN],
	       struct bytes in, struct bytes ad)
{
	uint8_t none;

	if (in.n < AEAD_TAG_LEN)
		return false;
	return crypto_aead_chacha20poly1305_ietf_decrypt(out ? out : &none, NULL, NULL, in.p, in.n,
							 ad.p, ad.n, nonce, key->b) == 0;
}

void aead_xseal(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_XNONCE_LEN],
		struct bytes in, struct bytes ad)
{
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in.p, in.n, ad.p, ad.n, NULL,
							 nonce, key->b);
}

bool aead_xopen(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_XNONCE_LEN],
		struct bytes in, struct bytes ad)
{
	uint8_t none;

	if (in.n < AEAD_TAG_LEN)
		return false;
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out ? out : &none, NULL, NULL, in.p, in.n,
							  ad.p, ad.n, nonce, key->b) == 0;
}

void aead_nonce_le(uint8_t nonce[AEAD_NONCE_LEN], uint64_t counter)
{
	struct writer w = writer_of(nonce, AEAD_NONCE_LEN);

	write_zeros(&w, 4);
	write_le64(&w, counter);
}

void aead_nonce_be(uint8_t nonce[AEAD_NONCE_LEN], uint64_t counter)
{
	struct writer w = writer_of(nonce, AEAD_NONCE_LEN);

	write_zeros(&w, 4);
	write_be64(&w, counter);
}
