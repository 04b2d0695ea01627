/* http_fetch() over real sockets on loopback, plain and with TLS. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "http_support.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "kit/kit.h"

struct host {
	struct site site;
	struct tcp_listener *listener;
	struct tls_ctx *ctx; /* NULL: plain */
	char ca[64], url[128];
};

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct host *h = arg;

	if (h->ctx)
		s = tls_server(s, h->ctx);
	httpd_serve(h->site.httpd, s, HTTPD_ANY, peer, NULL, NULL);
}

static void write_certificate(struct host *h, char *key_file)
{
	struct buf cert, key;
	FILE *f;

	CHECK_INT(tls_self_signed("127.0.0.1", &cert, &key, NULL), 0);
	f = fdopen(mkstemp(h->ca), "w");
	CHECK(f && fwrite(cert.p, 1, cert.n, f) == cert.n && !fclose(f));
	f = fdopen(mkstemp(key_file), "w");
	CHECK(f && fwrite(key.p, 1, key.n, f) == key.n && !fclose(f));
	buf_fini(&cert);
	buf_fini(&key);
}

static void host_init(struct host *h, bool tls)
{
	char key_file[] = "/tmp/weft-fetch-key-XXXXXX";
	struct addrport at = { ip_v4(127, 0, 0, 1), 0 };

	*h = (struct host){ .ca = "/tmp/weft-fetch-ca-XXXXXX" };
	site_init(&h->site, NULL);
	if (tls) {
		write_certificate(h, key_file);
		h->ctx = tls_ctx_server(&(struct tls_server_conf){ .cert_file = h->ca,
								   .key_file = key_file,
								   .alpn = "h2,http/1.1" },
					NULL);
		CHECK(h->ctx != NULL);
		unlink(key_file);
	}
	h->listener = tcp_listen(h->site.loop, at, on_accept, h, NULL);
	CHECK(h->listener != NULL);
	at = tcp_listener_address(h->listener);
	snprintf(h->url, sizeof(h->url), "%s://127.0.0.1:%u", tls ? "https" : "http", at.port);
}

static void host_fini(struct host *h)
{
	tcp_listener_destroy(h->listener);
	site_fini(&h->site);
	if (h->ctx)
		unlink(h->ca);
	tls_ctx_unref(h->ctx);
}

struct fetched {
	unsigned done, status;
	struct err err;
	char body[64];
};

static void on_done(void *arg, unsigned status, struct bytes body, const struct err *err)
{
	struct fetched *f = arg;

	f->done++;
	f->status = status;
	f->err = *err;
	bytes_to_cstr(body, f->body, sizeof(f->body));
}

static struct http_fetch *start(struct host *h, struct fetched *f, const char *path,
				struct http_fetch_conf conf)
{
	char url[256];

	snprintf(url, sizeof(url), "%s%s", h->url, path);
	*f = (struct fetched){ 0 };
	conf.url = url;
	conf.on_done = on_done;
	conf.arg = f;
	if (h->ctx && !conf.ca_file)
		conf.ca_file = h->ca;
	return http_fetch(h->site.loop, &conf, NULL);
}

static void fetch(struct host *h, struct fetched *f, const char *path, struct http_fetch_conf conf)
{
	CHECK(start(h, f, path, conf) != NULL);
	turn_until(h->site.loop, &f->done, 1);
	CHECK_INT(f->done, 1);
}

TEST(fetch_plain_and_over_tls)
{
	for (int tls = 0; tls < 2; tls++) {
		struct host h;
		struct fetched f;

		host_init(&h, tls);
		fetch(&h, &f, "/hello", (struct http_fetch_conf){ 0 });
		CHECK(f.status == 200 && f.err.code == ERR_NONE);
		CHECK_STR(f.body, "hello\n");
		fetch(&h, &f, "/echo",
		      (struct http_fetch_conf){ .method = "POST", .body = bytes_str("sent") });
		CHECK_STR(f.body, "sent");
		fetch(&h, &f, "/nowhere", (struct http_fetch_conf){ 0 });
		CHECK(f.status == 404 && f.err.code == ERR_NONE);
		host_fini(&h);
	}
}

TEST(fetch_fails_in_words)
{
	struct host h;
	struct fetched f;
	struct err err = { 0 };

	host_init(&h, true);
	fetch(&h, &f, "/hello",
	      (struct http_fetch_conf){ .ca_file = "/etc/ssl/certs/ca-certificates.crt" });
	CHECK(f.err.code == ERR_AUTH && !f.status);
	fetch(
	    &h, &f, "/echo",
	    (struct http_fetch_conf){ .method = "POST", .body = bytes_str("four"), .body_max = 3 });
	CHECK_INT(f.err.code, ERR_LIMIT);
	fetch(&h, &f, "/park", (struct http_fetch_conf){ .timeout_ms = 50 });
	CHECK_INT(f.err.code, ERR_TIMEOUT);
	http_fetch_cancel(start(&h, &f, "/hello", (struct http_fetch_conf){ 0 }));
	for (int i = 0; i < 10; i++)
		loop_turn(h.site.loop, false);
	CHECK_INT(f.done, 0);
	CHECK(!http_fetch(h.site.loop, &(struct http_fetch_conf){ .url = "ftp://x/" }, &err));
	CHECK_INT(err.code, ERR_USAGE);
	tcp_listener_destroy(h.listener);
	h.listener = NULL;
	fetch(&h, &f, "/hello", (struct http_fetch_conf){ 0 });
	CHECK(f.err.code == ERR_SYSTEM && !f.status);
	host_fini(&h);
}
