#include "crypto/aeadvec_provider.h"

#include <openssl/evp.h>

#include "base/err.h"
#include "base/mem.h"

/*
 * One context per direction, fetched and keyed once: fetching per packet costs a third of the
 * throughput, keying again 5 %. The last key is remembered by value, because sessions come and go
 * and an address may be used again for another key.
 */
struct side {
	EVP_CIPHER_CTX *ctx;
	struct secret32 key;
	bool keyed;
};

struct openssl {
	EVP_CIPHER *cipher;
	struct side seal, open;
};

static void openssl_destroy(void *arg)
{
	struct openssl *o = arg;

	EVP_CIPHER_CTX_free(o->seal.ctx);
	EVP_CIPHER_CTX_free(o->open.ctx);
	EVP_CIPHER_free(o->cipher);
	secret_wipe(o, sizeof(*o));
	mem_free(o);
}

static void *openssl_create(struct err *err)
{
	struct openssl *o = mem_alloc(sizeof(*o));

	o->cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	o->seal.ctx = EVP_CIPHER_CTX_new();
	o->open.ctx = EVP_CIPHER_CTX_new();
	if (!o->cipher || !o->seal.ctx || !o->open.ctx ||
	    EVP_EncryptInit_ex2(o->seal.ctx, o->cipher, NULL, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(o->open.ctx, o->cipher, NULL, NULL, NULL) != 1) {
		err_set(err, ERR_INTERNAL, "OpenSSL has no ChaCha20-Poly1305");
		openssl_destroy(o);
		return NULL;
	}
	return o;
}

/* The key to hand to OpenSSL, or NULL when its context has that one already. */
static const uint8_t *new_key(struct side *side, const struct secret32 *key)
{
	if (side->keyed && secret_equal(&side->key, key, sizeof(*key)))
		return NULL;
	side->key = *key;
	side->keyed = true;
	return key->b;
}

static void openssl_seal(void *arg, struct aeadvec_pkt *pkts, unsigned n)
{
	struct openssl *o = arg;

	for (unsigned i = 0; i < n; i++) {
		struct aeadvec_pkt *k = &pkts[i];
		uint8_t nonce[12];
		int out = 0;

		aeadvec_nonce(nonce, k->counter);
		k->ok = EVP_EncryptInit_ex2(o->seal.ctx, NULL, new_key(&o->seal, k->key), nonce,
					    NULL) == 1 &&
			EVP_EncryptUpdate(o->seal.ctx, k->p, &out, k->p, (int)k->len) == 1 &&
			EVP_EncryptFinal_ex(o->seal.ctx, k->p + k->len, &out) == 1 &&
			EVP_CIPHER_CTX_ctrl(o->seal.ctx, EVP_CTRL_AEAD_GET_TAG, AEADVEC_TAG_LEN,
					    k->p + k->len) == 1;
		if (!k->ok) /* never let plaintext leave because a library call failed */
			secret_wipe(k->p, k->len + AEADVEC_TAG_LEN);
	}
}

static void openssl_open(void *arg, struct aeadvec_pkt *pkts, unsigned n)
{
	struct openssl *o = arg;

	for (unsigned i = 0; i < n; i++) {
		struct aeadvec_pkt *k = &pkts[i];
		uint8_t nonce[12], none[16];
		int out = 0;

		aeadvec_nonce(nonce, k->counter);
		k->ok = EVP_DecryptInit_ex2(o->open.ctx, NULL, new_key(&o->open, k->key), nonce,
					    NULL) == 1 &&
			EVP_CIPHER_CTX_ctrl(o->open.ctx, EVP_CTRL_AEAD_SET_TAG, AEADVEC_TAG_LEN,
					    k->p + k->len) == 1 &&
			EVP_DecryptUpdate(o->open.ctx, k->p, &out, k->p, (int)k->len) == 1 &&
			EVP_DecryptFinal_ex(o->open.ctx, none, &out) == 1;
	}
}

const struct aeadvec_ops aeadvec_openssl = {
	.name = "openssl",
	.create = openssl_create,
	.destroy = openssl_destroy,
	.seal = openssl_seal,
	.open = openssl_open,
};
