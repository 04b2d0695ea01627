/*
 * A hello server for wrk, h2load and slow or broken clients.
 *
 *   bench-http PORT [tls]      prints its memory every second until SIGTERM
 *   wrk -t1 -c100 -d10 http://127.0.0.1:PORT/
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"

struct bench {
	struct loop *loop;
	struct httpd *httpd;
	struct tls_ctx *ctx;
	struct io_timer timer;
	unsigned long answered, before;
};

static void hello(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct bench *b = arg;

	(void)req;
	b->answered++;
	http_reply(x, 200, "text/plain", bytes_str("hello\n"));
}

static void echo(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	http_reply(x, 200, "application/octet-stream", req->body);
}

static const struct httpd_route routes[] = {
	{ "GET", "/", hello, 0 },
	{ "POST", "/echo", echo, 1 << 20 },
};

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct bench *b = arg;

	if (b->ctx)
		s = tls_server(s, b->ctx);
	httpd_serve(b->httpd, s, HTTPD_ANY, peer, NULL, NULL);
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size = 0, pages = 0;

	if (f && fscanf(f, "%ld %ld", &size, &pages) != 2)
		pages = 0;
	if (f)
		(void)fclose(f);
	return pages * 4;
}

static void on_second(struct io_timer *t)
{
	struct bench *b = container_of(t, struct bench, timer);

	if (b->answered != b->before)
		printf("%lu requests/s, %ld KiB resident\n", b->answered - b->before, rss_kib());
	fflush(stdout);
	b->before = b->answered;
	io_timer_in_ms(b->loop, t, 1000);
}

static void on_term(void *arg, int signo)
{
	struct bench *b = arg;

	(void)signo;
	loop_stop(b->loop);
}

int main(int argc, char **argv)
{
	struct addrport at = { ip_v4(127, 0, 0, 1), (uint16_t)atoi(argc > 1 ? argv[1] : "8080") };
	struct bench b = { 0 };
	struct tcp_listener *l;
	struct err err = { 0 };

	b.loop = loop_create(&err);
	if (argc > 2)
		b.ctx = tls_ctx_server(&(struct tls_server_conf){ .self_signed_for = "127.0.0.1",
								  .alpn = "h2,http/1.1" },
				       &err);
	b.httpd = httpd_create(b.loop, &(struct httpd_conf){ .routes = routes,
							     .route_count = array_len(routes),
							     .arg = &b,
							     .head_timeout_s = 3,
							     .body_timeout_s = 3 });
	l = tcp_listen(b.loop, at, on_accept, &b, &err);
	if (!l || err.code) {
		(void)fprintf(stderr, "bench-http: %s\n", err.text);
		return 1;
	}
	io_timer_init(&b.timer, on_second);
	io_timer_in_ms(b.loop, &b.timer, 1000);
	loop_on_signal(b.loop, SIGTERM, on_term, &b, NULL);
	loop_run(b.loop);
	io_timer_stop(&b.timer);
	tcp_listener_destroy(l);
	httpd_destroy(b.httpd);
	tls_ctx_unref(b.ctx);
	loop_destroy(b.loop);
	printf("%lu answered, %ld KiB resident at the end\n", b.answered, rss_kib());
	return 0;
}
