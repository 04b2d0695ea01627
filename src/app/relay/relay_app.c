/*
 * The main loop, and what there is one of; clients are in the shards. SIGTERM closes the listeners
 * at once, so that the next process can have the ports, and then moves the clients away; a second
 * signal ends it. SIGHUP reads certificate and allow list again.
 */
#include "app/relay/relay_app.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/relay/relay_admission.h"
#include "app/relay/relay_mesh.h"
#include "app/relay/relay_numbers.h"
#include "app/relay/relay_shards.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "os/sandbox/sandbox.h"
#include "os/sandbox/sandbox_paths.h"
#include "os/sdnotify.h"
#include "part/derp_server/derp_bus.h"
#include "part/derp_server/derp_server.h"
#include "part/stun_server.h"
#include "wire/stun.h"

enum {
	ADDRESSES_MAX = 2 * OPT_LIST_MAX,
	PROXIES_MAX = OPT_LIST_MAX,
	RENEW_S = 86400, /* the key certificate lives 30 days */
	BACKLOG = 4096,
	PORT_TLS = 443,
	PORT_PLAIN = 3340,
	STATUS_BYTES_MAX = 64 << 20,
};

struct app {
	const struct relay_options *o;
	struct loop *loop;
	struct log_sink sink;
	struct log log, derp_log, mesh_log;
	struct secret32 key, mesh_key;
	struct prefix proxies[PROXIES_MAX];
	struct relay_shards *shards;
	struct derp_server *derp; /* of the main loop */
	struct relay_admission *admission;
	struct relay_mesh *mesh;
	struct httpd *plain, *status;
	struct tls_ctx *tls, *mesh_tls;
	struct tcp_listener *listeners[ADDRESSES_MAX];
	struct stun_server *stun[ADDRESSES_MAX];
	size_t listener_count, stun_count;
	struct io_timer renew, watchdog;
	unsigned signals;
};

/* ---- HTTP ---- */

static void on_derp(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct app *a = arg;

	(void)derp_server_handle(a->derp, x, req);
}

/* Nobody relays without TLS by mistake: the plain port has the small pages only. */
static const struct httpd_route plain_routes[] = {
	{ "GET", "/generate_204", on_derp, 0 },
	{ NULL, "/derp/probe", on_derp, 0 },
	{ NULL, "/derp/latency-check", on_derp, 0 },
	{ "GET", "/robots.txt", on_derp, 0 },
	{ "GET", "/", on_derp, 0 },
};

/* An answer that waits for the numbers of all threads. */
struct answer {
	struct app *app;
	struct http_exchange *x; /* NULL: who asked is gone */
	enum { ANSWER_PAGE, ANSWER_METRICS, ANSWER_STATUS } kind;
	bool clients;
};

static void on_gone(void *arg)
{
	((struct answer *)arg)->x = NULL;
}

static void on_report(void *arg, const struct relay_report *r)
{
	static const char *const types[] = { [ANSWER_PAGE] = "text/html; charset=utf-8",
					     [ANSWER_METRICS] = "text/plain; version=0.0.4",
					     [ANSWER_STATUS] = "application/json" };
	struct answer *w = arg;
	const struct app *a = w->app;
	struct relay_numbers n = { .derp = a->derp,
				   .report = r,
				   .admission = a->admission,
				   .mesh = a->mesh,
				   .stun = a->stun,
				   .stun_count = a->stun_count };
	struct buf out;

	buf_init(&out, STATUS_BYTES_MAX);
	if (w->x) {
		if (w->kind == ANSWER_PAGE)
			relay_numbers_page(&n, &out);
		else if (w->kind == ANSWER_METRICS)
			relay_numbers_metrics(&n, &out);
		else
			relay_numbers_status(&n, &out, w->clients);
		http_on_gone(w->x, NULL, NULL);
		http_reply(w->x, 200, types[w->kind], buf_bytes(&out));
	}
	buf_fini(&out);
	mem_free(w);
}

static void ask_numbers(struct app *a, struct answer answer)
{
	struct answer *w = mem_alloc(sizeof(*w));

	*w = answer;
	w->app = a;
	http_on_gone(w->x, on_gone, w);
	relay_shards_report(a->shards, w->clients, on_report, w);
}

static void on_page(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)req;
	ask_numbers(arg, (struct answer){ .x = x, .kind = ANSWER_PAGE });
}

static void on_metrics(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)req;
	ask_numbers(arg, (struct answer){ .x = x, .kind = ANSWER_METRICS });
}

static void on_status(void *arg, struct http_exchange *x, const struct http_request *req)
{
	char clients[8];
	bool listed = http_query_get(req, "clients", clients, sizeof(clients));

	ask_numbers(arg, (struct answer){ .x = x, .kind = ANSWER_STATUS, .clients = listed });
}

static const struct httpd_route status_routes[] = {
	{ "GET", "/", on_page, 0 },
	{ "GET", "/metrics", on_metrics, 0 },
	{ "GET", "/status", on_status, 0 },
};

static void on_fd(void *arg, int fd, struct addrport peer)
{
	struct app *a = arg;

	relay_shards_accept(a->shards, fd, peer);
}

static void on_accept_plain(void *arg, struct stream *s, struct addrport peer)
{
	httpd_serve(arg, s, HTTPD_H1, peer, NULL, NULL);
}

/* ---- listening ---- */

/*
 * SO_REUSEPORT: the next process may listen before this one has let go. The kernel gives new
 * connections to either, so the old one closes its sockets before it drains.
 */
static int open_listener(struct addrport at, struct err *err)
{
	bool four = at.ip.family == 4;
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(at.port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(at.port) };
	int fd = socket(four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0, ok;
	char text[ADDRPORT_TEXT_MAX];

	if (fd < 0)
		return err_sys(err, "socket");
	memcpy(&six.sin6_addr, at.ip.b, 16);
	memcpy(&v4.sin_addr, at.ip.b, 4);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (!four && ip_is_unspecified(at.ip))
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	ok = four ? bind(fd, (struct sockaddr *)&v4, sizeof(v4))
		  : bind(fd, (struct sockaddr *)&six, sizeof(six));
	if (ok < 0 || listen(fd, BACKLOG) < 0) {
		err_sys(err, "listen on %s", addrport_format(at, text));
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* With http: served here. Without: clients of the relay, for one of the shards. */
static int listen_on(struct app *a, const char *text, struct httpd *http, struct err *err)
{
	struct addrport at;
	struct tcp_listener *l;
	char shown[ADDRPORT_TEXT_MAX];
	int fd;

	if (relay_parse_listen(text, &at, err) < 0)
		return -1;
	if (!ip_is_valid(at.ip))
		at.ip = ip_v6_of((const uint8_t[16]){ 0 });
	fd = open_listener(at, err);
	if (fd < 0 && err->sys == EAFNOSUPPORT && ip_is_unspecified(at.ip)) {
		at.ip = ip_v4(0, 0, 0, 0);
		fd = open_listener(at, err);
	}
	l = fd < 0 ? NULL
		   : tcp_listen_fd(a->loop, fd, on_accept_plain, http ? (void *)http : a, err);
	if (!l)
		return -1;
	if (!http)
		tcp_listener_hand_off(l, on_fd);
	tcp_listener_set_log(l, &a->log);
	a->listeners[a->listener_count++] = l;
	log_info(&a->log, "listening on %s", addrport_format(tcp_listener_address(l), shown));
	return 0;
}

static int stun_on(struct app *a, struct addrport at, struct err *err)
{
	struct stun_server_conf conf = { .at = at, .nodes_only = !a->o->plain_stun };
	struct stun_server *s = stun_server_create(a->loop, &conf, err);
	char text[ADDRPORT_TEXT_MAX];

	if (!s)
		return -1;
	a->stun[a->stun_count++] = s;
	log_info(&a->log, "STUN on %s", addrport_format(stun_server_address(s), text));
	return 0;
}

static int start_stun_at(struct app *a, const char *text, struct err *err)
{
	struct addrport at;

	if (strcmp(text, "none") == 0)
		return 0;
	if (relay_parse_listen(text, &at, err) < 0)
		return -1;
	if (ip_is_valid(at.ip))
		return stun_on(a, at, err);
	at.ip = ip_v4(0, 0, 0, 0);
	if (stun_on(a, at, err) < 0)
		return -1;
	at.port = stun_server_address(a->stun[a->stun_count - 1]).port;
	at.ip = ip_v6_of((const uint8_t[16]){ 0 });
	/* A host without IPv6 serves what it has. */
	if (stun_on(a, at, err) < 0 && err->sys != EAFNOSUPPORT && err->sys != EADDRNOTAVAIL)
		return -1;
	return 0;
}

static int start_stun(struct app *a, struct err *err)
{
	if (!a->o->stun.n)
		return start_stun_at(a, ":3478", err);
	for (size_t i = 0; i < a->o->stun.n; i++)
		if (start_stun_at(a, a->o->stun.items[i], err) < 0)
			return -1;
	return 0;
}

static struct httpd *make_httpd(struct app *a, const struct httpd_route *table, size_t n)
{
	struct httpd_conf conf = { .routes = table,
				   .route_count = n,
				   .arg = a,
				   .log = &a->log,
				   .head_timeout_s = 10,
				   .idle_timeout_s = 30,
				   .connections_max = (unsigned)a->o->connections };

	return httpd_create(a->loop, &conf);
}

static int start_listeners(struct app *a, struct err *err)
{
	static const char *const usual[] = { ":443", ":3340" };
	const struct opt_list *l = &a->o->listen;

	for (size_t i = 0; i < (l->n ? l->n : 1); i++)
		if (listen_on(a, l->n ? l->items[i] : usual[a->o->plain], NULL, err) < 0)
			return -1;
	if (a->o->http.n) {
		struct httpd *plain = make_httpd(a, plain_routes, array_len(plain_routes));

		a->plain = plain;
		for (size_t i = 0; i < a->o->http.n; i++)
			if (listen_on(a, a->o->http.items[i], plain, err) < 0)
				return -1;
	}
	if (strcmp(a->o->status, "none") == 0)
		return 0;
	a->status = make_httpd(a, status_routes, array_len(status_routes));
	return listen_on(a, a->o->status, a->status, err);
}

/* ---- TLS ---- */

static int make_tls(struct app *a, struct err *err)
{
	uint8_t der[DERP_CERT_MAX];
	struct tls_server_conf conf = {
		.cert_file = a->o->cert,
		.key_file = a->o->key,
		.self_signed_for = a->o->cert ? NULL : a->o->hostname,
		.alpn = "http/1.1",
	};
	struct tls_ctx *fresh;

	conf.extra_cert = bytes_of(der, derp_server_cert(a->derp, der));
	fresh = tls_ctx_server(&conf, err);
	if (!fresh)
		return -1;
	relay_shards_set_tls(a->shards, fresh);
	if (a->tls)
		tls_ctx_unref(a->tls);
	a->tls = fresh;
	return 0;
}

static void log_fingerprint(const struct app *a)
{
	uint8_t sum[32];
	char hex[65];

	tls_ctx_fingerprint(a->tls, sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	log_info(&a->log, "certificate %s, SHA-256 %s", a->o->cert ? a->o->cert : "is self-signed",
		 hex);
}

static int start_tls(struct app *a, struct err *err)
{
	if (a->o->plain)
		return 0;
	if (make_tls(a, err) < 0)
		return -1;
	log_fingerprint(a);
	return 0;
}

/* A self-signed certificate would change its fingerprint with a new context: it stays. */
static void renew(struct app *a)
{
	struct err err;

	if (a->tls && a->o->cert && make_tls(a, &err) < 0)
		log_error(&a->log, "certificate stays the old one: %s", err.text);
}

static void on_renew(struct io_timer *t)
{
	struct app *a = container_of(t, struct app, renew);

	renew(a);
	io_timer_in_ms(a->loop, &a->renew, (int64_t)RENEW_S * 1000);
}

/* ---- admission, mesh ---- */

static void on_verify(void *arg, uint64_t client, const struct key *key, struct addrport from)
{
	struct app *a = arg;

	relay_admission_ask(a->admission, client, key, from.ip);
}

static void on_answer(void *arg, uint64_t client, bool allow)
{
	struct app *a = arg;

	relay_shards_decide(a->shards, client, allow);
}

static int start_admission(struct app *a, struct err *err)
{
	struct relay_admission_conf conf = {
		.loop = a->loop,
		.log = &a->log,
		.allow_file = a->o->allow,
		.urls = a->o->verify.items,
		.url_count = a->o->verify.n,
		.ca_file = a->o->verify_ca,
		.fail_open = a->o->verify_fail_open,
		.on_answer = on_answer,
		.arg = a,
	};

	a->admission = relay_admission_create(&conf, err);
	return a->admission ? 0 : -1;
}

static int start_mesh(struct app *a, struct err *err)
{
	struct tls_client_conf tc = { .ca_file = a->o->mesh_ca, .alpn = "http/1.1" };
	struct relay_mesh_conf conf = { .loop = a->loop,
					.server = a->derp,
					.private_key = &a->key,
					.mesh_key = &a->mesh_key,
					.log = &a->mesh_log };

	if (!a->o->mesh_with.n)
		return 0;
	if (!a->o->mesh_plain) {
		a->mesh_tls = tls_ctx_client(&tc, err);
		if (!a->mesh_tls)
			return -1;
	}
	conf.tls = a->mesh_tls;
	a->mesh = relay_mesh_create(&conf);
	for (size_t i = 0; i < a->o->mesh_with.n; i++) {
		char host[256];
		uint16_t port;

		if (relay_parse_host(a->o->mesh_with.items[i],
				     a->o->mesh_plain ? PORT_PLAIN : PORT_TLS, host, &port,
				     err) < 0)
			return -1;
		relay_mesh_add(a->mesh, host, port);
	}
	return 0;
}

/* ---- signals ---- */

static void on_idle(void *arg)
{
	struct app *a = arg;

	loop_stop(a->loop);
}

static void close_listeners(struct app *a)
{
	/* The status page, which is the last listener, stays while clients move away. */
	size_t keep = a->status ? 1 : 0;

	for (size_t i = 0; i + keep < a->listener_count; i++) {
		tcp_listener_destroy(a->listeners[i]);
		a->listeners[i] = NULL;
	}
	for (size_t i = 0; i < a->stun_count; i++)
		stun_server_destroy(a->stun[i]);
	a->stun_count = 0;
}

static void on_stop(void *arg, int signo)
{
	struct app *a = arg;

	if (a->signals++) {
		loop_stop(a->loop);
		return;
	}
	(void)sdnotify(SDNOTIFY_STOPPING);
	log_info(&a->log, "%s: clients move away over %d ms", strsignal(signo),
		 (int)a->o->drain_ms);
	close_listeners(a);
	relay_shards_drain(a->shards, (uint32_t)a->o->drain_ms, on_idle, a);
}

static void on_reload(void *arg, int signo)
{
	struct app *a = arg;
	struct err err;

	(void)signo;
	renew(a);
	if (relay_admission_reload(a->admission, &err) < 0)
		log_error(&a->log, "allow list stays the old one: %s", err.text);
	else
		log_info(&a->log, "certificate and allow list read again");
	relay_shards_recheck(a->shards);
}

/* ---- start and end ---- */

/* What this process may run on, which is less than the machine in many containers. */
static size_t core_count(void)
{
	cpu_set_t set;
	size_t n;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	n = (size_t)CPU_COUNT(&set);
	return n < 1 ? 1 : n < DERP_BUS_MAX ? n : DERP_BUS_MAX;
}

/* A connection is a descriptor, and the usual limit of 1024 is for other programs. */
static void raise_file_limit(const struct app *a)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < (rlim_t)a->o->connections)
		log_warn(&a->log,
			 "%llu file descriptors do for fewer than the %d connections of "
			 "--connections: raise LimitNOFILE",
			 (unsigned long long)limit.rlim_cur, (int)a->o->connections);
}

static int read_conf(struct app *a, struct err *err)
{
	const struct relay_options *o = a->o;

	for (size_t i = 0; i < o->proxy.n; i++)
		if (!prefix_parse(&a->proxies[i], bytes_str(o->proxy.items[i])))
			return err_set(err, ERR_USAGE, "--proxy %s is no prefix: try 192.0.2.0/24",
				       o->proxy.items[i]);
	if (relay_load_key(o->state, &a->key, err) < 0)
		return -1;
	if (o->mesh_key && relay_load_mesh_key(o->mesh_key, &a->mesh_key, err) < 0)
		return -1;
	return 0;
}

static int start_shards(struct app *a, struct err *err)
{
	const struct relay_options *o = a->o;
	struct relay_shards_conf conf = {
		.main = a->loop,
		.count = o->threads ? (size_t)o->threads : core_count(),
		.log = &a->log,
		.connections = (size_t)o->connections,
		.handshakes = (size_t)o->handshakes,
		.on_verify = on_verify,
		.arg = a,
		.derp = {
			.private_key = a->key,
			.mesh_key = a->mesh_key,
			.log = &a->derp_log,
			.open = o->open,
			.proxies = a->proxies,
			.proxy_count = o->proxy.n,
			.congestion = strcmp(o->congestion, "system") == 0 ? NULL : o->congestion,
			.queue_bytes = (size_t)o->queue_kib << 10,
			.memory_bytes = (size_t)o->memory_mib << 20,
			.client_rate = (uint64_t)o->client_rate,
			.client_burst = (uint64_t)o->client_burst,
			.total_rate = (uint64_t)o->total_rate,
		},
	};

	a->shards = relay_shards_create(&conf, err);
	secret32_wipe(&conf.derp.private_key);
	secret32_wipe(&conf.derp.mesh_key);
	if (!a->shards)
		return -1;
	a->derp = relay_shards_main(a->shards);
	log_info(&a->log, "%zu threads", conf.count);
	return 0;
}

static int start(struct app *a, struct err *err)
{
	if (loop_on_signal(a->loop, SIGTERM, on_stop, a, err) < 0 ||
	    loop_on_signal(a->loop, SIGINT, on_stop, a, err) < 0 ||
	    loop_on_signal(a->loop, SIGHUP, on_reload, a, err) < 0)
		return -1;
	raise_file_limit(a);
	if (read_conf(a, err) < 0 || start_shards(a, err) < 0 || start_admission(a, err) < 0 ||
	    start_tls(a, err) < 0 || relay_shards_start(a->shards, err) < 0 ||
	    start_stun(a, err) < 0 || start_listeners(a, err) < 0 || start_mesh(a, err) < 0)
		return -1;
	io_timer_in_ms(a->loop, &a->renew, (int64_t)RENEW_S * 1000);
	if (a->o->open)
		log_warn(&a->log, "relay is open: everyone may use it");
	return 0;
}

static void stop(struct app *a)
{
	relay_mesh_destroy(a->mesh);
	for (size_t i = 0; i < a->listener_count; i++)
		if (a->listeners[i])
			tcp_listener_destroy(a->listeners[i]);
	for (size_t i = 0; i < a->stun_count; i++)
		stun_server_destroy(a->stun[i]);
	relay_shards_close(a->shards);
	relay_admission_destroy(a->admission);
	httpd_destroy(a->plain);
	httpd_destroy(a->status);
	if (a->tls)
		tls_ctx_unref(a->tls);
	if (a->mesh_tls)
		tls_ctx_unref(a->mesh_tls);
	io_timer_stop(&a->renew);
	io_timer_stop(&a->watchdog);
	secret32_wipe(&a->key);
	secret32_wipe(&a->mesh_key);
}

/*
 * Before the first thread and the first byte from outside. The ports below 1024 are still to be
 * bound; the right to that goes in serve().
 */
static int fence(const struct app *a, struct err *err)
{
	struct sandbox_paths read = { 0 }, write = { 0 };
	struct sandbox_conf conf = { sandbox_paths_list(&read), sandbox_paths_list(&write), false };
	const struct relay_options *o = a->o;
	const char *const files[] = { o->cert,      o->key,      o->allow,
				      o->verify_ca, o->mesh_key, o->mesh_ca };
	struct sandbox_report report = { 0 };
	int ret = -1;

	sandbox_paths_add_system(&read);
	for (size_t i = 0; i < array_len(files); i++)
		sandbox_paths_add_folder_of(&read, files[i]);
	sandbox_paths_add(&write, o->state);
	if (file_mkdirs(o->state, 0700, err) == 0 &&
	    sandbox_keep_capabilities(1ULL << CAP_NET_BIND_SERVICE, err) == 0)
		ret = sandbox_enter(&conf, &report, err);
	sandbox_paths_fini(&read);
	sandbox_paths_fini(&write);
	if (ret == 0 && report.missing[0])
		log_warn(&a->log, "%s", report.missing);
	return ret;
}

static void on_watchdog(struct io_timer *t)
{
	struct app *a = container_of(t, struct app, watchdog);

	(void)sdnotify(SDNOTIFY_WATCHDOG);
	io_timer_in_ms(a->loop, t, sdnotify_watchdog_ms());
}

/* Everything is open. */
static int serve(struct app *a, struct err *err)
{
	if (sandbox_keep_capabilities(0, err) < 0)
		return -1;
	if (sdnotify_watchdog_ms())
		io_timer_in_ms(a->loop, &a->watchdog, sdnotify_watchdog_ms());
	(void)sdnotify(SDNOTIFY_READY);
	loop_run(a->loop);
	return 0;
}

int relay_app_run(const struct relay_options *o, struct err *err)
{
	struct app *a = mem_alloc(sizeof(*a));
	int ret = -1;

	a->o = o;
	log_sink_init(&a->sink, STDERR_FILENO);
	a->sink.level = o->verbose ? LOG_DEBUG : LOG_INFO;
	a->sink.json = o->log_json;
	a->log = log_of(&a->sink, "relay", NULL);
	a->derp_log = log_of(&a->sink, "derp", NULL);
	a->mesh_log = log_of(&a->sink, "mesh", NULL);
	io_timer_init(&a->renew, on_renew);
	io_timer_init(&a->watchdog, on_watchdog);
	if (fence(a, err) == 0)
		a->loop = loop_create(err);
	if (a->loop && start(a, err) == 0)
		ret = serve(a, err);
	if (a->loop)
		stop(a);
	loop_destroy(a->loop);
	relay_shards_destroy(a->shards);
	mem_free(a);
	return ret;
}
