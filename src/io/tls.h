/* io/tls.h - TLS by OpenSSL over any stream (memory BIOs). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct err;
struct stream;
struct tls_ctx; /* reference counted; shared by many streams of one thread */

struct tls_client_conf {
	const char *ca_file;    /* NULL: the system's */
	bool insecure;          /* no verification: only where the layer above authenticates */
	uint8_t pin_sha256[32]; /* SHA-256 of the peer's DER certificate; all zero: none. Replaces
				   the CA check */
	const char *alpn;       /* "h2,http/1.1", or NULL */
};

struct tls_server_conf {
	const char *cert_file, *key_file; /* PEM; both NULL: self_signed_for */
	const char *self_signed_for;      /* comma list of names and addresses */
	const char *alpn;
	struct bytes extra_cert; /* DER, appended to the chain as it is (DERP meta certificate) */
};

struct tls_ctx *tls_ctx_client(const struct tls_client_conf *conf, struct err *err);
struct tls_ctx *tls_ctx_server(const struct tls_server_conf *conf, struct err *err);
void tls_ctx_unref(struct tls_ctx *ctx);
/* Streams of several threads may use one context, as long as nobody reloads it. */
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);
/* Reads the files again; on error the old certificate stays. */
int tls_ctx_reload(struct tls_ctx *ctx, struct err *err);
/* SHA-256 of the server certificate in use, for pinning. */
void tls_ctx_fingerprint(const struct tls_ctx *ctx, uint8_t out[32]);

/*
 * A fresh P-256 key and a certificate for it, as PEM, for callers that keep them in files. Both
 * buffers are initialised here; wipe key_pem. names: comma list of names and addresses.
 */
int tls_self_signed(const char *names, struct buf *cert_pem, struct buf *key_pem, struct err *err);

/*
 * A stream ends in an orderly way only by close_notify: a connection that is cut reports
 * ERR_MALFORMED. stream_destroy() cuts; stream_finish() says goodbye. A handshake may take 20 s.
 * What is sent within one turn leaves as one record.
 *
 * Both take `below`. name: for SNI and verification; may be an address. The three questions below
 * work on any stack over TLS. */
struct stream *tls_client(struct stream *below, struct tls_ctx *ctx, const char *name);
struct stream *tls_server(struct stream *below, struct tls_ctx *ctx);
const char *tls_alpn(const struct stream *s); /* "" when none was agreed */
bool tls_is_13(const struct stream *s);
/* The i-th certificate the peer sent, DER, borrowed while the stream lives; n 0 past the end. */
struct bytes tls_peer_cert(const struct stream *s, unsigned i);
