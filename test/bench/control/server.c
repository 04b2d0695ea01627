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

#include "base/err.h"
#include "base/mem.h"
#include "base/mono.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/proc.h"

enum { START_MS = 30000, STOP_MS = 20000, COMMAND_MS = 60000, STEP_MS = 10, WORDS_MAX = 12 };

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

int server_init(struct server *s, const char *program, struct err *err)
{
	char text[256], path[128];
	uint16_t port;

	*s = (struct server){ .program = program, .dir = "/tmp/weft-bench-control-XXXXXX" };
	if (access(program, X_OK) < 0)
		return err_sys(err, "%s", program);
	if (free_port(&port, err) < 0)
		return -1;
	if (!mkdtemp(s->dir))
		return err_sys(err, "temporary folder");
	s->at = (struct addrport){ ip_v4(127, 0, 0, 1), port };
	(void)snprintf(text, sizeof(text),
		       "state_dir: %s/state\nlisten: 127.0.0.1:%u\nstun_port: 0\nlog_level: warn\n",
		       s->dir, port);
	path_in(s, "control.yaml", path);
	return file_write(path, bytes_str(text), 0600, err);
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
	(void)execl(s->program, "weft-control", "--config", config, "serve", (char *)NULL);
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
	return a.ret < 0 ? err_wrap(err, "weft-control %s %s", words[0], words[1]) : 0;
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
