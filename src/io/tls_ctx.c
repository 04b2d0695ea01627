/* What many TLS streams share: certificates, trust, suites. */
#include "io/tls_ctx.h"

#include <openssl/err.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { ALPN_MAX = 255, EXTRA_CERT_MAX = 16 << 10 };

/* AES-128-GCM first: hardware does it, and a relay spends its time here. */
static const char suites_13[] =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
static const char suites_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
				"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

int tls_openssl_err(struct err *err, enum err_code code, const char *text)
{
	unsigned long e = ERR_peek_error();
	const char *reason =
	    ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);

	ERR_clear_error();
	return err_set(err, code, "%s: %s", text, reason ? reason : "OpenSSL gives no reason");
}

/* "h2,http/1.1" to its wire form. */
static int set_alpn(struct tls_ctx *ctx, const char *list, struct err *err)
{
	struct bytes rest, name;

	buf_init(&ctx->alpn, ALPN_MAX);
	if (!list)
		return 0;
	rest = bytes_str(list);
	while (text_split(&rest, ',', &name)) {
		if (!name.n || name.n > 255 || !buf_append_u8(&ctx->alpn, (uint8_t)name.n) ||
		    !buf_append(&ctx->alpn, name))
			return err_set(err, ERR_USAGE, "ALPN list \"%.60s\" cannot be sent", list);
	}
	return 0;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct tls_ctx *ctx = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_len, ctx->alpn.p, (unsigned)ctx->alpn.n, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK; /* the layer above may still be understood */
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_ssl_ctx(const SSL_METHOD *method, struct err *err)
{
	SSL_CTX *ssl = SSL_CTX_new(method);

	if (!ssl || !SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION)) {
		tls_openssl_err(err, ERR_INTERNAL, "create TLS context");
		SSL_CTX_free(ssl);
		return NULL;
	}
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	return ssl;
}

static struct tls_ctx *ctx_new(bool is_server)
{
	struct tls_ctx *ctx = mem_alloc(sizeof(*ctx));

	atomic_init(&ctx->refs, 1);
	ctx->is_server = is_server;
	ctx->bio = tls_bio_method();
	buf_init(&ctx->extra_cert, EXTRA_CERT_MAX);
	return ctx;
}

/* ---- client ---- */

static int set_trust(struct tls_ctx *ctx, const char *ca_file, struct err *err)
{
	char text[160];

	if (ctx->insecure && !ctx->pinned) {
		SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx->ssl, tls_verify, ctx);
	if (ctx->pinned)
		return 0;
	if (!ca_file) {
		if (SSL_CTX_set_default_verify_paths(ctx->ssl))
			return 0;
		return tls_openssl_err(err, ERR_USAGE, "load the system's CA certificates");
	}
	if (SSL_CTX_load_verify_file(ctx->ssl, ca_file))
		return 0;
	(void)snprintf(text, sizeof(text), "load CA certificates from %s", ca_file);
	return tls_openssl_err(err, ERR_USAGE, text);
}

struct tls_ctx *tls_ctx_client(const struct tls_client_conf *conf, struct err *err)
{
	struct tls_ctx *ctx = ctx_new(false);

	ctx->insecure = conf->insecure;
	ctx->pinned = !secret_is_zero(conf->pin_sha256, sizeof(conf->pin_sha256));
	memcpy(ctx->pin, conf->pin_sha256, sizeof(ctx->pin));
	ctx->ca_file = conf->ca_file ? mem_strdup(conf->ca_file) : NULL;
	if (set_alpn(ctx, conf->alpn, err) < 0 || tls_ctx_reload(ctx, err) < 0) {
		tls_ctx_unref(ctx);
		return NULL;
	}
	return ctx;
}

/* ---- server ---- */

static int use_files(const struct tls_ctx *ctx, SSL_CTX *ssl, struct err *err)
{
	char text[200];

	if (!SSL_CTX_use_certificate_chain_file(ssl, ctx->cert_file)) {
		(void)snprintf(text, sizeof(text), "load certificate %s", ctx->cert_file);
		return tls_openssl_err(err, ERR_USAGE, text);
	}
	if (!SSL_CTX_use_PrivateKey_file(ssl, ctx->key_file, SSL_FILETYPE_PEM)) {
		(void)snprintf(text, sizeof(text), "load private key %s", ctx->key_file);
		return tls_openssl_err(err, ERR_USAGE, text);
	}
	return 0;
}

static int use_self_signed(const struct tls_ctx *ctx, SSL_CTX *ssl, struct err *err)
{
	EVP_PKEY *key;
	X509 *cert;
	bool ok;

	if (tls_cert_create(ctx->self_signed_for, &cert, &key, err) < 0)
		return -1;
	ok = SSL_CTX_use_certificate(ssl, cert) && SSL_CTX_use_PrivateKey(ssl, key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ok ? 0 : tls_openssl_err(err, ERR_INTERNAL, "use self-signed certificate");
}

static int add_extra_cert(const struct tls_ctx *ctx, SSL_CTX *ssl, struct err *err)
{
	const unsigned char *p = ctx->extra_cert.p;
	X509 *cert;

	if (!ctx->extra_cert.n)
		return 0;
	cert = d2i_X509(NULL, &p, (long)ctx->extra_cert.n);
	if (!cert)
		return tls_openssl_err(err, ERR_USAGE, "read the extra certificate");
	if (!SSL_CTX_add0_chain_cert(ssl, cert)) {
		X509_free(cert);
		return tls_openssl_err(err, ERR_USAGE, "add the extra certificate");
	}
	return 0;
}

static int server_setup(struct tls_ctx *ctx, SSL_CTX *ssl, struct err *err)
{
	unsigned n = 0;

	SSL_CTX_set_num_tickets(ssl, 1);
	if (!SSL_CTX_set_ciphersuites(ssl, suites_13) || !SSL_CTX_set_cipher_list(ssl, suites_12))
		return tls_openssl_err(err, ERR_INTERNAL, "set TLS suites");
	if ((ctx->cert_file ? use_files : use_self_signed)(ctx, ssl, err) < 0 ||
	    add_extra_cert(ctx, ssl, err) < 0)
		return -1;
	if (ctx->alpn.n)
		SSL_CTX_set_alpn_select_cb(ssl, select_alpn, ctx);
	if (!X509_digest(SSL_CTX_get0_certificate(ssl), EVP_sha256(), ctx->fingerprint, &n))
		return tls_openssl_err(err, ERR_INTERNAL, "hash certificate");
	return 0;
}

struct tls_ctx *tls_ctx_server(const struct tls_server_conf *conf, struct err *err)
{
	struct tls_ctx *ctx;

	if (!conf->cert_file != !conf->key_file || !conf->cert_file == !conf->self_signed_for) {
		err_set(err, ERR_USAGE,
			"TLS server: give a certificate file and a key file, or names to sign for");
		return NULL;
	}
	ctx = ctx_new(true);
	ctx->cert_file = conf->cert_file ? mem_strdup(conf->cert_file) : NULL;
	ctx->key_file = conf->key_file ? mem_strdup(conf->key_file) : NULL;
	ctx->self_signed_for = conf->self_signed_for ? mem_strdup(conf->self_signed_for) : NULL;
	if (conf->extra_cert.n && !buf_append(&ctx->extra_cert, conf->extra_cert)) {
		err_set(err, ERR_LIMIT, "the extra certificate is over %d bytes", EXTRA_CERT_MAX);
		tls_ctx_unref(ctx);
		return NULL;
	}
	if (set_alpn(ctx, conf->alpn, err) < 0 || tls_ctx_reload(ctx, err) < 0) {
		tls_ctx_unref(ctx);
		return NULL;
	}
	return ctx;
}

/* ---- both ---- */

int tls_ctx_reload(struct tls_ctx *ctx, struct err *err)
{
	SSL_CTX *old = ctx->ssl;
	SSL_CTX *ssl = new_ssl_ctx(ctx->is_server ? TLS_server_method() : TLS_client_method(), err);
	int ret;

	if (!ssl)
		return -1;
	ERR_clear_error();
	if (ctx->is_server) {
		ret = server_setup(ctx, ssl, err);
		if (!ret)
			ctx->ssl = ssl;
	} else {
		ctx->ssl = ssl;
		ret = set_trust(ctx, ctx->ca_file, err);
	}
	if (ret < 0) {
		ctx->ssl = old;
		SSL_CTX_free(ssl);
		return -1;
	}
	SSL_CTX_free(old);
	return 0;
}

void tls_ctx_fingerprint(const struct tls_ctx *ctx, uint8_t out[32])
{
	memcpy(out, ctx->fingerprint, 32);
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx)
{
	(void)atomic_fetch_add(&ctx->refs, 1);
	return ctx;
}

void tls_ctx_unref(struct tls_ctx *ctx)
{
	if (!ctx || atomic_fetch_sub(&ctx->refs, 1) != 1)
		return;
	SSL_CTX_free(ctx->ssl);
	BIO_meth_free(ctx->bio);
	buf_fini(&ctx->alpn);
	buf_fini(&ctx->extra_cert);
	mem_free(ctx->cert_file);
	mem_free(ctx->key_file);
	mem_free(ctx->self_signed_for);
	mem_free(ctx->ca_file);
	mem_free(ctx);
}
