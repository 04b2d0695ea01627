/* app/cli/cli_who.c - who is who, what is set, which version, and waiting until there is a network.
 */
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"
#include "base/mem.h"

#define CLI_VERSION WEFT_VERSION "-weft"
#define NO_BODY ((struct bytes){ NULL, 0 })

enum { POLL_MS = 200 };

static void print_body(const struct cli_answer *a)
{
	(void)fwrite(a->body.p, 1, a->body.n, stdout);
	if (a->body.n && a->body.p[a->body.n - 1] != '\n')
		(void)putchar('\n');
}

/* ---- whois, whoami ---- */

static void print_who(struct cli *cli, const struct json *who)
{
	const struct json *node = json_get(who, "Node"), *user = json_get(who, "UserProfile");

	(void)printf("Machine:\n  Name: %s\n  ID: %s\n  Addresses:", cli_text(cli, node, "Name"),
		     cli_text(cli, node, "StableID"));
	json_each (ip, json_get(node, "Addresses"))
		(void)printf(" %.*s", BYTES_FMT(ip->text));
	(void)printf("\n");
	if (json_get(node, "Tags")) {
		(void)printf("Tags:");
		json_each (tag, json_get(node, "Tags"))
			(void)printf(" %.*s", BYTES_FMT(tag->text));
		(void)printf("\n");
	} else {
		(void)printf("User:\n  Name: %s\n  ID: %lld\n", cli_text(cli, user, "LoginName"),
			     (long long)cli_number(user, "ID"));
	}
}

static int show_who(struct cli *cli, const char *address, bool as_json, struct cli_answer *a)
{
	char path[256];
	struct err err;

	(void)snprintf(path, sizeof(path), "whois?addr=%.200s", address);
	if (cli_call(cli, "GET", path, NO_BODY, a, &err) < 0)
		return cli_fail(&err);
	if (as_json)
		print_body(a);
	else
		print_who(cli, a->json);
	return 0;
}

int cli_whois(void *context, const void *values, int argc, char **argv)
{
	const struct cli_json_options *o = values;
	struct cli_answer a;

	if (argc != 1) {
		(void)fprintf(stderr, "weft: whois takes one address\n");
		return 2;
	}
	return show_who(context, argv[0], o->json, &a);
}

int cli_whoami(void *context, const void *values, int argc, char **argv)
{
	const struct cli_json_options *o = values;
	const struct json *ips, *net;
	struct cli *cli = context;
	struct cli_answer status, who;
	struct err err;
	int ret;

	(void)argv;
	if (argc) {
		(void)fprintf(stderr, "weft: whoami takes no words\n");
		return 2;
	}
	if (cli_call(cli, "GET", "status?peers=false", NO_BODY, &status, &err) < 0)
		return cli_fail(&err);
	ips = json_get(status.json, "TailscaleIPs");
	if (!ips || !ips->first) {
		(void)fprintf(stderr, "weft: nobody yet: `weft up` joins a network\n");
		return 1;
	}
	ret = show_who(cli, arena_str(&cli->arena, ips->first->text), o->json, &who);
	net = json_get(status.json, "CurrentTailnet");
	if (ret == 0 && !o->json)
		(void)printf("Tailnet:\n  Name: %s\n  MagicDNS Suffix: %s\n",
			     cli_text(cli, net, "Name"), cli_text(cli, net, "MagicDNSSuffix"));
	return ret;
}

/* ---- get ---- */

// clang-format off
static const struct { const char *option, *pref; bool inverted; } settings[] = {
	{ "accept-dns", "CorpDNS", false },
	{ "accept-routes", "RouteAll", false },
	{ "advertise-routes", "AdvertiseRoutes", false },
	{ "advertise-tags", "AdvertiseTags", false },
	{ "exit-node", "ExitNodeID", false },
	{ "exit-node-allow-lan-access", "ExitNodeAllowLANAccess", false },
	{ "hostname", "Hostname", false },
	{ "login-server", "ControlURL", false },
	{ "netfilter-mode", "NetfilterMode", false },
	{ "operator", "OperatorUser", false },
	{ "shields-up", "ShieldsUp", false },
	{ "snat-subnet-routes", "NoSNAT", true },
};
// clang-format on

static void print_value(const struct json *v, bool inverted)
{
	size_t n = 0;

	if (json_is(v, JSON_BOOL))
		(void)fputs(v->truth != inverted ? "true" : "false", stdout);
	else if (json_is(v, JSON_ARRAY))
		json_each (item, v)
			(void)printf("%s%.*s", n++ ? "," : "", BYTES_FMT(item->text));
	else if (v && v->kind != JSON_NULL)
		(void)printf("%.*s", BYTES_FMT(v->text));
	else if (inverted)
		(void)fputs("true", stdout);
	(void)putchar('\n');
}

int cli_get(void *context, const void *values, int argc, char **argv)
{
	const struct cli_json_options *o = values;
	bool all = argc == 0 || !strcmp(argv[0], "all"), found = false;
	struct cli *cli = context;
	struct cli_answer a;
	struct err err;

	if (argc > 1) {
		(void)fprintf(stderr, "weft: get takes one name, or none for all\n");
		return 2;
	}
	if (cli_call(cli, "GET", "prefs", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	if (o->json && all) {
		print_body(&a);
		return 0;
	}
	for (size_t i = 0; i < array_len(settings); i++) {
		if (!all && strcmp(argv[0], settings[i].option) != 0)
			continue;
		found = true;
		if (all)
			(void)printf("%-28s", settings[i].option);
		print_value(json_get(a.json, settings[i].pref), settings[i].inverted);
	}
	if (found)
		return 0;
	(void)fprintf(stderr, "weft: there is no setting '%s'; `weft get` shows all\n", argv[0]);
	return 2;
}

/* ---- wait ---- */

int cli_wait(void *context, const void *values, int argc, char **argv)
{
	const struct cli_wait_options *o = values;
	struct cli *cli = context;
	struct cli_answer a;
	struct err err;

	(void)argv;
	if (argc) {
		(void)fprintf(stderr, "weft: wait takes no words, only --timeout\n");
		return 2;
	}
	/* The daemon may still be starting: that it does not answer is no reason to stop. */
	for (int64_t waited = 0; !o->timeout_ms || waited < o->timeout_ms; waited += POLL_MS) {
		arena_fini(&cli->arena);
		arena_init(&cli->arena, 64 << 20);
		if (cli_call(cli, "GET", "status?peers=false", NO_BODY, &a, &err) == 0 &&
		    !strcmp(cli_text(cli, a.json, "BackendState"), "Running"))
			return 0;
		cli_sleep_ms(POLL_MS);
	}
	(void)fprintf(stderr, "weft: not running after %lld s; `weft status` says more\n",
		      (long long)(o->timeout_ms / 1000));
	return 1;
}

/* ---- version, bugreport ---- */

int cli_version(void *context, const void *values, int argc, char **argv)
{
	const struct cli_json_options *o = values;

	(void)context;
	(void)argc;
	(void)argv;
	if (o->json)
		(void)printf("{\"majorMinorPatch\":\"%s\",\"short\":\"%s\",\"long\":\"%s\"}\n",
			     WEFT_VERSION, WEFT_VERSION, CLI_VERSION);
	else
		(void)printf(CLI_VERSION "\n");
	return 0;
}

/* Nothing is sent anywhere: what this prints is what there is. */
int cli_bugreport(void *context, const void *values, int argc, char **argv)
{
	static const char *const parts[] = { "status", "prefs", "metrics" };
	struct cli *cli = context;
	struct cli_answer a;
	struct err err;

	(void)values;
	(void)argc;
	(void)argv;
	(void)printf("# %s; read this before you show it: it names your nodes and users\n",
		     CLI_VERSION);
	for (size_t i = 0; i < array_len(parts); i++) {
		(void)printf("## %s\n", parts[i]);
		if (cli_call(cli, "GET", parts[i], NO_BODY, &a, &err) < 0)
			return cli_fail(&err);
		print_body(&a);
	}
	return 0;
}
