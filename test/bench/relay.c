/*
 * Load for a relay that runs elsewhere: bulk flows between pairs of clients, a small flow beside
 * them whose delay is measured, many clients that connect and stay idle. test/bench/relay.py starts
 * relays, calls this and makes the table.
 *
 *   bench-relay --relay ADDR:PORT [--to ADDR:PORT] [--pid PID] [--plain] [--json]
 *               [--flows N] [--size BYTES] [--seconds S] [--same]
 *   bench-relay --relay ADDR:PORT --idle N [--at-once N] ...
 *
 * --to: receivers connect there (another relay of the mesh). --pid: the relay, whose processor time
 * and memory are read. TLS certificates are not checked.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/rand.h"
#include "crypto/x25519.h"
#include "io/loop.h"
#include "io/tls.h"
#include "part/derp_client.h"

enum { BULK = 4, PING = 5 }; /* first bytes; a relay sees data in both */

enum {
	PING_MS = 5,
	PING_BYTES = 100,
	STALL_PINGS = 10,
	SAMPLES_MAX = 100000,
	SETTLE_MS = 500,
	RETRY_MS = 1000,
	GIVE_UP_S = 120,
	/* One core plays many machines, which in truth do their handshakes at the same time. */
	CONNECT_MS = 60000,
};

struct options {
	bool plain, same, json;
	int64_t flows, size, window, seconds, idle, at_once, pid;
	const char *relay, *to;
};

static const struct opt opts[] = {
	{ "relay", OPT_STRING, offsetof(struct options, relay), NULL, "ADDR:PORT", "the relay" },
	{ "to", OPT_STRING, offsetof(struct options, to), NULL, "ADDR:PORT",
	  "where receivers are" },
	{ "pid", OPT_INT, offsetof(struct options, pid), "0", "PID", "of the relay" },
	{ "plain", OPT_FLAG, offsetof(struct options, plain), NULL, NULL, "no TLS" },
	{ "json", OPT_FLAG, offsetof(struct options, json), NULL, NULL, "figures as one object" },
	{ "flows", OPT_INT, offsetof(struct options, flows), "1", "N", "bulk flows" },
	{ "size", OPT_INT, offsetof(struct options, size), "1400", "BYTES", "of their packets" },
	{ "window", OPT_INT, offsetof(struct options, window), "24", "N",
	  "packets of a flow that may be under way; what a flow lost it forgets after 50 ms" },
	{ "seconds", OPT_INT, offsetof(struct options, seconds), "5", "N", "how long" },
	{ "same", OPT_FLAG, offsetof(struct options, same), NULL, NULL,
	  "all flows end at the client that the small flow ends at" },
	{ "idle", OPT_INT, offsetof(struct options, idle), "0", "N",
	  "clients that connect and stay" },
	{ "at-once", OPT_INT, offsetof(struct options, at_once), "64", "N",
	  "how many of them connect at a time" },
};

/* ---- what is known of the relay's process ---- */

/* "VmRSS:", "VmHWM:"; -1 when there is none. */
static long memory_kib(int64_t pid, const char *what)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, what, strlen(what)) == 0)
			kib = strtol(line + strlen(what), NULL, 10);
	if (f)
		(void)fclose(f);
	return kib;
}

/* Seconds of processor time it has used, in user mode and in the kernel. */
static double cpu_seconds(int64_t pid)
{
	unsigned long long user = 0, kernel = 0;
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		   &kernel) != 2)
		user = kernel = 0;
	(void)fclose(f);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* One figure of the result: {"name":value,...} or a line each. */
struct figures {
	struct buf text;
	struct json_out o;
	bool json;
};

static void figures_begin(struct figures *f, bool json)
{
	buf_init(&f->text, 1 << 16);
	json_out_init(&f->o, &f->text);
	json_open_object(&f->o);
	f->json = json;
}

static void figure(struct figures *f, const char *name, double value)
{
	json_key(&f->o, name);
	json_put_real(&f->o, value);
	if (!f->json)
		(void)printf("%-28s %.3f\n", name, value);
}

static void figures_end(struct figures *f)
{
	json_close_object(&f->o);
	if (f->json)
		(void)printf("%.*s\n", BYTES_FMT(buf_bytes(&f->text)));
	buf_fini(&f->text);
}

/* ---- clients ---- */

struct bench;

struct end {
	struct bench *bench;
	struct derp_client *client;
	struct secret32 priv;
	struct key key;
	struct addrport at;
	struct io_timer retry;
	uint64_t packets, bytes, sent, lost; /* sent, lost: of the flow that ends here */
	uint64_t seen;                       /* packets when it was last looked at */
	bool up;
};

struct bench {
	struct options o;
	struct loop *loop;
	struct tls_ctx *tls;
	struct rng rng;
	struct addrport relay, to;
	unsigned up, failures;
	bool again;              /* who fails to connect tries again */
	struct end *from, *into; /* flows, and one pair more for the small flow */
	struct io_timer ping, end;
	double *delays;
	size_t delay_count;
	uint64_t pings;
	bool over, measuring;
};

static void on_up(void *arg)
{
	struct end *e = arg;

	e->up = true;
	e->bench->up++;
}

static void on_down(void *arg, const struct err *why)
{
	struct end *e = arg;
	struct bench *b = e->bench;

	if (!b->again || e->up) {
		(void)fprintf(stderr, "bench-relay: %s\n", why->text);
		exit(1);
	}
	if (!b->failures++)
		(void)fprintf(stderr, "bench-relay: one of them: %s\n", why->text);
	derp_client_destroy(e->client);
	e->client = NULL;
	io_timer_in_ms(b->loop, &e->retry, RETRY_MS);
}

static void on_packet(void *arg, const struct key *from, struct bytes pkt)
{
	struct end *e = arg;
	struct bench *b = e->bench;
	int64_t sent;

	(void)from;
	if (pkt.p[0] == BULK && pkt.n >= 16) {
		memcpy(&sent, pkt.p + 8, sizeof(sent));
		e = sent >= 0 && sent < b->o.flows ? &b->into[sent] : e;
	}
	e->packets++;
	e->bytes += pkt.n;
	if (pkt.p[0] == BULK || !b->measuring || b->delay_count == SAMPLES_MAX)
		return;
	memcpy(&sent, pkt.p + 8, sizeof(sent));
	b->delays[b->delay_count++] = (double)(mono_now().ns - sent) / 1e6;
}

static void dial(struct end *e)
{
	struct bench *b = e->bench;
	struct derp_client_conf conf = {
		.host = "localhost",
		.port = e->at.port,
		.ip4 = e->at.ip,
		.tls = b->tls,
		.connect_ms = CONNECT_MS,
		.private_key = &e->priv,
		.on_up = on_up,
		.on_packet = on_packet,
		.on_down = on_down,
		.arg = e,
	};

	e->client = derp_client_create(b->loop, &conf);
}

static void on_retry(struct io_timer *t)
{
	dial(container_of(t, struct end, retry));
}

static void open_end(struct bench *b, struct end *e, struct addrport at)
{
	x25519_generate(&e->priv, &b->rng);
	x25519_public(e->key.b, &e->priv);
	e->bench = b;
	e->at = at;
	io_timer_init(&e->retry, on_retry);
	dial(e);
}

static void wait_up(struct bench *b, unsigned n)
{
	while (b->up < n)
		loop_turn(b->loop, true);
}

/* A flow that heard nothing for a while has lost what was under way, and goes on. */
static void forget_lost(struct bench *b)
{
	for (int64_t i = 0; i < b->o.flows; i++) {
		struct end *flow = &b->into[i];

		if (flow->seen == flow->packets)
			flow->lost = flow->sent - flow->packets;
		flow->seen = flow->packets;
	}
}

static void on_ping(struct io_timer *t)
{
	struct bench *b = container_of(t, struct bench, ping);
	uint8_t pkt[PING_BYTES] = { PING };
	int64_t at = mono_now().ns;

	memcpy(pkt + 8, &at, sizeof(at));
	if (++b->pings % STALL_PINGS == 0)
		forget_lost(b);
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

static void fill(struct bench *b, uint8_t *pkt)
{
	for (int64_t i = 0; i < b->o.flows; i++) {
		struct derp_client *c = b->from[i].client;
		struct end *flow = &b->into[i];
		const struct end *to = b->o.same ? &b->into[b->o.flows] : flow;

		while (flow->sent < flow->packets + flow->lost + (uint64_t)b->o.window) {
			memcpy(pkt + 8, &i,
			       sizeof(i)); /* whose it is, when all end at one client */
			if (!derp_client_send(c, &to->key, bytes_of(pkt, (size_t)b->o.size)))
				break;
			flow->sent++;
		}
	}
}

static void report(const struct bench *b, double seconds, double cpu)
{
	uint64_t bytes = 0, packets = 0, least = UINT64_MAX, most = 0, sent = 0, arrived = 0;
	size_t n = b->delay_count;
	struct figures f;

	for (int64_t i = 0; i <= b->o.flows; i++) {
		bytes += b->into[i].bytes;
		packets += b->into[i].packets;
		if (i == b->o.flows)
			break;
		sent += b->into[i].sent;
		arrived += b->into[i].packets;
		least = b->into[i].bytes < least ? b->into[i].bytes : least;
		most = b->into[i].bytes > most ? b->into[i].bytes : most;
	}
	qsort(b->delays, n, sizeof(double), by_size);
	figures_begin(&f, b->o.json);
	figure(&f, "mbit_per_second", (double)bytes * 8 / seconds / 1e6);
	figure(&f, "packets_per_second", (double)packets / seconds);
	figure(&f, "cpu_seconds_per_second", cpu / seconds);
	if (cpu > 0) {
		figure(&f, "mbit_per_cpu_second", (double)bytes * 8 / cpu / 1e6);
		figure(&f, "packets_per_cpu_second", (double)packets / cpu);
	}
	figure(&f, "arrived_percent", sent ? 100 * (double)arrived / (double)sent : 100);
	figure(&f, "slowest_to_fastest", most ? (double)least / (double)most : 0);
	figure(&f, "small_sent", (double)b->pings);
	figure(&f, "small_arrived", (double)n);
	if (n) {
		figure(&f, "delay_ms_p50", b->delays[n / 2]);
		figure(&f, "delay_ms_p99", b->delays[n * 99 / 100]);
		figure(&f, "delay_ms_worst", b->delays[n - 1]);
	}
	figures_end(&f);
}

static void load(struct bench *b)
{
	uint8_t *pkt = mem_alloc((size_t)b->o.size + 1);
	struct mono start;
	double cpu;

	pkt[0] = BULK;
	b->measuring = true;
	cpu = cpu_seconds(b->o.pid);
	start = mono_now();
	on_ping(&b->ping);
	io_timer_in_ms(b->loop, &b->end, b->o.seconds * 1000);
	while (!b->over) {
		fill(b, pkt);
		loop_turn(b->loop, b->o.flows == 0);
	}
	io_timer_stop(&b->ping);
	report(b, (double)(mono_now().ns - start.ns) / 1e9, cpu_seconds(b->o.pid) - cpu);
	mem_free(pkt);
}

static void run_load(struct bench *b)
{
	size_t n = (size_t)b->o.flows + 1;

	b->from = mem_alloc(n * sizeof(*b->from));
	b->into = mem_alloc(n * sizeof(*b->into));
	b->delays = mem_alloc(SAMPLES_MAX * sizeof(double));
	for (size_t i = 0; i < n; i++) {
		open_end(b, &b->from[i], b->relay);
		open_end(b, &b->into[i], b->to);
		if (i % 32 == 31)
			wait_up(b, (unsigned)(2 * i));
	}
	wait_up(b, (unsigned)(2 * n));
	(void)usleep(SETTLE_MS * 1000);
	load(b);
}

/* They connect, at_once of them at a time, and stay. */
static void run_idle(struct bench *b)
{
	struct end *ends = mem_alloc((size_t)b->o.idle * sizeof(*ends));
	long before = memory_kib(b->o.pid, "VmRSS:");
	double cpu = cpu_seconds(b->o.pid), seconds;
	struct mono start = mono_now();
	struct figures f;

	b->again = true;
	io_timer_in_ms(b->loop, &b->end, GIVE_UP_S * 1000);
	for (int64_t i = 0; b->up < b->o.idle && !b->over;) {
		while (i < b->o.idle && i - b->up < b->o.at_once)
			open_end(b, &ends[i++], b->relay);
		loop_turn(b->loop, true);
	}
	seconds = (double)(mono_now().ns - start.ns) / 1e9;
	cpu = cpu_seconds(b->o.pid) - cpu;
	b->over = false;
	io_timer_in_ms(b->loop, &b->end, SETTLE_MS);
	while (!b->over)
		loop_turn(b->loop, true);
	figures_begin(&f, b->o.json);
	figure(&f, "clients", b->up);
	figure(&f, "failed_attempts", b->failures);
	figure(&f, "seconds", seconds);
	figure(&f, "handshakes_per_second", b->up / seconds);
	if (cpu > 0)
		figure(&f, "handshakes_per_cpu_second", b->up / cpu);
	figure(&f, "rss_mib", (double)memory_kib(b->o.pid, "VmRSS:") / 1024);
	figure(&f, "peak_mib", (double)memory_kib(b->o.pid, "VmHWM:") / 1024);
	figure(&f, "bytes_per_client",
	       (double)(memory_kib(b->o.pid, "VmRSS:") - before) * 1024 / (double)b->o.idle);
	figures_end(&f);
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

	argc--, argv++;
	if (opt_parse(opts, array_len(opts), &b.o, &argc, &argv, &err) < 0)
		return usage(err.text);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (!b.o.relay || !addrport_parse(&b.relay, bytes_str(b.o.relay)))
		return usage("--relay takes ADDR:PORT; ./bench relay starts relays and calls this");
	b.to = b.relay;
	if (b.o.to && !addrport_parse(&b.to, bytes_str(b.o.to)))
		return usage("--to takes ADDR:PORT");
	b.loop = loop_create(&err);
	b.tls = b.o.plain ? NULL : tls_ctx_client(&tc, &err);
	io_timer_init(&b.ping, on_ping);
	io_timer_init(&b.end, on_end);
	if (b.o.idle)
		run_idle(&b);
	else
		run_load(&b);
	return 0;
}
