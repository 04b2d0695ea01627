/* app/cli/cli_explain.c - `weft explain PEER[:PORT]`: everything about one way, on one screen. */
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"
#include "base/ip.h"
#include "base/text.h"

#define NO_BODY ((struct bytes){ NULL, 0 })

/* "bob", "bob:22", "100.64.0.2:22", "fd7a::2", "[fd7a::2]:22" */
static bool split_target(const char *given, char *name, size_t size, uint64_t *port)
{
	const char *colon = strrchr(given, ':');
	struct bytes host = bytes_str(given);
	struct ip ip;

	*port = 0;
	if (colon && !ip_parse(&ip, host)) {
		if (!text_u64(bytes_str(colon + 1), 65535, port) || !*port)
			return false;
		host.n = (size_t)(colon - given);
	}
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = bytes_of(host.p + 1, host.n - 2);
	return host.n && bytes_to_cstr(host, name, size);
}

static void print_page(struct cli *cli, const struct json *page)
{
	const char *before = "";

	json_each (line, json_get(page, "Lines")) {
		const char *topic = cli_text(cli, line, "Topic");
		const char *verdict = cli_text(cli, line, "Verdict");

		(void)printf("%-10s %-4s %s\n", strcmp(before, topic) != 0 ? topic : "",
			     !strcmp(verdict, "note") ? "" : verdict, cli_text(cli, line, "Text"));
		before = topic;
	}
	json_each (sentence, json_get(page, "Advice"))
		(void)printf("what to do %-4s %.*s\n", "", BYTES_FMT(sentence->text));
}

int cli_explain(void *context, const void *values, int argc, char **argv)
{
	const struct cli_explain_options *o = values;
	struct cli *cli = context;
	const struct json *node, *ips;
	char name[256], path[160];
	struct cli_answer a;
	struct err err;
	uint64_t port;

	if (argc != 1 || !split_target(argv[0], name, sizeof(name), &port)) {
		(void)fprintf(stderr, "weft: explain takes one node, and maybe a port: bob:22\n");
		return 2;
	}
	if (cli_call(cli, "GET", "status", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	node = cli_find_node(cli, a.json, name);
	ips = json_get(node, "TailscaleIPs");
	if (!ips || !ips->first) {
		(void)fprintf(stderr, "weft: there is no node '%s' that this node may see\n", name);
		return 1;
	}
	(void)snprintf(path, sizeof(path), "weft-explain?ip=%.*s&proto=%s",
		       BYTES_FMT(ips->first->text), o->udp ? "udp" : "tcp");
	if (port)
		(void)snprintf(path + strlen(path), sizeof(path) - strlen(path), "&port=%u",
			       (unsigned)port);
	if (cli_call(cli, "GET", path, NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	if (o->json)
		(void)fwrite(a.body.p, 1, a.body.n, stdout);
	else
		print_page(cli, a.json);
	return 0;
}
