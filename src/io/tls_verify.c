/* Whether a peer's certificate will do, and in words why not. */
#include <openssl/x509v3.h>

#include "base/wall.h"
#include "crypto/secret.h"
#include "io/tls_ctx.h"

static void format_time(const ASN1_TIME *at, char out[WALL_TEXT_MAX])
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;

	out[0] = '\0';
	if (epoch && ASN1_TIME_diff(&days, &seconds, epoch, at))
		wall_format(wall_from_s(days * 86400LL + seconds), out);
	ASN1_TIME_free(epoch);
}

static void explain(const char *name, X509 *cert, long verdict, struct err *err)
{
	char when[WALL_TEXT_MAX], names[120];

	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		format_time(X509_get0_notAfter(cert), when);
		err_set(err, ERR_AUTH, "the certificate expired on %s", when);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		format_time(X509_get0_notBefore(cert), when);
		err_set(err, ERR_AUTH, "the certificate is not valid before %s", when);
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		tls_cert_names(cert, names, sizeof(names));
		err_set(err, ERR_AUTH, "the certificate is for %s, not for %.80s", names, name);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		err_set(err, ERR_AUTH, "the certificate is self-signed and not trusted");
		break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		err_set(err, ERR_AUTH, "the certificate's issuer is not trusted");
		break;
	case X509_V_ERR_APPLICATION_VERIFICATION:
		err_set(err, ERR_AUTH, "the certificate is not the pinned one");
		break;
	default:
		err_set(err, ERR_AUTH, "the certificate was refused: %s",
			X509_verify_cert_error_string(verdict));
	}
}

/* In place of OpenSSL's chain building: the very certificate, whoever signed it. */
static bool is_pinned(const struct tls_ctx *ctx, X509 *cert)
{
	uint8_t got[32];
	unsigned n = 0;

	return X509_digest(cert, EVP_sha256(), got, &n) && n == sizeof(got) &&
	       secret_equal(got, ctx->pin, sizeof(got));
}

/* Called while the handshake runs: the session does not hold the certificate yet, so what is to be
 * said about it is written down here. */
int tls_verify(X509_STORE_CTX *store, void *arg)
{
	const struct tls_ctx *ctx = arg;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_verdict *verdict = SSL_get_app_data(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(store), *at;
	int ok, why;

	if (ctx->pinned) {
		ok = leaf && is_pinned(ctx, leaf);
		X509_STORE_CTX_set_error(store,
					 ok ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
	} else {
		ok = X509_verify_cert(store) > 0;
	}
	if (ok)
		return 1;
	at = X509_STORE_CTX_get_current_cert(store);
	why = X509_STORE_CTX_get_error(store);
	explain(verdict->name, at ? at : leaf, why, &verdict->why);
	return 0;
}
