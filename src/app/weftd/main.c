/* app/weftd/main.c - options, start and end of the daemon. */
#include "app/weftd/main.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/weftd/linkmon.h"
#include "app/weftd/localapi.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/opt.h"
#include "crypto/secret.h"
#include "io/file.h"
#include "io/loop.h"
#include "node/datapath.h"
#include "node/node.h"
#include "node/privops.h"

#define WEFTD_VERSION WEFT_VERSION "-weft" /* tells us from the original in logs of others */

struct options {
	const char *statedir, *socket, *tun, *ca_file, *state;
	uint16_t port;
	int64_t threads, verbose;
	bool json_log, no_log_time;
};

#define AT(f) offsetof(struct options, f)

// clang-format off
static const struct opt opts[] = {
	{ "statedir", OPT_STRING, AT(statedir), "/var/lib/weft", "DIR", "folder for keys, preferences and the last map" },
	{ "socket", OPT_STRING, AT(socket), "/run/weft/weftd.sock", "PATH", "unix socket for the command line" },
	{ "port", OPT_PORT, AT(port), "41641", "PORT", "UDP port for peers; 0 takes any" },
	{ "tun", OPT_STRING, AT(tun), "weft0", "NAME", "name of the network device" },
	{ "threads", OPT_INT, AT(threads), "-1", "N", "data threads, 0 or 2; -1 chooses by the machine" },
	{ "verbose", OPT_INT, AT(verbose), "1", "LEVEL", "0 problems only, 1 changes, 2 everything" },
	{ "ca-file", OPT_STRING, AT(ca_file), NULL, "FILE", "certificates that may vouch for the login server, instead of the system's" },
	{ "json-log", OPT_FLAG, AT(json_log), NULL, NULL, "write log lines as JSON" },
};
// clang-format on

static const struct opt_program program = {
	.name = "weftd",
	.help = "run this host as a node of a tailnet",
	.description = "The daemon keeps the tunnel; `weft up` makes it join a network.",
	.opts = opts,
	.opt_count = array_len(opts),
	.example = "  weftd\n"
		   "  weftd --statedir /tmp/node --socket /tmp/node/sock --tun weft1 --port 0\n"
		   "  weftd tunnel /etc/wireguard/wg0.conf    (a plain WireGuard interface)\n",
};

struct daemon {
	struct loop *loop;
	struct node *node;
};

static void on_signal(void *arg, int signo)
{
	struct daemon *d = arg;

	(void)signo;
	loop_stop(d->loop);
}

static void on_network_change(void *arg, bool major)
{
	struct daemon *d = arg;

	if (major)
		node_kick(d->node);
	else
		node_lan_changed(d->node);
}

static void on_rules_gone(void *arg)
{
	struct daemon *d = arg;

	node_rules_gone(d->node);
}

static int prepare(const struct options *o, struct err *err)
{
	char folder[256];
	char *slash;

	(void)snprintf(folder, sizeof(folder), "%s", o->socket);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		if (file_mkdirs(folder, 0755, err) < 0)
			return -1;
	}
	return 0;
}

static int serve(const struct options *o, struct log_sink *sink, struct err *err)
{
	struct node_conf conf = { .state_dir = o->statedir,
				  .tun_name = o->tun,
				  .ca_file = o->ca_file,
				  .version = WEFTD_VERSION,
				  .port = o->port,
				  .threads = o->threads < 0 ? datapath_threads_wanted()
							    : (unsigned)o->threads,
				  .sink = sink };
	struct log log = log_of(sink, "weftd", NULL);
	struct privops *priv = NULL;
	struct localapi *api = NULL;
	struct linkmon *links = NULL;
	struct daemon d = { 0 };
	int ret = -1;

	d.loop = loop_create(err);
	if (!d.loop || prepare(o, err) < 0)
		goto out;
	priv = privops_local_create(err);
	if (!priv)
		goto out;
	conf.priv = priv;
	d.node = node_create(d.loop, &conf, err);
	if (!d.node)
		goto out;
	api = localapi_create(d.loop, d.node, o->socket, &log, err);
	if (!api)
		goto out;
	links = linkmon_create(d.loop,
			       &(struct linkmon_conf){ .own = o->tun,
						       .on_change = on_network_change,
						       .on_rules_gone = on_rules_gone,
						       .rule_first = PRIVOPS_RULE_BASE,
						       .rule_last = PRIVOPS_RULE_BASE + 99,
						       .arg = &d },
			       err);
	if (!links)
		goto out;
	if (loop_on_signal(d.loop, SIGTERM, on_signal, &d, err) < 0 ||
	    loop_on_signal(d.loop, SIGINT, on_signal, &d, err) < 0)
		goto out;
	log_info(&log, "started, socket %s", o->socket);
	loop_run(d.loop);
	log_info(&log, "stopped");
	ret = 0;
out:
	linkmon_destroy(links);
	localapi_destroy(api);
	node_destroy(d.node);
	if (d.loop)
		loop_turn(d.loop, false);
	loop_destroy(d.loop);
	privops_destroy(priv);
	return ret;
}

int weftd_main(int argc, char **argv)
{
	struct options o = { 0 };
	struct log_sink sink;
	struct err err = { 0 };
	int status;

	if (opt_common(&program, WEFTD_VERSION, argc, argv, &status))
		return status;
	argc--;
	argv++;
	opt_defaults(opts, array_len(opts), &o);
	if (opt_parse(opts, array_len(opts), &o, &argc, &argv, &err) < 0) {
		(void)fprintf(stderr, "weftd: %s\n", err.text);
		return 2;
	}
	if (argc) {
		(void)fprintf(stderr, "weftd: there is no command '%s'; `weftd --help` says more\n",
			      argv[0]);
		return 2;
	}
	(void)umask(0022);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)secret_harden_process();
	log_sink_init(&sink, STDERR_FILENO);
	sink.level = o.verbose <= 0 ? LOG_WARN : o.verbose == 1 ? LOG_INFO : LOG_DEBUG;
	sink.json = o.json_log;
	if (serve(&o, &sink, &err) < 0) {
		(void)fprintf(stderr, "weftd: %s\n", err.text);
		return 1;
	}
	return 0;
}
