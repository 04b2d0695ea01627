/*
 * Load for a relay: bulk flows between pairs of clients, a small flow beside them whose delay is
 * measured, and the memory of idle clients. Without --relay it forks a relay of ours.
 *
 *   bench-relay [--plain] [--same] [--flows N] [--size BYTES] [--seconds S] [--idle N]
 *               [--relay HOST:PORT] [--to HOST:PORT]
 *
 * --to: receivers connect there (another relay of the mesh). TLS certificates are not checked.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/rand.h"
#include "crypto/x25519.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "part/derp_client.h"
#include "part/derp_server/derp_server.h"

enum { PING_MS = 5, PING_BYTES = 100, BATCH = 16, SAMPLES_MAX = 100000 };

struct options {
	bool plain, same;
	int64_t flows, size, seconds, idle;
	const char *relay, *to;
};

static const struct opt opts[] = {
	{ "plain", OPT_FLAG, offsetof(struct options, plain), NULL, NULL, "no TLS" },
	{ "same", OPT_FLAG, offsetof(struct options, same), NULL, NULL,
	  "all flows end at the client that the small flow ends at" },
	{ "flows", OPT_INT, offsetof(struct options, flows), "1", "N", "bulk flows" },
	{ "size", OPT_INT, offsetof(struct options, size), "1400", "BYTES", "of their packets" },
	{ "seconds", OPT_INT, offsetof(struct options, seconds), "5", "N", "how long" },
	{ "idle", OPT_INT, offsetof(struct options, idle), "0", "N", "idle clients, for memory" },
	{ "relay", OPT_STRING, offsetof(struct options, relay), NULL, "ADDR:PORT", "the relay" },
	{ "to", OPT_STRING, offsetof(struct options, to), NULL, "ADDR:PORT",
	  "where receivers are" },
};

/* ---- a relay in a child ---- */

struct host {
	struct derp_server *derp;
	struct httpd *httpd;
	struct tls_ctx *tls;
};

static void on_http(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct host *h = arg;

	(void)derp_server_handle(h->derp, x, req);
}

static const struct httpd_route routes[] = { DERP_SERVER_ROUTES(on_http) };

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct host *h = arg;

	if (h->tls)
		s = tls_server(s, h->tls);
	httpd_serve(h->httpd, s, HTTPD_H1, peer, NULL, NULL);
}

static void serve(bool plain, int report)
{
	struct loop *loop = loop_create(NULL);
	struct host h = { 0 };
	struct derp_server_conf dc = { .open = true };
	struct tls_server_conf tc = { .self_signed_for = "localhost", .alpn = "http/1.1" };
	struct httpd_conf hc = { .routes = routes, .route_count = 1, .arg = &h };
	struct addrport at = { ip_v4(127, 0, 0, 1), 0 };
	struct tcp_listener *l;
	uint8_t der[DERP_CERT_MAX];

	memset(dc.private_key.b, 7, 32);
	h.derp = derp_server_create(loop, &dc);
	h.httpd = httpd_create(loop, &hc);
	tc.extra_cert = bytes_of(der, derp_server_cert(h.derp, der));
	h.tls = plain ? NULL : tls_ctx_server(&tc, NULL);
	l = tcp_listen(loop, at, on_accept, &h, NULL);
	at = tcp_listener_address(l);
	(void)!write(report, &at.port, sizeof(at.port));
	loop_run(loop);
}

static pid_t start_relay(bool plain, uint16_t *port)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(plain, fds[1]);
		_exit(0);
	}
	if (read(fds[0], port, sizeof(*port)) != sizeof(*port))
		return -1;
	return pid;
}

static long rss_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (f)
		(void)fclose(f);
	return kib;
}

/* ---- clients ---- */

struct bench;

struct end {
	struct bench *bench;
	struct derp_client *client;
	struct key key;
	uint64_t packets, bytes;
};

struct bench {
	struct options o;
	struct loop *loop;
	struct tls_ctx *tls;
	struct rng rng;
	struct addrport relay, to;
	unsigned up;
	struct end *from, *into; /* flows, and one pair more for the small flow */
	struct io_timer ping, end;
	double *delays;
	size_t delay_count;
	uint64_t pings;
	bool over, measuring;
};

static void on_up(void *arg)
{
	((struct end *)arg)->bench->up++;
}

static void on_down(void *arg, const struct err *why)
{
	(void)arg;
	(void)fprintf(stderr, "bench-relay: %s\n", why->text);
	exit(1);
}

static void on_packet(void *arg, const struct key *from, struct bytes pkt)
{
	struct end *e = arg;
	struct bench *b = e->bench;
	int64_t sent;

	(void)from;
	e->packets++;
	e->bytes += pkt.n;
	if (e != &b->into[b->o.flows] || !b->measuring || pkt.n != PING_BYTES ||
	    b->delay_count == SAMPLES_MAX)
		return;
	memcpy(&sent, pkt.p + 8, sizeof(sent));
	b->delays[b->delay_count++] = (double)(mono_now().ns - sent) / 1e6;
}

static void open_end(struct bench *b, struct end *e, struct addrport at)
{
	struct secret32 priv;
	struct derp_client_conf conf = {
		.host = "localhost",
		.port = at.port,
		.ip4 = at.ip,
		.tls = b->tls,
		.private_key = &priv,
		.on_up = on_up,
		.on_packet = on_packet,
		.on_down = on_down,
		.arg = e,
	};

	x25519_generate(&priv, &b->rng);
	x25519_public(e->key.b, &priv);
	e->bench = b;
	e->client = derp_client_create(b->loop, &conf);
}

static void wait_up(struct bench *b, unsigned n)
{
	while (b->up < n)
		loop_turn(b->loop, true);
}

static void on_ping(struct io_timer *t)
{
	struct bench *b = container_of(t, struct bench, ping);
	uint8_t pkt[PING_BYTES] = { 4 };
	int64_t at = mono_now().ns;

	memcpy(pkt + 8, &at, sizeof(at));
	b->pings++;
	(void)derp_client_send(b->from[b->o.flows].client, &b->into[b->o.flows].key,
			       bytes_of(pkt, sizeof(pkt)));
	io_timer_in_ms(b->loop, &b->ping, PING_MS);
}

static void on_end(struct io_timer *t)
{
	container_of(t, struct bench, end)->over = true;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void fill(struct bench *b, const uint8_t *pkt)
{
	for (int64_t i = 0; i < b->o.flows; i++) {
		struct derp_client *c = b->from[i].client;
		const struct end *to = &b->into[b->o.same ? b->o.flows : i];

		for (int n = 0; n < BATCH && derp_client_queued(c) < 128 << 10; n++)
			if (!derp_client_send(c, &to->key, bytes_of(pkt, (size_t)b->o.size)))
				break;
	}
}

static void report(const struct bench *b, double seconds)
{
	uint64_t bytes = 0, packets = 0, least = UINT64_MAX, most = 0;
	size_t n = b->delay_count;

	for (int64_t i = 0; i <= b->o.flows; i++) {
		bytes += b->into[i].bytes;
		packets += b->into[i].packets;
		if (i == b->o.flows)
			break;
		least = b->into[i].bytes < least ? b->into[i].bytes : least;
		most = b->into[i].bytes > most ? b->into[i].bytes : most;
	}
	(void)printf(
	    "%d flows of %d bytes: %.0f Mbit/s, %.0f packets/s, slowest/fastest flow %.2f\n",
	    (int)b->o.flows, (int)b->o.size, (double)bytes * 8 / seconds / 1e6,
	    (double)packets / seconds, most ? (double)least / (double)most : 0);
	qsort(b->delays, n, sizeof(double), by_size);
	if (n)
		(void)printf("small flow: %zu of %d arrived, delay median %.2f ms, 99%% %.2f ms, "
			     "worst %.2f ms\n",
			     n, (int)b->pings, b->delays[n / 2], b->delays[n * 99 / 100],
			     b->delays[n - 1]);
}

static void load(struct bench *b)
{
	uint8_t *pkt = mem_alloc((size_t)b->o.size + 1);
	struct mono start;

	pkt[0] = 4;
	b->measuring = true;
	start = mono_now();
	on_ping(&b->ping);
	io_timer_in_ms(b->loop, &b->end, b->o.seconds * 1000);
	while (!b->over) {
		fill(b, pkt);
		loop_turn(b->loop, false);
	}
	io_timer_stop(&b->ping);
	report(b, (double)(mono_now().ns - start.ns) / 1e9);
	mem_free(pkt);
}

static void idle(struct bench *b, pid_t relay)
{
	struct end *ends = mem_resize(NULL, (size_t)b->o.idle, sizeof(*ends));
	long before = rss_kib(relay);

	memset(ends, 0, (size_t)b->o.idle * sizeof(*ends));
	b->up = 0;
	for (int64_t i = 0; i < b->o.idle; i++) {
		open_end(b, &ends[i], b->relay);
		if (i % 64 == 63)
			wait_up(b, (unsigned)i);
	}
	wait_up(b, (unsigned)b->o.idle);
	for (int i = 0; i < 100; i++)
		loop_turn(b->loop, false);
	(void)usleep(200000);
	(void)printf("%d idle clients: %.1f KB each in the relay (%s)\n", (int)b->o.idle,
		     (double)(rss_kib(relay) - before) * 1.024 / (double)b->o.idle,
		     b->o.plain ? "plain" : "TLS");
	for (int64_t i = 0; i < b->o.idle; i++)
		derp_client_destroy(ends[i].client);
	mem_free(ends);
}

static int usage(const char *why)
{
	(void)fprintf(stderr, "bench-relay: %s\n", why);
	return 2;
}

int main(int argc, char **argv)
{
	struct bench b = { .rng = rng_system() };
	struct tls_client_conf tc = { .insecure = true, .alpn = "http/1.1" };
	struct rlimit files = { 65536, 65536 };
	struct err err;
	pid_t relay = 0;

	argc--, argv++;
	if (opt_parse(opts, array_len(opts), &b.o, &argc, &argv, &err) < 0)
		return usage(err.text);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	b.relay = (struct addrport){ ip_v4(127, 0, 0, 1), 0 };
	if (b.o.relay && !addrport_parse(&b.relay, bytes_str(b.o.relay)))
		return usage("--relay takes ADDR:PORT");
	if (!b.o.relay && (relay = start_relay(b.o.plain, &b.relay.port)) < 0)
		return usage("no relay");
	b.to = b.relay;
	if (b.o.to && !addrport_parse(&b.to, bytes_str(b.o.to)))
		return usage("--to takes ADDR:PORT");
	b.loop = loop_create(&err);
	b.tls = b.o.plain ? NULL : tls_ctx_client(&tc, &err);
	io_timer_init(&b.ping, on_ping);
	io_timer_init(&b.end, on_end);
	if (b.o.idle && relay) {
		idle(&b, relay);
	} else {
		size_t n = (size_t)b.o.flows + 1;

		b.from = mem_alloc(n * sizeof(*b.from));
		b.into = mem_alloc(n * sizeof(*b.into));
		b.delays = mem_alloc(SAMPLES_MAX * sizeof(double));
		for (size_t i = 0; i < n; i++) {
			open_end(&b, &b.from[i], b.relay);
			open_end(&b, &b.into[i], b.to);
		}
		wait_up(&b, (unsigned)(2 * n));
		(void)usleep(200000);
		load(&b);
	}
	if (relay) {
		(void)kill(relay, SIGKILL);
		(void)waitpid(relay, NULL, 0);
	}
	return 0;
}
