/* The resolver against resolvers of this process, on loopback: every way a question can take. */
#include "part/dnsd/dnsd.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/sockaddr.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "kit/kit.h"
#include "part/dnsd/dnsd_provider.h"
#include "part/localnet.h"
#include "wire/dnsmsg.h"
#include "wire/ipbuild.h"
#include "wire/ippkt.h"

enum { TURNS_MAX = 200000 };

struct world {
	struct loop *loop;
	struct dnsd *d;
	struct io_watch watch;
	int udp;
	struct addrport at; /* UDP and TCP of the same port */
	struct tcp_listener *tcp, *other;
	struct tls_ctx *tls;
	struct httpd *httpd;
	struct stream *accepted;
	unsigned udp_count, stream_count, http_count, http_version;
	bool truncates;
	char folder[64], cert[96], key[96];
	/* what came back */
	unsigned answers;
	struct buf answer;
	struct addrport to;
};

/* ---- resolvers ---- */

static size_t reply_to(struct bytes query, uint16_t flags, uint8_t *out, size_t cap)
{
	struct dnsmsg_question q;
	struct dnsmsg_out o;
	struct dnsmsg m;

	if (!dnsmsg_open(&m, query) || !dnsmsg_question(&m, &q))
		return 0;
	dnsmsg_begin(&o, out, cap, m.header.id, (uint16_t)(DNSMSG_QR | DNSMSG_RA | flags), &q);
	if (!(flags & DNSMSG_TC))
		dnsmsg_put_ip(&o, &q.name, 60, ip_v4(192, 0, 2, 1));
	return dnsmsg_done(&o);
}

static void on_query(struct io_watch *watch, unsigned events)
{
	struct world *w = container_of(watch, struct world, watch);
	uint8_t in[1500], out[1500];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	ssize_t n = recvfrom(w->udp, in, sizeof(in), 0, (struct sockaddr *)&sa, &len);
	size_t m;

	(void)events;
	if (n < 0)
		return;
	w->udp_count++;
	m = reply_to(bytes_of(in, (size_t)n), w->truncates ? DNSMSG_TC : 0, out, sizeof(out));
	CHECK(sendto(w->udp, out, m, 0, (struct sockaddr *)&sa, len) == (ssize_t)m);
}

static void on_stream_query(void *arg, struct bytes data)
{
	struct world *w = arg;
	uint8_t out[1500];
	size_t n = reply_to(bytes_from(data, 2), 0, out + 2, sizeof(out) - 2);

	if (!n)
		return; /* only the length came yet: the tests send small messages */
	w->stream_count++;
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	stream_send(w->accepted, bytes_of(out, n + 2));
}

static void on_stream_close(void *arg, const struct err *why)
{
	struct world *w = arg;

	(void)why;
	stream_destroy(w->accepted);
	w->accepted = NULL;
}

static const struct stream_up stream_up = { .on_data = on_stream_query,
					    .on_close = on_stream_close };

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct world *w = arg;

	(void)peer;
	stream_destroy(w->accepted);
	w->accepted = w->tls ? tls_server(s, w->tls) : s;
	stream_set_up(w->accepted, &stream_up, w);
}

static void on_http(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct world *w = arg;
	uint8_t out[1500];

	w->http_count++;
	w->http_version = req->version;
	CHECK(bytes_equal_str(http_header_get(req, "content-type"), "application/dns-message"));
	http_reply(x, 200, "application/dns-message",
		   bytes_of(out, reply_to(req->body, 0, out, sizeof(out))));
}

static void on_http_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct world *w = arg;

	httpd_serve(w->httpd, w->tls ? tls_server(s, w->tls) : s, HTTPD_ANY, peer, NULL, NULL);
}

/* ---- the one under test ---- */

static void send_datagram(void *arg, const struct addrport *to, struct bytes message)
{
	struct world *w = arg;

	w->answers++;
	w->to = *to;
	buf_clear(&w->answer);
	buf_append(&w->answer, message);
}

static void certificate(struct world *w)
{
	struct tls_server_conf conf = { .cert_file = w->cert,
					.key_file = w->key,
					.alpn = "h2,dot" };
	struct buf cert, key;
	struct err err;

	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/weft-dnsd-XXXXXX");
	CHECK(mkdtemp(w->folder) != NULL);
	(void)snprintf(w->cert, sizeof(w->cert), "%s/cert.pem", w->folder);
	(void)snprintf(w->key, sizeof(w->key), "%s/key.pem", w->folder);
	CHECK(tls_self_signed("resolver.test", &cert, &key, &err) == 0);
	CHECK(file_write(w->cert, buf_bytes(&cert), 0600, &err) == 0);
	CHECK(file_write(w->key, buf_bytes(&key), 0600, &err) == 0);
	buf_fini(&cert);
	buf_fini(&key);
	w->tls = tls_ctx_server(&conf, &err);
	CHECK(w->tls != NULL);
}

/* TCP and UDP at one port; what is free for one may be taken for the other. */
static void bind_both(struct world *w)
{
	const struct addrport any = { ip_v4(127, 0, 0, 1), 0 };
	struct sockaddr_storage sa;
	socklen_t len;
	struct err err;
	int ret = -1;

	w->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; ret < 0 && i < 50; i++) {
		tcp_listener_destroy(w->tcp);
		w->tcp = tcp_listen(w->loop, any, on_accept, w, &err);
		w->at = tcp_listener_address(w->tcp);
		len = sockaddr_of(w->at, &sa);
		ret = bind(w->udp, (struct sockaddr *)&sa, len);
	}
	CHECK(ret == 0);
}

static void world_init(struct world *w, bool tls)
{
	static const struct httpd_route routes[] = { { "POST", "/dns-query", on_http, 4096 } };
	struct httpd_conf http = { .routes = routes, .route_count = 1, .arg = w };
	struct dnsd_conf conf = { .send_datagram = send_datagram, .arg = w };
	struct err err;

	*w = (struct world){ .loop = loop_create(NULL) };
	buf_init(&w->answer, 65535);
	if (tls)
		certificate(w);
	conf.ca_file = tls ? w->cert : NULL;
	bind_both(w);
	w->httpd = httpd_create(w->loop, &http);
	w->other = tcp_listen(w->loop, (struct addrport){ ip_v4(127, 0, 0, 1), 0 }, on_http_accept,
			      w, &err);
	CHECK(io_watch_start(w->loop, &w->watch, w->udp, IO_READ, on_query, &err) == 0);
	w->d = dnsd_create(w->loop, &conf);
}

static void world_fini(struct world *w)
{
	dnsd_destroy(w->d);
	stream_destroy(w->accepted);
	tcp_listener_destroy(w->tcp);
	tcp_listener_destroy(w->other);
	httpd_destroy(w->httpd);
	tls_ctx_unref(w->tls);
	io_watch_stop(&w->watch);
	(void)close(w->udp);
	for (int i = 0; i < 4; i++)
		loop_turn(w->loop, false);
	loop_destroy(w->loop);
	buf_fini(&w->answer);
	if (*w->folder) {
		(void)unlink(w->cert);
		(void)unlink(w->key);
		(void)rmdir(w->folder);
	}
}

static void use(struct world *w, struct addrport at, enum dnsd_kind kind)
{
	struct dnsd_upstream up = {
		.at = at, .kind = kind, .host = "resolver.test", .path = "/dns-query"
	};
	struct dns_conf conf = { .resolvers = &at, .resolver_count = 1 };
	struct err err;

	CHECK(dnsd_set_conf(w->d, &conf, &up, 1, &err) == 0);
}

static size_t question(const char *name, uint8_t *out, size_t cap)
{
	struct dnsmsg_question q = { .type = DNSMSG_A, .class = DNSMSG_IN };
	struct dnsmsg_out o;

	CHECK(dnsname_parse(&q.name, bytes_str(name)));
	dnsmsg_begin(&o, out, cap, 7, DNSMSG_RD, &q);
	return dnsmsg_done(&o);
}

/* The rcode of the answer; -1: none came. */
static int ask(struct world *w, const char *name)
{
	struct addrport from = { ip_v4(100, 64, 0, 1), 4000 };
	unsigned before = w->answers;
	uint8_t message[300];
	struct dnsmsg m;

	dnsd_input_datagram(w->d, &from, bytes_of(message, question(name, message, 300)));
	for (int i = 0; w->answers == before && i < TURNS_MAX; i++)
		loop_turn(w->loop, true);
	CHECK(addrport_equal(w->to, from));
	if (w->answers == before || !dnsmsg_open(&m, buf_bytes(&w->answer)))
		return -1;
	return m.header.flags & DNSMSG_RCODE;
}

TEST(datagrams_go_to_a_resolver_and_back)
{
	struct world w;

	world_init(&w, false);
	use(&w, w.at, DNSD_PLAIN);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_NOERROR);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_NOERROR);
	CHECK(w.udp_count == 1 && w.stream_count == 0);
	CHECK_INT(dns_counters(dnsd_engine(w.d))->answered_cache, 1);
	world_fini(&w);
}

TEST(a_cut_answer_is_fetched_over_tcp)
{
	struct world w;

	world_init(&w, false);
	w.truncates = true;
	use(&w, w.at, DNSD_PLAIN);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_NOERROR);
	CHECK(w.udp_count == 1 && w.stream_count == 1);
	world_fini(&w);
}

TEST(nobody_there_is_a_failure)
{
	struct world w;
	struct addrport nobody;

	world_init(&w, false);
	nobody = w.at;
	(void)close(w.udp); /* ICMP says so */
	io_watch_stop(&w.watch);
	w.udp = -1;
	tcp_listener_destroy(w.tcp);
	w.tcp = NULL;
	use(&w, nobody, DNSD_PLAIN);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_SERVFAIL);
	world_fini(&w);
}

TEST(http_inside_the_tunnel)
{
	struct world w;
	struct addrport at;

	world_init(&w, false);
	at = tcp_listener_address(w.other);
	use(&w, at, DNSD_HTTP);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_NOERROR);
	CHECK_INT(ask(&w, "two.example"), DNSMSG_NOERROR); /* on the same connection */
	CHECK(w.http_count == 2 && w.http_version == 11 && w.udp_count == 0);
	world_fini(&w);
}

TEST(https_checks_the_certificate)
{
	struct world w;
	struct addrport at;

	world_init(&w, true);
	at = tcp_listener_address(w.other);
	use(&w, at, DNSD_HTTPS);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_NOERROR);
	CHECK(w.http_count == 1 && w.http_version == 20);
	world_fini(&w);
}

TEST(a_resolver_with_another_name_is_not_asked)
{
	struct world w;
	struct dnsd_upstream up = { .kind = DNSD_HTTPS, .host = "other.test" };
	struct dns_conf conf = { .resolver_count = 1 };

	world_init(&w, true);
	up.at = tcp_listener_address(w.other);
	conf.resolvers = &up.at;
	CHECK(dnsd_set_conf(w.d, &conf, &up, 1, NULL) == 0);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_SERVFAIL);
	CHECK_INT(w.http_count, 0);
	world_fini(&w);
}

TEST(tls)
{
	struct world w;

	world_init(&w, true);
	use(&w, w.at, DNSD_TLS);
	CHECK_INT(ask(&w, "www.example"), DNSMSG_NOERROR);
	CHECK(w.stream_count == 1 && w.udp_count == 0);
	world_fini(&w);
}

/* ---- clients ---- */

static void on_asked(void *arg, struct bytes message)
{
	struct world *w = arg;

	w->answers++;
	buf_clear(&w->answer);
	buf_append(&w->answer, message);
}

TEST(questions_of_this_process)
{
	struct world w;
	uint8_t message[300];
	struct dnsd_asking *a;
	size_t n = question("www.example", message, 300);

	world_init(&w, false);
	use(&w, w.at, DNSD_PLAIN);
	a = dnsd_ask(w.d, bytes_of(message, n), on_asked, &w);
	dnsd_ask_cancel(a);
	(void)dnsd_ask(w.d, bytes_of(message, n), on_asked, &w);
	for (int i = 0; !w.answers && i < TURNS_MAX; i++)
		loop_turn(w.loop, true);
	CHECK(w.answers == 1 && w.udp_count == 1);
	(void)dnsd_ask(w.d, bytes_of(message, n), on_asked, &w);
	CHECK_INT(w.answers, 2); /* from the cache, at once */
	world_fini(&w);
}

struct tcp_client {
	struct buf got;
	bool closed;
};

static void client_data(void *arg, struct bytes data)
{
	buf_append(&((struct tcp_client *)arg)->got, data);
}

static void client_close(void *arg, const struct err *why)
{
	(void)why;
	((struct tcp_client *)arg)->closed = true;
}

TEST(streams_carry_several_questions_in_any_pieces)
{
	static const struct stream_up up = { .on_data = client_data, .on_close = client_close };
	struct addrport from = { ip_v4(100, 64, 0, 1), 4000 };
	struct tcp_client c = { .closed = false };
	uint8_t message[302];
	struct stream *a, *b;
	struct world w;
	size_t n = question("www.example", message + 2, 300), one = 0;

	message[0] = 0;
	message[1] = (uint8_t)n;
	world_init(&w, false);
	use(&w, w.at, DNSD_PLAIN);
	buf_init(&c.got, 1 << 16);
	stream_pair(w.loop, &a, &b);
	stream_set_up(a, &up, &c);
	dnsd_input_stream(w.d, b, &from);
	for (size_t i = 0; i < n + 2; i++) {
		stream_send(a, bytes_of(message + i, 1));
		loop_turn(w.loop, false);
	}
	for (int i = 0; !c.got.n && i < TURNS_MAX; i++)
		loop_turn(w.loop, true);
	one = c.got.n;
	CHECK(one == 2U + c.got.p[1] && c.got.p[0] == 0);
	for (int i = 0; i < 100; i++)
		stream_send(a, bytes_of(message, n + 2));
	for (int i = 0; c.got.n < 101 * one && i < TURNS_MAX; i++)
		loop_turn(w.loop, false);
	CHECK(c.got.n == 101 * one && !c.closed);
	message[0] = 0xff; /* longer than we read */
	stream_send(a, bytes_of(message, 2));
	for (int i = 0; !c.closed && i < 10; i++)
		loop_turn(w.loop, false);
	CHECK(c.closed);
	stream_destroy(a);
	buf_fini(&c.got);
	world_fini(&w);
}

/* ---- providers ---- */

static bool is_provider(const char *ip, const char *host, const char *path)
{
	struct dnsd_provider p;
	struct ip addr;

	return ip_parse(&addr, bytes_str(ip)) && dnsd_provider_of(addr, &p) &&
	       !strcmp(p.host, host) && !strcmp(p.path, path);
}

TEST(public_resolvers_are_known)
{
	struct dnsd_provider p;
	struct ip ips[8], one;

	CHECK(is_provider("8.8.8.8", "dns.google", "/dns-query"));
	CHECK(is_provider("2620:fe::fe", "dns.quad9.net", "/dns-query"));
	CHECK(is_provider("2606:1a40:1::3", "freedns.controld.com", "/p3"));
	CHECK(is_provider("2a07:a8c0::c3:a884", "dns.nextdns.io", "/c3a884"));
	CHECK(ip_parse(&one, bytes_str("2a07:a8c0::c3:a884")) && dnsd_provider_of(one, &p));
	CHECK(p.https_only);
	CHECK(!dnsd_provider_of(ip_v4(192, 0, 2, 1), &p));
	CHECK_INT(dnsd_provider_addresses(bytes_str("dns.google"), bytes_str("/dns-query"), ips, 8),
		  4);
	CHECK_INT(
	    dnsd_provider_addresses(bytes_str("dns.nextdns.io"), bytes_str("/c3a884"), ips, 8), 2);
	CHECK(ip_equal(ips[0], one));
	CHECK_INT(dnsd_provider_addresses(bytes_str("evil.example"), bytes_str("/"), ips, 8), 0);
}

/* ---- localnet ---- */

static const struct addrport service = { { 4, { 100, 100, 100, 100 } }, 53 };
static const struct addrport host = { { 4, { 100, 64, 0, 1 } }, 4000 };

struct net_ear {
	struct localnet *net;
	unsigned datagrams, packets;
	struct buf last;
};

static void on_packet(void *arg, struct bytes packet)
{
	struct net_ear *e = arg;

	e->packets++;
	buf_clear(&e->last);
	buf_append(&e->last, packet);
}

static void on_datagram(void *arg, const struct addrport *local, const struct addrport *peer,
			struct bytes data)
{
	struct net_ear *e = arg;

	e->datagrams++;
	CHECK(addrport_equal(*local, service) && addrport_equal(*peer, host));
	CHECK(localnet_send_datagram(e->net, local, peer, data));
}

TEST(datagrams_in_packets_are_answered_and_spoiled_ones_are_not)
{
	struct net_ear e = { 0 };
	struct localnet_conf conf = { .send = on_packet, .on_datagram = on_datagram, .arg = &e };
	struct loop *loop = loop_create(NULL);
	uint8_t packet[100];
	size_t n = ipbuild_udp(packet, sizeof(packet), &host, &service, bytes_str("ping"));
	struct ippkt pkt;

	buf_init(&e.last, 4096);
	e.net = localnet_create(loop, &conf);
	CHECK(localnet_input(e.net, kit_copy(bytes_of(packet, n))));
	CHECK(e.datagrams == 1 && e.packets == 1);
	CHECK(ippkt_parse(&pkt, buf_bytes(&e.last)) && pkt.src_port == 53 && pkt.dst_port == 4000);
	for (size_t cut = 0; cut < n; cut++)
		CHECK(!localnet_input(e.net, kit_copy(bytes_of(packet, cut))));
	packet[n - 1] ^= 1;
	CHECK(!localnet_input(e.net, kit_copy(bytes_of(packet, n))));
	CHECK_INT(e.datagrams, 1);
	localnet_destroy(e.net);
	loop_turn(loop, false);
	loop_destroy(loop);
	buf_fini(&e.last);
}
