/* Strangers and their requests: other ways in, new certificates, rubbish, other tailnets' ids. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/control/control.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "control_bench.h"
#include "engine/ts2021/ts2021.h"
#include "io/file.h"
#include "io/httpc.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "io/websocket.h"
#include "kit/kit.h"
#include "part/noise_stream.h"

enum { ROUNDS = 1000, BODY = 4096 };

static bool has(const char *text, const char *part)
{
	return text && strstr(text, part) != NULL;
}

static struct stream *to_front(struct bench *b)
{
	struct tcp_conf to = { .to = { ip_v4(127, 0, 0, 1), (uint16_t)control_port(b->c) } };

	return tcp_connect(b->loop, &to);
}

/* ---- WebSocket ---- */

struct ws_dial {
	struct peer *p;
	struct ts2021 *channel;
	bool done;
};

static void on_close(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
}

static void ws_stream(void *arg, struct stream *s)
{
	struct ws_dial *d = arg;

	d->p->h2 =
	    httpc_create(noise_stream_client(s, d->channel, NULL, NULL), true, on_close, d->p);
	d->p->connected = d->done = true;
}

static void ws_fail(void *arg, const struct err *why)
{
	struct ws_dial *d = arg;

	(void)why;
	ts2021_destroy(d->channel);
	d->done = true;
}

/* As browsers do: the handshake in the query, percent-encoded where base64 needs it. */
static void ws_path(struct bytes initiation, char out[512])
{
	char text[TEXT_BASE64_LEN(TS2021_INITIATION_LEN) + 1];
	size_t n = (size_t)snprintf(out, 512, "/ts2021?X-Tailscale-Handshake=");

	text_base64(BASE64_STD, initiation, text);
	for (const char *c = text; *c; c++)
		n += (size_t)snprintf(out + n, 512 - n, strchr("+/=", *c) ? "%%%02X" : "%c", *c);
}

static bool connect_by_websocket(struct peer *p)
{
	struct rng rng = rng_system();
	struct ws_dial d = { .p = p };
	struct websocket_conf conf = { .host = "127.0.0.1",
				       .protocol = TS2021_UPGRADE,
				       .on_stream = ws_stream,
				       .on_fail = ws_fail,
				       .arg = &d };
	char path[512];

	d.channel = ts2021_create_client(&p->machine, &p->b->c->noise_public, 145,
					 loop_now(p->b->loop), &rng, NULL);
	ws_path(bytes_of(ts2021_initiation(d.channel), TS2021_INITIATION_LEN), path);
	conf.path = path;
	(void)websocket_connect(to_front(p->b), &conf);
	return bench_wait(p->b, &d.done) && p->connected;
}

TEST(a_websocket_carries_the_whole_protocol)
{
	struct bench b;
	struct peer p;
	char key[128];

	bench_start(&b);
	bench_key(&b, "alice", "", key);
	peer_init(&p, &b, 1);
	CHECK(connect_by_websocket(&p));
	CHECK(has(peer_register(&p, key, "browser"), "\"MachineAuthorized\":true"));
	peer_poll(&p);
	CHECK(has(peer_frame(&p), "\"Name\":\"browser.weft.internal.\""));
	(void)peer_update(&p, "\"Endpoints\":[\"192.0.2.1:5\"]");
	CHECK_INT(p.status, 200);
	peer_fini(&p);
	bench_stop(&b);
}

/* ---- certificates ---- */

struct fetch {
	unsigned status;
	bool done;
};

static void fetch_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	(void)headers;
	(void)n;
	((struct fetch *)arg)->status = status;
}

static void fetch_done(void *arg, const struct err *err)
{
	(void)err;
	((struct fetch *)arg)->done = true;
}

/* Status of /health for a client that accepts this certificate alone; 0: it does not get there. */
static unsigned health_pinned(struct bench *b, const uint8_t pin[32])
{
	struct tls_client_conf tls = { .alpn = "http/1.1" };
	struct fetch f = { 0 };
	struct http_call_conf conf = { .method = "GET",
				       .path = "/health",
				       .authority = "127.0.0.1",
				       .on_head = fetch_head,
				       .on_done = fetch_done,
				       .arg = &f };
	struct tls_ctx *ctx;
	struct httpc *h;

	memcpy(tls.pin_sha256, pin, 32);
	ctx = tls_ctx_client(&tls, NULL);
	h = httpc_create(tls_client(to_front(b), ctx, "127.0.0.1"), false, on_close, NULL);
	(void)httpc_call(h, &conf);
	(void)bench_wait(b, &f.done);
	httpc_destroy(h);
	bench_settle(b);
	tls_ctx_unref(ctx);
	return f.status;
}

static void write_certificate(const struct config *c)
{
	struct buf cert, key;

	CHECK(tls_self_signed("127.0.0.1", &cert, &key, NULL) == 0);
	CHECK(file_write(c->tls_cert, buf_bytes(&cert), 0600, NULL) == 0);
	CHECK(file_write(c->tls_key, buf_bytes(&key), 0600, NULL) == 0);
	buf_fini(&cert);
	buf_fini(&key);
}

TEST(a_new_certificate_is_shown_after_a_reload)
{
	uint8_t first[32], second[32], third[32];
	struct bench b;

	bench_start(&b);
	(void)snprintf(b.conf.tls_cert, sizeof(b.conf.tls_cert), "%s/cert.pem", b.dir);
	(void)snprintf(b.conf.tls_key, sizeof(b.conf.tls_key), "%s/key.pem", b.dir);
	write_certificate(&b.conf);
	bench_restart(&b);
	tls_ctx_fingerprint(b.c->tls, first);
	CHECK_INT(health_pinned(&b, first), 200);
	write_certificate(&b.conf);
	CHECK_INT(health_pinned(&b, first), 200); /* not before it is told */
	control_reload(b.c);
	tls_ctx_fingerprint(b.c->tls, second);
	CHECK(memcmp(first, second, 32) != 0);
	CHECK_INT(health_pinned(&b, second), 200);
	CHECK_INT(health_pinned(&b, first), 0);
	CHECK(file_write(b.conf.tls_cert, bytes_str("half a certificate"), 0600, NULL) == 0);
	control_reload(b.c);
	tls_ctx_fingerprint(b.c->tls, third);
	CHECK(memcmp(second, third, 32) == 0);
	CHECK_INT(health_pinned(&b, second), 200); /* a bad file changes nothing */
	(void)unlink(b.conf.tls_cert);
	(void)unlink(b.conf.tls_key);
	bench_stop(&b);
}

/* ---- rubbish ---- */

struct poke {
	unsigned status;
	bool done, over;
};

static void poke_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	struct poke *p = arg;

	(void)headers;
	(void)n;
	p->status = status;
	p->done = true;
}

static void poke_done(void *arg, const struct err *err)
{
	(void)err;
	((struct poke *)arg)->done = ((struct poke *)arg)->over = true;
}

/* The status alone: some of it is a stream that stays open. 0: the connection is gone. */
static unsigned poke(struct bench *b, struct httpc *h, const char *path, struct bytes body)
{
	struct poke p = { 0 };
	struct http_call_conf conf = { .method = "POST",
				       .path = path,
				       .authority = "unused",
				       .body = body,
				       .on_head = poke_head,
				       .on_done = poke_done,
				       .arg = &p };
	struct http_call *call = httpc_call(h, &conf);

	(void)bench_wait(b, &p.done);
	if (!p.over)
		http_call_cancel(call);
	return p.status;
}

struct corpus {
	struct bytes v[64];
	size_t n;
};

static void read_corpus(struct corpus *c, const char *folder)
{
	const char *source = getenv("WEFT_SOURCE");
	char path[1024];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/test/fuzz/corpus/%s", source ? source : ".", folder);
	d = opendir(path);
	CHECK(d != NULL);
	while (d && (e = readdir(d)) && c->n < array_len(c->v)) {
		char name[512];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "test/fuzz/corpus/%s/%.200s", folder, e->d_name);
		c->v[c->n++] = kit_file(name);
	}
	if (d)
		(void)closedir(d);
}

/* One of the corpus, with its own key in it at times, cut and flipped. */
static struct bytes rubbish(struct rng *rng, const struct corpus *c, const struct peer *p,
			    uint8_t out[BODY])
{
	struct bytes from = c->v[rng_below(rng, c->n)];
	size_t n = 0;
	char key[KEYTEXT_MAX];

	if (rng_below(rng, 3) == 0)
		n = (size_t)snprintf((char *)out, BODY,
				     "{\"Version\":145,\"NodeKey\":\"%s\",\"x\":",
				     keytext_format(&p->node_key, KEY_NODE, key));
	if (from.n > BODY - n)
		from.n = BODY - n;
	memcpy(out + n, from.p, from.n);
	n += from.n;
	for (uint64_t flips = rng_below(rng, 6); n && flips; flips--)
		out[rng_below(rng, n)] ^= (uint8_t)(1u << rng_below(rng, 8));
	return bytes_of(out, n - (n && rng_below(rng, 4) == 0 ? rng_below(rng, n) : 0));
}

static size_t pester(struct bench *b, struct peer *stranger, const char *path,
		     const struct corpus *c, struct rng *rng)
{
	uint8_t body[BODY];
	size_t lost = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (poke(b, stranger->h2, path, rubbish(rng, c, stranger, body)))
			continue;
		lost++;
		httpc_destroy(stranger->h2);
		stranger->connected = false;
		CHECK(peer_connect(stranger));
	}
	return lost;
}

static bool is_json(const char *text)
{
	struct arena arena;
	bool ok;

	arena_init(&arena, 16 << 20);
	ok = text && json_parse(&arena, bytes_str(text), 0, NULL) != NULL;
	arena_fini(&arena);
	return ok;
}

TEST(a_thousand_bad_requests_to_each_endpoint_harm_nobody)
{
	static const char *const inside[] = { "/machine/register", "/machine/map",
					      "/machine/whoami", "/machine/set-dns",
					      "/machine/id-token" };
	static const char *const outside[] = { "/verify", "/ts2021", "/key", "/a/x", "/derp" };
	struct corpus corpus = { 0 };
	struct rng rng = rng_seeded(3);
	struct peer good, bad;
	struct bench b;
	const char *f;
	char key[128];

	read_corpus(&corpus, "tailcfg");
	read_corpus(&corpus, "json");
	CHECK(corpus.n > 4);
	bench_start(&b);
	bench_key(&b, "alice", "--reusable", key);
	peer_init(&good, &b, 1);
	peer_init(&bad, &b, 2);
	CHECK(peer_connect(&good) && peer_connect(&bad));
	CHECK(has(peer_register(&good, key, "good"), "\"MachineAuthorized\":true"));
	peer_poll(&good);
	CHECK(peer_frame(&good) != NULL);
	CHECK(has(peer_register(&bad, key, "bad"), "\"MachineAuthorized\":true"));
	CHECK(is_json(peer_frame(&good)));
	for (size_t i = 0; i < array_len(inside); i++)
		(void)pester(&b, &bad, inside[i], &corpus, &rng);
	for (size_t i = 0; i < array_len(outside) * ROUNDS; i++) {
		struct httpc *h = httpc_create(to_front(&b), false, on_close, NULL);
		uint8_t body[BODY];

		(void)poke(&b, h, outside[i % array_len(outside)],
			   rubbish(&rng, &corpus, &bad, body));
		httpc_destroy(h);
	}
	while ((f = peer_frame(&good)) && !peer_is_quiet(&good))
		CHECK(is_json(f)); /* whatever it became, its peers can read it */
	(void)peer_update(&good, "\"Endpoints\":[\"192.0.2.1:5\"]");
	CHECK_INT(good.status, 200);
	CHECK(has(bench_command(&b, "nodes list", NULL), "\"name\":\"good\""));
	CHECK(!good.poll_done);
	peer_fini(&good);
	peer_fini(&bad);
	bench_stop(&b);
}

/* ---- other tailnets ---- */

static void state_of(struct bench *b, struct buf *out)
{
	static const char *const asks[] = { "nodes list", "keys list",      "users list",
					    "policy get", "policy history", "dns get",
					    "routes list" };

	buf_init(out, 1 << 20);
	for (size_t i = 0; i < array_len(asks); i++)
		(void)buf_append_str(out, bench_command(b, asks[i], NULL));
}

TEST(no_command_reaches_into_another_tailnet)
{
	/* Everything that names an object, with ids and names of the first tailnet. */
	static const char *const tries[] = {
		"nodes show 1",          "nodes show one",
		"nodes show 100.64.0.1", "nodes authorize 1",
		"nodes rename 1 theirs", "nodes expire 1",
		"nodes extend 1",        "nodes tag 1 tag:web",
		"nodes delete 1",        "nodes delete one",
		"routes approve 1 exit", "routes revoke 1 10.0.0.0/8",
		"users delete alice",    "users role alice owner",
		"users password alice",  "keys revoke 1",
		"keys delete 1",         "keys create --user alice",
		"policy rollback 1",     "policy preview 1",
		"policy preview alice",  "policy explain one one:22",
	};
	struct buf before, after;
	struct bench b;
	struct peer p;
	char key[128], words[128];

	bench_start(&b);
	bench_key(&b, "alice", "--reusable", key);
	peer_init(&p, &b, 1);
	CHECK(peer_connect(&p) && has(peer_register(&p, key, "one"), "\"Error\":\"\""));
	CHECK(has(bench_command(&b, "policy set", "{\"acls\":[]}"), "in force"));
	CHECK(has(bench_command(&b, "tailnets create far --domain far.internal", NULL), "far"));
	state_of(&b, &before);
	for (size_t i = 0; i < array_len(tries); i++) {
		const char *answer;

		(void)snprintf(words, sizeof(words), "%s --tailnet far", tries[i]);
		answer = bench_command(&b, words, "a password of some length");
		if (answer[0] == '{' || answer[0] == '[') /* an error is a sentence */
			CHECK_STR(answer, words);
		CHECK(!strstr(answer, "tskey-"));
	}
	state_of(&b, &after);
	CHECK_STR(buf_cstr(&after), buf_cstr(&before));
	buf_fini(&before);
	buf_fini(&after);
	peer_fini(&p);
	bench_stop(&b);
}
