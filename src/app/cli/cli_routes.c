/* app/cli/cli_routes.c - subnets and exit nodes: preferences, `exit-node list`, `exit-node
 * suggest`.
 */
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/text.h"

#define NO_BODY ((struct bytes){ NULL, 0 })

/* ---- preferences ---- */

static void text_pref(struct json_out *o, const char *name, const char *mask, const char *v)
{
	cli_pref(o, name, mask);
	json_put_cstr(o, v);
}

static void truth_pref(struct json_out *o, const char *name, const char *mask, bool v)
{
	cli_pref(o, name, mask);
	json_put_bool(o, v);
}

/* An exit node is given by name or address; the daemon stores its ID. */
static int exit_pref(struct cli *cli, struct json_out *o, const char *name, struct err *err)
{
	struct cli_answer a;
	const struct json *node;
	struct ip ip;

	if (!name)
		name = "";
	if (!*name || !strncmp(name, "auto:", 5)) {
		if (*name && strcmp(name, "auto:any") != 0)
			return err_set(err, ERR_USAGE, "'%s' is no exit node: say auto:any", name);
		text_pref(o, "ExitNodeID", "ExitNodeIDSet", "");
		text_pref(o, "ExitNodeIP", "ExitNodeIPSet", "");
		text_pref(o, "AutoExitNode", "AutoExitNodeSet", *name ? "any" : "");
		return 0;
	}
	if (cli_call(cli, "GET", "status", NO_BODY, &a, err) < 0)
		return -1;
	node = cli_find_node(cli, a.json, name);
	if (!node && ip_parse(&ip, bytes_str(name))) { /* perhaps it is not heard of yet */
		text_pref(o, "ExitNodeID", "ExitNodeIDSet", "");
		text_pref(o, "ExitNodeIP", "ExitNodeIPSet", name);
		text_pref(o, "AutoExitNode", "AutoExitNodeSet", "");
		return 0;
	}
	if (!node)
		return err_set(err, ERR_USAGE, "there is no node '%s'", name);
	if (!cli_truth(node, "ExitNodeOption"))
		return err_set(err, ERR_USAGE, "%s does not offer to be an exit node", name);
	text_pref(o, "ExitNodeID", "ExitNodeIDSet", cli_text(cli, node, "ID"));
	text_pref(o, "ExitNodeIP", "ExitNodeIPSet", "");
	text_pref(o, "AutoExitNode", "AutoExitNodeSet", "");
	return 0;
}

static bool is_default(struct bytes route)
{
	return bytes_equal_str(route, "0.0.0.0/0") || bytes_equal_str(route, "::/0");
}

/* One list in the preferences, two options: the one that is not mentioned keeps its part. */
static int offers_pref(struct cli *cli, struct json_out *o, const struct cli_up_options *u,
		       bool routes, bool exit, struct err *err)
{
	struct bytes rest = bytes_str(routes && u->advertise_routes ? u->advertise_routes : "");
	bool offers = exit && u->advertise_exit_node;
	struct bytes item;
	struct cli_answer a;

	if (cli_call(cli, "GET", "prefs", NO_BODY, &a, err) < 0)
		return -1;
	cli_pref(o, "AdvertiseRoutes", "AdvertiseRoutesSet");
	json_open_array(o);
	while (rest.n && text_split(&rest, ',', &item))
		if (text_trim(item).n && !(exit && is_default(text_trim(item))))
			json_put_string(o, text_trim(item));
	json_each (old, json_get(a.json, "AdvertiseRoutes"))
		if (is_default(old->text) ? !exit && !routes : !routes)
			json_put_string(o, old->text);
		else if (is_default(old->text) && !exit)
			offers = true;
	if (offers) {
		json_put_cstr(o, "0.0.0.0/0");
		json_put_cstr(o, "::/0");
	}
	json_close_array(o);
	return 0;
}

static int netfilter_pref(struct json_out *o, const char *mode, struct err *err)
{
	static const char *const modes[] = { "off", "nodivert", "on" };

	for (int64_t i = 0; i < (int64_t)array_len(modes); i++) {
		if (strcmp(mode ? mode : "on", modes[i]) != 0)
			continue;
		cli_pref(o, "NetfilterMode", "NetfilterModeSet");
		json_put_i64(o, i);
		return 0;
	}
	return err_set(err, ERR_USAGE, "netfilter-mode '%s' is neither on, nodivert nor off", mode);
}

int cli_route_prefs(struct cli *cli, struct json_out *o, const struct cli_up_options *u,
		    struct err *err)
{
	bool routes = u->reset || cli_mentioned(cli, "advertise-routes");
	bool exit = u->reset || cli_mentioned(cli, "advertise-exit-node");

	if ((routes || exit) && offers_pref(cli, o, u, routes, exit, err) < 0)
		return -1;
	if (u->reset || cli_mentioned(cli, "snat-subnet-routes"))
		truth_pref(o, "NoSNAT", "NoSNATSet", !u->snat);
	if (u->reset || cli_mentioned(cli, "stateful-filtering"))
		truth_pref(o, "NoStatefulFiltering", "NoStatefulFilteringSet", !u->stateful);
	if (u->reset || cli_mentioned(cli, "exit-node-allow-lan-access"))
		truth_pref(o, "ExitNodeAllowLANAccess", "ExitNodeAllowLANAccessSet",
			   u->exit_node_allow_lan);
	if ((u->reset || cli_mentioned(cli, "netfilter-mode")) &&
	    netfilter_pref(o, u->netfilter_mode, err) < 0)
		return -1;
	if (u->reset || cli_mentioned(cli, "exit-node"))
		return exit_pref(cli, o, u->exit_node, err);
	return 0;
}

void cli_warn_forwarding(struct cli *cli, const struct cli_up_options *u)
{
	struct cli_answer a;
	struct err ignored;
	const char *text;

	if (!(u->advertise_routes && *u->advertise_routes) && !u->advertise_exit_node)
		return;
	if (cli_call(cli, "GET", "check-ip-forwarding", NO_BODY, &a, &ignored) < 0)
		return;
	text = cli_text(cli, a.json, "Warning");
	if (*text)
		(void)fprintf(stderr, "weft: %s\n", text);
}

/* ---- exit-node ---- */

static const char *name_of(struct cli *cli, const struct json *node)
{
	char *name = mem_strdup(cli_text(cli, node, "DNSName"));
	size_t n = strlen(name);
	const char *kept;

	if (n && name[n - 1] == '.')
		name[n - 1] = '\0';
	kept = arena_str(&cli->arena, bytes_str(*name ? name : cli_text(cli, node, "HostName")));
	mem_free(name);
	return kept;
}

static int list_exits(struct cli *cli)
{
	struct cli_answer a;
	struct err err;
	unsigned n = 0;

	if (cli_call(cli, "GET", "status", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	json_each (peer, json_get(a.json, "Peer")) {
		const struct json *ip = json_get(peer, "TailscaleIPs");

		if (!cli_truth(peer, "ExitNodeOption"))
			continue;
		if (!n++)
			(void)printf("%-18s %-40s %s\n", "IP", "HOSTNAME", "STATUS");
		(void)printf("%-18s %-40s %s\n",
			     ip && ip->first ? arena_str(&cli->arena, ip->first->text) : "",
			     name_of(cli, peer),
			     cli_truth(peer, "ExitNode")
				 ? cli_truth(peer, "Online") ? "selected" : "selected but offline"
			     : cli_truth(peer, "Online") ? "-"
							 : "offline");
	}
	if (n) {
		(void)printf("\nTo use one: weft set --exit-node=NAME; to use none: weft set "
			     "--exit-node=\n");
		return 0;
	}
	(void)fprintf(stderr, "weft: no exit nodes found\n");
	return 1;
}

static int suggest_exit(struct cli *cli)
{
	struct cli_answer a;
	struct err err;
	const char *name;
	size_t n;

	if (cli_call(cli, "POST", "suggest-exit-node", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	name = cli_text(cli, a.json, "Name");
	n = strlen(name);
	if (!n) {
		(void)printf("No exit node suggestion is available.\n");
		return 0;
	}
	if (name[n - 1] == '.')
		n--;
	(void)printf("Suggested exit node: %.*s\nTo use it: weft set --exit-node=%.*s\n", (int)n,
		     name, (int)n, name);
	return 0;
}

int cli_exit_node(void *context, const void *values, int argc, char **argv)
{
	struct cli *cli = context;

	(void)values;
	if (argc == 1 && !strcmp(argv[0], "list"))
		return list_exits(cli);
	if (argc == 1 && !strcmp(argv[0], "suggest"))
		return suggest_exit(cli);
	(void)fprintf(stderr, "weft: say `weft exit-node list` or `weft exit-node suggest`\n");
	return 2;
}
