#include "crypto/box.h"

#include <sodium.h>

#include "crypto/x25519.h"

bool box_shared(struct secret32 *shared, const struct secret32 *priv, const uint8_t pub[32])
{
	static const uint8_t zero[16];
	struct secret32 dh;
	bool ok = x25519_shared(&dh, priv, pub);

	if (ok)
		(void)crypto_core_hsalsa20(shared->b, zero, dh.b, NULL);
	secret32_wipe(&dh);
	return ok;
}

void box_seal(uint8_t *out, const struct secret32 *shared, const uint8_t nonce[BOX_NONCE_LEN],
	      struct bytes in)
{
	memcpy(out, nonce, BOX_NONCE_LEN);
	(void)crypto_box_easy_afternm(out + BOX_NONCE_LEN, in.p, in.n, nonce, shared->b);
}

bool box_open(uint8_t *out, const struct secret32 *shared, struct bytes in)
{
	uint8_t none;

	if (in.n < BOX_OVERHEAD)
		return false;
	return crypto_box_open_easy_afternm(out ? out : &none, in.p + BOX_NONCE_LEN,
					    in.n - BOX_NONCE_LEN, in.p, shared->b) == 0;
}
