/* io/tls_ctx.h - inside a tls_ctx, for the files of io/tls*. */
#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/err.h"
#include "io/tls.h"

struct tls_ctx {
	atomic_uint refs; /* streams of several threads may hold it */
	bool is_server, insecure, pinned;
	SSL_CTX *ssl;    /* replaced whole by a reload; running streams keep theirs */
	BIO_METHOD *bio; /* of all its streams */
	struct buf alpn; /* as on the wire: length, name, length, name */
	struct buf extra_cert;
	uint8_t pin[32], fingerprint[32];
	char *cert_file, *key_file, *self_signed_for, *ca_file;
};

/* Sets err to text and what OpenSSL has to say; empties its queue. Returns -1. */
int tls_openssl_err(struct err *err, enum err_code code, const char *text);

/* In tls.c: how OpenSSL reads and writes a stream. */
BIO_METHOD *tls_bio_method(void);

/* The app data of a client's SSL: whom it expects, and why he was refused. */
struct tls_verdict {
	const char *name;
	struct err why;
};
/* OpenSSL's cert_verify_callback; arg is the tls_ctx. */
int tls_verify(X509_STORE_CTX *store, void *arg);

/* A key and a certificate for it. */
int tls_cert_create(const char *names, X509 **cert, EVP_PKEY **key, struct err *err);
/* Who a certificate is for: "a.example, 192.0.2.1". */
void tls_cert_names(X509 *cert, char *out, size_t size);
