/* app/weftd/helper.c - see helper.h. */
#include "app/weftd/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/weftd/account.h"
#include "app/weftd/options.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "io/file.h"
#include "io/tcp.h"
#include "node/privops.h"
#include "node/privops_remote.h"
#include "os/sandbox/sandbox.h"

enum {
	BIND_TRIES =
	    20, /* an engine that was killed with its helper may hold the socket for a moment */
	BIND_PAUSE_MS = 50,
	STOP_MS = 15 * 1000, /* from the wish to stop to SIGKILL */
	ARGS_MAX = 64,
	STATUS_SIGNAL = 128,
};

/* What it takes to change routes, rules, firewall and resolver, and to end the engine. */
static const uint64_t kept =
    1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_RAW | 1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_KILL;

struct helper {
	const struct weftd_options *o;
	struct log log;
	struct privops *local;
	struct privops_limits limits;
	int sock, listener, signals;
	dev_t path_dev; /* of the socket file */
	ino_t path_ino;
	pid_t engine;
	int wait_status;
	struct mono deadline; /* until which the engine may take to end */
	bool broken;          /* the engine spoke nonsense */
};

/* ---- before the split ---- */

static int listen_for_engine(struct helper *h, struct err *err)
{
	struct stat st;

	if (file_mkdirs_above(h->o->socket, 0755, err) < 0)
		return -1;
	/* Everybody may connect: who may do what is decided by credentials. */
	for (int i = 0; (h->listener = unix_bind(h->o->socket, 0666, err)) < 0; i++) {
		if (i == BIND_TRIES || err->code != ERR_REFUSED)
			return -1;
		(void)nanosleep(&(struct timespec){ 0, BIND_PAUSE_MS * 1000000L }, NULL);
	}
	if (lstat(h->o->socket, &st) == 0) {
		h->path_dev = st.st_dev;
		h->path_ino = st.st_ino;
	}
	return 0;
}

static void remove_socket(const struct helper *h)
{
	struct stat st;

	if (h->path_ino && lstat(h->o->socket, &st) == 0 && st.st_dev == h->path_dev &&
	    st.st_ino == h->path_ino)
		(void)unlink(h->o->socket);
}

static int catch_signals(struct helper *h, struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ? err_sys(err, "signalfd") : 0;
}

/* ---- the split ---- */

/*
 * In the child. A fresh image of the same program: its addresses and stack guards are not those of
 * the helper, so that what is learned about one is of no use against the other.
 */
static int become_engine(const struct helper *h, const struct account *a, int sock,
			 char *const *argv, struct err *err)
{
	/* The engine may not be able to walk to it: below /root, say. */
	int folder = open(h->o->statedir, O_PATH | O_DIRECTORY);
	int fds[HELPER_FDS] = { sock, h->listener, folder };
	char numbers[HELPER_FDS][16], *args[ARGS_MAX] = { (char *)"weftd", (char *)"engine" };
	size_t n = 2;
	sigset_t none;

	if (folder < 0)
		return err_sys(err, "open %s", h->o->statedir);
	for (int i = 0; i < HELPER_FDS; i++) {
		(void)snprintf(numbers[i], sizeof(numbers[i]), "%d", fds[i]);
		args[n++] = numbers[i];
	}
	for (; *argv; argv++) {
		if (n == ARGS_MAX - 1)
			return err_set(err, ERR_LIMIT, "more than %d arguments",
				       ARGS_MAX - 3 - HELPER_FDS);
		args[n++] = *argv;
	}
	(void)sigemptyset(&none);
	/* They go with root, or with the image of the program that had them. */
	if (sandbox_bound_capabilities(0, err) < 0 ||
	    (geteuid() == 0 && sandbox_become(a->uid, a->gid, err) < 0))
		return -1;
	if (fcntl(sock, F_SETFD, 0) < 0 || fcntl(h->listener, F_SETFD, 0) < 0 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return err_sys(err, "hand over descriptors");
	(void)unsetenv("NOTIFY_SOCKET"); /* the helper speaks for both */
	(void)execv("/proc/self/exe", args);
	return err_sys(err, "execute /proc/self/exe");
}

static int split(struct helper *h, char *const *argv, struct err *err)
{
	struct account account = { getuid(), getgid() };
	int pair[2];

	/* Without root but with the capability (systemd, containers): the same user, but without
	 * it. */
	if (geteuid() != 0 ? file_mkdirs(h->o->statedir, 0700, err) < 0
			   : account_choose(&account, h->o->user, h->o->statedir, err) < 0 ||
				 account_take_folder(&account, h->o->statedir, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socket pair");
	h->sock = pair[0];
	h->engine = fork();
	if (h->engine == 0) {
		(void)become_engine(h, &account, pair[1], argv, err);
		(void)fprintf(stderr, "weftd: %s\n", err->text);
		_exit(1);
	}
	(void)close(pair[1]);
	(void)close(h->listener);
	h->listener = -1;
	return h->engine < 0 ? err_sys(err, "fork") : 0;
}

static int shrink(struct helper *h, struct err *err)
{
	struct sandbox_report report = { 0 };

	(void)strncpy(h->limits.device, weftd_options_device(h->o) ? h->o->tun : "",
		      sizeof(h->limits.device) - 1);
	h->limits.port = h->o->port;
	/* First, so that threads of the operations have no more than we. */
	if (secret_harden_process(err) < 0 || sandbox_keep_capabilities(kept, err) < 0 ||
	    sandbox_enter(&(struct sandbox_conf){ .helper = true }, &report, err) < 0)
		return -1;
	h->local = privops_local_create(err);
	if (!h->local)
		return -1;
	log_debug(&h->log, "helper of engine %d, system calls %s", (int)h->engine,
		  report.calls ? "filtered" : "not filtered");
	return 0;
}

/* ---- after it ---- */

static bool reap(struct helper *h)
{
	if (h->engine > 0 && waitpid(h->engine, &h->wait_status, WNOHANG) == h->engine)
		h->engine = 0;
	return h->engine == 0;
}

static void ask_to_stop(struct helper *h, int signo)
{
	if (h->engine > 0)
		(void)kill(h->engine, signo);
	if (h->deadline.ns == MONO_NEVER.ns)
		h->deadline = mono_add_ms(mono_now(), STOP_MS);
}

static void take_signals(struct helper *h)
{
	struct signalfd_siginfo info;

	while (read(h->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			ask_to_stop(h, (int)info.ssi_signo);
}

/* False: the engine will ask for nothing more. */
static bool serve_once(struct helper *h)
{
	struct err err = { 0 };
	int ret = privops_serve(h->local, h->sock, &h->limits, &err);

	if (ret > 0)
		return true;
	if (ret < 0) {
		log_error(&h->log, "engine asked for what no engine asks for (%s), ending it",
			  err.text);
		h->broken = true;
		ask_to_stop(h, SIGKILL);
	} else if (h->deadline.ns == MONO_NEVER.ns) {
		h->deadline = mono_add_ms(mono_now(), STOP_MS);
	}
	return false;
}

static int timeout_ms(const struct helper *h)
{
	int64_t ms;

	if (h->deadline.ns == MONO_NEVER.ns)
		return -1;
	ms = (h->deadline.ns - mono_now().ns) / 1000000;
	return ms < 0 ? 0 : (int)ms + 1;
}

static void serve(struct helper *h)
{
	struct pollfd fds[] = { { h->signals, POLLIN, 0 }, { h->sock, POLLIN, 0 } };

	h->deadline = MONO_NEVER;
	while (!reap(h)) {
		int n = poll(fds, array_len(fds), timeout_ms(h));

		if (n > 0 && fds[0].revents)
			take_signals(h);
		if (n > 0 && fds[1].revents && !serve_once(h))
			fds[1].fd = -1;
		if (h->deadline.ns != MONO_NEVER.ns && mono_now().ns >= h->deadline.ns) {
			log_error(&h->log, "engine did not end in time, killing it");
			(void)kill(h->engine, SIGKILL);
			h->deadline = mono_add_ms(mono_now(), STOP_MS);
		}
	}
}

static int status_of(const struct helper *h)
{
	if (WIFEXITED(h->wait_status))
		return h->broken ? 1 : WEXITSTATUS(h->wait_status);
	log_error(&h->log, "engine was ended by signal %d (%s), the host is put back as it was",
		  WTERMSIG(h->wait_status), strsignal(WTERMSIG(h->wait_status)));
	return STATUS_SIGNAL + WTERMSIG(h->wait_status);
}

int helper_run(const struct weftd_options *o, char *const *argv, struct log_sink *sink, int *status,
	       struct err *err)
{
	struct helper h = { .o = o, .sock = -1, .listener = -1, .signals = -1 };
	int ret = -1;

	h.log = log_of(sink, "helper", NULL);
	if (catch_signals(&h, err) < 0 || listen_for_engine(&h, err) < 0 ||
	    split(&h, argv, err) < 0)
		goto out;
	if (shrink(&h, err) < 0) {
		(void)kill(h.engine, SIGKILL);
		(void)waitpid(h.engine, &h.wait_status, 0);
		goto out;
	}
	serve(&h);
	/* The device is gone with the engine; what it does not take along goes here. */
	h.local->ops->restore(h.local);
	*status = status_of(&h);
	ret = 0;
out:
	remove_socket(&h);
	privops_destroy(h.local);
	if (h.listener >= 0)
		(void)close(h.listener);
	if (h.sock >= 0)
		(void)close(h.sock);
	if (h.signals >= 0)
		(void)close(h.signals);
	return ret;
}

/* ---- the engine's side ---- */

static bool take_fd(const char *text, mode_t kind, int *fd)
{
	struct stat st;
	uint64_t n;

	if (!text_u64(bytes_str(text), 1023, &n) || fstat((int)n, &st) < 0 ||
	    (st.st_mode & S_IFMT) != kind)
		return false;
	*fd = (int)n;
	return fcntl(*fd, F_SETFD, FD_CLOEXEC) == 0;
}

int helper_child_fds(int argc, char **argv, struct helper_fds *fds, struct err *err)
{
	struct pollfd gone;

	if (argc <= HELPER_FDS || !take_fd(argv[1], S_IFSOCK, &fds->sock) ||
	    !take_fd(argv[2], S_IFSOCK, &fds->listener) || !take_fd(argv[3], S_IFDIR, &fds->folder))
		return err_set(err, ERR_USAGE, "`weftd engine` is started by weftd, not by hand");
	(void)prctl(PR_SET_NAME, "weftd-engine");
	/* Without its helper an engine can change nothing, so it does not stay. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_sys(err, "bind to the helper");
	gone = (struct pollfd){ fds->sock, 0, 0 };
	if (poll(&gone, 1, 0) > 0)
		return err_set(err, ERR_SYSTEM, "the helper process is gone");
	return 0;
}
