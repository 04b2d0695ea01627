/* app/weftd/main.c - start of the daemon: as one process or as two. */
#include "app/weftd/main.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/weftd/engine.h"
#include "app/weftd/helper.h"
#include "app/weftd/options.h"
#include "base/err.h"
#include "base/log.h"
#include "base/opt.h"
#include "io/tcp.h"
#include "io/file.h"
#include "node/privops.h"
#include "node/privops_remote.h"
#include "os/sandbox/sandbox.h"

static int complain(const struct err *err)
{
	(void)fprintf(stderr, "weftd: %s\n", err->text);
	return err->code == ERR_USAGE ? 2 : 1;
}

/* Without privileges there is nothing to split off; with --no-sandbox nobody wants it. */
static int run_alone(const struct weftd_options *o, struct log_sink *sink, struct err *err)
{
	struct engine_conf conf = { .options = o, .sink = sink, .listener = -1 };
	int ret = -1;

	if (!o->no_sandbox && weftd_options_device(o)) {
		struct log log = log_of(sink, "weftd", NULL);

		log_warn(&log, "no right to make network devices: be root, or do without by --tun "
			       "none");
	}
	if (file_mkdirs_above(o->socket, 0755, err) < 0 || file_mkdirs(o->statedir, 0700, err) < 0)
		return -1;
	conf.listener = unix_bind(o->socket, 0666, err);
	if (conf.listener < 0)
		return -1;
	conf.priv = privops_local_create(err);
	if (conf.priv)
		ret = engine_run(&conf, err);
	privops_destroy(conf.priv);
	(void)unlink(o->socket);
	return ret;
}

static void prepare(const struct weftd_options *o, struct log_sink *sink)
{
	(void)umask(0022);
	(void)signal(SIGPIPE, SIG_IGN);
	weftd_options_sink(o, sink);
}

int weftd_main(int argc, char **argv)
{
	struct weftd_options o;
	struct log_sink sink;
	struct err err = { 0 };
	int status = 0, ret;

	if (opt_common(&weftd_program, WEFT_VERSION "-weft", argc, argv, &status))
		return status;
	if (weftd_options_parse(&o, argc - 1, argv + 1, &err) < 0 ||
	    weftd_options_check(&o, &err) < 0)
		return complain(&err);
	prepare(&o, &sink);
	if (!o.no_sandbox && sandbox_has_capability(CAP_NET_ADMIN))
		ret = helper_run(&o, argv + 1, &sink, &status, &err);
	else
		ret = run_alone(&o, &sink, &err);
	return ret < 0 ? complain(&err) : status;
}

/* A state folder below one that is closed to this user is reached by standing in it. */
static void stand_in_folder(struct weftd_options *o, int folder)
{
	if (access(o->statedir, R_OK | W_OK | X_OK) < 0 && fchdir(folder) == 0)
		o->statedir = ".";
	(void)close(folder);
}

int weftd_engine_main(int argc, char **argv)
{
	struct engine_conf conf = { .options = NULL };
	struct weftd_options o;
	struct helper_fds fds;
	struct log_sink sink;
	struct err err = { 0 };
	int ret;

	if (helper_child_fds(argc, argv, &fds, &err) < 0 ||
	    weftd_options_parse(&o, argc - HELPER_FDS - 1, argv + HELPER_FDS + 1, &err) < 0)
		return complain(&err);
	prepare(&o, &sink);
	stand_in_folder(&o, fds.folder);
	conf.listener = fds.listener;
	conf.options = &o;
	conf.sink = &sink;
	conf.priv = privops_remote_create(fds.sock);
	ret = engine_run(&conf, &err);
	privops_destroy(conf.priv);
	return ret < 0 ? complain(&err) : 0;
}
