/* app/weftd/engine.c - see engine.h. */
#include "app/weftd/engine.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "app/weftd/linkmon.h"
#include "app/weftd/localapi.h"
#include "app/weftd/options.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "io/loop.h"
#include "node/datapath.h"
#include "node/node.h"
#include "node/privops.h"
#include "os/sandbox/sandbox.h"
#include "os/sandbox/sandbox_paths.h"
#include "os/sdnotify.h"

#define VERSION WEFT_VERSION "-weft" /* tells us from the original in logs of others */

enum { OPEN_FILES = 4096 };
static const uint64_t memory_max = 8ULL << 30;
static const uint64_t file_max = 1ULL << 30;

struct engine {
	const struct engine_conf *conf;
	struct log log;
	struct loop *loop;
	struct node *node;
	struct localapi *api;
	struct linkmon *links;
	struct io_timer watchdog;
	int64_t watchdog_ms;
};

/* ---- the fence ---- */

static int check_folder(const char *dir, struct err *err)
{
	if (access(dir, R_OK | W_OK | X_OK) == 0 || errno == ENOENT)
		return 0;
	return err_sys(err, "user %u cannot use the state folder %.80s", getuid(), dir);
}

static int lock_up(const struct weftd_options *o, struct sandbox_report *report, struct err *err)
{
	struct sandbox_paths read = { 0 }, write = { 0 };
	struct sandbox_limits limits = { OPEN_FILES, memory_max, file_max };
	struct sandbox_conf conf = { sandbox_paths_list(&read), sandbox_paths_list(&write), false };
	int ret;

	sandbox_paths_add_system(&read);
	sandbox_paths_add_folder_of(&read, o->ca_file);
	sandbox_paths_add(&write, o->statedir);
	ret = sandbox_limit(&limits, err) < 0 || sandbox_keep_capabilities(0, err) < 0
		  ? -1
		  : sandbox_enter(&conf, report, err);
	sandbox_paths_fini(&read);
	sandbox_paths_fini(&write);
	return ret;
}

static int fence(const struct engine *e, struct err *err)
{
	struct sandbox_report report = { 0 };

	if (check_folder(e->conf->options->statedir, err) < 0 ||
	    lock_up(e->conf->options, &report, err) < 0)
		return err_wrap(err, "lock up");
	if (report.missing[0])
		log_warn(&e->log, "%s", report.missing);
	log_info(&e->log, "fenced in as user %u, Landlock %d, system calls %s%s", getuid(),
		 report.files, report.calls ? "filtered" : "not filtered",
		 report.relaxed_for_tests ? ", relaxed: this is a sanitizer build" : "");
	return 0;
}

/* ---- running ---- */

static void tell_manager(struct engine *e, enum privops_notice what)
{
	struct privops *p = e->conf->priv;
	struct privops_notify notice = { (uint8_t)what };
	struct err err;

	if (p->ops->notify(p, &notice, &err) < 0)
		log_warn(&e->log, "service manager was not told: %s", err.text);
}

static void on_watchdog(struct io_timer *t)
{
	struct engine *e = container_of(t, struct engine, watchdog);

	tell_manager(e, PRIVOPS_ALIVE);
	io_timer_in_ms(e->loop, t, e->watchdog_ms);
}

static void on_signal(void *arg, int signo)
{
	struct engine *e = arg;

	(void)signo;
	loop_stop(e->loop);
}

static void on_network_change(void *arg, bool major)
{
	struct engine *e = arg;

	if (major)
		node_kick(e->node);
	else
		node_lan_changed(e->node);
}

static void on_rules_gone(void *arg)
{
	struct engine *e = arg;

	node_rules_gone(e->node);
}

static int start(struct engine *e, struct err *err)
{
	const struct weftd_options *o = e->conf->options;
	struct node_conf conf = { .state_dir = o->statedir,
				  .tun_name = weftd_options_device(o),
				  .ca_file = o->ca_file,
				  .version = VERSION,
				  .port = o->port,
				  .threads = o->threads < 0 ? datapath_threads_wanted()
							    : (unsigned)o->threads,
				  .sink = e->conf->sink,
				  .priv = e->conf->priv };

	if (o->no_sandbox)
		conf.notice = "The daemon runs without its sandbox (--no-sandbox): whoever breaks "
			      "into it has the whole host.";
	e->node = node_create(e->loop, &conf, err);
	if (!e->node)
		return -1;
	e->api = localapi_create(e->loop, e->node, e->conf->listener, &e->log, err);
	if (!e->api)
		return -1;
	e->links = linkmon_create(e->loop,
				  &(struct linkmon_conf){ .own = conf.tun_name,
							  .on_change = on_network_change,
							  .on_rules_gone = on_rules_gone,
							  .rule_first = PRIVOPS_RULE_BASE,
							  .rule_last = PRIVOPS_RULE_BASE + 99,
							  .arg = e },
				  err);
	if (!e->links || loop_on_signal(e->loop, SIGTERM, on_signal, e, err) < 0 ||
	    loop_on_signal(e->loop, SIGINT, on_signal, e, err) < 0)
		return -1;
	e->watchdog_ms = sdnotify_watchdog_ms();
	if (e->watchdog_ms)
		io_timer_in_ms(e->loop, &e->watchdog, e->watchdog_ms);
	return 0;
}

int engine_run(const struct engine_conf *conf, struct err *err)
{
	struct engine e = { .conf = conf, .log = log_of(conf->sink, "weftd", NULL) };
	int ret = -1;

	io_timer_init(&e.watchdog, on_watchdog);
	if (secret_harden_process(err) < 0)
		return -1;
	if (conf->options->no_sandbox)
		log_warn(&e.log, "running WITHOUT the sandbox: one process with all rights parses "
				 "what strangers send");
	else if (fence(&e, err) < 0)
		return -1;
	e.loop = loop_create(err);
	if (e.loop && start(&e, err) == 0) {
		log_info(&e.log, "started, socket %s", conf->options->socket);
		tell_manager(&e, PRIVOPS_READY);
		loop_run(e.loop);
		log_info(&e.log, "stopped");
		tell_manager(&e, PRIVOPS_STOPPING);
		ret = 0;
	}
	io_timer_stop(&e.watchdog);
	linkmon_destroy(e.links);
	localapi_destroy(e.api);
	node_destroy(e.node);
	if (e.loop)
		loop_turn(e.loop, false);
	loop_destroy(e.loop);
	return ret;
}
