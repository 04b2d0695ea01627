#include "app/relay/relay_shards.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/relay/bucket.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "os/sandbox/sandbox.h"
#include "part/derp_server/derp_bus.h"

enum {
	WAITING_MAX = 65536, /* sockets whose handshake waits, some 150 bytes each */
	WAITING_MS = 60000,  /* who gave up meanwhile costs an end of file */
	HEAD_TIMEOUT_S = 10,
	IDLE_TIMEOUT_S = 30,
	CLIENTS_BYTES_MAX = 4 << 20,
	/* In an id of a client: below it the engine's slot, above its generation. */
	SHARD_SHIFT = 24,
	SHARD_MASK = 0xff,
};

_Static_assert((int)DERP_BUS_MAX <= (int)SHARD_MASK, "a shard fits into an id");

struct shard {
	struct relay_shards *all;
	size_t at;
	struct loop *loop;
	pthread_t thread;
	bool running;
	bool over; /* set while its thread does not run: its objects are gone */
	struct derp_server *derp;
	struct httpd *httpd;
	struct tls_accept *accept;
};

struct relay_shards {
	struct relay_shards_conf conf;
	struct derp_bus *bus;
	struct bucket_shared total;
	struct shard *shards;
	size_t next, busy; /* busy: shards that drain */
	void (*on_idle)(void *arg);
	void *idle_arg;
};

/* ---- calls from one shard to another ---- */

struct call {
	struct shard *shard;
	uint64_t client;
	struct key key;
	struct addrport from;
	struct tls_ctx *tls;
	int fd;
	uint32_t ms;
	bool allow;
};

/* At once on the main loop's own shard, else soon in its thread. */
static void call(struct shard *sh, void (*fn)(void *arg), struct call args)
{
	struct call *c = mem_alloc(sizeof(*c));

	*c = args;
	c->shard = sh;
	if (sh->at == 0)
		fn(c);
	else
		loop_post(sh->loop, fn, c);
}

/* ---- HTTP ---- */

static void on_derp(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct shard *sh = arg;

	(void)derp_server_handle(sh->derp, x, req);
}

static const struct httpd_route routes[] = {
	DERP_SERVER_ROUTES(on_derp),
	{ "GET", "/", on_derp, 0 },
	{ "GET", "/robots.txt", on_derp, 0 },
};

static void on_stream(void *arg, struct stream *s, struct addrport peer)
{
	struct shard *sh = arg;

	httpd_serve(sh->httpd, s, HTTPD_H1, peer, NULL, NULL);
}

static void do_accept(void *arg)
{
	struct call *c = arg;
	struct shard *sh = c->shard;

	if (sh->over)
		(void)close(c->fd);
	else if (sh->accept)
		tls_accept_add_fd(sh->accept, c->fd, c->from);
	else
		on_stream(sh, tcp_from_fd(sh->loop, c->fd), c->from);
	mem_free(c);
}

void relay_shards_accept(struct relay_shards *s, int fd, struct addrport peer)
{
	struct shard *sh = &s->shards[s->next];

	s->next = (s->next + 1) % s->conf.count;
	call(sh, do_accept, (struct call){ .fd = fd, .from = peer });
}

static void do_set_tls(void *arg)
{
	struct call *c = arg;
	struct shard *sh = c->shard;

	if (!sh->over)
		tls_accept_set_ctx(sh->accept, c->tls);
	tls_ctx_unref(c->tls);
	mem_free(c);
}

static void make_accept(struct shard *sh, struct tls_ctx *ctx)
{
	const struct relay_shards_conf *conf = &sh->all->conf;
	struct tls_accept_conf tc = { .ctx = ctx,
				      .running_max = (conf->handshakes - 1) / conf->count + 1,
				      .waiting_max = WAITING_MAX / conf->count,
				      .waiting_ms = WAITING_MS,
				      .on_stream = on_stream,
				      .arg = sh };

	sh->accept = tls_accept_create(sh->loop, &tc);
}

void relay_shards_set_tls(struct relay_shards *s, struct tls_ctx *ctx)
{
	for (size_t i = 0; i < s->conf.count; i++) {
		struct shard *sh = &s->shards[i];

		if (!sh->accept) /* before the start, or it would be plain */
			make_accept(sh, ctx);
		else
			call(sh, do_set_tls, (struct call){ .tls = tls_ctx_ref(ctx) });
	}
}

/* ---- admission ---- */

static uint64_t id_with(uint64_t client, size_t shard)
{
	return client | (uint64_t)shard << SHARD_SHIFT;
}

static void do_ask(void *arg)
{
	struct call *c = arg;
	const struct relay_shards_conf *conf = &c->shard->all->conf;

	if (!c->shard->over)
		conf->on_verify(conf->arg, c->client, &c->key, c->from);
	mem_free(c);
}

static void on_verify(void *arg, uint64_t client, const struct key *key, struct addrport from)
{
	struct shard *sh = arg;
	struct relay_shards *s = sh->all;
	struct call args = { .client = id_with(client, sh->at), .key = *key, .from = from };
	struct call *c;

	if (sh->at == 0) {
		call(sh, do_ask, args);
		return;
	}
	c = mem_alloc(sizeof(*c));
	*c = args;
	c->shard = &s->shards[0];
	loop_post(s->conf.main, do_ask, c);
}

static void do_decide(void *arg)
{
	struct call *c = arg;

	if (!c->shard->over)
		derp_server_decide(c->shard->derp, c->client, c->allow);
	mem_free(c);
}

void relay_shards_decide(struct relay_shards *s, uint64_t client, bool allow)
{
	size_t shard = (client >> SHARD_SHIFT) & SHARD_MASK;

	client &= ~((uint64_t)SHARD_MASK << SHARD_SHIFT);
	call(&s->shards[shard], do_decide, (struct call){ .client = client, .allow = allow });
}

static void do_recheck(void *arg)
{
	struct call *c = arg;

	if (!c->shard->over)
		derp_server_recheck(c->shard->derp);
	mem_free(c);
}

void relay_shards_recheck(struct relay_shards *s)
{
	for (size_t i = 0; i < s->conf.count; i++)
		call(&s->shards[i], do_recheck, (struct call){ 0 });
}

/* ---- drain ---- */

static void one_idle(void *arg)
{
	struct relay_shards *s = arg;

	if (--s->busy == 0 && s->on_idle)
		s->on_idle(s->idle_arg);
}

static void on_shard_idle(void *arg)
{
	struct shard *sh = arg;

	loop_post(sh->all->conf.main, one_idle, sh->all);
}

static void do_drain(void *arg)
{
	struct call *c = arg;

	if (!c->shard->over)
		derp_server_drain(c->shard->derp, c->ms, on_shard_idle, c->shard);
	mem_free(c);
}

void relay_shards_drain(struct relay_shards *s, uint32_t spread_ms, void (*on_idle)(void *arg),
			void *arg)
{
	s->busy = s->conf.count;
	s->on_idle = on_idle;
	s->idle_arg = arg;
	for (size_t i = 0; i < s->conf.count; i++)
		call(&s->shards[i], do_drain, (struct call){ .ms = spread_ms });
}

/* ---- numbers ---- */

struct part {
	struct gather *gather;
	struct shard *shard;
	struct derp_numbers derp;
	struct tls_accept_stats tls;
	struct buf clients;
};

struct gather {
	struct relay_shards *all;
	size_t left;
	bool clients;
	void (*on_report)(void *arg, const struct relay_report *r);
	void *arg;
	struct part parts[];
};

static void add_tls(struct tls_accept_stats *sum, const struct tls_accept_stats *more)
{
	sum->done += more->done;
	sum->failed += more->failed;
	sum->timeouts += more->timeouts;
	sum->refused += more->refused;
	sum->running += more->running;
	sum->waiting += more->waiting;
	sum->waiting_peak += more->waiting_peak;
}

static void one_reported(void *arg)
{
	struct gather *g = arg;
	struct relay_report r = { .threads = g->all->conf.count };

	if (--g->left)
		return;
	r.has_tls = g->all->shards[0].accept != NULL;
	buf_init(&r.clients, g->all->conf.count * CLIENTS_BYTES_MAX);
	for (size_t i = 0; i < g->all->conf.count; i++) {
		struct part *p = &g->parts[i];

		derp_numbers_add(&r.derp, &p->derp);
		add_tls(&r.tls, &p->tls);
		if (p->clients.n > 2) { /* without the brackets */
			(void)buf_append_str(&r.clients, r.clients.n ? "," : "");
			(void)buf_append(&r.clients, bytes_of(p->clients.p + 1, p->clients.n - 2));
		}
		buf_fini(&p->clients);
	}
	g->on_report(g->arg, &r);
	buf_fini(&r.clients);
	mem_free(g);
}

static void do_report(void *arg)
{
	struct part *p = arg;
	struct shard *sh = p->shard;
	struct json_out o;

	buf_init(&p->clients, CLIENTS_BYTES_MAX);
	if (!sh->over) {
		derp_server_numbers(sh->derp, &p->derp);
		if (sh->accept)
			tls_accept_stats(sh->accept, &p->tls);
		if (p->gather->clients) {
			json_out_init(&o, &p->clients);
			json_open_array(&o);
			(void)derp_server_clients(sh->derp, &o);
			json_close_array(&o);
		}
	}
	if (sh->at == 0)
		one_reported(p->gather);
	else
		loop_post(sh->all->conf.main, one_reported, p->gather);
}

void relay_shards_report(struct relay_shards *s, bool clients,
			 void (*on_report)(void *arg, const struct relay_report *r), void *arg)
{
	struct gather *g = mem_alloc(sizeof(*g) + s->conf.count * sizeof(g->parts[0]));

	g->all = s;
	g->left = s->conf.count;
	g->clients = clients;
	g->on_report = on_report;
	g->arg = arg;
	/* The main shard last: with one thread it completes the report. */
	for (size_t i = s->conf.count; i-- > 0;) {
		g->parts[i].gather = g;
		g->parts[i].shard = &s->shards[i];
		if (i)
			loop_post(s->shards[i].loop, do_report, &g->parts[i]);
	}
	do_report(&g->parts[0]);
}

/* ---- birth and end ---- */

static int make_shard(struct relay_shards *s, size_t i, struct err *err)
{
	struct shard *sh = &s->shards[i];
	const struct relay_shards_conf *conf = &s->conf;
	struct derp_server_conf dc = conf->derp;
	size_t each = (conf->connections - 1) / conf->count + 1;
	struct httpd_conf hc = { .routes = routes,
				 .route_count = array_len(routes),
				 .arg = sh,
				 .log = conf->log,
				 .head_timeout_s = HEAD_TIMEOUT_S,
				 .idle_timeout_s = IDLE_TIMEOUT_S,
				 .connections_max = (unsigned)each };

	sh->all = s;
	sh->at = i;
	sh->loop = i ? loop_create(err) : conf->main;
	if (!sh->loop)
		return -1;
	dc.on_verify = on_verify;
	dc.arg = sh;
	dc.connections_max = each;
	dc.memory_bytes = conf->derp.memory_bytes / conf->count;
	dc.total = &s->total;
	sh->derp = derp_server_create(sh->loop, &dc);
	secret32_wipe(&dc.private_key);
	secret32_wipe(&dc.mesh_key);
	sh->httpd = httpd_create(sh->loop, &hc);
	derp_bus_join(s->bus, i, sh->loop, sh->derp);
	return 0;
}

struct relay_shards *relay_shards_create(const struct relay_shards_conf *conf, struct err *err)
{
	struct relay_shards *s = mem_alloc(sizeof(*s));
	int ret = 0;

	s->conf = *conf;
	s->shards = mem_alloc(conf->count * sizeof(*s->shards));
	s->bus = derp_bus_create(conf->count);
	for (size_t i = 0; i < conf->count && ret == 0; i++)
		ret = make_shard(s, i, err);
	secret32_wipe(&s->conf.derp.private_key);
	secret32_wipe(&s->conf.derp.mesh_key);
	if (ret < 0) {
		relay_shards_close(s);
		relay_shards_destroy(s);
		return NULL;
	}
	return s;
}

static void *run(void *arg)
{
	struct shard *sh = arg;
	struct err err;

	/*
	 * Capabilities are a thread's own, and the main one has not bound its ports yet. Where this
	 * fails it fails there, too, and ends the program.
	 */
	(void)sandbox_keep_capabilities(0, &err);
	loop_run(sh->loop);
	return NULL;
}

int relay_shards_start(struct relay_shards *s, struct err *err)
{
	sigset_t all, before;
	int ret = 0;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main loop's */
	for (size_t i = 1; i < s->conf.count && ret == 0; i++) {
		struct shard *sh = &s->shards[i];
		int status = pthread_create(&sh->thread, NULL, run, sh);

		sh->running = status == 0;
		if (status)
			ret = err_set(err, ERR_SYSTEM, "start thread: %s", strerror(status));
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

void relay_shards_close(struct relay_shards *s)
{
	if (!s)
		return;
	for (size_t i = 1; i < s->conf.count; i++)
		if (s->shards[i].running)
			loop_post(s->shards[i].loop, stop_loop, s->shards[i].loop);
	for (size_t i = 1; i < s->conf.count; i++)
		if (s->shards[i].running)
			(void)pthread_join(s->shards[i].thread, NULL);
	derp_bus_stop(s->bus);
	s->on_idle = NULL;
	for (size_t i = 0; i < s->conf.count; i++) {
		struct shard *sh = &s->shards[i];

		sh->running = false;
		sh->over = true;
		tls_accept_destroy(sh->accept);
		derp_server_destroy(sh->derp);
		httpd_destroy(sh->httpd);
	}
	for (size_t i = 1; i < s->conf.count; i++)
		loop_destroy(s->shards[i].loop);
}

void relay_shards_destroy(struct relay_shards *s)
{
	if (!s)
		return;
	derp_bus_destroy(s->bus);
	mem_free(s->shards);
	mem_free(s);
}

struct derp_server *relay_shards_main(const struct relay_shards *s)
{
	return s->shards[0].derp;
}
