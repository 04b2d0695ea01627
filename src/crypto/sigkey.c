#include "crypto/sigkey.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/ed25519.h"

enum {
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 8192,
	RSA_EXPONENT_BITS_MAX = 64,
	P256_LEN = 32,
	DER_MAX = 80, /* of an ECDSA P-256 signature: at most 72 */
};

struct sig_key {
	enum sig_alg alg;
	EVP_PKEY *pkey; /* RSA and P-256 */
	uint8_t ed25519[ED25519_PUB_LEN];
};

static const char *const names[] = { "none", "RS256", "ES256", "EdDSA" };

const char *sig_alg_name(enum sig_alg alg)
{
	return names[alg];
}

enum sig_alg sig_alg_parse(struct bytes name)
{
	for (size_t i = 1; i < array_len(names); i++)
		if (bytes_equal_str(name, names[i]))
			return (enum sig_alg)i;
	return SIG_NONE;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

static struct sig_key *key_of(enum sig_alg alg, EVP_PKEY *pkey, struct err *err)
{
	struct sig_key *k;

	if (!pkey) {
		(void)err_set(err, ERR_MALFORMED, "these numbers are no %s key", names[alg]);
		return NULL;
	}
	k = mem_alloc(sizeof(*k));
	k->alg = alg;
	k->pkey = pkey;
	return k;
}

struct sig_key *sig_key_rsa(struct bytes modulus, struct bytes exponent, struct err *err)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *n = NULL, *e = NULL;
	EVP_PKEY *pkey = NULL;
	int bits;

	if (modulus.n > RSA_BITS_MAX / 8 || exponent.n > RSA_EXPONENT_BITS_MAX / 8)
		goto out;
	n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
	e = BN_bin2bn(exponent.p, (int)exponent.n, NULL);
	bits = n ? BN_num_bits(n) : 0;
	if (!bld || !e || bits < RSA_BITS_MIN || !BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e))
		goto out;
	if (OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		pkey = from_params("RSA", bld);
out:
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	BN_free(e);
	return key_of(SIG_RS256, pkey, err);
}

struct sig_key *sig_key_p256(struct bytes x, struct bytes y, struct err *err)
{
	uint8_t point[1 + 2 * P256_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (bld && x.n == P256_LEN && y.n == P256_LEN) {
		memcpy(point + 1, x.p, P256_LEN);
		memcpy(point + 1 + P256_LEN, y.p, P256_LEN);
		if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) ==
			1 &&
		    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point,
						     sizeof(point)) == 1)
			pkey = from_params("EC", bld); /* refuses points off the curve */
	}
	OSSL_PARAM_BLD_free(bld);
	return key_of(SIG_ES256, pkey, err);
}

struct sig_key *sig_key_ed25519(struct bytes public_key, struct err *err)
{
	struct sig_key *k;

	if (public_key.n != ED25519_PUB_LEN) {
		(void)err_set(err, ERR_MALFORMED, "an Ed25519 key has %d bytes", ED25519_PUB_LEN);
		return NULL;
	}
	k = mem_alloc(sizeof(*k));
	k->alg = SIG_EDDSA;
	memcpy(k->ed25519, public_key.p, public_key.n);
	return k;
}

void sig_key_destroy(struct sig_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	mem_free(k);
}

enum sig_alg sig_key_alg(const struct sig_key *k)
{
	return k->alg;
}

static bool digest_verify(EVP_PKEY *pkey, struct bytes message, const uint8_t *sig, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx &&
		    EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1 &&
		    EVP_DigestVerify(ctx, sig, n, message.p, message.n) == 1;

	EVP_MD_CTX_free(ctx);
	return good;
}

/* r and s as OpenSSL wants them: a DER sequence. */
static bool verify_p256(EVP_PKEY *pkey, struct bytes message, struct bytes signature)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = NULL, *s = NULL;
	uint8_t der[DER_MAX], *end = der;
	bool good = false;
	int n;

	if (signature.n == 2 * P256_LEN) {
		r = BN_bin2bn(signature.p, P256_LEN, NULL);
		s = BN_bin2bn(signature.p + P256_LEN, P256_LEN, NULL);
	}
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* handed over */
		n = i2d_ECDSA_SIG(sig, NULL);
		if (n > 0 && n <= DER_MAX && i2d_ECDSA_SIG(sig, &end) == n)
			good = digest_verify(pkey, message, der, (size_t)n);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return good;
}

bool sig_key_verify(const struct sig_key *k, struct bytes message, struct bytes signature)
{
	switch (k->alg) {
	case SIG_RS256:
		return digest_verify(k->pkey, message, signature.p, signature.n);
	case SIG_ES256:
		return verify_p256(k->pkey, message, signature);
	case SIG_EDDSA:
		return signature.n == ED25519_SIG_LEN &&
		       ed25519_verify(signature.p, k->ed25519, message);
	case SIG_NONE:
		break;
	}
	return false;
}
