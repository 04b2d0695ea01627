/* app/cli/cli_show.c - what only looks: status, ip, ping, netcheck, metrics, debug. */
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"
#include "base/ip.h"
#include "base/mem.h"

#define NO_BODY ((struct bytes){ NULL, 0 })

static void print_body(const struct cli_answer *a)
{
	(void)fwrite(a->body.p, 1, a->body.n, stdout);
	if (a->body.n && a->body.p[a->body.n - 1] != '\n')
		(void)putchar('\n');
}

/* ---- status ---- */

static const char *first_ip(struct cli *cli, const struct json *node)
{
	const struct json *ips = json_get(node, "TailscaleIPs");
	const char *text = ips && ips->first ? arena_str(&cli->arena, ips->first->text) : NULL;

	return text ? text : "-";
}

static const char *short_name(struct cli *cli, const struct json *node)
{
	const char *dns = cli_text(cli, node, "DNSName");
	size_t n = strcspn(dns, ".");

	if (!n)
		return cli_text(cli, node, "HostName");
	return arena_str(&cli->arena, bytes_of(dns, n));
}

static const char *owner(struct cli *cli, const struct json *status, const struct json *node)
{
	char id[24];

	if (json_get(node, "Tags"))
		return "tagged-devices";
	(void)snprintf(id, sizeof(id), "%lld", (long long)cli_number(node, "UserID"));
	return cli_text(cli, json_get(json_get(status, "User"), id), "LoginName");
}

/* An idle peer is relayed because nobody asked for more: that is no reason worth a word. */
static void print_relay(struct cli *cli, const struct json *node, const char *relay)
{
	const char *why = cli_text(cli, node, "WeftWhyRelayedText");

	(void)printf("relay \"%s\"", relay);
	if (*why && cli_truth(node, "Active") &&
	    strcmp(cli_text(cli, node, "WeftWhyRelayed"), "idle") != 0)
		(void)printf(" (%s)", why);
}

static void print_way(struct cli *cli, const struct json *node)
{
	const char *direct = cli_text(cli, node, "CurAddr");
	const char *relay = cli_text(cli, node, "Relay");

	if (!cli_truth(node, "Active") && !cli_number(node, "TxBytes")) {
		(void)fputs(cli_truth(node, "Online") ? "-" : "offline", stdout);
		return;
	}
	(void)fputs(cli_truth(node, "Active") ? "active; " : "idle; ", stdout);
	if (*direct)
		(void)printf("direct %s", direct);
	else if (*relay)
		print_relay(cli, node, relay);
	else
		(void)fputs("no way known", stdout);
	if (!cli_truth(node, "Online"))
		(void)fputs("; offline", stdout);
	(void)printf(", tx %lld rx %lld", (long long)cli_number(node, "TxBytes"),
		     (long long)cli_number(node, "RxBytes"));
}

static void print_node(struct cli *cli, const struct json *status, const struct json *node,
		       bool self)
{
	(void)printf("%-15s %-20s %-12s %-7s ", first_ip(cli, node), short_name(cli, node),
		     owner(cli, status, node), cli_text(cli, node, "OS"));
	if (self)
		(void)fputs("-", stdout);
	else
		print_way(cli, node);
	(void)putchar('\n');
}

static void print_health(const struct json *status)
{
	const struct json *health = json_get(status, "Health");

	if (!health || !health->first)
		return;
	(void)printf("\n# Health check:\n");
	json_each (line, health)
		(void)printf("#     - %.*s\n", BYTES_FMT(line->text));
}

static int not_running(struct cli *cli, const struct json *status)
{
	const char *state = cli_text(cli, status, "BackendState");
	const char *url = cli_text(cli, status, "AuthURL");

	if (!strcmp(state, "Running") || !strcmp(state, "Starting"))
		return 0;
	if (!strcmp(state, "Stopped"))
		(void)printf("weft is stopped; `weft up` starts it\n");
	else if (!strcmp(state, "NeedsMachineAuth"))
		(void)printf("this node waits for an admin's approval\n");
	else if (*url)
		(void)printf("logged out; log in at: %s\n", url);
	else
		(void)printf("logged out; `weft up` joins a network\n");
	print_health(status);
	return 1;
}

int cli_status(void *context, const void *values, int argc, char **argv)
{
	const struct cli_status_options *o = values;
	struct cli *cli = context;
	struct cli_answer a;
	struct err err;

	(void)argc;
	(void)argv;
	if (cli_call(cli, "GET", o->peers ? "status" : "status?peers=false", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	if (o->json) {
		print_body(&a);
		return 0;
	}
	if (not_running(cli, a.json))
		return 1;
	if (o->self)
		print_node(cli, a.json, json_get(a.json, "Self"), true);
	json_each (peer, json_get(a.json, "Peer")) {
		if (cli_truth(peer, "ShareeNode") || (o->active && !cli_truth(peer, "Active")))
			continue;
		print_node(cli, a.json, peer, false);
	}
	print_health(a.json);
	return 0;
}

/* ---- ip ---- */

int cli_ip(void *context, const void *values, int argc, char **argv)
{
	const struct cli_ip_options *o = values;
	struct cli *cli = context;
	const struct json *node;
	struct cli_answer a;
	struct err err;
	unsigned printed = 0;

	if (cli_call(cli, "GET", argc ? "status" : "status?peers=false", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	node = argc ? cli_find_node(cli, a.json, argv[0]) : json_get(a.json, "Self");
	if (!node) {
		(void)fprintf(stderr, "weft: there is no node '%s'\n", argv[0]);
		return 1;
	}
	json_each (ip, json_get(node, "TailscaleIPs")) {
		bool six = memchr(ip->text.p, ':', ip->text.n) != NULL;

		if ((o->four && six) || (o->six && !six) || (o->first && printed))
			continue;
		(void)printf("%.*s\n", BYTES_FMT(ip->text));
		printed++;
	}
	if (printed)
		return 0;
	(void)fprintf(stderr, "weft: no address: is this node up?\n");
	return 1;
}

/* ---- ping ---- */

/* 0: no answer, 1: through a relay, 2: directly. -1: err. */
static int ping_once(struct cli *cli, const char *ip, const char *type, struct err *err)
{
	bool disco = !strcmp(type, "disco");
	struct cli_answer a;
	char path[128];
	double seconds = 0;
	const char *direct, *why;

	(void)snprintf(path, sizeof(path), "ping?ip=%s&type=%s", ip, type);
	if (cli_call(cli, "POST", path, NO_BODY, &a, err) < 0)
		return -1;
	why = cli_text(cli, a.json, "Err");
	if (*why) {
		(void)printf("no pong from %s: %s\n", ip, why);
		return 0;
	}
	(void)json_real(json_get(a.json, "LatencySeconds"), &seconds);
	direct = cli_text(cli, a.json, "Endpoint");
	if (!disco)
		(void)printf("pong from %s (%s) via %s in %.1f ms\n",
			     cli_text(cli, a.json, "NodeName"), ip, type, seconds * 1e3);
	else if (*direct)
		(void)printf("pong from %s (%s) via %s in %.1f ms\n",
			     cli_text(cli, a.json, "NodeName"), ip, direct, seconds * 1e3);
	else
		(void)printf("pong from %s (%s) via relay \"%s\" in %.1f ms\n",
			     cli_text(cli, a.json, "NodeName"), ip,
			     cli_text(cli, a.json, "DERPRegionCode"), seconds * 1e3);
	return disco && *direct ? 2 : 1;
}

int cli_ping(void *context, const void *values, int argc, char **argv)
{
	const struct cli_ping_options *o = values;
	struct cli *cli = context;
	const struct json *node;
	struct cli_answer a;
	struct err err;
	const char *type = o->tsmp ? "TSMP" : o->icmp ? "ICMP" : o->peerapi ? "peerapi" : "disco";
	bool any = false;

	if (argc != 1) {
		(void)fprintf(stderr, "weft: ping takes one node: a name or an address\n");
		return 2;
	}
	if (cli_call(cli, "GET", "status", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	node = cli_find_node(cli, a.json, argv[0]);
	if (!node) {
		(void)fprintf(stderr, "weft: there is no node '%s'\n", argv[0]);
		return 1;
	}
	if (node == json_get(a.json, "Self")) {
		(void)printf("%s is this node\n", argv[0]);
		return 0;
	}
	for (int64_t i = 0; o->count == 0 || i < o->count; i++) {
		int got = ping_once(cli, first_ip(cli, node), type, &err);

		if (got < 0)
			return cli_fail(&err);
		(void)fflush(stdout);
		any = any || got > 0;
		if (got == 2 && o->until_direct)
			return 0;
		if (i + 1 != o->count)
			cli_sleep_ms(1000);
	}
	if (any && o->until_direct && !strcmp(type, "disco"))
		(void)printf("direct connection not established\n");
	return any ? 0 : 1;
}

/* ---- the rest ---- */

static const char *yes_no(const struct json *v)
{
	bool yes;

	if (!v || !json_bool(v, &yes))
		return "not known";
	return yes ? "yes" : "no";
}

static void print_family(struct cli *cli, const struct json *report, const char *name,
			 const char *address)
{
	const char *seen = cli_text(cli, report, address);

	(void)printf("%s: %s%s%s\n", name, yes_no(json_get(report, name)), *seen ? ", " : "", seen);
}

static void print_port_mapping(const struct json *report)
{
	bool pmp = false, pcp = false, mapped = false;

	if (!json_bool(json_get(report, "PMP"), &pmp) ||
	    !json_bool(json_get(report, "PCP"), &pcp)) {
		(void)printf("PortMapping: not checked\n");
		return;
	}
	(void)json_bool(json_get(report, "PortMapped"), &mapped);
	(void)printf("PortMapping: %s%s%s%s\n", pmp ? "NAT-PMP" : "", pmp && pcp ? ", " : "",
		     pcp ? "PCP" : "",
		     mapped       ? " (a port is open)"
		     : pmp || pcp ? " (refused)"
				  : "none");
}

static void print_report(struct cli *cli)
{
	struct cli_answer a;
	struct err err;

	if (cli_call(cli, "GET", "netcheck", NO_BODY, &a, &err) < 0) {
		(void)printf("Nothing has been measured yet\n");
		return;
	}
	(void)printf("UDP: %s\n", yes_no(json_get(a.json, "UDP")));
	print_family(cli, a.json, "IPv4", "GlobalV4");
	print_family(cli, a.json, "IPv6", "GlobalV6");
	(void)printf("MappingVariesByDestIP: %s\n",
		     yes_no(json_get(a.json, "MappingVariesByDestIP")));
	print_port_mapping(a.json);
}

int cli_netcheck(void *context, const void *values, int argc, char **argv)
{
	struct cli *cli = context;
	const struct json *self;
	struct cli_answer a;
	struct err err;

	(void)values;
	(void)argc;
	(void)argv;
	if (cli_call(cli, "GET", "status?peers=false", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	self = json_get(a.json, "Self");
	(void)printf("Home relay: %s\n", cli_text(cli, self, "Relay"));
	(void)printf("Addresses others may reach us at:\n");
	json_each (at, json_get(self, "Addrs"))
		(void)printf("  %.*s\n", BYTES_FMT(at->text));
	print_report(cli);
	return 0;
}

static int print_call(struct cli *cli, const char *path)
{
	struct cli_answer a;
	struct err err;

	if (cli_call(cli, "GET", path, NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	print_body(&a);
	return 0;
}

int cli_metrics(void *context, const void *values, int argc, char **argv)
{
	(void)values;
	(void)argc;
	(void)argv;
	return print_call(context, "usermetrics");
}

int cli_debug(void *context, const void *values, int argc, char **argv)
{
	static const char *const what[][2] = {
		{ "counters", "metrics" },
		{ "derp-map", "derpmap" },
		{ "prefs", "prefs" },
		{ "dns", "dns-config" },
	};

	(void)values;
	for (size_t i = 0; argc == 1 && i < array_len(what); i++)
		if (!strcmp(argv[0], what[i][0]))
			return print_call(context, what[i][1]);
	(void)fprintf(stderr, "weft: debug shows counters, derp-map, prefs or dns\n");
	return 2;
}
