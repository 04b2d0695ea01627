#include "io/tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "io/tcp.h"
#include "io/tls_ctx.h"
#include "kit/kit.h"
#include "support.h"

/* A certificate and its key in files, and what a test needs to talk through them. */
struct bench {
	struct loop *loop;
	char folder[64], cert[80], key[80];
	struct tls_ctx *server, *client;
	struct ear s, c;
	struct stream *raw_s, *raw_c;
	bool over_sockets;
	struct err err;
};

static void write_file(const char *path, struct bytes content)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(content.p, 1, content.n, f) == content.n);
	if (f)
		(void)fclose(f);
}

static void write_cert(struct bench *b, const char *names)
{
	struct buf cert, key;

	CHECK(tls_self_signed(names, &cert, &key, &b->err) == 0);
	write_file(b->cert, buf_bytes(&cert));
	write_file(b->key, buf_bytes(&key));
	secret_wipe(key.p, key.n);
	buf_fini(&cert);
	buf_fini(&key);
}

static void bench_init(struct bench *b, const char *names)
{
	*b = (struct bench){ .loop = test_loop() };
	(void)snprintf(b->folder, sizeof(b->folder), "/tmp/weft-unit-XXXXXX");
	CHECK(mkdtemp(b->folder) != NULL);
	(void)snprintf(b->cert, sizeof(b->cert), "%s/cert", b->folder);
	(void)snprintf(b->key, sizeof(b->key), "%s/key", b->folder);
	write_cert(b, names);
}

static void bench_contexts(struct bench *b, struct tls_server_conf server,
			   struct tls_client_conf client)
{
	if (!server.self_signed_for) {
		server.cert_file = b->cert;
		server.key_file = b->key;
	}
	if (!client.ca_file && !client.insecure && secret_is_zero(client.pin_sha256, 32))
		client.ca_file = b->cert;
	b->server = tls_ctx_server(&server, &b->err);
	b->client = tls_ctx_client(&client, &b->err);
	CHECK_STR(b->err.text, "");
}

static void use_sockets(struct bench *b)
{
	int fd[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	b->raw_s = tcp_from_fd(b->loop, fd[0]);
	b->raw_c = tcp_from_fd(b->loop, fd[1]);
}

static void bench_connect(struct bench *b, const char *name)
{
	if (b->over_sockets)
		use_sockets(b);
	else
		stream_pair(b->loop, &b->raw_s, &b->raw_c);
	ear_init(&b->s, tls_server(b->raw_s, b->server));
	ear_init(&b->c, tls_client(b->raw_c, b->client, name));
}

static void bench_hang_up(struct bench *b)
{
	ear_fini(&b->s);
	ear_fini(&b->c);
}

static void bench_fini(struct bench *b)
{
	bench_hang_up(b);
	tls_ctx_unref(b->server);
	tls_ctx_unref(b->client);
	(void)unlink(b->cert);
	(void)unlink(b->key);
	(void)rmdir(b->folder);
	loop_destroy(b->loop);
}

static void bench_simple(struct bench *b, const char *names, const char *name)
{
	bench_init(b, names);
	bench_contexts(b, (struct tls_server_conf){ 0 }, (struct tls_client_conf){ 0 });
	bench_connect(b, name);
}

TEST(tls_shakes_hands_and_carries_both_ways)
{
	struct bench b;

	bench_simple(&b, "node.example, 192.0.2.1", "node.example");
	stream_send(b.c.s, bytes_str("early "));
	stream_send(b.c.s, bytes_str("words"));
	CHECK(turn_until(b.loop, &b.c.opens, 1));
	CHECK(turn_until(b.loop, &b.s.opens, 1));
	CHECK(turn_until_n(b.loop, &b.s.got.n, 11));
	CHECK_STR(buf_cstr(&b.s.got), "early words");
	stream_send(b.s.s, bytes_str("answer"));
	CHECK(turn_until_n(b.loop, &b.c.got.n, 6));
	CHECK_STR(buf_cstr(&b.c.got), "answer");
	CHECK(tls_is_13(b.c.s));
	CHECK_STR(tls_alpn(b.c.s), "");
	CHECK(stream_find(b.c.s, "pair") == b.raw_c);
	stream_finish(b.c.s);
	CHECK(turn_until(b.loop, &b.s.closes, 1));
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_INT(b.s.why.code, ERR_NONE);
	CHECK_INT(b.c.why.code, ERR_NONE);
	bench_fini(&b);
}

TEST(tls_verifies_addresses_and_rooted_names)
{
	static const char *const good[] = { "192.0.2.1", "2001:db8::1", "node.example.",
					    "NODE.example" };

	for (size_t i = 0; i < array_len(good); i++) {
		struct bench b;

		bench_simple(&b, "node.example,192.0.2.1,2001:db8::1", good[i]);
		CHECK(turn_until(b.loop, &b.c.opens, 1));
		bench_fini(&b);
	}
}

static void expect_refusal(struct bench *b, const char *text)
{
	CHECK(turn_until(b->loop, &b->c.closes, 1));
	CHECK_STR(b->c.why.text, text);
	CHECK_INT(b->c.why.code, ERR_AUTH);
	CHECK_INT(b->c.opens, 0);
}

TEST(tls_wrong_name_says_whose_certificate_it_is)
{
	struct bench b;

	bench_simple(&b, "a.example, 192.0.2.1", "b.example");
	expect_refusal(&b, "TLS with b.example: the certificate is for a.example, 192.0.2.1, not "
			   "for b.example");
	ear_fini(&b.c);
	CHECK(turn_until(b.loop, &b.s.closes, 1));
	CHECK_INT(b.s.why.code, ERR_REFUSED);
	CHECK_STR(b.s.why.text, "TLS: the peer refused: bad certificate");
	bench_fini(&b);

	bench_simple(&b, "a.example", "192.0.2.1");
	expect_refusal(&b, "TLS with 192.0.2.1: the certificate is for a.example, not for "
			   "192.0.2.1");
	bench_fini(&b);
}

TEST(tls_untrusted_issuer_is_refused)
{
	struct bench b;

	bench_init(&b, "a.example");
	bench_contexts(&b, (struct tls_server_conf){ .self_signed_for = "a.example" },
		       (struct tls_client_conf){ 0 });
	bench_connect(&b, "a.example");
	expect_refusal(&b, "TLS with a.example: the certificate is self-signed and not trusted");
	bench_fini(&b);
}

TEST(tls_without_a_name_nothing_is_verified_so_nothing_is_trusted)
{
	struct bench b;

	bench_simple(&b, "a.example", NULL);
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_STR(b.c.why.text, "TLS with : there is no name to verify");
	bench_fini(&b);
}

/* Signs the file's certificate anew with other dates. */
static void redate(struct bench *b, long from_s, long to_s)
{
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	FILE *f;

	CHECK(tls_cert_create("a.example", &cert, &key, &b->err) == 0);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
	CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
	f = fopen(b->cert, "w");
	CHECK(f && PEM_write_X509(f, cert));
	(void)fclose(f);
	f = fopen(b->key, "w");
	CHECK(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	(void)fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

TEST(tls_expired_and_not_yet_valid_say_when)
{
	static const struct {
		long from, to;
		const char *says;
	} cases[] = {
		{ -7200, -3600, "TLS with a.example: the certificate expired on 20" },
		{ 3600, 7200, "TLS with a.example: the certificate is not valid before 20" },
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		struct bench b;

		bench_init(&b, "a.example");
		redate(&b, cases[i].from, cases[i].to);
		bench_contexts(&b, (struct tls_server_conf){ 0 }, (struct tls_client_conf){ 0 });
		bench_connect(&b, "a.example");
		CHECK(turn_until(b.loop, &b.c.closes, 1));
		CHECK_INT(b.c.why.code, ERR_AUTH);
		CHECK(strncmp(b.c.why.text, cases[i].says, strlen(cases[i].says)) == 0);
		bench_fini(&b);
	}
}

TEST(tls_pin_takes_this_certificate_and_no_other)
{
	for (int wrong = 0; wrong < 2; wrong++) {
		struct bench b;
		struct tls_client_conf client = { 0 };
		struct tls_server_conf server = { .self_signed_for = "192.0.2.1" };
		uint8_t seen[32];

		bench_init(&b, "unused.example");
		b.server = tls_ctx_server(&server, &b.err);
		tls_ctx_fingerprint(b.server, client.pin_sha256);
		client.pin_sha256[31] ^= (uint8_t)wrong;
		b.client = tls_ctx_client(&client, &b.err);
		CHECK_STR(b.err.text, "");
		bench_connect(&b, "whatever.example");
		if (wrong) {
			expect_refusal(&b, "TLS with whatever.example: the certificate is not the "
					   "pinned one");
		} else {
			CHECK(turn_until(b.loop, &b.c.opens, 1));
			hash_sha256(seen, tls_peer_cert(b.c.s, 0));
			CHECK(memcmp(seen, client.pin_sha256, 32) == 0);
			CHECK_INT(tls_peer_cert(b.c.s, 1).n, 0);
		}
		bench_fini(&b);
	}
}

TEST(tls_insecure_accepts_anything)
{
	struct bench b;

	bench_init(&b, "a.example");
	bench_contexts(&b, (struct tls_server_conf){ 0 },
		       (struct tls_client_conf){ .insecure = true });
	bench_connect(&b, "b.example");
	CHECK(turn_until(b.loop, &b.c.opens, 1));
	bench_fini(&b);
}

TEST(tls_alpn_prefers_the_servers_order)
{
	static const struct {
		const char *server, *client, *agreed;
	} cases[] = {
		{ "h2,http/1.1", "http/1.1,h2", "h2" },
		{ "http/1.1", "h2,http/1.1", "http/1.1" },
		{ "h2", "http/1.1", "" }, /* goes on without */
		{ NULL, "h2", "" },
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		struct bench b;

		bench_init(&b, "a.example");
		bench_contexts(&b, (struct tls_server_conf){ .alpn = cases[i].server },
			       (struct tls_client_conf){ .alpn = cases[i].client });
		bench_connect(&b, "a.example");
		CHECK(turn_until(b.loop, &b.c.opens, 1));
		CHECK(turn_until(b.loop, &b.s.opens, 1));
		CHECK_STR(tls_alpn(b.c.s), cases[i].agreed);
		CHECK_STR(tls_alpn(b.s.s), cases[i].agreed);
		bench_fini(&b);
	}
}

TEST(tls_extra_certificate_travels_as_it_is)
{
	struct bench b;
	EVP_PKEY *key;
	X509 *cert;
	uint8_t *der = NULL;
	int n;

	bench_init(&b, "a.example");
	CHECK(tls_cert_create("derpkeyabcdef", &cert, &key, NULL) == 0);
	n = i2d_X509(cert, &der);
	bench_contexts(&b, (struct tls_server_conf){ .extra_cert = bytes_of(der, (size_t)n) },
		       (struct tls_client_conf){ 0 });
	bench_connect(&b, "a.example");
	CHECK(turn_until(b.loop, &b.c.opens, 1));
	CHECK(bytes_equal(tls_peer_cert(b.c.s, 1), bytes_of(der, (size_t)n)));
	OPENSSL_free(der);
	X509_free(cert);
	EVP_PKEY_free(key);
	bench_fini(&b);
}

TEST(tls_cut_is_an_error_and_finish_is_not)
{
	struct bench b;

	bench_simple(&b, "a.example", "a.example");
	CHECK(turn_until(b.loop, &b.s.opens, 1));
	stream_send(b.s.s, bytes_str("all but"));
	stream_destroy(b.s.s);
	b.s.s = NULL;
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_STR(buf_cstr(&b.c.got), "all but");
	CHECK_INT(b.c.why.code, ERR_MALFORMED);
	CHECK_STR(b.c.why.text, "TLS with a.example: the connection was cut without a goodbye");
	bench_fini(&b);
}

TEST(tls_peer_that_speaks_something_else)
{
	struct bench b;
	struct stream *raw;

	bench_init(&b, "a.example");
	bench_contexts(&b, (struct tls_server_conf){ 0 }, (struct tls_client_conf){ 0 });
	stream_pair(b.loop, &b.raw_s, &b.raw_c);
	raw = b.raw_s;
	ear_init(&b.s, raw);
	ear_init(&b.c, tls_client(b.raw_c, b.client, "a.example"));
	stream_send(raw, bytes_str("HTTP/1.1 400 Bad Request\r\n\r\n"));
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_STR(b.c.why.text, "TLS with a.example: the peer does not speak TLS");
	bench_hang_up(&b);

	stream_pair(b.loop, &b.raw_s, &b.raw_c);
	ear_init(&b.s, b.raw_s);
	ear_init(&b.c, tls_client(b.raw_c, b.client, "a.example"));
	stream_finish(b.raw_s);
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_STR(b.c.why.text, "TLS with a.example: the peer hung up during the handshake");
	bench_fini(&b);
}

TEST(tls_reload_takes_the_new_and_keeps_the_old_on_error)
{
	struct bench b;
	uint8_t before[32], after[32];

	bench_simple(&b, "a.example", "a.example");
	CHECK(turn_until(b.loop, &b.s.opens, 1));
	tls_ctx_fingerprint(b.server, before);
	write_file(b.cert, bytes_str("nonsense"));
	CHECK(tls_ctx_reload(b.server, &b.err) == -1);
	CHECK(strstr(b.err.text, b.cert) != NULL);
	tls_ctx_fingerprint(b.server, after);
	CHECK(memcmp(before, after, 32) == 0);
	write_cert(&b, "a.example");
	CHECK(tls_ctx_reload(b.server, &b.err) == 0);
	CHECK(tls_ctx_reload(b.client, &b.err) == 0);
	tls_ctx_fingerprint(b.server, after);
	CHECK(memcmp(before, after, 32) != 0);
	stream_send(b.s.s, bytes_str("still there"));
	CHECK(turn_until_n(b.loop, &b.c.got.n, 11));
	bench_hang_up(&b);
	bench_connect(&b, "a.example");
	CHECK(turn_until(b.loop, &b.c.opens, 1));
	bench_fini(&b);
}

TEST(tls_key_of_another_certificate_is_refused)
{
	struct bench a, b;
	struct tls_server_conf conf;

	bench_init(&a, "a.example");
	bench_init(&b, "b.example");
	conf = (struct tls_server_conf){ .cert_file = a.cert, .key_file = b.key };
	CHECK(tls_ctx_server(&conf, &a.err) == NULL);
	CHECK(strstr(a.err.text, "load private key") && strstr(a.err.text, "mismatch"));
	conf.key_file = "/nonexistent";
	CHECK(tls_ctx_server(&conf, &a.err) == NULL);
	CHECK(strstr(a.err.text, "No such file") != NULL);
	bench_fini(&a);
	bench_fini(&b);
}

TEST(tls_moves_megabytes_with_pauses)
{
	enum { TOTAL = 4 << 20 };
	struct bench b;
	struct rng rng = rng_seeded(7);
	uint8_t *data = mem_alloc(TOTAL);
	size_t sent = 0;
	bool paused = false;

	bench_simple(&b, "a.example", "a.example");
	fill_pattern(data, TOTAL, 0);
	for (unsigned turn = 0; b.s.got.n < TOTAL && turn < 200000; turn++) {
		while (sent < TOTAL && stream_queued(b.c.s) < STREAM_HIGH) {
			size_t n = (size_t)rng_below(&rng, 60000);

			n = n < TOTAL - sent ? n : TOTAL - sent;
			stream_send(b.c.s, bytes_of(data + sent, n));
			sent += n;
		}
		if (turn % 3 == 0)
			stream_pause(b.s.s, paused = !paused);
		loop_turn(b.loop, false);
	}
	stream_pause(b.s.s, false);
	stream_finish(b.c.s);
	CHECK(turn_until(b.loop, &b.s.closes, 1));
	CHECK_INT(b.s.got.n, TOTAL);
	CHECK(memcmp(b.s.got.p, data, TOTAL) == 0);
	CHECK_INT(b.s.why.code, ERR_NONE);
	CHECK(b.c.drains > 0);
	mem_free(data);
	bench_fini(&b);
}

/* The owner pauses in the middle of what arrived in one piece; the rest waits, and so does the end.
 */
TEST(tls_pause_inside_a_delivery_keeps_the_rest)
{
	enum { TOTAL = 200000 };
	struct bench b;
	uint8_t *data = mem_alloc(TOTAL);
	unsigned resumed = 0;

	bench_simple(&b, "a.example", "a.example");
	fill_pattern(data, TOTAL, 0);
	CHECK(turn_until(b.loop, &b.s.opens, 1));
	b.s.pause_on_data = true;
	stream_send(b.c.s, bytes_of(data, TOTAL));
	stream_finish(b.c.s);
	while (!b.s.closes && resumed < 1000) {
		size_t before = b.s.got.n;

		for (int i = 0; i < 3; i++)
			loop_turn(b.loop, false);
		CHECK(b.s.got.n - before <= 16384);
		stream_pause(b.s.s, false);
		resumed++;
	}
	CHECK(resumed >= TOTAL / 16384);
	CHECK_INT(b.s.closes, 1);
	CHECK_INT(b.s.why.code, ERR_NONE);
	CHECK(bytes_equal(buf_bytes(&b.s.got), bytes_of(data, TOTAL)));
	mem_free(data);
	bench_fini(&b);
}

TEST(tls_cut_while_paused_comes_after_what_was_kept)
{
	struct bench b;
	uint8_t *data = mem_alloc(60000);

	bench_simple(&b, "a.example", "a.example");
	CHECK(turn_until(b.loop, &b.s.opens, 1));
	b.s.pause_on_data = true;
	stream_send(b.c.s, bytes_of(data, 60000));
	stream_destroy(b.c.s);
	b.c.s = NULL;
	for (int i = 0; i < 10; i++)
		loop_turn(b.loop, false);
	CHECK_INT(b.s.closes, 0);
	CHECK(b.s.got.n > 0 && b.s.got.n < 60000);
	b.s.pause_on_data = false;
	stream_pause(b.s.s, false);
	CHECK(turn_until(b.loop, &b.s.closes, 1));
	CHECK_INT(b.s.got.n, 60000);
	CHECK_INT(b.s.why.code, ERR_MALFORMED);
	mem_free(data);
	bench_fini(&b);
}

TEST(tls_12_is_spoken_11_is_not)
{
	struct bench b;

	bench_init(&b, "a.example");
	bench_contexts(&b, (struct tls_server_conf){ .alpn = "h2" },
		       (struct tls_client_conf){ .alpn = "h2" });
	CHECK(SSL_CTX_set_max_proto_version(b.client->ssl, TLS1_2_VERSION));
	bench_connect(&b, "a.example");
	CHECK(turn_until(b.loop, &b.c.opens, 1));
	CHECK(!tls_is_13(b.c.s));
	CHECK_STR(tls_alpn(b.c.s), "h2");
	stream_send(b.s.s, bytes_str("twelve"));
	CHECK(turn_until_n(b.loop, &b.c.got.n, 6));
	stream_finish(b.s.s);
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_INT(b.c.why.code, ERR_NONE);
	bench_hang_up(&b);
	SSL_CTX_set_security_level(b.client->ssl, 0);
	CHECK(SSL_CTX_set_min_proto_version(b.client->ssl, TLS1_VERSION));
	CHECK(SSL_CTX_set_max_proto_version(b.client->ssl, TLS1_1_VERSION));
	bench_connect(&b, "a.example");
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_INT(b.c.opens, 0);
	CHECK_STR(b.c.why.text, "TLS with a.example: the peer refused: protocol version");
	bench_fini(&b);
}

TEST(tls_server_prefers_aes_128)
{
	struct bench b;
	STACK_OF(SSL_CIPHER) * suites;

	bench_init(&b, "a.example");
	bench_contexts(&b, (struct tls_server_conf){ 0 }, (struct tls_client_conf){ 0 });
	suites = SSL_CTX_get_ciphers(b.server->ssl);
	CHECK_STR(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(suites, 0)), "TLS_AES_128_GCM_SHA256");
	CHECK_STR(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(suites, 3)),
		  "ECDHE-ECDSA-AES128-GCM-SHA256");
	CHECK(SSL_CTX_get_options(b.server->ssl) & SSL_OP_CIPHER_SERVER_PREFERENCE);
	bench_fini(&b);
}

/* The server's certificate is signed by a CA that the client does not have. */
TEST(tls_unknown_issuer_is_named_as_such)
{
	struct bench b;
	EVP_PKEY *ca_key = NULL, *key = NULL;
	X509 *ca = NULL, *cert = NULL;
	FILE *f;

	bench_init(&b, "trusted.example");
	bench_contexts(&b, (struct tls_server_conf){ 0 }, (struct tls_client_conf){ 0 });
	CHECK(tls_cert_create("ca.example", &ca, &ca_key, NULL) == 0);
	CHECK(tls_cert_create("a.example", &cert, &key, NULL) == 0);
	CHECK(X509_set_issuer_name(cert, X509_get_subject_name(ca)) &&
	      X509_sign(cert, ca_key, EVP_sha256()) > 0);
	f = fopen(b.cert, "w");
	CHECK(f && PEM_write_X509(f, cert));
	(void)fclose(f);
	f = fopen(b.key, "w");
	CHECK(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	(void)fclose(f);
	CHECK(tls_ctx_reload(b.server, &b.err) == 0);
	bench_connect(&b, "a.example");
	expect_refusal(&b, "TLS with a.example: the certificate's issuer is not trusted");
	X509_free(ca);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	bench_fini(&b);
}

TEST(tls_wrong_configuration_says_what_is_wrong)
{
	struct err err = { 0 };
	char long_name[300];
	struct bench b;

	CHECK(tls_ctx_server(&(struct tls_server_conf){ .cert_file = "x" }, &err) == NULL);
	CHECK_INT(err.code, ERR_USAGE);
	CHECK(tls_ctx_server(&(struct tls_server_conf){ .self_signed_for = "a,,b" }, &err) == NULL);
	CHECK_INT(err.code, ERR_USAGE);
	CHECK(tls_ctx_server(&(struct tls_server_conf){ .self_signed_for = "a",
							.extra_cert = bytes_str("no DER") },
			     &err) == NULL);
	CHECK(strncmp(err.text, "read the extra certificate", 26) == 0);
	CHECK(tls_ctx_client(&(struct tls_client_conf){ .ca_file = "/nonexistent" }, &err) == NULL);
	CHECK_STR(err.text, "load CA certificates from /nonexistent: No such file or directory");
	CHECK(tls_ctx_client(&(struct tls_client_conf){ .alpn = "a,,b" }, &err) == NULL);
	CHECK_STR(err.text, "ALPN list \"a,,b\" cannot be sent");

	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	bench_simple(&b, "a.example", long_name);
	CHECK(turn_until(b.loop, &b.c.closes, 1));
	CHECK_STR(b.c.why.text, "TLS with : the name is too long");
	bench_fini(&b);
}

TEST(tls_trusts_the_systems_store_and_nothing_else_by_default)
{
	struct bench b;

	bench_init(&b, "a.example");
	bench_contexts(&b, (struct tls_server_conf){ 0 }, (struct tls_client_conf){ 0 });
	tls_ctx_unref(b.client);
	b.client = tls_ctx_client(&(struct tls_client_conf){ 0 }, &b.err);
	CHECK_STR(b.err.text, "");
	bench_connect(&b, "a.example");
	expect_refusal(&b, "TLS with a.example: the certificate is self-signed and not trusted");
	bench_fini(&b);
}

TEST(tls_small_sends_of_a_turn_are_one_record)
{
	struct bench b;

	bench_simple(&b, "a.example", "a.example");
	CHECK(turn_until(b.loop, &b.s.opens, 1));
	loop_turn(b.loop, false);
	stream_pause(b.raw_s, true); /* so that the bytes can be counted below */
	for (int i = 0; i < 100; i++)
		stream_send(b.c.s, bytes_str("0123456789"));
	loop_turn(b.loop, false);
	CHECK(stream_queued(b.raw_c) > 1000 && stream_queued(b.raw_c) < 1040);
	bench_fini(&b);
}

TEST(tls_may_be_destroyed_in_each_callback)
{
	for (int which = 0; which < 6; which++) {
		struct bench b;
		struct ear *e;

		bench_simple(&b, "a.example", "a.example");
		e = which & 1 ? &b.c : &b.s;
		e->destroy_on_open = which / 2 == 0;
		e->destroy_on_data = which / 2 == 1;
		e->destroy_on_close = which / 2 == 2;
		stream_send(b.c.s, bytes_str("from client"));
		stream_send(b.s.s, bytes_str("from server"));
		CHECK(turn_until(b.loop, which & 1 ? &b.c.opens : &b.s.opens, 1));
		stream_finish(which & 1 ? b.s.s : b.c.s);
		for (int i = 0; i < 10; i++)
			loop_turn(b.loop, false);
		CHECK(e->s == NULL);
		bench_fini(&b);
	}
}

/* What came is a beginning of what was sent, whatever ends the connection and when. */
static void check_prefix(const struct ear *e)
{
	uint8_t *want = mem_alloc(e->got.n + 1);

	fill_pattern(want, e->got.n, 0);
	CHECK(bytes_equal(buf_bytes(&e->got), bytes_of(want, e->got.n)));
	mem_free(want);
}

/* And an end that is called orderly came after all of it. */
static void check_whole(struct bench *b, struct ear *e, size_t sent)
{
	e->pause_on_data = false;
	for (int i = 0; i < 30; i++) {
		if (e->s)
			stream_pause(e->s, false);
		loop_turn(b->loop, false);
	}
	check_prefix(e);
	if (e->s && e->closes && e->why.code == ERR_NONE && !e->s->finished)
		CHECK_INT(e->got.n, sent);
}

static void end_somehow(struct bench *b, struct rng *rng)
{
	struct ear *e = rng_below(rng, 2) ? &b->c : &b->s;

	switch (rng_below(rng, 5)) {
	case 0:
		e->destroy_on_data = true;
		break;
	case 1:
		e->destroy_on_close = true;
		break;
	case 2:
		if (e->s)
			stream_finish(e->s);
		break;
	case 3:
		if (e->s)
			stream_finish(e == &b->c ? b->raw_c : b->raw_s); /* cut below TLS */
		break;
	default:
		stream_destroy(e->s);
		e->s = NULL;
	}
}

TEST(tls_stress_with_random_chunks_pauses_and_ends)
{
	uint8_t *pattern = mem_alloc(1 << 20);

	fill_pattern(pattern, 1 << 20, 0);
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct rng rng = rng_seeded(seed);
		uint64_t end_at = rng_below(&rng, 120);
		struct bench b;
		size_t sent[2] = { 0 };

		bench_init(&b, "a.example");
		bench_contexts(&b, (struct tls_server_conf){ 0 }, (struct tls_client_conf){ 0 });
		b.over_sockets = seed & 1;
		bench_connect(&b, "a.example");
		for (uint64_t step = 0; step < 120; step++) {
			bool which = rng_below(&rng, 2);
			struct ear *e = which ? &b.c : &b.s;
			size_t n = (size_t)rng_below(&rng, rng_below(&rng, 8) ? 200 : 40000);

			if (step == end_at)
				end_somehow(&b, &rng);
			if (e->s && rng_below(&rng, 3) == 0)
				stream_pause(e->s, rng_below(&rng, 2));
			e->pause_on_data = rng_below(&rng, 4) == 0;
			n = n < (1 << 20) - sent[which] ? n : 0;
			if (e->s)
				stream_send(e->s, bytes_of(pattern + sent[which], n));
			sent[which] += e->s && !e->s->finished && !e->s->closed ? n : 0;
			loop_turn(b.loop, false);
		}
		check_whole(&b, &b.s, sent[1]);
		check_whole(&b, &b.c, sent[0]);
		bench_fini(&b);
	}
	mem_free(pattern);
}

TEST(tls_inside_tls)
{
	struct bench b;
	struct ear s, c;

	bench_simple(&b, "a.example", "a.example");
	ear_init(&s, tls_server(b.s.s, b.server));
	ear_init(&c, tls_client(b.c.s, b.client, "a.example"));
	b.s.s = b.c.s = NULL;
	stream_send(c.s, bytes_str("deep"));
	CHECK(turn_until_n(b.loop, &s.got.n, 4));
	CHECK_STR(buf_cstr(&s.got), "deep");
	stream_finish(s.s);
	CHECK(turn_until(b.loop, &c.closes, 1));
	CHECK_INT(c.why.code, ERR_NONE);
	ear_fini(&s);
	ear_fini(&c);
	bench_fini(&b);
}
