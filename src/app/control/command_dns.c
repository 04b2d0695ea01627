/*
 * Commands about DNS settings, one member at a time; nodes hear of a change at once. All of them
 * edit the one document that `dns get` shows and `dns set` replaces.
 */
#include "app/control/command_priv.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "wire/dnsname.h"
#include "wire/tailcfg_dns.h"

enum { DNS_TEXT_MAX = 1 << 20, WORDS_MAX = 16, RECORDS_MAX = 4096, ROUTES_MAX = 64 };

struct edit {
	struct command *cmd;
	struct arena arena;
	struct tailcfg_dns dns;
};

static bool is_name(struct bytes text)
{
	struct dnsname name;

	return dnsname_parse(&name, text) && name.n > 1;
}

static bool is_word(struct bytes word, const char *text)
{
	return bytes_equal_str(word, text);
}

/* ---- the document ---- */

static int read_document(struct edit *e)
{
	const char *text = e->cmd->tailnet->dns;

	if (!text)
		return 0;
	return schema_decode(&e->dns, &tailcfg_dns_schema, &e->arena, bytes_str(text), e->cmd->err);
}

static int write_document(struct edit *e)
{
	struct command *cmd = e->cmd;
	struct json_out o;
	struct buf text;
	int ret;

	buf_init(&text, DNS_TEXT_MAX);
	json_out_init(&o, &text);
	schema_encode(&o, &tailcfg_dns_schema, &e->dns);
	if (text.bad) {
		buf_fini(&text);
		return err_set(cmd->err, ERR_LIMIT, "that is more than %d bytes of DNS settings",
			       DNS_TEXT_MAX);
	}
	mem_free(cmd->tailnet->dns);
	cmd->tailnet->dns = bytes_strdup(buf_bytes(&text));
	ret = store_put_tailnet(cmd->c->store, cmd->tailnet, cmd->err);
	if (ret == 0)
		ret = command_done(cmd, "dns.set", cmd->tailnet->name, "");
	if (ret == 0) {
		core_dns_changed(cmd->c, cmd->tailnet);
		json_put_raw(cmd->out, buf_bytes(&text));
	}
	buf_fini(&text);
	return ret;
}

static int edit_document(struct command *cmd, int (*change)(struct edit *e))
{
	struct edit e = { .cmd = cmd };
	int ret;

	arena_init(&e.arena, 16 << 20);
	ret = read_document(&e);
	if (ret == 0)
		ret = change(&e);
	if (ret == 0)
		ret = write_document(&e);
	arena_fini(&e.arena);
	return ret;
}

/* ---- words ---- */

/* An address, address:port, or a URL that nodes know how to use. */
static bool is_resolver(struct bytes word)
{
	struct addrport at;
	struct ip ip;

	return ip_parse(&ip, word) || addrport_parse(&at, word) ||
	       bytes_has_prefix(word, "https://") || bytes_has_prefix(word, "http://") ||
	       bytes_has_prefix(word, "tls://");
}

/* The words from `first` on; the one word "none" is an empty list. */
static int read_resolvers(struct edit *e, size_t first, struct tailcfg_resolver_list *out)
{
	size_t args = command_args(e->cmd);
	size_t n = args > first ? args - first : 0;

	*out = (struct tailcfg_resolver_list){ .set = true };
	if (n == 1 && is_word(command_word(e->cmd, first), "none"))
		return 0;
	if (!n || n > WORDS_MAX)
		return err_set(e->cmd->err, ERR_USAGE, "name 1 to %d resolvers, or none",
			       WORDS_MAX);
	out->v = arena_array(&e->arena, n, sizeof(*out->v));
	for (size_t i = 0; out->v && i < n; i++) {
		struct bytes word = command_word(e->cmd, first + i);

		if (!is_resolver(word))
			return err_set(e->cmd->err, ERR_USAGE,
				       "'%.*s' is no address, https:// or tls:// resolver",
				       BYTES_FMT(word));
		out->v[out->n++].addr = word;
	}
	return 0;
}

/* ---- changes ---- */

static int change_nameservers(struct edit *e)
{
	bool overrides = e->dns.resolvers.n || !e->dns.fallback_resolvers.n;

	return read_resolvers(e, 0, overrides ? &e->dns.resolvers : &e->dns.fallback_resolvers);
}

static int change_split(struct edit *e)
{
	struct bytes suffix = command_word(e->cmd, 0);
	struct named_json_list *routes = &e->dns.routes;
	struct named_json *v = arena_array(&e->arena, routes->n + 1, sizeof(*v));
	struct tailcfg_resolver_list list;
	struct json_out o;
	struct buf text;
	size_t n = 0;

	if (!is_name(suffix))
		return err_set(e->cmd->err, ERR_USAGE, "'%.*s' is no domain", BYTES_FMT(suffix));
	if (read_resolvers(e, 1, &list) < 0)
		return -1;
	for (size_t i = 0; v && i < routes->n; i++)
		if (!bytes_equal_nocase(routes->v[i].name, suffix))
			v[n++] = routes->v[i];
	if (n >= ROUTES_MAX)
		return err_set(e->cmd->err, ERR_LIMIT, "there are %d routes already", ROUTES_MAX);
	if (v && list.n) {
		buf_init(&text, DNS_TEXT_MAX);
		json_out_init(&o, &text);
		json_open_array(&o);
		for (size_t i = 0; i < list.n; i++)
			schema_encode(&o, &tailcfg_resolver_schema, &list.v[i]);
		json_close_array(&o);
		v[n++] = (struct named_json){ suffix, arena_bytes(&e->arena, buf_bytes(&text)) };
		buf_fini(&text);
	}
	*routes = (struct named_json_list){ v, n, true };
	return 0;
}

static int change_search(struct edit *e)
{
	size_t n = command_args(e->cmd);
	struct bytes *v = arena_array(&e->arena, WORDS_MAX, sizeof(*v));

	e->dns.domains = (struct text_list){ v, 0, true };
	if (n == 1 && is_word(command_word(e->cmd, 0), "none"))
		return 0;
	if (n > WORDS_MAX)
		return err_set(e->cmd->err, ERR_USAGE, "at most %d search domains", WORDS_MAX);
	for (size_t i = 0; v && i < n; i++) {
		struct bytes word = command_word(e->cmd, i);

		if (!is_name(word))
			return err_set(e->cmd->err, ERR_USAGE, "'%.*s' is no domain",
				       BYTES_FMT(word));
		v[e->dns.domains.n++] = word;
	}
	return 0;
}

/* On: nodes ask our resolvers for everything. Off: only where they have none of their own. */
static int change_override(struct edit *e)
{
	struct tailcfg_resolver_list all =
	    e->dns.resolvers.n ? e->dns.resolvers : e->dns.fallback_resolvers;
	struct tailcfg_resolver_list none = { 0 };
	struct bytes word = command_word(e->cmd, 0);
	bool on = is_word(word, "on");

	if (!on && !is_word(word, "off"))
		return err_set(e->cmd->err, ERR_USAGE, "say on or off");
	if (!all.n)
		return err_set(e->cmd->err, ERR_USAGE,
			       "there are no resolvers; `dns nameservers` sets them");
	e->dns.resolvers = on ? all : none;
	e->dns.fallback_resolvers = on ? none : all;
	return 0;
}

static bool is_record(const struct tailcfg_dns_record *r, struct bytes name, struct bytes value)
{
	return bytes_equal_nocase(r->name, name) && (!value.n || bytes_equal(r->value, value));
}

static int change_record(struct edit *e)
{
	struct bytes verb = command_word(e->cmd, 0), name = command_word(e->cmd, 1),
		     value = command_word(e->cmd, 2);
	struct tailcfg_dns_record_list *list = &e->dns.extra_records;
	struct tailcfg_dns_record *v = arena_array(&e->arena, list->n + 1, sizeof(*v));
	bool adds = is_word(verb, "add");
	size_t n = 0;
	struct ip ip;

	if (!adds && !is_word(verb, "remove"))
		return err_set(e->cmd->err, ERR_USAGE, "say add or remove");
	if (!is_name(name))
		return err_set(e->cmd->err, ERR_USAGE, "'%.*s' is no name", BYTES_FMT(name));
	if (adds && !ip_parse(&ip, value))
		return err_set(e->cmd->err, ERR_USAGE, "give the record's address");
	for (size_t i = 0; v && i < list->n; i++)
		if (!is_record(&list->v[i], name, value))
			v[n++] = list->v[i];
	if (!adds && n == list->n)
		return err_set(e->cmd->err, ERR_USAGE, "there is no such record of %.*s",
			       BYTES_FMT(name));
	if (n >= RECORDS_MAX)
		return err_set(e->cmd->err, ERR_LIMIT, "there are %d records already", RECORDS_MAX);
	if (v && adds)
		v[n++] =
		    (struct tailcfg_dns_record){ .name = name,
						 .type = bytes_str(ip.family == 4 ? "A" : "AAAA"),
						 .value = value };
	*list = (struct tailcfg_dns_record_list){ v, n, true };
	return 0;
}

/* ---- verbs ---- */

static int dns_get(struct command *cmd)
{
	json_put_raw(cmd->out, bytes_str(cmd->tailnet->dns ? cmd->tailnet->dns : "{}"));
	return 0;
}

/* The form of the protocol: Resolvers, Routes, Domains, ExtraRecords, FallbackResolvers. */
static int change_all(struct edit *e)
{
	e->dns = (struct tailcfg_dns){ 0 };
	return schema_decode(&e->dns, &tailcfg_dns_schema, &e->arena, e->cmd->input, e->cmd->err);
}

static int dns_set(struct command *cmd)
{
	return edit_document(cmd, change_all);
}

static int dns_nameservers(struct command *cmd)
{
	return edit_document(cmd, change_nameservers);
}

static int dns_split(struct command *cmd)
{
	return edit_document(cmd, change_split);
}

static int dns_search(struct command *cmd)
{
	return edit_document(cmd, change_search);
}

static int dns_override(struct command *cmd)
{
	return edit_document(cmd, change_override);
}

static int dns_record(struct command *cmd)
{
	return edit_document(cmd, change_record);
}

// clang-format off
const struct verb command_dns[] = {
	{ "dns", "get", "", "resolvers, split DNS, records", 0, false, dns_get, SCOPE_DNS, false },
	{ "dns", "set", "[FILE]", "JSON with Resolvers, Routes, Domains, ExtraRecords", 0, true, dns_set, SCOPE_DNS, true },
	{ "dns", "nameservers", "RESOLVER...|none", "who is asked for all other names", 1, false, dns_nameservers, SCOPE_DNS, true },
	{ "dns", "override", "on|off", "before the nodes' own resolvers, or only without any", 1, false, dns_override, SCOPE_DNS, true },
	{ "dns", "split", "SUFFIX RESOLVER...|none", "who is asked for names under a suffix", 2, false, dns_split, SCOPE_DNS, true },
	{ "dns", "search", "DOMAIN...|none", "search domains, behind the network's own", 1, false, dns_search, SCOPE_DNS, true },
	{ "dns", "record", "add|remove NAME [ADDRESS]", "one extra record", 2, false, dns_record, SCOPE_DNS, true },
};
// clang-format on
const size_t command_dns_n = array_len(command_dns);
