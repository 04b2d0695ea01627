/*
 * The thread: look, decide, carry out, watch.
 *
 * Everything in struct resolver below "the thread's own" belongs to the thread. Above it, lock
 * protects want, generation and status; it is held for copies only, and nothing else is taken
 * while it is held.
 */
#include "os/resolver/resolver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/text.h"
#include "io/file.h"
#include "os/resolver/resolver_priv.h"

enum {
	SETTLE_MS = 100,      /* writers come in bursts */
	BOOT_WAIT_MS = 10000, /* for systemd-resolved */
	BUS_RETRY_MS = 30000,
	RETRY_FIRST_MS = 1000,
	RETRY_MAX_MS = 60000,
	WAR_CHANGES = 5, /* in WAR_MS: then the other program wins for TRUCE_MS */
	WAR_MS = 60000,
	TRUCE_MS = 300000,
	RESOLVER_SOURCES = 4,
};

struct resolver {
	pthread_mutex_t lock;
	struct resolver_want want;
	uint32_t generation; /* of want */
	bool stopping;
	struct resolver_status status;

	pthread_t thread;
	int wake, event; /* eventfds: to the thread, from it */
	void (*on_change)(void *arg);
	void *arg;

	/* the thread's own */
	struct log log;
	struct resolver_paths paths;
	bool ignore_bus;
	int lock_fd; /* while active is not NONE */
	struct resolver_bus bus;
	int inotify, folder_watch, file_watch, source_watch[RESOLVER_SOURCES];
	struct resolver_want now; /* the wish being carried out */
	uint32_t taken;           /* its generation */
	bool force;               /* what was set may be gone */
	enum resolver_manager active;
	uint32_t active_index;
	struct resolver_want applied;
	struct buf written; /* our text, while a file is ours */
	enum resolvconf_kind resolvconf;
	struct mono started, due, truce, war_since;
	unsigned war_changes;
	int64_t retry_ms;
	struct resolver_status next; /* becomes status when it differs */
};

/* ---- what the next start needs to know ---- */

static void remember(struct resolver *r, enum resolver_manager manager)
{
	struct err err;
	char text[64];

	(void)snprintf(text, sizeof(text), "%s\n", resolver_manager_name(manager));
	if (resolver_make_folder_of(r->paths.state, &err) < 0 ||
	    file_write(r->paths.state, bytes_str(text), 0644, &err) < 0)
		log_warn(&r->log, "state not kept, a kill would leave the change: %s", err.text);
}

static enum resolver_manager remembered(const struct resolver_paths *p)
{
	struct buf text;
	struct err ignored;
	struct bytes name;
	enum resolver_manager found = RESOLVER_NONE;

	if (file_read(p->state, 64, &text, &ignored) < 0)
		return RESOLVER_NONE;
	name = text_trim(buf_bytes(&text));
	for (unsigned m = RESOLVER_NONE; m < RESOLVER_MANAGERS; m++)
		if (bytes_equal_str(name, resolver_manager_name((uint8_t)m)))
			found = (enum resolver_manager)m;
	buf_fini(&text);
	return found;
}

/*
 * The lock of who changes this host's resolver. -1, ERR_REFUSED: another daemon of ours does. No
 * place for a lock is no reason to do nothing: *fd is -1 then.
 */
static int take_lock(const struct resolver_paths *p, int *fd, struct err *err)
{
	if (resolver_make_folder_of(p->lock, err) < 0)
		*fd = -1;
	else
		*fd = file_lock(p->lock, err);
	if (*fd < 0 && err->code == ERR_REFUSED)
		return err_set(err, ERR_REFUSED,
			       "another daemon of ours tells this host's resolver");
	return 0;
}

static void release_lock(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int take_back(const struct resolver_paths *p, struct err *err)
{
	enum resolver_manager m = remembered(p);

	if ((m == RESOLVER_RESOLVCONF || m == RESOLVER_OPENRESOLV) &&
	    resolver_script_undo(p, m, err) < 0)
		return -1;
	/* The file carries its own marker, so a lost state file does not matter. */
	if (resolver_file_undo(p, err) < 0)
		return -1;
	(void)unlink(p->state);
	return 0;
}

/* What a living daemon has set is not left behind. */
static int recover(const struct resolver_paths *p, struct err *err)
{
	int ret, lock = -1;

	*err = (struct err){ 0 };
	if (take_lock(p, &lock, err) < 0)
		return 0;
	ret = take_back(p, err);
	release_lock(&lock);
	return ret;
}

bool resolver_recover(const struct resolver_conf *conf, struct err *err)
{
	struct resolver_paths paths;

	return resolver_paths_init(&paths, conf, err) == 0 && recover(&paths, err) == 0;
}

/* ---- status ---- */

static void trouble(struct resolver *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void trouble(struct resolver *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(r->next.trouble, sizeof(r->next.trouble), fmt, args);
	va_end(args);
}

static void say_changes(struct resolver *r, const struct resolver_status *before)
{
	const struct resolver_status *s = &r->next;

	if (s->manager != before->manager || strcmp(s->why, before->why) != 0)
		log_info(&r->log, "manager is %s: %s", resolver_manager_name(s->manager), s->why);
	if (s->state != before->state)
		log_info(&r->log, "state is %s", resolver_state_name(s->state));
	if (s->trouble[0] && strcmp(s->trouble, before->trouble) != 0)
		log_warn(&r->log, "%s", s->trouble);
}

/* Both were born zeroed and are only ever copied whole, so that padding is equal, too. */
static bool is_same(const struct resolver_status *a, const struct resolver_status *b)
{
	return bytes_equal(bytes_of(a, sizeof(*a)), bytes_of(b, sizeof(*b)));
}

static void publish(struct resolver *r)
{
	struct resolver_status before;
	uint64_t one = 1;

	(void)pthread_mutex_lock(&r->lock);
	before = r->status;
	r->next.serial = before.serial;
	if (before.serial && is_same(&before, &r->next)) {
		(void)pthread_mutex_unlock(&r->lock);
		return;
	}
	r->next.serial++;
	r->status = r->next;
	(void)pthread_mutex_unlock(&r->lock);
	say_changes(r, &before);
	(void)!write(r->event, &one, sizeof(one));
	if (r->on_change)
		r->on_change(r->arg);
}

/* ---- watching ---- */

/* The file too: one that is mounted there changes without its folder noticing. */
static void watch_file(struct resolver *r)
{
	r->file_watch = inotify_add_watch(r->inotify, r->paths.conf,
					  IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF);
}

/* Where others keep what becomes our upstreams. They come and go; watching twice is watching once.
 */
static void watch_sources(struct resolver *r)
{
	static const char *const folders[RESOLVER_SOURCES] = { "/run/systemd/resolve",
							       "/run/resolvconf/interface",
							       "/run/resolvconf/interfaces",
							       "/run/resolvconf/keys" };
	char path[RESOLVER_PATH_MAX];

	for (unsigned i = 0; i < RESOLVER_SOURCES; i++) {
		resolver_paths_join(&r->paths, folders[i], path);
		r->source_watch[i] = inotify_add_watch(
		    r->inotify, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
	}
}

static void start_watching(struct resolver *r)
{
	char folder[RESOLVER_PATH_MAX];

	r->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (r->inotify < 0)
		return;
	resolver_paths_join(&r->paths, "/etc", folder);
	r->folder_watch =
	    inotify_add_watch(r->inotify, folder,
			      IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE);
	watch_file(r);
	if (r->folder_watch < 0)
		log_warn(&r->log, "changes of %s stay unnoticed: %s", r->paths.conf,
			 strerrordesc_np(errno));
}

/* ---- looking ---- */

static bool nss_asks_resolve(const struct resolver_paths *p)
{
	char path[RESOLVER_PATH_MAX];
	struct buf text;
	struct err ignored;
	bool yes;

	resolver_paths_join(p, "/etc/nsswitch.conf", path);
	if (file_read(path, RESOLV_CONF_BYTES_MAX, &text, &ignored) < 0)
		return false;
	yes = nsswitch_has_resolve(buf_bytes(&text));
	buf_fini(&text);
	return yes;
}

static void look(struct resolver *r, struct resolver_facts *f, const struct resolver_host *host)
{
	*f = (struct resolver_facts){ .exists = host->exists };
	memcpy(f->link, host->link, sizeof(f->link));
	resolv_conf_parse(&f->file, buf_bytes(&host->text));
	resolver_file_look(f, &r->paths);
	f->nss_resolve = nss_asks_resolve(&r->paths);
	f->waited = mono_since_ms(mono_now(), r->started) >= BOOT_WAIT_MS;
	if (!r->ignore_bus && resolver_bus_open(&r->bus))
		resolver_bus_look(&r->bus, f);
	/* Asked once: a child process for each change of the file would be dear. */
	if (r->resolvconf == RESOLVCONF_ABSENT || r->resolvconf == RESOLVCONF_BROKEN)
		if (f->file.writer == RESOLV_CONF_RESOLVCONF || strstr(f->link, "resolvconf"))
			r->resolvconf = resolver_script_look(&r->paths);
	f->resolvconf = r->resolvconf;
}

static void find_upstreams(struct resolver *r, const struct resolver_facts *f,
			   enum resolver_manager manager)
{
	struct resolver_upstreams *up = &r->next.upstreams;
	char path[RESOLVER_PATH_MAX];
	struct resolv_conf c;
	struct buf text;
	struct err ignored;

	*up = (struct resolver_upstreams){ 0 };
	if (manager == RESOLVER_RESOLVCONF || manager == RESOLVER_OPENRESOLV)
		resolver_script_upstreams(&r->paths, up);
	else
		*up = f->file.up;
	resolver_paths_join(&r->paths, "/run/systemd/resolve/resolv.conf", path);
	if (f->file.only_stub && file_read(path, RESOLV_CONF_BYTES_MAX, &text, &ignored) == 0) {
		resolv_conf_parse(&c, buf_bytes(&text));
		resolver_upstreams_merge(up, &c.up);
		buf_fini(&text);
	}
	resolver_upstreams_drop(up, &r->now);
}

/* ---- carrying out ---- */

static bool is_file(enum resolver_manager m)
{
	return m == RESOLVER_FILE || m == RESOLVER_IN_PLACE || m == RESOLVER_MOUNT;
}

static bool is_script(enum resolver_manager m)
{
	return m == RESOLVER_RESOLVCONF || m == RESOLVER_OPENRESOLV;
}

static int undo(struct resolver *r, struct err *err)
{
	int ret = 0;

	if (is_file(r->active))
		ret = resolver_file_undo(&r->paths, err);
	else if (is_script(r->active))
		ret = resolver_script_undo(&r->paths, r->active, err);
	else if (r->active == RESOLVER_RESOLVED)
		ret = resolver_bus_undo(&r->bus, r->active_index, err);
	if (ret < 0)
		return -1;
	(void)unlink(r->paths.state);
	release_lock(&r->lock_fd);
	r->active = RESOLVER_NONE;
	r->applied = (struct resolver_want){ 0 };
	buf_clear(&r->written);
	return 0;
}

static int apply_file(struct resolver *r, enum resolver_manager m, struct resolver_host *host,
		      struct err *err)
{
	struct bytes before =
	    host->exists ? bytes_of(host->text.n ? host->text.p : (const uint8_t *)"", host->text.n)
			 : bytes_of(NULL, 0);

	buf_clear(&r->written);
	resolv_conf_render(&r->written, &r->now, before);
	if (r->written.bad)
		return err_set(err, ERR_LIMIT, "/etc/resolv.conf is too long to be kept");
	if (host->ours && bytes_equal(buf_bytes(&r->written), buf_bytes(&host->now)))
		return 0;
	return resolver_file_set(&r->paths, m, host, buf_bytes(&r->written), err);
}

/* Whether programs read what we set; resolved's state we learn from the bus. */
static bool is_in_effect(const struct resolver *r, const struct resolver_host *host)
{
	struct resolv_conf c;

	if (is_file(r->active))
		return host->ours && bytes_equal(buf_bytes(&host->now), buf_bytes(&r->written));
	if (!is_script(r->active))
		return true;
	resolv_conf_parse(&c, buf_bytes(&host->now));
	return c.up.count && ip_equal(c.up.servers[0], r->now.servers[0]);
}

/* The exit status also tells of other programs' hooks: what counts is what programs read now. */
static int apply_script(struct resolver *r, enum resolver_manager m, struct err *err)
{
	int ret = resolver_script_set(&r->paths, m, &r->now, err);
	struct resolver_host after;
	bool in_effect;

	resolver_host_read(&after, &r->paths);
	in_effect = is_in_effect(r, &after);
	resolver_host_fini(&after);
	if (in_effect)
		return 0;
	if (ret < 0)
		return -1;
	return err_set(err, ERR_REFUSED,
		       "%s took our record, but /etc/resolv.conf does not name us first",
		       resolver_manager_name(m));
}

static int apply(struct resolver *r, enum resolver_manager m, struct resolver_host *host,
		 struct err *err)
{
	int ret;

	if (r->active != RESOLVER_NONE &&
	    (r->active != m || (m == RESOLVER_RESOLVED && r->active_index != r->now.index))) {
		if (undo(r, err) < 0)
			return -1;
	}
	*err = (struct err){ 0 };
	if (r->active == RESOLVER_NONE && take_lock(&r->paths, &r->lock_fd, err) < 0)
		return -1;
	if (r->active != m)
		remember(r, m);
	r->active = m; /* also when it fails half way: undo takes the half back */
	r->active_index = r->now.index;
	if (is_file(m))
		ret = apply_file(r, m, host, err);
	else if (is_script(m))
		ret = apply_script(r, m, err);
	else
		ret = resolver_bus_set(&r->bus, &r->now, err);
	if (ret == 0)
		r->applied = r->now;
	return ret;
}

static void retry_in(struct resolver *r, int64_t ms)
{
	r->due = mono_min(r->due, mono_add_ms(mono_now(), ms));
}

static void failed(struct resolver *r, const struct err *err)
{
	r->retry_ms = r->retry_ms ? r->retry_ms * 2 : RETRY_FIRST_MS;
	if (r->retry_ms > RETRY_MAX_MS)
		r->retry_ms = RETRY_MAX_MS;
	r->next.state = RESOLVER_FAILED;
	trouble(r, "%s", err->text);
	r->force = true;
	retry_in(r, r->retry_ms);
}

/* Another program changed the file under us. False: leave it alone for a while. */
static bool may_write_again(struct resolver *r, const struct resolver_facts *f)
{
	struct mono now = mono_now();
	char text[IP_TEXT_MAX] = "none";

	if (mono_is_zero(r->war_since) || mono_since_ms(now, r->war_since) > WAR_MS) {
		r->war_since = now;
		r->war_changes = 0;
	}
	r->next.foreign++;
	if (f->file.up.count)
		(void)ip_format(f->file.up.servers[0], text);
	trouble(r,
		"another program changed /etc/resolv.conf (its first server: %s); what it wrote is "
		"kept, its servers are used through ours",
		text);
	if (++r->war_changes < WAR_CHANGES)
		return true;
	r->truce = mono_add_ms(now, TRUCE_MS);
	trouble(r,
		"another program changed /etc/resolv.conf %u times within a minute; it is left "
		"as that program wants it for %d minutes, names of the network do not resolve",
		r->war_changes, TRUCE_MS / 60000);
	return false;
}

static void yield(struct resolver *r)
{
	struct err ignored;

	(void)undo(r, &ignored);
	r->war_changes = 0;
	r->next.state = RESOLVER_YIELDED;
	retry_in(r, TRUCE_MS);
}

static void carry_out(struct resolver *r, const struct resolver_decision *d,
		      const struct resolver_facts *f, struct resolver_host *host)
{
	bool in_effect = is_in_effect(r, host);
	bool stolen = is_file(r->active) && !in_effect && !r->force && r->applied.server_count;
	struct err err;

	if (!mono_is_zero(r->truce) && !mono_reached(mono_now(), r->truce) && is_file(d->manager)) {
		retry_in(r, mono_since_ms(r->truce, mono_now()) + 1);
		return;
	}
	if (stolen && !may_write_again(r, f)) {
		yield(r);
		return;
	}
	if (!stolen && !in_effect && is_script(r->active) && !r->force)
		r->next.foreign++;
	if (r->active == d->manager && in_effect && !r->force &&
	    bytes_equal(bytes_of(&r->applied, sizeof(r->now)), bytes_of(&r->now, sizeof(r->now))))
		return;
	if (apply(r, d->manager, host, &err) < 0) {
		failed(r, &err);
		return;
	}
	if (host->overtaken) {
		r->next.foreign++;
		trouble(r, "another program wrote /etc/resolv.conf at the same moment; what it "
			   "wrote is kept");
		retry_in(r, SETTLE_MS);
	} else if (!stolen) {
		r->next.trouble[0] = '\0';
	}
	r->next.state = RESOLVER_SET;
	r->retry_ms = 0;
	r->force = false;
	r->truce = (struct mono){ 0 };
}

static void stop_setting(struct resolver *r, uint8_t state)
{
	struct err err;

	if (r->active != RESOLVER_NONE && undo(r, &err) < 0) {
		failed(r, &err);
		return;
	}
	r->next.state = state;
	r->next.trouble[0] = '\0';
	r->retry_ms = 0;
}

static void evaluate(struct resolver *r)
{
	struct resolver_decision d;
	struct resolver_facts f;
	struct resolver_host host;

	r->due = MONO_NEVER;
	watch_sources(r); /* before looking: what changes after it is seen again */
	resolver_host_read(&host, &r->paths);
	look(r, &f, &host);
	resolver_decide(&d, &f);
	r->next.manager = (uint8_t)d.manager;
	r->next.can_split = d.can_split;
	memcpy(r->next.why, d.why, sizeof(r->next.why));
	find_upstreams(r, &f, d.manager);
	if (!r->now.server_count) {
		stop_setting(r, RESOLVER_OFF);
	} else if (d.wait) {
		stop_setting(r, RESOLVER_WAITING);
	} else if (d.manager == RESOLVER_NONE) {
		stop_setting(r, RESOLVER_FAILED);
		trouble(r, "the host's resolver cannot be told: %.200s", d.why);
	} else {
		carry_out(r, &d, &f, &host);
	}
	r->next.in_effect = r->next.state == RESOLVER_SET || r->next.state == RESOLVER_OFF;
	if (d.wait)
		retry_in(r, BOOT_WAIT_MS - mono_since_ms(mono_now(), r->started) + 1);
	if (!r->ignore_bus && !r->bus.bus && f.file.only_stub)
		retry_in(r, BUS_RETRY_MS);
	resolver_host_fini(&host);
	publish(r);
}

/* ---- what happens ---- */

static bool is_about_us(const struct resolver *r, const struct inotify_event *e)
{
	for (unsigned i = 0; i < RESOLVER_SOURCES; i++)
		if (e->wd == r->source_watch[i])
			return true;
	return (e->mask & IN_Q_OVERFLOW) || e->wd == r->file_watch ||
	       (e->len && (!strcmp(e->name, "resolv.conf") || !strcmp(e->name, "nsswitch.conf")));
}

static void take_changes(struct resolver *r)
{
	_Alignas(struct inotify_event) char data[4096];
	bool ours = false;
	ssize_t n;

	while ((n = read(r->inotify, data, sizeof(data))) > 0) {
		size_t at = 0;

		while (at + sizeof(struct inotify_event) <= (size_t)n) {
			const struct inotify_event *e = (const void *)(data + at);

			ours |= is_about_us(r, e);
			at += sizeof(*e) + e->len;
		}
	}
	if (!ours)
		return;
	watch_file(r); /* the name may lead to another file now */
	retry_in(r, SETTLE_MS);
}

static void take_bus(struct resolver *r)
{
	(void)resolver_bus_process(&r->bus);
	if (!r->bus.changed)
		return;
	r->bus.changed = false;
	r->started = mono_now(); /* a restart is a boot: give it the same time */
	r->force = true;
	retry_in(r, SETTLE_MS);
}

static void wait_for_something(struct resolver *r)
{
	struct pollfd fds[3] = { { .fd = r->wake, .events = POLLIN },
				 { .fd = r->inotify, .events = POLLIN },
				 { .fd = -1 } };
	int64_t ms = r->due.ns == INT64_MAX ? -1 : mono_since_ms(r->due, mono_now()) + 1;
	uint64_t n;

	fds[2].fd = resolver_bus_fd(&r->bus, &fds[2].events);
	if (ms < 0 && r->due.ns != INT64_MAX)
		ms = 0;
	if (poll(fds, 3, ms > INT32_MAX ? INT32_MAX : (int)ms) <= 0)
		return;
	if (fds[0].revents)
		(void)!read(r->wake, &n, sizeof(n));
	if (fds[1].revents)
		take_changes(r);
	if (fds[2].revents)
		take_bus(r);
}

/* False: stop. */
static bool take_want(struct resolver *r)
{
	bool go_on;

	(void)pthread_mutex_lock(&r->lock);
	go_on = !r->stopping;
	if (r->taken != r->generation) {
		r->now = r->want;
		r->taken = r->generation;
		r->due = (struct mono){ 0 };
		r->truce = (struct mono){ 0 };
	}
	(void)pthread_mutex_unlock(&r->lock);
	return go_on;
}

static void *run(void *arg)
{
	struct resolver *r = arg;
	struct err err;

	if (recover(&r->paths, &err) < 0)
		log_error(&r->log, "what an earlier process left is still there: %s", err.text);
	start_watching(r);
	while (take_want(r)) {
		if (mono_reached(mono_now(), r->due))
			evaluate(r);
		else
			wait_for_something(r);
	}
	if (r->active != RESOLVER_NONE && undo(r, &err) < 0)
		log_error(&r->log, "the host's resolver was not put back: %s", err.text);
	release_lock(&r->lock_fd);
	resolver_bus_close(&r->bus);
	if (r->inotify >= 0)
		(void)close(r->inotify);
	return NULL;
}

/* ---- for others ---- */

static void release(struct resolver *r)
{
	if (r->wake >= 0)
		(void)close(r->wake);
	if (r->event >= 0)
		(void)close(r->event);
	(void)pthread_mutex_destroy(&r->lock);
	buf_fini(&r->written);
	mem_free(r);
}

/* Signals are for the threads of those who handle them. */
static int start_thread(struct resolver *r)
{
	sigset_t all, before;
	int ret;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&r->thread, NULL, run, r);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = ret;
	return ret ? -1 : 0;
}

struct resolver *resolver_create(const struct resolver_conf *conf, struct err *err)
{
	struct resolver *r = mem_alloc(sizeof(*r));

	(void)pthread_mutex_init(&r->lock, NULL);
	buf_init(&r->written, 3 * RESOLV_CONF_BYTES_MAX);
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->on_change = conf->on_change;
	r->arg = conf->arg;
	r->ignore_bus = conf->ignore_bus;
	if (conf->log)
		r->log = *conf->log;
	r->lock_fd = r->inotify = r->folder_watch = r->file_watch = -1;
	r->started = mono_now();
	if (resolver_paths_init(&r->paths, conf, err) < 0)
		goto fail;
	if (r->wake < 0 || r->event < 0) {
		(void)err_sys(err, "eventfd");
		goto fail;
	}
	if (start_thread(r) < 0) {
		(void)err_sys(err, "start the resolver's thread");
		goto fail;
	}
	return r;
fail:
	release(r);
	return NULL;
}

static void wake(struct resolver *r)
{
	uint64_t one = 1;

	(void)!write(r->wake, &one, sizeof(one));
}

void resolver_destroy(struct resolver *r)
{
	if (!r)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->stopping = true;
	(void)pthread_mutex_unlock(&r->lock);
	wake(r);
	(void)pthread_join(r->thread, NULL);
	release(r);
}

static uint8_t at_most(uint8_t n, uint8_t max)
{
	return n < max ? n : max;
}

void resolver_set(struct resolver *r, const struct resolver_want *want)
{
	(void)pthread_mutex_lock(&r->lock);
	r->want = *want;
	r->want.server_count = at_most(want->server_count, RESOLVER_SERVERS_MAX);
	r->want.search_count = at_most(want->search_count, RESOLVER_DOMAINS_MAX);
	r->want.match_count = at_most(want->match_count, RESOLVER_DOMAINS_MAX);
	r->generation++;
	(void)pthread_mutex_unlock(&r->lock);
	wake(r);
}

void resolver_get_status(struct resolver *r, struct resolver_status *out)
{
	(void)pthread_mutex_lock(&r->lock);
	*out = r->status;
	(void)pthread_mutex_unlock(&r->lock);
}

int resolver_fd(const struct resolver *r)
{
	return r->event;
}
