#include "derp_support.h"

#include "crypto/x25519.h"

#include "kit/kit.h"

static void on_http(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct bench *b = arg;

	if (!derp_server_handle(b->server, x, req))
		http_reply_text(x, 404, "no\n");
}

static const struct httpd_route routes[] = {
	DERP_SERVER_ROUTES(on_http),
	{ "GET", "/", on_http, 0 },
	{ "GET", "/robots.txt", on_http, 0 },
};

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct bench *b = arg;

	if (b->tls)
		s = tls_server(s, b->tls);
	httpd_serve(b->httpd, s, HTTPD_H1, peer, NULL, NULL);
}

static void on_verify(void *arg, uint64_t client, const struct key *key, struct addrport from)
{
	struct bench *b = arg;

	(void)key;
	(void)from;
	b->asked = client;
	b->asks++;
}

void bench_init(struct bench *b)
{
	*b = (struct bench){ 0 };
	b->loop = loop_create(NULL);
	memset(b->conf.private_key.b, 0x77, 32);
	b->conf.open = true;
	b->conf.on_verify = on_verify;
	b->conf.arg = b;
}

static void start_tls(struct bench *b)
{
	struct tls_server_conf sc = { .self_signed_for = "localhost", .alpn = "http/1.1" };
	struct tls_client_conf cc = { .insecure = true, .alpn = "http/1.1" };
	uint8_t der[DERP_CERT_MAX];
	struct err err;

	sc.extra_cert = bytes_of(der, derp_server_cert(b->server, der));
	b->tls = tls_ctx_server(&sc, &err);
	b->client_tls = tls_ctx_client(&cc, &err);
	CHECK(b->tls && b->client_tls);
}

void bench_start(struct bench *b, bool tls)
{
	struct httpd_conf hc = { .routes = routes, .route_count = array_len(routes), .arg = b };
	struct addrport at = { ip_v4(127, 0, 0, 1), 0 };
	struct err err;

	b->server = derp_server_create(b->loop, &b->conf);
	b->httpd = httpd_create(b->loop, &hc);
	if (tls)
		start_tls(b);
	b->listener = tcp_listen(b->loop, at, on_accept, b, &err);
	CHECK(b->listener != NULL);
	b->port = tcp_listener_address(b->listener).port;
}

void bench_fini(struct bench *b)
{
	tcp_listener_destroy(b->listener);
	derp_server_destroy(b->server);
	httpd_destroy(b->httpd);
	if (b->tls)
		tls_ctx_unref(b->tls);
	if (b->client_tls)
		tls_ctx_unref(b->client_tls);
	turn_for_ms(b, 0);
	loop_destroy(b->loop);
}

static void on_up(void *arg)
{
	struct end *e = arg;

	e->ups++;
}

static void on_packet(void *arg, const struct key *from, struct bytes pkt)
{
	struct end *e = arg;

	e->packets++;
	e->from = *from;
	buf_clear(&e->got);
	(void)buf_append(&e->got, pkt);
}

static void on_gone(void *arg, const struct key *peer, enum derp_gone why)
{
	struct end *e = arg;

	(void)peer;
	e->gone++;
	e->why_gone = why;
}

static void on_pong(void *arg, const uint8_t data[DERP_PING_LEN])
{
	struct end *e = arg;

	e->pongs += data[0] == 'p';
}

static void on_restarting(void *arg, uint32_t in_ms, uint32_t try_ms)
{
	struct end *e = arg;

	(void)in_ms;
	(void)try_ms;
	e->restarts++;
}

static void on_down(void *arg, const struct err *why)
{
	struct end *e = arg;

	e->downs++;
	e->why = *why;
}

void end_open_conf(struct end *e, struct bench *b, uint8_t secret, struct derp_client_conf conf)
{
	*e = (struct end){ .bench = b };
	memset(e->priv.b, secret, 32);
	x25519_public(e->key.b, &e->priv);
	buf_init(&e->got, DERP_PACKET_MAX);
	if (!conf.host)
		conf.host = "localhost";
	if (!ip_is_valid(conf.ip4))
		conf.ip4 = ip_v4(127, 0, 0, 1);
	if (!conf.port)
		conf.port = b->port;
	conf.tls = b->client_tls;
	conf.private_key = &e->priv;
	conf.on_up = on_up;
	conf.on_packet = on_packet;
	conf.on_peer_gone = on_gone;
	conf.on_pong = on_pong;
	conf.on_restarting = on_restarting;
	conf.on_down = on_down;
	conf.arg = e;
	e->client = derp_client_create(b->loop, &conf);
}

void end_open(struct end *e, struct bench *b, uint8_t secret)
{
	end_open_conf(e, b, secret, (struct derp_client_conf){ 0 });
}

void end_fini(struct end *e)
{
	derp_client_destroy(e->client);
	buf_fini(&e->got);
}

static void wake(struct io_timer *t)
{
	(void)t;
}

bool turn_until(struct bench *b, const unsigned *count, unsigned at_least)
{
	struct mono end = mono_add_s(mono_now(), 10);
	struct io_timer t;

	io_timer_init(&t, wake);
	while (*count < at_least && !mono_reached(mono_now(), end)) {
		io_timer_in_ms(b->loop, &t, 50);
		loop_turn(b->loop, true);
	}
	io_timer_stop(&t);
	return *count >= at_least;
}

void turn_for_ms(struct bench *b, int ms)
{
	struct mono end = mono_add_ms(mono_now(), ms);
	struct io_timer t;

	io_timer_init(&t, wake);
	for (int i = 0; i < 8 || !mono_reached(mono_now(), end); i++) {
		io_timer_in_ms(b->loop, &t, 1);
		loop_turn(b->loop, i >= 8);
	}
	io_timer_stop(&t);
}
