/*
 * The end of a child is a readable pidfd, so nobody needs SIGCHLD. What it has written by then is
 * in the pipes and is read before on_exit; a grandchild that keeps a pipe open is not waited for.
 */
#include "io/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/loop.h"

enum { OUTPUT_MAX = 1 << 20, READ_BYTES = 16 << 10, READS_PER_TURN = 16 };

static const char *const default_env[] = { "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", NULL };

struct pipe_in {
	struct proc *proc;
	struct io_watch watch;
	int fd;
	struct buf data;
};

struct proc {
	struct loop *loop;
	pid_t pid;
	int pidfd;
	struct io_watch exit;
	struct io_timer timeout;
	struct pipe_in out, err;
	bool timed_out, truncated;
	void (*on_exit)(void *arg, const struct proc_result *r);
	void *arg;
};

/* ---- output ---- */

static void pipe_close(struct pipe_in *p)
{
	io_watch_stop(&p->watch);
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
}

static void keep(struct pipe_in *p, struct bytes data)
{
	size_t room = p->data.max - p->data.n;

	if (data.n > room) {
		p->proc->truncated = true; /* the rest is read and dropped: nobody blocks */
		data.n = room;
	}
	buf_append(&p->data, data);
}

static void pipe_read(struct pipe_in *p, int times)
{
	__attribute__((uninitialized)) uint8_t data[READ_BYTES];

	while (p->fd >= 0 && times--) {
		ssize_t n = read(p->fd, data, sizeof(data));

		if (n > 0)
			keep(p, bytes_of(data, (size_t)n));
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (n == 0 || errno != EINTR)
			pipe_close(p);
	}
}

static void on_output(struct io_watch *w, unsigned events)
{
	(void)events;
	pipe_read(container_of(w, struct pipe_in, watch), READS_PER_TURN);
}

/* ---- the end ---- */

static void proc_free(struct proc *p)
{
	pipe_close(&p->out);
	pipe_close(&p->err);
	buf_fini(&p->out.data);
	buf_fini(&p->err.data);
	io_watch_stop(&p->exit);
	io_timer_stop(&p->timeout);
	if (p->pidfd >= 0)
		(void)close(p->pidfd);
	loop_free_later(p->loop, p);
}

static void reap(struct proc *p, siginfo_t *info)
{
	*info = (siginfo_t){ 0 };
	while (p->pid > 0 && waitid(P_PIDFD, (id_t)p->pidfd, info, WEXITED) < 0 && errno == EINTR)
		;
	p->pid = 0;
}

static void on_end(struct io_watch *w, unsigned events)
{
	struct proc *p = container_of(w, struct proc, exit);
	struct proc_result r = { .timed_out = p->timed_out };
	size_t most = (p->out.data.max + p->err.data.max) / READ_BYTES + READS_PER_TURN;
	siginfo_t info;

	(void)events;
	reap(p, &info);
	pipe_read(&p->out, (int)most);
	pipe_read(&p->err, (int)most);
	r.status = info.si_code == CLD_EXITED ? info.si_status : -1;
	r.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
	r.truncated = p->truncated;
	r.out = buf_bytes(&p->out.data);
	r.err = buf_bytes(&p->err.data);
	io_watch_stop(&p->exit);
	p->on_exit(p->arg, &r);
	proc_free(p);
}

static void on_timeout(struct io_timer *t)
{
	struct proc *p = container_of(t, struct proc, timeout);

	p->timed_out = true;
	proc_signal(p, SIGKILL);
}

void proc_signal(struct proc *p, int signo)
{
	if (p->pid > 0)
		(void)kill(-p->pid, signo);
}

void proc_destroy(struct proc *p)
{
	siginfo_t info;

	if (!p || p->pid <= 0)
		return;
	proc_signal(p, SIGKILL);
	reap(p, &info); /* SIGKILL cannot be put off: this takes no noticeable time */
	proc_free(p);
}

/* ---- the start ---- */

static bool is_set(const char *const *env_set, const char *name, size_t n)
{
	for (; env_set && *env_set; env_set++) {
		if (strncmp(*env_set, name, n) == 0 && (*env_set)[n] == '=')
			return true;
	}
	return false;
}

/* An array of strings of our own, ending with NULL. */
static char **make_env(const struct proc_conf *conf)
{
	const char *const *names = conf->env_keep ? conf->env_keep : default_env;
	char **env = NULL;
	size_t n = 0, cap = 0;

	for (; *names; names++) {
		const char *value = getenv(*names);
		size_t size = value ? strlen(*names) + strlen(value) + 2 : 0;

		if (!value || is_set(conf->env_set, *names, strlen(*names)))
			continue;
		mem_reserve(env, n, cap);
		env[n] = mem_alloc(size);
		(void)snprintf(env[n++], size, "%s=%s", *names, value);
	}
	for (const char *const *set = conf->env_set; set && *set; set++) {
		mem_reserve(env, n, cap);
		env[n++] = mem_strdup(*set);
	}
	mem_reserve(env, n, cap);
	env[n] = NULL;
	return env;
}

static void free_env(char **env)
{
	for (char **at = env; at && *at; at++)
		mem_free(*at);
	mem_free(env);
}

/* A file in memory, so that a child that does not read cannot block us. */
static int make_input(struct bytes input, struct err *err)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "make input file");
	while (input.n) {
		ssize_t n = write(fd, input.p, input.n);

		if (n < 0) {
			err_sys(err, "write input file");
			(void)close(fd);
			return -1;
		}
		input = bytes_from(input, (size_t)n);
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		err_sys(err, "rewind input file");
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int make_pipe(struct pipe_in *p, int *write_end, struct err *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(err, "make pipe");
	(void)fcntl(fd[0], F_SETFL, O_NONBLOCK); /* ours; the child's end blocks as usual */
	p->fd = fd[0];
	*write_end = fd[1];
	return 0;
}

static int spawn(struct proc *p, const struct proc_conf *conf, const int fds[3], struct err *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	char **env = make_env(conf);
	int error;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&files, fds[i], i);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (conf->folder)
		posix_spawn_file_actions_addchdir_np(&files, conf->folder);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
					    POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	error = posix_spawnp(&p->pid, conf->argv[0], &files, &attr, (char *const *)conf->argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	free_env(env);
	if (!error)
		return 0;
	p->pid = 0;
	errno = error;
	return err_sys(err, "run %s", conf->argv[0]);
}

static int watch(struct proc *p, struct err *err)
{
	p->pidfd = pidfd_open(p->pid, 0);
	if (p->pidfd < 0)
		return err_sys(err, "watch process");
	if (io_watch_start(p->loop, &p->exit, p->pidfd, IO_READ, on_end, err) < 0 ||
	    io_watch_start(p->loop, &p->out.watch, p->out.fd, IO_READ, on_output, err) < 0 ||
	    io_watch_start(p->loop, &p->err.watch, p->err.fd, IO_READ, on_output, err) < 0)
		return -1;
	return 0;
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
}

static int start(struct proc *p, const struct proc_conf *conf, struct err *err)
{
	int fds[3] = { -1, -1, -1 }, ret = -1;

	fds[0] = make_input(conf->input, err);
	if (fds[0] >= 0 && make_pipe(&p->out, &fds[1], err) == 0 &&
	    make_pipe(&p->err, &fds[2], err) == 0)
		ret = spawn(p, conf, fds, err);
	close_all(fds, 3);
	if (ret == 0 && watch(p, err) < 0) {
		proc_signal(p, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
		ret = -1;
	}
	return ret;
}

struct proc *proc_start(struct loop *loop, const struct proc_conf *conf, struct err *err)
{
	struct proc *p = mem_alloc(sizeof(*p));
	size_t max = conf->output_max ? conf->output_max : OUTPUT_MAX;

	p->loop = loop;
	p->pidfd = p->out.fd = p->err.fd = -1;
	p->out.proc = p->err.proc = p;
	p->on_exit = conf->on_exit;
	p->arg = conf->arg;
	buf_init(&p->out.data, max);
	buf_init(&p->err.data, max);
	io_timer_init(&p->timeout, on_timeout);
	if (start(p, conf, err) < 0) {
		proc_free(p);
		return NULL;
	}
	if (conf->timeout_ms)
		io_timer_in_ms(loop, &p->timeout, conf->timeout_ms);
	return p;
}
