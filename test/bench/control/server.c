#include "bench/control/server.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mono.h"
#include "bench/control/node.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/proc.h"

enum {
	START_MS = 30000,
	STOP_MS = 20000,
	COMMAND_MS = 60000,
	STEP_MS = 10,
	WORDS_MAX = 12,
	COMMAND_OUT_MAX = 1 << 20
};

static void nap(void)
{
	struct timespec t = { .tv_nsec = STEP_MS * 1000000L };

	(void)nanosleep(&t, NULL);
}

static struct sockaddr_in socket_address(struct addrport at)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(at.port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int free_port(uint16_t *port, struct err *err)
{
	struct sockaddr_in a = socket_address((struct addrport){ 0 });
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ret = 0;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		ret = err_sys(err, "find a free port");
	if (fd >= 0)
		(void)close(fd);
	*port = ntohs(a.sin_port);
	return ret;
}

static void path_in(const struct server *s, const char *name, char out[128])
{
	(void)snprintf(out, 128, "%s/%s", s->dir, name);
}

/* Everything that costs time and is not asked for stays off; the rest are its defaults. */
static void headscale_config(const struct server *s, uint16_t port, struct buf *out)
{
	(void)buf_printf(
	    out,
	    "server_url: http://127.0.0.1:%u\nlisten_addr: 127.0.0.1:%u\n"
	    "metrics_listen_addr: 127.0.0.1:0\ngrpc_listen_addr: 127.0.0.1:0\n"
	    "noise: { private_key_path: %s/noise.key }\n"
	    "prefixes: { v4: 100.64.0.0/10, v6: \"fd7a:115c:a1e0::/48\", allocation: sequential }\n"
	    "derp:\n  server: { enabled: true, region_id: 999, region_code: bench,"
	    " region_name: bench, stun_listen_addr: \"127.0.0.1:%u\", private_key_path: "
	    "%s/derp.key,"
	    " automatically_add_embedded_derp_region: true }\n"
	    "  urls: []\n  paths: []\n  auto_update_enabled: false\n"
	    "disable_check_updates: true\nephemeral_node_inactivity_timeout: 30m\n"
	    "database: { type: sqlite, sqlite: { path: %s/db.sqlite, write_ahead_log: true } }\n"
	    "log: { level: warn }\npolicy: { mode: database }\n"
	    "dns: { magic_dns: true, base_domain: bench.internal, override_local_dns: false,"
	    " nameservers: { global: [] } }\nunix_socket: %s/admin.sock\n"
	    "unix_socket_permission: \"0770\"\n",
	    port, port, s->dir, port, s->dir, s->dir, s->dir);
}

int server_init(struct server *s, enum server_kind kind, const char *program, struct err *err)
{
	char path[128];
	struct buf text;
	uint16_t port;
	int ret;

	*s = (struct server){ .program = program,
			      .kind = kind,
			      .dir = "/tmp/weft-bench-control-XXXXXX" };
	if (access(program, X_OK) < 0)
		return err_sys(err, "%s", program);
	if (free_port(&port, err) < 0)
		return -1;
	if (!mkdtemp(s->dir))
		return err_sys(err, "temporary folder");
	s->at = (struct addrport){ ip_v4(127, 0, 0, 1), port };
	buf_init(&text, 8192);
	if (kind == SERVER_HEADSCALE)
		headscale_config(s, port, &text);
	else
		(void)buf_printf(&text,
				 "state_dir: %s/state\nlisten: 127.0.0.1:%u\nstun_port: 0\n"
				 "log_level: warn\n",
				 s->dir, port);
	path_in(s, "control.yaml", path);
	ret = file_write(path, buf_bytes(&text), 0600, err);
	buf_fini(&text);
	return ret;
}

static bool accepts(const struct server *s)
{
	struct sockaddr_in a = socket_address(s->at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

static void run_child(const struct server *s, const char *config, const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* however the bench ends, the server ends, too */
	if (fd >= 0) {
		(void)dup2(fd, STDOUT_FILENO);
		(void)dup2(fd, STDERR_FILENO);
	}
	(void)execl(s->program, s->program, "--config", config, "serve", (char *)NULL);
	_exit(127);
}

int server_start(struct server *s, struct err *err)
{
	struct mono end = mono_add_ms(mono_now(), START_MS);
	char config[128], log[128];

	path_in(s, "control.yaml", config);
	path_in(s, "log", log);
	s->pid = fork();
	if (s->pid < 0) {
		s->pid = 0;
		return err_sys(err, "fork");
	}
	if (!s->pid)
		run_child(s, config, log);
	while (!accepts(s)) {
		struct buf text;

		if (waitpid(s->pid, NULL, WNOHANG) == 0 && !mono_reached(mono_now(), end)) {
			nap();
			continue;
		}
		server_stop(s);
		if (file_read(log, 1 << 16, &text, err) == 0)
			(void)err_set(err, ERR_REFUSED, "%s did not start: %s", s->program,
				      buf_cstr(&text));
		buf_fini(&text);
		return -1;
	}
	return 0;
}

void server_stop(struct server *s)
{
	struct mono end = mono_add_ms(mono_now(), STOP_MS);

	if (!s->program || !s->pid)
		return;
	(void)kill(s->pid, SIGTERM);
	while (waitpid(s->pid, NULL, WNOHANG) == 0) {
		if (mono_reached(mono_now(), end)) {
			(void)fprintf(stderr, "the server did not stop in time and was killed\n");
			(void)kill(s->pid, SIGKILL);
			(void)waitpid(s->pid, NULL, 0);
			break;
		}
		nap();
	}
	s->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void server_fini(struct server *s)
{
	server_stop(s);
	if (s->dir[0])
		(void)nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- its command line ---- */

struct answer {
	struct buf *out;
	struct err *err;
	int ret;
	bool done;
};

static void on_exit_of_command(void *arg, const struct proc_result *r)
{
	struct answer *a = arg;

	a->done = true;
	a->ret = r->status ? err_set(a->err, ERR_REFUSED, "%.*s", BYTES_FMT(r->err)) : 0;
	if (a->out)
		(void)buf_append(a->out, r->out);
}

int server_command(struct server *s, struct loop *loop, const char *const *words,
		   struct bytes input, struct buf *out, struct err *err)
{
	const char *argv[WORDS_MAX + 4] = { s->program, "--config" };
	struct answer a = { .out = out, .err = err };
	char config[128];
	struct proc *p;

	path_in(s, "control.yaml", config);
	argv[2] = config;
	for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
		argv[3 + i] = words[i];
	p = proc_start(loop,
		       &(struct proc_conf){ .argv = argv,
					    .input = input,
					    .timeout_ms = COMMAND_MS,
					    .on_exit = on_exit_of_command,
					    .arg = &a },
		       err);
	if (!p)
		return -1;
	while (!a.done) /* its own time limit ends this */
		loop_turn(loop, true);
	return a.ret < 0 ? err_wrap(err, "%s %s %s", s->program, words[0], words[1]) : 0;
}

/* ---- what every product can do ---- */

const char *server_owner(const struct server *s)
{
	return s->kind == SERVER_HEADSCALE ? "bench@" : "bench@bench.test";
}

int server_make_user(struct server *s, struct loop *loop, struct err *err)
{
	const char *const words[] = { "users", "create",
				      s->kind == SERVER_HEADSCALE ? "bench" : server_owner(s),
				      NULL };

	return server_command(s, loop, words, (struct bytes){ 0 }, NULL, err);
}

int server_make_key(struct server *s, struct loop *loop, const char *tag, bool ephemeral, char *out,
		    struct err *err)
{
	static const char *const ours[] = { "keys",       "create", "--user", "bench@bench.test",
					    "--reusable", "-o",     "json",   NULL };
	const char *const headscale[] = {
		"preauthkeys", "create",       "--user", "1",
		"--reusable",  "--expiration", "24h",    "-o",
		"json",        "--tags",       tag,      ephemeral ? "--ephemeral" : NULL,
		NULL
	};
	struct bytes text = { 0 };
	struct arena arena;
	struct buf answer;
	int ret;

	arena_init(&arena, COMMAND_OUT_MAX);
	buf_init(&answer, COMMAND_OUT_MAX);
	ret = server_command(s, loop, s->kind == SERVER_HEADSCALE ? headscale : ours,
			     (struct bytes){ 0 }, &answer, err);
	if (ret == 0 &&
	    !(json_string(json_get(json_parse(&arena, buf_bytes(&answer), 0, NULL), "key"),
			  &text) &&
	      text.n && bytes_to_cstr(text, out, NODE_KEY_TEXT)))
		ret = err_set(err, ERR_INTERNAL, "%s printed no key", s->program);
	buf_fini(&answer);
	arena_fini(&arena);
	return ret;
}

int server_set_policy(struct server *s, struct loop *loop, struct bytes text, struct err *err)
{
	char path[128];
	const char *const ours[] = { "policy", "set", NULL };
	const char *const headscale[] = { "policy", "set", "-f", path, NULL };

	if (s->kind == SERVER_WEFT)
		return server_command(s, loop, ours, text, NULL, err);
	path_in(s, "policy.hujson", path);
	if (file_write(path, text, 0600, err) < 0)
		return -1;
	return server_command(s, loop, headscale, (struct bytes){ 0 }, NULL, err);
}

/* ---- what it costs ---- */

int64_t server_cpu_ns(const struct server *s)
{
	struct timespec t;
	clockid_t clock;

	/* The same sum as in /proc/PID/stat, in ns instead of ticks of 10 ms. */
	if (!s->pid || clock_getcpuclockid(s->pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
		return 0;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

long server_rss_kib(const struct server *s)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)s->pid);
	f = s->pid ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		(void)fclose(f);
	return kib;
}
