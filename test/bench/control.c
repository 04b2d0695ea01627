/*
 * Load for a coordination server: N simulated nodes in one process, real TS2021 on loopback.
 *
 *   bench-control --nodes 1000             starts a weft-control of its own
 *   bench-control --url http://127.0.0.1:8080 --authkey FILE [--pid PID]     any server
 *   bench-control --peer headscale=PATH     the same for headscale, then both with their ratios
 *
 * Nodes stand in groups; the policy lets a group see itself. Events: a node joins, leaves, changes
 * its endpoint; the policy changes for one node in a hundred; a tenth goes and returns; the server
 * restarts and all come back at once.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/text.h"
#include "bench/control/fleet.h"
#include "bench/control/report.h"
#include "bench/control/server.h"
#include "io/file.h"
#include "io/httpc.h"

enum { NODES_MAX = 100000, FILES_SPARE = 256, QUIET_MS = 300, QUIET_LIMIT_MS = 15000 };
enum { EVENT_MS = 15000, AWAY_MS = 40000, IDLE_MS = 2000, EDITS = 5, EDIT_PORT = 8000 };

struct options {
	int64_t nodes, group, window, times, timeout_ms, pid;
	const char *server, *url, *auth_key, *policy, *json, *peer;
	bool quick;
};

#define FIELD(f) offsetof(struct options, f)
// clang-format off
static const struct opt opts[] = {
	{ "nodes", OPT_INT, FIELD(nodes), "1000", "N", "simulated nodes" },
	{ "group", OPT_INT, FIELD(group), "51", "N", "nodes that see each other; 0: everyone sees everyone" },
	{ "times", OPT_INT, FIELD(times), "20", "N", "repetitions of each small event" },
	{ "window", OPT_INT, FIELD(window), "256", "N", "nodes that connect at the same time" },
	{ "timeout", OPT_DURATION, FIELD(timeout_ms), "120s", "TIME", "for all to connect" },
	{ "server", OPT_STRING, FIELD(server), NULL, "PATH", "the weft-control to start; of this build tree if not given" },
	{ "policy", OPT_STRING, FIELD(policy), NULL, "FILE", "policy instead of ours; tag:g0, tag:g1, ... must reach themselves" },
	{ "url", OPT_STRING, FIELD(url), NULL, "URL", "a server that runs already: http://127.0.0.1:PORT" },
	{ "authkey", OPT_STRING, FIELD(auth_key), NULL, "FILE", "with --url: a reusable auth key whose owner may use the tags" },
	{ "pid", OPT_INT, FIELD(pid), "0", "PID", "with --url: the process whose CPU time and memory are read" },
	{ "peer", OPT_STRING, FIELD(peer), NULL, "NAME=PATH", "measure headscale=PATH as well; its own command line drives it" },
	{ "json", OPT_STRING, FIELD(json), NULL, "FILE", "write the figures there, too" },
	{ "quick", OPT_FLAG, FIELD(quick), NULL, NULL, "100 nodes, less than a minute" },
};
// clang-format on

static const struct opt_program program = {
	.name = "bench-control",
	.help = "load generator for a coordination server",
	.opts = opts,
	.opt_count = array_len(opts),
	.example = "  bench-control --nodes 1000 --json control.json\n"
		   "  bench-control --nodes 1000 --group 0\n",
};

struct bench {
	struct options o;
	struct loop *loop;
	struct server server;
	struct fleet fleet;
	struct report report;
	enum server_kind kind;
	char path[512]; /* of the server in our build tree */
};

/* ---- one kind of event ---- */

struct measure {
	struct figure *figure;
	double *last_ms;
	int64_t cpu_ns;
	uint64_t bytes;
	size_t errors;
};

static void measure_begin(struct bench *b, struct measure *m, const char *name, size_t times)
{
	fleet_quiet(&b->fleet, QUIET_MS, QUIET_LIMIT_MS);
	*m = (struct measure){ .figure = &b->report.figures[b->report.n++],
			       .last_ms = mem_alloc((times + 1) * sizeof(double)),
			       .cpu_ns = server_cpu_ns(&b->server),
			       .bytes = fleet_bytes(&b->fleet),
			       .errors = b->fleet.errors };
	m->figure->name = name;
	b->fleet.n_samples = 0;
	(void)fprintf(stderr, "%s ...\n", name);
}

/* Waits for the news of one event. */
static bool measure_wait(struct bench *b, struct measure *m, int64_t timeout_ms)
{
	struct fleet *f = &b->fleet;
	bool all;

	if (!m->figure->affected)
		m->figure->affected = f->n_pending;
	all = fleet_wait(f, timeout_ms);
	m->last_ms[m->figure->times++] = (double)(f->last.ns - f->begin.ns) / 1e6;
	m->figure->deaf += !all;
	return all && !f->interrupted;
}

static void measure_end(struct bench *b, struct measure *m)
{
	struct figure *g = m->figure;
	double times = g->times ? (double)g->times : 1;

	fleet_quiet(&b->fleet, 50, 2000); /* commits and answers that are still under way */
	g->cpu_ms = (double)(server_cpu_ns(&b->server) - m->cpu_ns) / 1e6 / times;
	g->bytes = (double)(fleet_bytes(&b->fleet) - m->bytes) / times;
	g->errors = b->fleet.errors - m->errors;
	g->p50_ms = report_percentile(m->last_ms, g->times, 0.5);
	g->p99_ms = report_percentile(m->last_ms, g->times, 0.99);
	g->node_p50_ms = report_percentile(b->fleet.samples_ms, b->fleet.n_samples, 0.5);
	g->node_p99_ms = report_percentile(b->fleet.samples_ms, b->fleet.n_samples, 0.99);
	mem_free(m->last_ms);
}

/* ---- the events ---- */

static bool all_connect(struct bench *b)
{
	struct fleet *f = &b->fleet;
	struct measure m;
	bool ok;

	measure_begin(b, &m, "all log in", 1);
	for (size_t i = 0; i < f->n; i++) {
		fleet_queue(f, &f->nodes[i]);
		fleet_expect(f, &f->nodes[i]);
	}
	fleet_begin(f);
	ok = measure_wait(b, &m, b->o.timeout_ms);
	measure_end(b, &m);
	if (!ok)
		(void)fprintf(stderr, "%zu of %zu nodes had a complete map after %.0f s\n",
			      f->n_samples, f->n, (double)b->o.timeout_ms / 1000);
	return ok;
}

static void expect_group(struct fleet *f, const struct node *n, size_t peers)
{
	size_t from = n->group * f->group_size, count = fleet_members(f, n->group);

	for (size_t i = from; i < from + count; i++) {
		if (&f->nodes[i] == n)
			continue;
		f->nodes[i].want_peers = peers;
		fleet_expect(f, &f->nodes[i]);
	}
}

static void joins(struct bench *b)
{
	struct fleet *f = &b->fleet;
	struct measure m;
	bool ok = true;

	measure_begin(b, &m, "node joins", f->n_spare);
	for (size_t i = f->n; ok && i < f->n + f->n_spare; i++) {
		struct node *n = &f->nodes[i];
		size_t before = fleet_members(f, n->group) + (i - f->n) / f->n_groups;

		n->want_peers = before;
		expect_group(f, n, before);
		fleet_expect(f, n);
		fleet_begin(f);
		node_connect(n);
		ok = measure_wait(b, &m, EVENT_MS);
	}
	measure_end(b, &m);
}

static void leaves(struct bench *b)
{
	struct fleet *f = &b->fleet;
	struct measure m;

	measure_begin(b, &m, "node leaves", f->n_spare);
	for (size_t i = f->n + f->n_spare; i-- > f->n && !f->interrupted;) {
		struct node *n = &f->nodes[i];

		if (n->state != NODE_UP)
			continue;
		expect_group(f, n, fleet_members(f, n->group) + (i - f->n) / f->n_groups - 1);
		fleet_begin(f);
		node_logout(n);
		if (!measure_wait(b, &m, EVENT_MS))
			break;
	}
	measure_end(b, &m);
	for (size_t i = f->n; i < f->n + f->n_spare; i++)
		node_hang_up(&f->nodes[i]);
}

static void endpoint_changes(struct bench *b)
{
	struct fleet *f = &b->fleet;
	struct measure m;
	bool ok = true;

	measure_begin(b, &m, "endpoint change", (size_t)b->o.times);
	for (size_t k = 0; ok && k < (size_t)b->o.times; k++) {
		struct node *n = &f->nodes[k * f->n / (size_t)b->o.times];
		size_t from = n->group * f->group_size, count = fleet_members(f, n->group);

		n->port = (uint16_t)(n->port % 20000 + 41000 + k);
		for (size_t i = from; i < from + count; i++) {
			f->nodes[i].want_id = n->view.self_id;
			f->nodes[i].want_port = n->port;
		}
		expect_group(f, n, count - 1);
		fleet_begin(f);
		node_update(n);
		ok = measure_wait(b, &m, EVENT_MS);
		for (size_t i = from; i < from + count; i++)
			f->nodes[i].want_id = 0;
	}
	measure_end(b, &m);
}

/* ---- the policy ---- */

static bool is_hundredth(size_t i)
{
	return i % 100 == 0;
}

/* edit: 0 for the one it starts with; then one node in a hundred gets one more port. */
static void write_policy(const struct bench *b, unsigned edit, struct buf *out)
{
	const struct fleet *f = &b->fleet;
	char ip[IP_TEXT_MAX];

	(void)buf_append_str(out, "{\"tagOwners\":{");
	for (size_t g = 0; g < f->n_groups; g++)
		(void)buf_printf(out, "%s\"tag:g%zu\":[\"%s\"]", g ? "," : "", g,
				 server_owner(&b->server));
	(void)buf_append_str(out, "},\"acls\":[");
	for (size_t g = 0; g < f->n_groups; g++)
		(void)buf_printf(out,
				 "%s{\"action\":\"accept\",\"src\":[\"tag:g%zu\"],"
				 "\"dst\":[\"tag:g%zu:*\"]}",
				 g ? "," : "", g, g);
	for (size_t i = 0; edit && i < f->n; i++)
		if (is_hundredth(i))
			(void)buf_printf(out,
					 ",{\"action\":\"accept\",\"src\":[\"tag:g%u\"],"
					 "\"dst\":[\"%s:%u\"]}",
					 f->nodes[i].group, ip_format(f->nodes[i].view.self_v4, ip),
					 EDIT_PORT + edit);
	(void)buf_append_str(out, "]}");
}

static int set_policy(struct bench *b, unsigned edit, struct err *err)
{
	struct buf text;
	int ret = 0;

	if (b->o.policy) {
		ret = file_read(b->o.policy, 16 << 20, &text, err);
	} else {
		buf_init(&text, 16 << 20);
		write_policy(b, edit, &text);
	}
	if (ret == 0)
		ret = server_set_policy(&b->server, b->loop, buf_bytes(&text), err);
	buf_fini(&text);
	return ret;
}

static int policy_edits(struct bench *b, struct err *err)
{
	struct fleet *f = &b->fleet;
	struct measure m;
	bool ok = true;

	measure_begin(b, &m, "policy edit for 1 %", EDITS);
	for (unsigned k = 1; ok && k <= EDITS; k++) {
		fleet_quiet(f, QUIET_MS, QUIET_LIMIT_MS);
		for (size_t i = 0; i < f->n; i++)
			if (is_hundredth(i)) {
				f->nodes[i].want_filters = f->nodes[i].view.filters + 1;
				fleet_expect(f, &f->nodes[i]);
			}
		fleet_begin(f);
		m.figure->affected = f->n_pending;
		if (set_policy(b, k, err) < 0)
			return -1;
		ok = measure_wait(b, &m, EVENT_MS);
	}
	measure_end(b, &m);
	for (size_t i = 0; i < f->n; i++)
		f->nodes[i].want_filters = 0;
	return 0;
}

static bool is_tenth(size_t i)
{
	return i % 10 == 0;
}

/* Who stays expects the tenth of its group to be there, or not. */
static void expect_presence(struct fleet *f, bool back)
{
	for (size_t g = 0; g < f->n_groups; g++) {
		size_t from = g * f->group_size, to = from + fleet_members(f, g), away = 0;

		for (size_t i = from; i < to; i++)
			away += is_tenth(i);
		for (size_t i = from; i < to; i++) {
			struct node *n = &f->nodes[i];

			n->want_online = (int64_t)(to - from) - 1 - (back ? 0 : (int64_t)away);
			if (away && (back || !is_tenth(i)))
				fleet_expect(f, n);
		}
	}
}

static void flap(struct bench *b)
{
	struct fleet *f = &b->fleet;
	struct measure m;

	measure_begin(b, &m, "a tenth goes (with grace)", 1);
	expect_presence(f, false);
	fleet_begin(f);
	for (size_t i = 0; i < f->n; i++)
		if (is_tenth(i))
			node_hang_up(&f->nodes[i]);
	(void)measure_wait(b, &m, AWAY_MS);
	measure_end(b, &m);

	measure_begin(b, &m, "a tenth returns", 1);
	expect_presence(f, true);
	fleet_begin(f);
	for (size_t i = 0; i < f->n; i++)
		if (is_tenth(i))
			fleet_queue(f, &f->nodes[i]);
	(void)measure_wait(b, &m, AWAY_MS);
	measure_end(b, &m);
	for (size_t i = 0; i < f->n; i++)
		f->nodes[i].want_online = -1;
}

static int restart(struct bench *b, struct err *err)
{
	struct fleet *f = &b->fleet;
	struct measure m;
	struct mono stopped;

	measure_begin(b, &m, "all return after restart", 1);
	f->is_paused = true;
	server_stop(&b->server);
	stopped = mono_now();
	fleet_quiet(f, QUIET_MS, QUIET_LIMIT_MS); /* all notice */
	if (server_start(&b->server, err) < 0)
		return -1;
	(void)fprintf(stderr, "the server was away for %lld ms\n",
		      (long long)mono_since_ms(mono_now(), stopped));
	m.cpu_ns = 0; /* a new process, new connections */
	for (size_t i = 0; i < f->n; i++) {
		node_hang_up(&f->nodes[i]);
		fleet_queue(f, &f->nodes[i]);
		fleet_expect(f, &f->nodes[i]);
	}
	m.bytes = fleet_bytes(f);
	f->is_paused = false;
	fleet_begin(f);
	(void)measure_wait(b, &m, b->o.timeout_ms);
	measure_end(b, &m);
	return 0;
}

static void idle(struct bench *b)
{
	struct mono start, end;
	int64_t cpu;

	fleet_quiet(&b->fleet, QUIET_MS, QUIET_LIMIT_MS);
	start = mono_now();
	cpu = server_cpu_ns(&b->server);
	fleet_quiet(&b->fleet, IDLE_MS, IDLE_MS);
	end = mono_now();
	b->report.idle_cpu_percent =
	    100.0 * (double)(server_cpu_ns(&b->server) - cpu) / (double)(end.ns - start.ns);
	b->report.rss_kib = server_rss_kib(&b->server);
	b->report.generator_rss_kib = server_rss_kib(&(struct server){ .pid = getpid() });
}

static int run(struct bench *b, struct err *err)
{
	if (!all_connect(b))
		return err_set(err, ERR_TIMEOUT, "not all nodes got their maps");
	idle(b);
	joins(b);
	leaves(b);
	endpoint_changes(b);
	if (b->server.program && !b->o.policy && policy_edits(b, err) < 0)
		return -1;
	flap(b);
	if (b->server.program && !b->fleet.interrupted && restart(b, err) < 0)
		return -1;
	if (!b->server.program)
		(void)fprintf(stderr, "no restart: the server is not ours\n");
	b->report.rss_end_kib = server_rss_kib(&b->server);
	for (size_t i = 0; i < b->report.n; i++)
		if (b->report.figures[i].deaf)
			return err_set(err, ERR_TIMEOUT, "%s: news did not reach all in time",
				       b->report.figures[i].name);
	return b->fleet.interrupted ? err_set(err, ERR_REFUSED, "interrupted") : 0;
}

/* ---- before it starts ---- */

static int make_keys(struct bench *b, struct err *err)
{
	struct node_world *w = &b->fleet.world;
	size_t keys = b->fleet.n_groups * 2;

	if (server_make_user(&b->server, b->loop, err) < 0 || set_policy(b, 0, err) < 0)
		return -1;
	if (b->server.kind == SERVER_WEFT)
		return server_make_key(&b->server, b->loop, NULL, false, w->auth_key, err);
	w->tagged_keys = mem_alloc(keys * sizeof(*w->tagged_keys));
	for (size_t i = 0; i < keys; i++) {
		char tag[24];

		(void)snprintf(tag, sizeof(tag), "tag:g%zu", i / 2);
		if (server_make_key(&b->server, b->loop, tag, i % 2, w->tagged_keys[i], err) < 0)
			return -1;
	}
	return 0;
}

static int own_server(struct bench *b, struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", b->path, sizeof(b->path) - 64);
	const char *path = b->o.server ? b->o.server : b->path;
	char *at;

	b->path[n > 0 ? n : 0] = 0;
	at = strstr(b->path, "/test/bench/");
	if (at)
		(void)snprintf(at, 64, "/src/prog/weft-control");
	if (b->kind == SERVER_HEADSCALE)
		path = strchr(b->o.peer, '=') + 1;
	if (server_init(&b->server, b->kind, path, err) < 0 || server_start(&b->server, err) < 0)
		return -1;
	return make_keys(b, err);
}

static int foreign_server(struct bench *b, struct err *err)
{
	struct buf key;
	struct bytes url = bytes_str(b->o.url);
	int ret;

	if (!bytes_has_prefix(b->o.url[0] ? url : bytes_str("-"), "http://127.") ||
	    !addrport_parse(&b->server.at, bytes_from(url, 7)))
		return err_set(err, ERR_USAGE, "--url takes http://127.0.0.1:PORT");
	if (!b->o.auth_key)
		return err_set(err, ERR_USAGE, "--url needs --authkey FILE");
	b->server.pid = (pid_t)b->o.pid;
	ret = file_read(b->o.auth_key, sizeof(b->fleet.world.auth_key) - 1, &key, err);
	if (ret == 0 && !bytes_to_cstr(text_trim(buf_bytes(&key)), b->fleet.world.auth_key,
				       sizeof(b->fleet.world.auth_key)))
		ret = err_set(err, ERR_USAGE, "%s holds no key", b->o.auth_key);
	buf_fini(&key);
	return ret;
}

struct key_fetch {
	struct key *key;
	bool done, ok;
};

static void on_key(void *arg, unsigned status, struct bytes body, const struct err *err)
{
	struct key_fetch *k = arg;
	struct bytes text;
	struct arena arena;

	arena_init(&arena, 1 << 16);
	k->done = true;
	k->ok = !err->code && status == 200 &&
		json_string(json_get(json_parse(&arena, body, 0, NULL), "publicKey"), &text) &&
		keytext_parse(k->key, KEY_MACHINE, text);
	arena_fini(&arena);
}

static int fetch_key(struct bench *b, struct err *err)
{
	struct key_fetch k = { .key = &b->fleet.world.server_key };
	char url[128], at[ADDRPORT_TEXT_MAX];

	b->fleet.world.server = b->server.at;
	(void)snprintf(url, sizeof(url), "http://%s/key?v=%d", addrport_format(b->server.at, at),
		       NODE_CAPABILITY);
	if (!http_fetch(b->loop,
			&(struct http_fetch_conf){
			    .method = "GET", .url = url, .on_done = on_key, .arg = &k },
			err))
		return -1;
	while (!k.done) /* it has a time limit */
		loop_turn(b->loop, true);
	return k.ok ? 0 : err_set(err, ERR_REFUSED, "%s gives no key", url);
}

/* Both processes hold one connection per node; the server inherits the limit. */
static void raise_files(rlim_t need)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= need)
		return;
	r.rlim_cur = need;
	if (r.rlim_max < need)
		r.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &r) == 0)
		return;
	(void)getrlimit(RLIMIT_NOFILE, &r);
	(void)fprintf(stderr, "open files are limited to %llu, %llu are needed: expect errors\n",
		      (unsigned long long)r.rlim_max, (unsigned long long)need);
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

static void on_stop(void *arg, int signo)
{
	(void)signo;
	((struct bench *)arg)->fleet.interrupted = true;
}

static int bench(struct bench *b, struct err *err)
{
	const struct options *o = &b->o;
	int ret;

	raise_files((rlim_t)o->nodes + (rlim_t)o->times + FILES_SPARE);
	fleet_init(&b->fleet, b->loop, (size_t)o->nodes, (size_t)o->times, (size_t)o->group,
		   (size_t)o->window);
	b->report.nodes = b->fleet.n;
	b->report.group = b->fleet.group_size;
	(void)loop_on_signal(b->loop, SIGINT, on_stop, b, err);
	(void)loop_on_signal(b->loop, SIGTERM, on_stop, b, err);
	ret = o->url ? foreign_server(b, err) : own_server(b, err);
	if (ret == 0 && fetch_key(b, err) == 0) {
		ret = run(b, err);
		memcpy(b->report.first_error, b->fleet.first_error, sizeof(b->report.first_error));
		report_print(&b->report);
	} else {
		ret = -1;
	}
	fleet_fini(&b->fleet);
	server_fini(&b->server);
	return ret;
}

static int bench_one(const struct options *o, enum server_kind kind, struct report *out,
		     struct err *err)
{
	struct bench b = { .o = *o, .kind = kind };
	int ret;

	b.report.name = kind == SERVER_HEADSCALE ? "headscale" : o->url ? o->url : "weft-control";
	b.loop = loop_create(err);
	ret = b.loop ? bench(&b, err) : -1;
	loop_destroy(b.loop);
	*out = b.report;
	if (ret < 0)
		(void)fprintf(stderr, "bench-control: %s: %s\n", out->name, err->text);
	return ret;
}

/* The peer may fail at what it is asked for; then its figures say so. */
static int bench_all(const struct options *o, struct err *err)
{
	struct report ours, peer;
	int ret = bench_one(o, SERVER_WEFT, &ours, err);

	if (o->peer) {
		struct err why = { 0 };

		(void)bench_one(o, SERVER_HEADSCALE, &peer, &why);
		report_compare(&ours, &peer);
	}
	if (o->json && report_write(&ours, o->peer ? &peer : NULL, o->json, err) < 0)
		ret = -1;
	return ret;
}

static int check_options(struct options *o, struct err *err)
{
	if (o->quick) {
		o->nodes = 100;
		o->times = 10;
		o->timeout_ms = 15000;
	}
	if (o->nodes < 2 || o->nodes > NODES_MAX)
		return err_set(err, ERR_USAGE, "--nodes takes 2 to %d", NODES_MAX);
	if (o->times < 1 || o->times > 1000 || o->window < 1 || o->group < 0 || o->group == 1)
		return err_set(err, ERR_USAGE,
			       "--times takes 1 to 1000, --window at least 1, "
			       "--group 0 or at least 2");
	if (o->peer && (strncmp(o->peer, "headscale=", 10) != 0 || o->url))
		return err_set(err, ERR_USAGE, "--peer takes headscale=PATH, and no --url");
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct err err = { 0 };
	int status;

	if (opt_common(&program, "", argc, argv, &status))
		return status;
	argc--;
	argv++;
	opt_defaults(opts, array_len(opts), &o);
	if (opt_parse(opts, array_len(opts), &o, &argc, &argv, &err) < 0 ||
	    check_options(&o, &err) < 0) {
		(void)fprintf(stderr, "bench-control: %s\n", err.text);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	return bench_all(&o, &err) < 0;
}
