#include "app/weftd/options.h"

#include <net/if.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"

#define AT(f) offsetof(struct weftd_options, f)

// clang-format off
static const struct opt opts[] = {
	{ "statedir", OPT_STRING, AT(statedir), "/var/lib/weft", "DIR", "folder for keys, preferences and the last map" },
	{ "socket", OPT_STRING, AT(socket), "/run/weft/weftd.sock", "PATH", "unix socket for the command line" },
	{ "port", OPT_PORT, AT(port), "41641", "PORT", "UDP port for peers; 0 takes any" },
	{ "tun", OPT_STRING, AT(tun), "weft0", "NAME", "name of the network device; 'none' for none, which needs no root" },
	{ "threads", OPT_INT, AT(threads), "-1", "N", "data threads, 0 or 2; -1 chooses by the machine" },
	{ "user", OPT_STRING, AT(user), NULL, "NAME", "who parses what strangers send; default: weft, or a number of its own" },
	{ "no-sandbox", OPT_FLAG, AT(no_sandbox), NULL, NULL, "do everything in one process with all its rights; for debugging only" },
	{ "verbose", OPT_INT, AT(verbose), "1", "LEVEL", "0 problems only, 1 changes, 2 everything" },
	{ "ca-file", OPT_STRING, AT(ca_file), NULL, "FILE", "certificates that may vouch for the login server, instead of the system's" },
	{ "json-log", OPT_FLAG, AT(json_log), NULL, NULL, "write log lines as JSON" },
};
// clang-format on

const struct opt_program weftd_program = {
	.name = "weftd",
	.help = "run this host as a node of a tailnet",
	.description =
	    "The daemon keeps the tunnel; `weft up` makes it join a network. Started as root it "
	    "becomes two processes: a small one that keeps the rights to change the network, and "
	    "one without any that talks to others.",
	.opts = opts,
	.opt_count = array_len(opts),
	.example = "  weftd\n"
		   "  weftd --statedir /tmp/node --socket /tmp/node/sock --tun weft1 --port 0\n"
		   "  weftd tunnel /etc/wireguard/wg0.conf    (a plain WireGuard interface)\n",
};

int weftd_options_parse(struct weftd_options *o, int argc, char **argv, struct err *err)
{
	*o = (struct weftd_options){ 0 };
	opt_defaults(opts, array_len(opts), o);
	if (opt_parse(opts, array_len(opts), o, &argc, &argv, err) < 0)
		return -1;
	if (argc)
		return err_set(err, ERR_USAGE, "there is no command '%s'; `weftd --help` says more",
			       argv[0]);
	return 0;
}

int weftd_options_check(const struct weftd_options *o, struct err *err)
{
	size_t n = strlen(o->tun);

	if (n < 1 || n >= IFNAMSIZ || strpbrk(o->tun, "/ :") || o->tun[0] == '.')
		return err_set(err, ERR_USAGE,
			       "--tun takes a name of 1 to %d characters without '/', ':' and "
			       "spaces, not '%s'",
			       IFNAMSIZ - 1, o->tun);
	if (o->threads != -1 && o->threads != 0 && o->threads != 2)
		return err_set(err, ERR_USAGE, "--threads takes 0, 2 or -1, not '%lld'",
			       (long long)o->threads);
	if (o->verbose < 0 || o->verbose > 2)
		return err_set(err, ERR_USAGE, "--verbose takes 0, 1 or 2, not '%lld'",
			       (long long)o->verbose);
	if (o->ca_file && access(o->ca_file, R_OK) < 0)
		return err_sys(err, "--ca-file %s", o->ca_file);
	return 0;
}

const char *weftd_options_device(const struct weftd_options *o)
{
	return strcmp(o->tun, "none") == 0 ? NULL : o->tun;
}

void weftd_options_sink(const struct weftd_options *o, struct log_sink *sink)
{
	log_sink_init(sink, STDERR_FILENO);
	sink->level = o->verbose <= 0 ? LOG_WARN : o->verbose == 1 ? LOG_INFO : LOG_DEBUG;
	sink->json = o->json_log;
}
