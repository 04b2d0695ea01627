/*
 * A TLS stream over any stream. OpenSSL reads and writes through a BIO of our own: it takes from
 * the bytes that are being delivered and gives to stream_send() of the stream below, so that an
 * idle connection keeps no buffers at all.
 *
 * No callback upwards is made from inside an OpenSSL call, so destroying in a callback is safe.
 */
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/ip.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls_ctx.h"

enum {
	RECORD_BYTES = 16 << 10,
	HANDSHAKE_MS = 20000,
	NAME_MAX_LEN = 256,
	PEER_CERTS_MAX = 16,
	PEER_CERTS_BYTES = 256 << 10,
};

/* Whom a client expects. A server, which holds many streams, has none. */
struct expected {
	char name[NAME_MAX_LEN];
	struct tls_verdict verdict;
};

/* What was asked about the peer. */
struct answers {
	struct arena arena;
	struct bytes cert[PEER_CERTS_MAX];
	unsigned cert_count;
	bool certs_read;
};

struct tls {
	struct stream s;
	struct stream *below;
	struct tls_ctx *ctx;
	SSL *ssl;
	struct expected *expected; /* NULL: server */
	struct answers *answers;   /* NULL: nobody asked */
	struct bytes in;           /* being delivered: OpenSSL takes from here */
	struct buf kept;           /* what was left of it when the owner paused */
	struct buf plain;          /* to be sent as one record at the end of the turn */
	struct err *setup;         /* why there is no ssl */
	struct io_timer timer;
	bool flush_due, pump_due, drain_owed;
	bool goodbye_sent, below_closed;
	struct err *below_why;
};

static struct tls *tls_of(const struct stream *s)
{
	return container_of((struct stream *)s, struct tls, s);
}

static bool is_over(const struct tls *t)
{
	return t->s.destroyed || t->s.closed || t->s.end;
}

/* ---- the BIO ---- */

static int bio_write(BIO *bio, const char *data, int n)
{
	struct tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	stream_send(t->below, bytes_of(data, (size_t)n));
	return n;
}

static int bio_read(BIO *bio, char *out, int max)
{
	struct tls *t = BIO_get_data(bio);
	size_t n = t->in.n < (size_t)max ? t->in.n : (size_t)max;

	BIO_clear_retry_flags(bio);
	if (!n) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(out, t->in.p, n);
	t->in = bytes_from(t->in, n);
	return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (m && BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ---- what went wrong, in words ---- */

static void openssl_err(unsigned long e, struct err *err)
{
	int reason = ERR_GET_REASON(e);

	/* Reasons above 1000 are alerts that the peer sent (RFC 8446, section 6). */
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
		err_set(err, ERR_REFUSED, "the peer refused: %s",
			SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
	else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
		 (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
		  reason == SSL_R_HTTPS_PROXY_REQUEST))
		err_set(err, ERR_MALFORMED, "the peer does not speak TLS");
	else
		err_set(err, ERR_MALFORMED, "%s",
			ERR_reason_error_string(e) ? ERR_reason_error_string(e)
						   : "it failed without a reason");
}

static void add_context(const struct tls *t, struct err *err)
{
	if (t->ctx->is_server)
		err_wrap(err, "TLS");
	else
		err_wrap(err, "TLS with %s", t->expected->name);
}

static void fail(struct tls *t, const struct err *why)
{
	struct err err = *why;

	io_timer_stop(&t->timer);
	add_context(t, &err);
	stream_emit_close(&t->s, &err);
}

static void fail_with_openssl(struct tls *t)
{
	unsigned long e = ERR_peek_error();
	struct err err = { 0 };

	if (t->expected)
		err = t->expected->verdict.why;
	if (err.code == ERR_NONE)
		openssl_err(e, &err);
	ERR_clear_error();
	fail(t, &err);
}

/* ---- out ---- */

static void say_goodbye(struct tls *t)
{
	if (t->goodbye_sent)
		return;
	t->goodbye_sent = true;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	stream_finish(t->below);
}

/* Encrypts what is queued; calls nobody above. */
static void encrypt(struct tls *t)
{
	size_t n;

	if (!t->s.open || !t->plain.n || t->goodbye_sent)
		return;
	ERR_clear_error();
	/* The BIO takes everything, so this is all or, after a fatal error, nothing. */
	(void)SSL_write_ex(t->ssl, t->plain.p, t->plain.n, &n);
	ERR_clear_error();
	buf_fini(&t->plain); /* an idle connection keeps no buffer */
}

static void report_drain(struct tls *t)
{
	if (!t->drain_owed || stream_queued(&t->s) >= t->s.low)
		return;
	t->drain_owed = false;
	stream_emit_drain(&t->s);
}

static void flush(void *arg)
{
	struct tls *t = arg;

	t->flush_due = false;
	if (is_over(t))
		return;
	encrypt(t);
	if (t->s.open && t->s.finished && !t->plain.n)
		say_goodbye(t);
	report_drain(t);
}

static void flush_later(struct tls *t)
{
	if (t->flush_due)
		return;
	t->flush_due = true;
	loop_defer(t->s.loop, flush, t);
}

static void tls_send(struct stream *s, struct bytes data)
{
	struct tls *t = tls_of(s);

	buf_append(&t->plain, data);
	if (t->plain.n >= RECORD_BYTES)
		encrypt(t);
	if (stream_queued(s) >= s->low)
		t->drain_owed = true;
	flush_later(t);
}

static void tls_finish(struct stream *s)
{
	flush_later(tls_of(s));
}

static size_t tls_queued(const struct stream *s)
{
	const struct tls *t = tls_of(s);

	return t->plain.n + stream_queued(t->below);
}

/* ---- in ---- */

/* The stream below is at its end and everything it brought was read. */
static void end_of_below(struct tls *t)
{
	struct err err = *t->below_why;

	if (err.code == ERR_NONE && t->goodbye_sent) {
		stream_emit_close(&t->s, NULL);
		return;
	}
	if (err.code != ERR_NONE) {
		io_timer_stop(&t->timer);
		stream_emit_close(&t->s, &err); /* says already who was connected to whom */
		return;
	}
	if (t->s.open)
		err_set(&err, ERR_MALFORMED, "the connection was cut without a goodbye");
	else
		err_set(&err, ERR_REFUSED, "the peer hung up during the handshake");
	fail(t, &err);
}

/* False: not done, or failed. */
static bool shake_hands(struct tls *t)
{
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(t->ssl);
	if (n == 1) {
		io_timer_stop(&t->timer);
		if (t->plain.n || t->s.finished)
			flush_later(t);
		stream_emit_open(&t->s);
		stream_pause(t->below, t->s.paused);
		return !is_over(t);
	}
	if (SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ)
		fail_with_openssl(t);
	return false;
}

/* Hands up one piece; false when there is no more now. */
static bool decrypt(struct tls *t)
{
	__attribute__((uninitialized)) uint8_t data[RECORD_BYTES];
	int n;

	ERR_clear_error();
	n = SSL_read(t->ssl, data, sizeof(data));
	if (n > 0) {
		stream_emit_data(&t->s, bytes_of(data, (size_t)n));
		return true;
	}
	switch (SSL_get_error(t->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return false;
	case SSL_ERROR_ZERO_RETURN:
		encrypt(t);
		say_goodbye(t);
		stream_emit_close(&t->s, NULL);
		return false;
	default:
		fail_with_openssl(t);
		return false;
	}
}

static void keep_rest(struct tls *t, struct bytes rest)
{
	struct buf kept = t->kept; /* rest may lie in it */

	buf_init(&t->kept, kept.max);
	if (rest.n && !is_over(t))
		buf_append(&t->kept, rest);
	buf_fini(&kept);
}

static void pump(struct tls *t, struct bytes data)
{
	t->in = data;
	while (!is_over(t)) {
		if (!t->s.open && !shake_hands(t))
			break;
		if (t->s.paused || !decrypt(t))
			break;
	}
	data = t->in;
	t->in = (struct bytes){ 0 };
	keep_rest(t, data);
	if (t->ssl)
		(void)SSL_free_buffers(t->ssl); /* a read that waits would keep 16 KiB */
	if (t->below_closed && !is_over(t) && !t->s.paused)
		end_of_below(t);
}

static void below_data(void *arg, struct bytes data)
{
	struct tls *t = arg;

	if (t->kept.n) { /* a pump is due: keep the order */
		buf_append(&t->kept, data);
		return;
	}
	pump(t, data);
}

static void pump_deferred(void *arg)
{
	struct tls *t = arg;

	t->pump_due = false;
	if (is_over(t))
		return;
	if (t->setup) {
		fail(t, t->setup);
		return;
	}
	pump(t, buf_bytes(&t->kept));
}

static void pump_later(struct tls *t)
{
	if (t->pump_due)
		return;
	t->pump_due = true;
	loop_defer(t->s.loop, pump_deferred, t);
}

static void below_drain(void *arg)
{
	report_drain(arg);
}

static void below_close(void *arg, const struct err *why)
{
	struct tls *t = arg;

	t->below_closed = true;
	t->below_why = mem_alloc(sizeof(*why));
	*t->below_why = *why;
	/* What is kept, and what OpenSSL has read of it, comes first: pump() then sees the end. */
	if (is_over(t) || t->pump_due || t->kept.n || (t->ssl && SSL_pending(t->ssl)))
		return;
	end_of_below(t);
}

static const struct stream_up up_of_below = {
	.on_data = below_data,
	.on_drain = below_drain,
	.on_close = below_close,
};

static void tls_pause(struct stream *s, bool paused)
{
	struct tls *t = tls_of(s);

	if (!s->open)
		return; /* the handshake goes on */
	stream_pause(t->below, paused);
	if (!paused)
		pump_later(t);
}

static void on_timeout(struct io_timer *timer)
{
	struct tls *t = container_of(timer, struct tls, timer);
	struct err err;

	err_set(&err, ERR_TIMEOUT, "the handshake took over %d s", HANDSHAKE_MS / 1000);
	fail(t, &err);
}

static void tls_destroy(struct stream *s)
{
	struct tls *t = tls_of(s);

	encrypt(t); /* at once, but what was sent in this turn still goes */
	io_timer_stop(&t->timer);
	stream_destroy(t->below); /* its memory stays until the end of the turn, as does t's */
	SSL_free(t->ssl);
	t->ssl = NULL;
	tls_ctx_unref(t->ctx);
	if (t->answers)
		arena_fini(&t->answers->arena);
	mem_free(t->answers);
	mem_free(t->expected);
	mem_free(t->setup);
	mem_free(t->below_why);
	buf_fini(&t->kept);
	buf_fini(&t->plain);
	stream_fini(s);
	loop_free_later(s->loop, t);
}

static struct stream *tls_below(const struct stream *s)
{
	return tls_of(s)->below;
}

static const struct stream_ops tls_ops = {
	.name = "tls",
	.send = tls_send,
	.pause = tls_pause,
	.finish = tls_finish,
	.queued = tls_queued,
	.destroy = tls_destroy,
	.below = tls_below,
};

/* ---- birth ---- */

/* SNI carries names only (RFC 6066); addresses are verified as addresses. */
static bool set_peer_name(struct tls *t)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	struct ip ip;

	if (ip_parse(&ip, bytes_str(t->expected->name)))
		return X509_VERIFY_PARAM_set1_ip(param, ip.b, ip_len(ip));
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						   X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(param, t->expected->name, 0) &&
	       SSL_set_tlsext_host_name(t->ssl, t->expected->name);
}

static bool set_up_ssl(struct tls *t)
{
	BIO *bio = t->ctx->bio ? BIO_new(t->ctx->bio) : NULL;

	t->ssl = SSL_new(t->ctx->ssl);
	if (!t->ssl || !bio) {
		BIO_free(bio);
		return false;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (t->ctx->is_server) {
		SSL_set_accept_state(t->ssl);
		return true;
	}
	t->expected->verdict.name = t->expected->name;
	SSL_set_app_data(t->ssl, &t->expected->verdict);
	SSL_set_connect_state(t->ssl);
	if (t->ctx->alpn.n && SSL_set_alpn_protos(t->ssl, t->ctx->alpn.p, (unsigned)t->ctx->alpn.n))
		return false; /* this one returns 0 for success */
	return !*t->expected->name || set_peer_name(t);
}

static int prepare(struct tls *t, struct bytes name, struct err *err)
{
	if (!t->ctx->is_server) {
		t->expected = mem_alloc(sizeof(*t->expected));
		if (!bytes_to_cstr(name, t->expected->name, NAME_MAX_LEN))
			return err_set(err, ERR_USAGE, "the name is too long");
		if (!name.n && !t->ctx->insecure && !t->ctx->pinned)
			return err_set(err, ERR_USAGE, "there is no name to verify");
	}
	return set_up_ssl(t) ? 0 : tls_openssl_err(err, ERR_INTERNAL, "set up");
}

static struct stream *tls_create(struct stream *below, struct tls_ctx *ctx, const char *name)
{
	struct tls *t = mem_alloc(sizeof(*t));
	size_t n = name ? strlen(name) : 0;
	struct err err;

	stream_init(&t->s, &tls_ops, below->loop);
	t->below = below;
	t->ctx = tls_ctx_ref(ctx);
	buf_init(&t->kept, SIZE_MAX / 4); /* owners watch stream_queued() */
	buf_init(&t->plain, SIZE_MAX / 4);
	if (n && name[n - 1] == '.') /* a rooted name; certificates are written without the dot */
		n--;
	if (prepare(t, bytes_of(name, n), &err) < 0) {
		t->setup = mem_alloc(sizeof(err));
		*t->setup = err;
	}
	io_timer_init(&t->timer, on_timeout);
	io_timer_in_ms(below->loop, &t->timer, HANDSHAKE_MS);
	stream_set_up(below, &up_of_below, t);
	pump_later(t); /* the client's first message, or the error */
	return &t->s;
}

struct stream *tls_client(struct stream *below, struct tls_ctx *ctx, const char *name)
{
	return tls_create(below, ctx, name);
}

struct stream *tls_server(struct stream *below, struct tls_ctx *ctx)
{
	return tls_create(below, ctx, NULL);
}

/* ---- questions ---- */

static struct tls *tls_in(const struct stream *s)
{
	struct stream *at = stream_find((struct stream *)s, "tls");

	return at && at->ops == &tls_ops && !at->destroyed && tls_of(at)->ssl ? tls_of(at) : NULL;
}

static struct answers *answers_of(struct tls *t)
{
	if (!t->answers) {
		t->answers = mem_alloc(sizeof(*t->answers));
		arena_init(&t->answers->arena, PEER_CERTS_BYTES);
	}
	return t->answers;
}

const char *tls_alpn(const struct stream *s)
{
	struct tls *t = tls_in(s);
	const unsigned char *p = NULL;
	unsigned n = 0;

	if (t)
		SSL_get0_alpn_selected(t->ssl, &p, &n);
	if (!n)
		return "";
	return arena_str(&answers_of(t)->arena, bytes_of(p, n));
}

bool tls_is_13(const struct stream *s)
{
	struct tls *t = tls_in(s);

	return t && SSL_version(t->ssl) == TLS1_3_VERSION;
}

static void add_cert(struct answers *a, X509 *cert)
{
	int n = cert ? i2d_X509(cert, NULL) : 0;
	uint8_t *der, *at;

	if (n <= 0 || a->cert_count == PEER_CERTS_MAX)
		return;
	der = at = arena_alloc(&a->arena, (size_t)n);
	if (der && i2d_X509(cert, &at) == n)
		a->cert[a->cert_count++] = bytes_of(der, (size_t)n);
}

struct bytes tls_peer_cert(const struct stream *s, unsigned i)
{
	struct tls *t = tls_in(s);
	STACK_OF(X509) * chain;
	struct answers *a;

	if (!t || !t->s.open)
		return (struct bytes){ 0 };
	a = answers_of(t);
	if (!a->certs_read) {
		a->certs_read = true;
		chain = SSL_get_peer_cert_chain(t->ssl);
		if (t->ctx->is_server) /* there the chain comes without the leaf */
			add_cert(a, SSL_get0_peer_certificate(t->ssl));
		for (int c = 0; chain && c < sk_X509_num(chain); c++)
			add_cert(a, sk_X509_value(chain, c));
	}
	return i < a->cert_count ? a->cert[i] : (struct bytes){ 0 };
}
