/*
 * Over OpenSSL. Algorithms are fetched once per process: an implicit fetch costs more than hashing
 * a handshake message (measured 2.7 times).
 */
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

#include "crypto/secret.h"

enum { BLAKE2S_BLOCK = 64 };

static struct {
	pthread_once_t once;
	EVP_MD *blake2s, *sha256;
	EVP_MAC *hmac, *blake2s_mac;
} lib = { .once = PTHREAD_ONCE_INIT };

static void fetch(void)
{
	lib.blake2s = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
	lib.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	lib.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	lib.blake2s_mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
	if (!lib.blake2s || !lib.sha256 || !lib.hmac || !lib.blake2s_mac)
		abort(); /* a libcrypto without its default provider cannot secure anything */
}

static void must(int ok)
{
	if (ok != 1)
		abort(); /* hashing fails only without memory */
}

/* first, then the parts. */
static void blake2s(uint8_t out[HASH_LEN], struct bytes first, const struct bytes *parts, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	(void)pthread_once(&lib.once, fetch);
	must(ctx && EVP_DigestInit_ex2(ctx, lib.blake2s, NULL));
	must(EVP_DigestUpdate(ctx, first.p, first.n));
	for (size_t i = 0; i < n; i++)
		must(EVP_DigestUpdate(ctx, parts[i].p, parts[i].n));
	must(EVP_DigestFinal_ex(ctx, out, NULL));
	EVP_MD_CTX_free(ctx);
}

void hash_blake2s(uint8_t out[HASH_LEN], const struct bytes *parts, size_t n)
{
	blake2s(out, bytes_of(NULL, 0), parts, n);
}

static void mac(EVP_MAC *alg, const OSSL_PARAM *params, struct bytes key, const struct bytes *parts,
		size_t n, uint8_t *out, size_t out_len)
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(alg);
	size_t got;

	must(ctx && EVP_MAC_init(ctx, key.p, key.n, params));
	for (size_t i = 0; i < n; i++)
		must(EVP_MAC_update(ctx, parts[i].p, parts[i].n));
	must(EVP_MAC_final(ctx, out, &got, out_len) && got == out_len);
	EVP_MAC_CTX_free(ctx);
}

void hash_blake2s_mac(uint8_t out[HASH_MAC_LEN], struct bytes key, struct bytes message)
{
	size_t size = HASH_MAC_LEN;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
				OSSL_PARAM_construct_end() };

	(void)pthread_once(&lib.once, fetch);
	mac(lib.blake2s_mac, params, key, &message, 1, out, HASH_MAC_LEN);
}

static void hmac(const char *digest, struct bytes key, const struct bytes *parts, size_t n,
		 uint8_t out[32])
{
	/* The library never writes through this pointer; its type only predates const. */
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
								 (char *)(uintptr_t)digest, 0),
				OSSL_PARAM_construct_end() };

	(void)pthread_once(&lib.once, fetch);
	mac(lib.hmac, params, key, parts, n, out, 32);
}

/*
 * RFC 2104 by hand: the library's HMAC looks its digest up by name for every message, which costs
 * more than hashing it. A handshake has some twenty of these.
 */
void hash_hmac_blake2s(uint8_t out[HASH_LEN], struct bytes key, const struct bytes *parts, size_t n)
{
	uint8_t pad[BLAKE2S_BLOCK] = { 0 }, inner[HASH_LEN] = { 0 };
	struct bytes second = bytes_of(inner, sizeof(inner));

	if (key.n > sizeof(pad))
		blake2s(pad, key, NULL, 0);
	else if (key.n)
		memcpy(pad, key.p, key.n);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	blake2s(inner, bytes_of(pad, sizeof(pad)), parts, n);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	blake2s(out, bytes_of(pad, sizeof(pad)), &second, 1);
	secret_wipe(pad, sizeof(pad));
	secret_wipe(inner, sizeof(inner));
}

void hash_hkdf(uint8_t (*out)[HASH_LEN], size_t n, const uint8_t ck[HASH_LEN], struct bytes input)
{
	uint8_t prk[HASH_LEN];

	hash_hmac_blake2s(prk, bytes_of(ck, HASH_LEN), &input, 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t number = (uint8_t)(i + 1);
		struct bytes parts[] = { bytes_of(i ? out[i - 1] : NULL, i ? HASH_LEN : 0),
					 bytes_of(&number, 1) };

		hash_hmac_blake2s(out[i], bytes_of(prk, sizeof(prk)), parts, 2);
	}
	secret_wipe(prk, sizeof(prk));
}

void hash_sha256(uint8_t out[32], struct bytes message)
{
	(void)pthread_once(&lib.once, fetch);
	must(EVP_Digest(message.p, message.n, out, NULL, lib.sha256, NULL));
}

void hash_sha1(uint8_t out[20], struct bytes message)
{
	must(EVP_Digest(message.p, message.n, out, NULL, EVP_sha1(), NULL));
}

void hash_hmac_sha256(uint8_t out[32], struct bytes key, struct bytes message)
{
	hmac("SHA256", key, &message, 1, out);
}
