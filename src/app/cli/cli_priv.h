/* app/cli/cli_priv.h - what the commands share: one daemon to talk to, answers as JSON trees. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/cli/cli.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/opt.h"

struct cli {
	const char *socket;
	int argc; /* as typed after the command, to know what was mentioned */
	char **argv;
	struct arena arena; /* of all answers */
};

struct cli_answer {
	unsigned status;
	struct bytes body;       /* in the arena */
	const struct json *json; /* NULL: none */
};

/* Waits. body n 0: none. -1: the daemon is not there, or it said no; err is for the user. */
int cli_call(struct cli *cli, const char *method, const char *path, struct bytes body,
	     struct cli_answer *out, struct err *err);
bool cli_mentioned(const struct cli *cli, const char *option);

const char *cli_text(struct cli *cli, const struct json *object, const char *key); /* "" */
int64_t cli_number(const struct json *object, const char *key);
bool cli_truth(const struct json *object, const char *key);
int cli_fail(const struct err *err); /* prints, returns 1 */
void cli_sleep_ms(unsigned ms);

/* "name", "name.suffix", address or node key to the peer's (or our own) object in a status. */
const struct json *cli_find_node(struct cli *cli, const struct json *status, const char *name);

struct cli_up_options;
struct json_out;
/* Begins one member of a masked edit; its value comes next. */
void cli_pref(struct json_out *o, const char *name, const char *mask);
/* Those of subnets and exit nodes that were mentioned. */
int cli_route_prefs(struct cli *cli, struct json_out *o, const struct cli_up_options *u,
		    struct err *err);
/* Says how to make this host forward, when it was asked to. */
void cli_warn_forwarding(struct cli *cli, const struct cli_up_options *u);

extern const struct opt_command cli_commands[];
extern const size_t cli_command_count;

typedef int cli_command(void *cli, const void *values, int argc, char **argv);
cli_command cli_up, cli_down, cli_login, cli_logout, cli_set;
cli_command cli_status, cli_ip, cli_whois, cli_version, cli_netcheck, cli_debug, cli_metrics;
cli_command cli_explain, cli_switch, cli_whoami, cli_get, cli_wait, cli_bugreport;
cli_command cli_ping, cli_exit_node, cli_dns;

struct cli_up_options {
	const char *login_server, *authkey, *hostname, *advertise_routes, *advertise_tags,
	    *operator, * exit_node, *netfilter_mode;
	bool accept_routes, accept_dns, shields_up, reset, force_reauth;
	bool advertise_exit_node, exit_node_allow_lan, snat, stateful;
	int64_t timeout_ms;
};
struct cli_status_options {
	bool json, active, peers, self;
};
struct cli_dns_options {
	bool json, all;
};
struct cli_ip_options {
	bool four, six, first;
};
struct cli_explain_options {
	bool json, udp;
};
struct cli_json_options {
	bool json;
};
struct cli_wait_options {
	int64_t timeout_ms;
};
struct cli_switch_options {
	bool list, json;
};
struct cli_ping_options {
	int64_t count, timeout_ms;
	bool until_direct, tsmp, icmp, peerapi;
};
