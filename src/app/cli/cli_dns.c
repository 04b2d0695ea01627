/* app/cli/cli_dns.c - `weft dns status` and `weft dns query`. */
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/dnsmsg.h"
#include "wire/url.h"

#define NO_BODY ((struct bytes){ NULL, 0 })

enum { MESSAGE_MAX = 1 << 17 };

static int print_json(const struct cli_answer *a)
{
	(void)printf("%.*s", BYTES_FMT(a->body));
	return 0;
}

/* ---- status ---- */

static void print_resolvers(const struct json *list)
{
	json_each (r, list)
		(void)printf("  - %.*s\n", BYTES_FMT(json_get(r, "Addr")->text));
	if (!list || !list->first)
		(void)printf("  (no resolvers configured)\n");
}

static void print_routes(const struct json *routes)
{
	json_each (route, routes) {
		if (!route->first)
			(void)printf("  - %-30.*s -> answered here\n", BYTES_FMT(route->key));
		json_each (r, route)
			(void)printf("  - %-30.*s -> %.*s\n", BYTES_FMT(route->key),
				     BYTES_FMT(json_get(r, "Addr")->text));
	}
	if (!routes || !routes->first)
		(void)printf("  (no routes configured)\n");
}

static void print_texts(const struct json *list, const char *none)
{
	json_each (text, list)
		(void)printf("  - %.*s\n", BYTES_FMT(text->text));
	if (!list || !list->first)
		(void)printf("  (%s)\n", none);
}

static void print_all(const struct json *status)
{
	(void)printf("\nRecords:\n");
	json_each (r, json_get(status, "Records"))
		(void)printf("  - %-30.*s -> %.*s\n", BYTES_FMT(json_get(r, "Name")->text),
			     BYTES_FMT(json_get(r, "Value")->text));
	(void)printf("\nCounters:\n");
	json_each (c, json_get(status, "Counters"))
		(void)printf("  %-28.*s %.*s\n", BYTES_FMT(c->key), BYTES_FMT(c->text));
}

static void print_host(struct cli *cli, const struct json *host)
{
	const char *error = cli_text(cli, host, "Error"), *manager = cli_text(cli, host, "Manager");

	(void)printf("\n=== System DNS configuration ===\n\n");
	if (*manager)
		(void)printf("Manager: %s (%s)\n%s\n\n", manager, cli_text(cli, host, "State"),
			     cli_text(cli, host, "Why"));
	(void)printf("Nameservers:\n");
	print_texts(json_get(host, "Nameservers"), "the host keeps its own");
	(void)printf("\nSearch domains:\n");
	print_texts(json_get(host, "SearchDomains"), "no search domains");
	(void)printf("\nMatch domains:\n");
	print_texts(json_get(host, "MatchDomains"),
		    cli_truth(host, "AllNames") ? "all names" : "no match domains");
	if (*error)
		(void)printf("\nTrouble: %s\n", error);
}

static int print_status(struct cli *cli, const struct cli_dns_options *options)
{
	struct cli_answer a;
	const char *zone;
	struct err err;

	if (cli_call(cli, "GET", "dns-status", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	if (options->json)
		return print_json(&a);
	zone = cli_text(cli, a.json, "Zone");
	(void)printf("=== 'Use Tailscale DNS' status ===\n\nTailscale DNS: %s.\n\n",
		     cli_truth(a.json, "CorpDNS")
			 ? "enabled"
			 : "disabled (`weft set --accept-dns` enables it)");
	(void)printf("=== MagicDNS configuration ===\n\n");
	if (*zone)
		(void)printf("MagicDNS: enabled (suffix = %s), %lld names\n", zone,
			     (long long)cli_number(a.json, "Hosts"));
	else
		(void)printf("MagicDNS: disabled\n");
	(void)printf("\nResolvers (in preference order)%s:\n",
		     cli_truth(a.json, "ThroughExitNode") ? ", at the exit node" : "");
	print_resolvers(json_get(a.json, "Resolvers"));
	(void)printf("\nSplit DNS Routes:\n");
	print_routes(json_get(a.json, "Routes"));
	print_host(cli, json_get(a.json, "Host"));
	if (options->all)
		print_all(a.json);
	return 0;
}

/* ---- query ---- */

static const char *rcode_text(unsigned rcode, char out[16])
{
	static const char *const names[] = { "NOERROR",  "FORMERR", "SERVFAIL",
					     "NXDOMAIN", "NOTIMP",  "REFUSED" };

	(void)snprintf(out, 16, "%u", rcode);
	return rcode < array_len(names) ? names[rcode] : out;
}

static const char *type_text(uint16_t type, char out[16])
{
	static const struct {
		uint16_t type;
		const char *name;
	} types[] = { { 1, "A" },    { 2, "NS" },    { 5, "CNAME" },  { 6, "SOA" },
		      { 12, "PTR" }, { 15, "MX" },   { 16, "TXT" },   { 28, "AAAA" },
		      { 33, "SRV" }, { 64, "SVCB" }, { 65, "HTTPS" }, { 257, "CAA" } };

	(void)snprintf(out, 16, "TYPE%u", type);
	for (size_t i = 0; i < array_len(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return out;
}

/* Text of strangers goes to a terminal: only what can be printed is. */
static void print_texts_of(struct bytes data)
{
	struct reader r = reader_of(data);

	while (reader_left(&r)) {
		struct bytes text = read_bytes(&r, read_u8(&r));

		(void)putchar('"');
		for (size_t i = 0; i < text.n; i++)
			(void)putchar(text.p[i] < 32 || text.p[i] > 126 ? '?' : text.p[i]);
		(void)fputs("\" ", stdout);
	}
}

static void print_mx(const struct dnsmsg *m, const struct dnsmsg_record *r)
{
	char text[DNSNAME_TEXT_MAX];
	size_t at = r->data_at + 2;
	struct dnsname name;

	if (r->data.n < 3 || !dnsname_read(&name, m->whole, &at))
		return;
	(void)printf("%u %s", (unsigned)(r->data.p[0] << 8 | r->data.p[1]),
		     dnsname_format(&name, text));
}

static void print_data(const struct dnsmsg *m, const struct dnsmsg_record *r)
{
	char ip_text[IP_TEXT_MAX], name_text[DNSNAME_TEXT_MAX];
	struct dnsname name;
	size_t at = r->data_at;
	struct ip ip;

	if (dnsmsg_address(r, &ip)) {
		(void)fputs(ip_format(ip, ip_text), stdout);
	} else if (dnsmsg_data_name(m, r, &name) ||
		   (r->type == DNSMSG_SOA && dnsname_read(&name, m->whole, &at))) {
		(void)fputs(dnsname_format(&name, name_text), stdout);
	} else if (r->type == DNSMSG_TXT) {
		print_texts_of(r->data);
	} else if (r->type == DNSMSG_MX) {
		print_mx(m, r);
	} else {
		for (size_t i = 0; i < r->data.n; i++)
			(void)printf("%02x", r->data.p[i]);
	}
}

static int print_message(struct bytes message)
{
	char name[DNSNAME_TEXT_MAX], text[16];
	struct dnsmsg_question q;
	struct dnsmsg_record r;
	struct dnsmsg m;

	if (!dnsmsg_open(&m, message) || (m.header.questions && !dnsmsg_question(&m, &q))) {
		(void)fprintf(stderr, "weft: the answer cannot be read\n");
		return 1;
	}
	(void)printf("\nResponse code: %s\n\n", rcode_text(m.header.flags & DNSMSG_RCODE, text));
	if (!m.header.records[DNSMSG_ANSWER]) {
		(void)printf("No answers found.\n");
		return 0;
	}
	(void)printf("%-30s %6s %-6s %-6s %s\n", "Name", "TTL", "Class", "Type", "Body");
	(void)printf("%-30s %6s %-6s %-6s %s\n", "----", "---", "-----", "----", "----");
	while (dnsmsg_next(&m, &r) == DNSMSG_RECORD) {
		if (r.section != DNSMSG_ANSWER)
			continue;
		(void)printf("%-30s %6u %-6s %-6s ", dnsname_format(&r.name, name), r.ttl,
			     r.class == DNSMSG_IN ? "INET" : "?", type_text(r.type, text));
		print_data(&m, &r);
		(void)putchar('\n');
	}
	return 0;
}

static void upper(char *out, const char *in, size_t size)
{
	size_t n = 0;

	for (; in[n] && n + 1 < size; n++)
		out[n] = in[n] >= 'a' && in[n] <= 'z' ? (char)(in[n] - 32) : in[n];
	out[n] = '\0';
}

static int print_query(struct cli *cli, const struct cli_dns_options *options, const char *name,
		       const char *type_word)
{
	struct buf path, message;
	struct cli_answer a;
	struct err err;
	char type[16];
	int ret;

	upper(type, type_word, sizeof(type));
	buf_init(&path, 8192);
	(void)buf_append_str(&path, "dns-query?name=");
	(void)url_percent_encode(bytes_str(name), &path);
	(void)buf_append_str(&path, "&type=");
	(void)url_percent_encode(bytes_str(type), &path);
	ret = cli_call(cli, "GET", buf_cstr(&path), NO_BODY, &a, &err);
	buf_fini(&path);
	if (ret < 0)
		return cli_fail(&err);
	if (options->json)
		return print_json(&a);
	(void)printf("DNS query for \"%s\" (%s) using internal resolver:\n\n", name, type);
	if (json_get(a.json, "Resolvers") && json_get(a.json, "Resolvers")->first)
		(void)printf("Forwarded to:\n");
	json_each (r, json_get(a.json, "Resolvers"))
		(void)printf("  - %.*s\n", BYTES_FMT(json_get(r, "Addr")->text));
	buf_init(&message, MESSAGE_MAX);
	ret = text_unbase64(BASE64_STD, bytes_str(cli_text(cli, a.json, "Bytes")), &message)
		  ? print_message(buf_bytes(&message))
		  : 1;
	buf_fini(&message);
	return ret;
}

int cli_dns(void *context, const void *values, int argc, char **argv)
{
	struct cli_dns_options o = *(const struct cli_dns_options *)values;
	const char *words[3];
	int n = 0;

	/* Options may stand behind the word, as people type them. */
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			o.json = true;
		else if (!strcmp(argv[i], "--all"))
			o.all = true;
		else if (n < (int)array_len(words) && argv[i][0] != '-')
			words[n++] = argv[i];
		else
			n = (int)array_len(words) + 1;
		if (n > (int)array_len(words))
			break;
	}
	if (n == 1 && !strcmp(words[0], "status"))
		return print_status(context, &o);
	if ((n == 2 || n == 3) && !strcmp(words[0], "query"))
		return print_query(context, &o, words[1], n == 3 ? words[2] : "A");
	(void)fprintf(stderr, "weft: say `dns status` or `dns query NAME [TYPE]`\n");
	return 2;
}
