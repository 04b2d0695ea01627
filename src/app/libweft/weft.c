/*
 * app/libweft/weft.c - the life of an embedded node: settings, a thread with a loop, its end.
 *
 * The caller's threads and the node's meet in the fields under the lock, and in questions that are
 * posted to the loop (weft_ask.c). See include/weft.h.
 */
#include <weft.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app/libweft/weft_impl.h"
#include "base/json.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "io/loop.h"
#include "node/prefs.h"
#include "node/privops.h"

const char *weft_version(void)
{
	return WEFT_VERSION;
}

struct weft *weft_new(void)
{
	struct weft *w = mem_alloc(sizeof(*w));
	pthread_condattr_t attr;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	w->log_fd = w->packets[0] = w->packets[1] = -1;
	return w;
}

int weft_fail(struct weft *w, const struct err *err)
{
	pthread_mutex_lock(&w->lock);
	w->err = *err;
	pthread_mutex_unlock(&w->lock);
	return -1;
}

int weft_error(struct weft *w, char *buf, size_t size)
{
	pthread_mutex_lock(&w->lock);
	if (size)
		(void)snprintf(buf, size, "%s", w->err.text);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

/* ---- settings ---- */

static int may_set(struct weft *w)
{
	struct err err;

	if (!w->started)
		return 0;
	(void)err_set(&err, ERR_USAGE, "settings must be made before the node is started");
	return weft_fail(w, &err);
}

static void forget(char **slot)
{
	if (*slot)
		secret_wipe(*slot, strlen(*slot));
	mem_free(*slot);
	*slot = NULL;
}

static int set_text(struct weft *w, char **slot, const char *text)
{
	if (may_set(w) < 0)
		return -1;
	forget(slot);
	*slot = text && *text ? mem_strdup(text) : NULL;
	return 0;
}

int weft_set_state_dir(struct weft *w, const char *dir)
{
	return set_text(w, &w->state_dir, dir);
}

int weft_set_control_url(struct weft *w, const char *url)
{
	return set_text(w, &w->control_url, url);
}

int weft_set_auth_key(struct weft *w, const char *key)
{
	return set_text(w, &w->auth_key, key);
}

int weft_set_hostname(struct weft *w, const char *name)
{
	return set_text(w, &w->hostname, name);
}

int weft_set_ca_file(struct weft *w, const char *file)
{
	return set_text(w, &w->ca_file, file);
}

int weft_set_ephemeral(struct weft *w, int on)
{
	if (may_set(w) < 0)
		return -1;
	w->ephemeral = on;
	return 0;
}

int weft_set_port(struct weft *w, unsigned short port)
{
	if (may_set(w) < 0)
		return -1;
	w->port = port;
	return 0;
}

int weft_set_log_fd(struct weft *w, int fd)
{
	if (may_set(w) < 0)
		return -1;
	w->log_fd = fd;
	return 0;
}

/* ---- the node's thread ---- */

static void no_log(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
	(void)sink;
	(void)level;
	(void)line;
	(void)n;
}

/* What callers may know without asking the thread. */
static void on_event(struct node_listener *l, unsigned events)
{
	struct weft *w = container_of(l, struct weft, listener);

	(void)events;
	pthread_mutex_lock(&w->lock);
	w->state = node_state(w->node);
	(void)snprintf(w->url, sizeof(w->url), "%s", node_auth_url(w->node));
	(void)snprintf(w->why, sizeof(w->why), "%s", node_error(w->node));
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void put_text(struct json_out *o, const char *name, const char *text)
{
	if (!text)
		return;
	json_key(o, name);
	json_put_cstr(o, text);
}

static int login(struct weft *w, struct err *err)
{
	bool known = node_has_key(w->node);
	struct json_out o;
	struct buf prefs;
	int ret;

	buf_init(&prefs, PREFS_TEXT_MAX);
	json_out_init(&o, &prefs);
	json_open_object(&o);
	put_text(&o, "ControlURL", w->control_url);
	put_text(&o, "Hostname", w->hostname);
	json_key(&o, "WantRunning");
	json_put_bool(&o, true);
	json_close_object(&o);
	/* A node that is known already needs no key, and a key for one use is used up. */
	ret = node_start(w->node, buf_bytes(&prefs), known ? NULL : w->auth_key, err);
	if (ret == 0 && !known && !w->auth_key)
		node_login_interactive(w->node);
	buf_fini(&prefs);
	return ret;
}

static int open_node(struct weft *w, struct err *err)
{
	struct node_conf conf = { .state_dir = w->state_dir,
				  .packets = &w->device,
				  .ca_file = w->ca_file,
				  .version = WEFT_VERSION "-libweft",
				  .port = w->port,
				  .sink = &w->sink,
				  .ephemeral = w->ephemeral };

	log_sink_init(&w->sink, w->log_fd);
	if (w->log_fd < 0)
		w->sink.write = no_log;
	w->device.fd = w->packets[0];
	w->loop = loop_create(err);
	if (!w->loop)
		return -1;
	conf.priv = w->priv = privops_none_create();
	w->node = node_create(w->loop, &conf, err);
	if (!w->node)
		return -1;
	w->listener.on_event = on_event;
	node_listen(w->node, &w->listener);
	return login(w, err);
}

static void close_node(struct weft *w)
{
	if (w->node) {
		node_unlisten(&w->listener);
		node_destroy(w->node);
	}
	if (w->loop)
		loop_turn(w->loop, false);
	loop_destroy(w->loop);
	privops_destroy(w->priv);
	w->node = NULL;
	w->loop = NULL;
	w->priv = NULL;
}

static void *thread_main(void *arg)
{
	struct weft *w = arg;
	struct err err = { 0 };
	bool ok = open_node(w, &err) == 0;

	if (ok)
		on_event(&w->listener, 0);
	pthread_mutex_lock(&w->lock);
	w->ready = true;
	w->failed = !ok;
	if (!ok)
		w->err = err;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (ok)
		loop_run(w->loop);
	close_node(w);
	return NULL;
}

/* ---- start, wait, end ---- */

/* A datagram socket keeps the borders of packets and, unlike others, never ends. */
static int open_packets(struct weft *w, struct err *err)
{
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, w->packets) < 0
		   ? err_sys(err, "open the packet socket")
		   : 0;
}

static void close_packets(struct weft *w)
{
	for (int i = 0; i < 2; i++) {
		if (w->packets[i] >= 0)
			(void)close(w->packets[i]);
		w->packets[i] = -1;
	}
}

/* Signals are the business of the caller's threads. */
static int start_thread(struct weft *w, struct err *err)
{
	sigset_t all, before;
	int failed;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&w->thread, NULL, thread_main, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = failed;
	return failed ? err_sys(err, "start the node's thread") : 0;
}

int weft_start(struct weft *w)
{
	struct err err;
	bool failed;

	if (w->started)
		return 0;
	if (!w->state_dir) {
		(void)err_set(&err, ERR_USAGE,
			      "weft_set_state_dir() was not called: the node needs "
			      "a folder for its keys");
		return weft_fail(w, &err);
	}
	if (open_packets(w, &err) < 0 || start_thread(w, &err) < 0) {
		close_packets(w);
		return weft_fail(w, &err);
	}
	pthread_mutex_lock(&w->lock);
	w->started = true;
	while (!w->ready)
		pthread_cond_wait(&w->changed, &w->lock);
	failed = w->failed;
	pthread_mutex_unlock(&w->lock);
	if (!failed)
		return 0;
	(void)pthread_join(w->thread, NULL);
	close_packets(w);
	w->started = w->ready = false;
	return -1;
}

static struct timespec deadline_in(int ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000L;
	}
	return t;
}

/* Under the lock. 1: goes on waiting. */
static int settled(struct weft *w)
{
	if (w->state == NODE_RUNNING)
		return 0;
	if (w->closing)
		return err_set(&w->err, ERR_REFUSED, "the node is being closed");
	if (w->state == NODE_NEEDS_MACHINE_AUTH)
		return err_set(&w->err, ERR_REFUSED,
			       "an admin of the tailnet has to approve this node first");
	if (w->url[0] && w->state == NODE_NEEDS_LOGIN)
		return err_set(&w->err, ERR_AUTH, "somebody has to log this node in at %.200s",
			       w->url);
	return 1;
}

int weft_up(struct weft *w, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms < 0 ? 0 : timeout_ms);
	int ret;

	if (weft_start(w) < 0)
		return -1;
	pthread_mutex_lock(&w->lock);
	w->waiters++;
	while ((ret = settled(w)) > 0) {
		int timed_out = timeout_ms < 0
				    ? pthread_cond_wait(&w->changed, &w->lock)
				    : pthread_cond_timedwait(&w->changed, &w->lock, &deadline);

		if (timed_out != ETIMEDOUT)
			continue;
		ret = err_set(&w->err, ERR_TIMEOUT, "the node is not up after %d ms: %.200s",
			      timeout_ms, w->why[0] ? w->why : node_state_name(w->state));
		break;
	}
	w->waiters--;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	return ret;
}

static void stop(void *arg)
{
	struct weft *w = arg;

	loop_stop(w->loop);
}

void weft_free(struct weft *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_broadcast(&w->changed);
	while (w->waiters)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	if (w->started) {
		loop_post(w->loop, stop, w);
		(void)pthread_join(w->thread, NULL);
	}
	close_packets(w);
	forget(&w->state_dir);
	forget(&w->control_url);
	forget(&w->auth_key);
	forget(&w->hostname);
	forget(&w->ca_file);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	secret_wipe(w, sizeof(*w));
	mem_free(w);
}
