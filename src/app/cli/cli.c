/* app/cli/cli.c - the tables of commands and options; the table is the documentation. */
#include "app/cli/cli.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"
#include "base/err.h"
#include "base/mem.h"

enum { ARENA_MAX = 1 << 30 };

struct global {
	const char *socket;
};

#define UP(f) offsetof(struct cli_up_options, f)

// clang-format off
static const struct opt global_opts[] = {
	{ "socket", OPT_STRING, offsetof(struct global, socket), "/run/weft/weftd.sock", "PATH", "the daemon's unix socket" },
};

#define PREFERENCES \
	{ "hostname", OPT_STRING, UP(hostname), NULL, "NAME", "name to register; empty: the system's" }, \
	{ "accept-routes", OPT_FLAG, UP(accept_routes), NULL, NULL, "use the subnet routes of other nodes" }, \
	{ "accept-dns", OPT_FLAG, UP(accept_dns), "true", NULL, "use the network's DNS settings" }, \
	{ "advertise-routes", OPT_STRING, UP(advertise_routes), NULL, "PREFIX,...", "subnets to offer to the network" }, \
	{ "advertise-exit-node", OPT_FLAG, UP(advertise_exit_node), NULL, NULL, "offer to carry all traffic of other nodes" }, \
	{ "exit-node", OPT_STRING, UP(exit_node), NULL, "NODE", "send all traffic through this node; auto:any chooses one; empty: none" }, \
	{ "exit-node-allow-lan-access", OPT_FLAG, UP(exit_node_allow_lan), NULL, NULL, "with an exit node, reach the local network directly" }, \
	{ "snat-subnet-routes", OPT_FLAG, UP(snat), "true", NULL, "hosts of advertised subnets see this node, not the sender" }, \
	{ "stateful-filtering", OPT_FLAG, UP(stateful), NULL, NULL, "advertised subnets may only answer" }, \
	{ "netfilter-mode", OPT_STRING, UP(netfilter_mode), "on", "MODE", "on, nodivert (rules that nothing calls) or off" }, \
	{ "shields-up", OPT_FLAG, UP(shields_up), NULL, NULL, "let nobody open a connection to this host" }, \
	{ "operator", OPT_STRING, UP(operator), NULL, "USER", "a local user who may do this without root" }

static const struct opt up_opts[] = {
	PREFERENCES,
	{ "login-server", OPT_STRING, UP(login_server), NULL, "URL", "the coordination server" },
	{ "authkey", OPT_STRING, UP(authkey), NULL, "KEY", "log in with this key, or file:PATH" },
	{ "auth-key", OPT_STRING, UP(authkey), NULL, "KEY", "the same" },
	{ "advertise-tags", OPT_STRING, UP(advertise_tags), NULL, "TAG,...", "tags to ask for, as tag:name" },
	{ "timeout", OPT_DURATION, UP(timeout_ms), NULL, "TIME", "give up after this time; 0: never" },
	{ "reset", OPT_FLAG, UP(reset), NULL, NULL, "what is not mentioned gets its default" },
	{ "force-reauth", OPT_FLAG, UP(force_reauth), NULL, NULL, "log in again with a new key" },
};

static const struct opt set_opts[] = {
	PREFERENCES,
};

static const struct opt status_opts[] = {
	{ "json", OPT_FLAG, offsetof(struct cli_status_options, json), NULL, NULL, "everything, for programs" },
	{ "active", OPT_FLAG, offsetof(struct cli_status_options, active), NULL, NULL, "only nodes with traffic" },
	{ "peers", OPT_FLAG, offsetof(struct cli_status_options, peers), "true", NULL, "other nodes" },
	{ "self", OPT_FLAG, offsetof(struct cli_status_options, self), "true", NULL, "this node" },
};

static const struct opt ip_opts[] = {
	{ "4", OPT_FLAG, offsetof(struct cli_ip_options, four), NULL, NULL, "IPv4 only" },
	{ "6", OPT_FLAG, offsetof(struct cli_ip_options, six), NULL, NULL, "IPv6 only" },
	{ "1", OPT_FLAG, offsetof(struct cli_ip_options, first), NULL, NULL, "one address only" },
};

static const struct opt ping_opts[] = {
	{ "c", OPT_INT, offsetof(struct cli_ping_options, count), "10", "N", "how many; 0: without end" },
	{ "tsmp", OPT_FLAG, offsetof(struct cli_ping_options, tsmp), NULL, NULL, "through the tunnel, answered by the other daemon whatever its rules" },
	{ "icmp", OPT_FLAG, offsetof(struct cli_ping_options, icmp), NULL, NULL, "through the tunnel, answered by the other host when rules allow it" },
	{ "peerapi", OPT_FLAG, offsetof(struct cli_ping_options, peerapi), NULL, NULL, "ask its PeerAPI: do programs get through?" },
	{ "until-direct", OPT_FLAG, offsetof(struct cli_ping_options, until_direct), "true", NULL, "stop when the way is direct" },
};

static const struct opt explain_opts[] = {
	{ "json", OPT_FLAG, offsetof(struct cli_explain_options, json), NULL, NULL, "for programs" },
	{ "udp", OPT_FLAG, offsetof(struct cli_explain_options, udp), NULL, NULL, "the port is one of UDP, not of TCP" },
};

static const struct opt switch_opts[] = {
	{ "list", OPT_FLAG, offsetof(struct cli_switch_options, list), NULL, NULL, "show all accounts" },
	{ "json", OPT_FLAG, offsetof(struct cli_switch_options, json), NULL, NULL, "with --list: for programs" },
};

static const struct opt json_opts[] = {
	{ "json", OPT_FLAG, offsetof(struct cli_json_options, json), NULL, NULL, "for programs" },
};

static const struct opt wait_opts[] = {
	{ "timeout", OPT_DURATION, offsetof(struct cli_wait_options, timeout_ms), NULL, "TIME", "give up after this time; 0: never" },
};

static const struct opt dns_opts[] = {
	{ "json", OPT_FLAG, offsetof(struct cli_dns_options, json), NULL, NULL, "for programs" },
	{ "all", OPT_FLAG, offsetof(struct cli_dns_options, all), NULL, NULL, "with records, counters and what is rarely wanted" },
};

const struct opt_command cli_commands[] = {
	{ "up", NULL, "join the network, or go on in it", up_opts, array_len(up_opts), cli_up,
	  "  weft up --login-server https://control.example.com --authkey file:KEYFILE\n" },
	{ "down", NULL, "leave the network for now; the login stays", NULL, 0, cli_down, NULL },
	{ "set", NULL, "change preferences", set_opts, array_len(set_opts), cli_set, "  weft set --accept-routes\n" },
	{ "login", NULL, "log in with one more account; the others stay", up_opts, array_len(up_opts), cli_login, NULL },
	{ "logout", NULL, "leave the network for good; forgets the node key", NULL, 0, cli_logout, NULL },
	{ "switch", "[remove] ACCOUNT", "take another account: its ID, name, login or network", switch_opts, array_len(switch_opts), cli_switch,
	  "  weft switch --list\n  weft switch ana@example.com\n  weft switch remove 1ab3\n" },
	{ "status", NULL, "this node, the others, and how they are reached", status_opts, array_len(status_opts), cli_status, NULL },
	{ "ip", "[NODE]", "addresses of a node, one a line", ip_opts, array_len(ip_opts), cli_ip, NULL },
	{ "ping", "NODE", "which way packets to a node take, and how long", ping_opts, array_len(ping_opts), cli_ping, NULL },
	{ "explain", "NODE[:PORT]", "why a node can or cannot be reached, and what to do", explain_opts, array_len(explain_opts), cli_explain,
	  "  weft explain otherhost\n  weft explain otherhost:22\n" },
	{ "whois", "ADDRESS", "whose address this is", json_opts, array_len(json_opts), cli_whois, NULL },
	{ "whoami", NULL, "who this node is to others", json_opts, array_len(json_opts), cli_whoami, NULL },
	{ "get", "[NAME]", "what is set; `weft set` changes it", json_opts, array_len(json_opts), cli_get, "  weft get accept-routes\n" },
	{ "wait", NULL, "until the node is in its network", wait_opts, array_len(wait_opts), cli_wait, "  weft wait --timeout 30s && start-my-service\n" },
	{ "netcheck", NULL, "home relay, and what we look like from outside", NULL, 0, cli_netcheck, NULL },
	{ "exit-node", "list|suggest", "nodes that offer to carry all traffic", NULL, 0, cli_exit_node, "  weft exit-node list\n" },
	{ "dns", "status|query NAME [TYPE]", "what names resolve to, and who is asked", dns_opts, array_len(dns_opts), cli_dns,
	  "  weft dns status\n  weft dns query otherhost\n  weft dns query example.com MX\n" },
	{ "metrics", NULL, "counters in Prometheus text", NULL, 0, cli_metrics, NULL },
	{ "debug", "counters|derp-map|prefs|dns", "for people in trouble", NULL, 0, cli_debug, NULL },
	{ "bugreport", NULL, "what somebody who helps you wants to see; nothing is sent", NULL, 0, cli_bugreport, NULL },
	{ "version", NULL, "what this is", json_opts, array_len(json_opts), cli_version, NULL },
};
// clang-format on
const size_t cli_command_count = array_len(cli_commands);

static const char *const not_there[] = {
	"configure", "nc",   "ssh",  "funnel", "serve",  "service",
	"web",       "file", "cert", "lock",   "update", "drive",
};

union values {
	struct cli_up_options up;
	struct cli_status_options status;
	struct cli_ip_options ip;
	struct cli_dns_options dns;
	struct cli_ping_options ping;
	struct cli_explain_options explain;
	struct cli_json_options json;
	struct cli_wait_options wait;
	struct cli_switch_options switching;
};

/* `weft logout work` must not log out. */
static int refuse_words(const struct opt_command *c, int argc, char **argv, struct err *err)
{
	if (argc && !c->args)
		return err_set(err, ERR_USAGE, "takes no words, only options, not '%s'", argv[0]);
	return 0;
}

static int run(struct cli *cli, const struct opt_program *program, int argc, char **argv)
{
	const struct opt_command *c;
	struct err err;
	union values *values;
	int ret;

	for (size_t i = 0; i < array_len(not_there); i++)
		if (!strcmp(argv[0], not_there[i])) {
			(void)fprintf(stderr, "weft: '%s' is not part of this version\n", argv[0]);
			return 1;
		}
	c = opt_find_command(program, argv[0], &err);
	if (!c) {
		(void)fprintf(stderr, "weft: %s\n", err.text);
		return 2;
	}
	argc--;
	argv++;
	if (argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))) {
		opt_print_command_help(stdout, program, c);
		return 0;
	}
	cli->argc = argc;
	cli->argv = argv;
	values = mem_alloc(sizeof(*values));
	opt_defaults(c->opts, c->opt_count, values);
	if (opt_parse_mixed(c->opts, c->opt_count, values, &argc, &argv, &err) < 0 ||
	    refuse_words(c, argc, argv, &err) < 0) {
		(void)fprintf(stderr, "weft %s: %s\n", c->name, err.text);
		ret = 2;
	} else {
		ret = c->run(cli, values, argc, argv);
	}
	mem_free(values);
	return ret;
}

int cli_main(int argc, char **argv)
{
	const struct opt_program program = {
		.name = "weft",
		.help = "look after this host's node",
		.opts = global_opts,
		.opt_count = array_len(global_opts),
		.commands = cli_commands,
		.command_count = cli_command_count,
		.example = "  weft up --login-server https://control.example.com\n"
			   "  weft status\n  weft ping otherhost\n",
	};
	struct global global = { 0 };
	struct cli cli = { 0 };
	struct err err;
	int status;

	if (opt_common(&program, WEFT_VERSION, argc, argv, &status))
		return status;
	argc--;
	argv++;
	opt_defaults(global_opts, array_len(global_opts), &global);
	if (opt_parse(global_opts, array_len(global_opts), &global, &argc, &argv, &err) < 0) {
		(void)fprintf(stderr, "weft: %s\n", err.text);
		return 2;
	}
	if (!argc) {
		opt_print_help(stderr, &program);
		return 2;
	}
	cli.socket = global.socket;
	arena_init(&cli.arena, ARENA_MAX);
	status = run(&cli, &program, argc, argv);
	arena_fini(&cli.arena);
	return status;
}
