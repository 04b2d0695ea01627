/* The policy file, DNS and the tailnet's settings. */
#include <stdio.h>

#include "app/control/command_priv.h"
#include "app/control/rest.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/tailcfg_dns.h"

enum { DNS_ARENA = 4 << 20, DAY_S = 86400 };

/* ---- policy ---- */

static void put_etag(struct rest *r, struct bytes text)
{
	char etag[65], quoted[68];

	access_etag(text, etag);
	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
	http_add_header(r->x, "etag", quoted);
}

/* JSON without comments and trailing commas. */
static int put_plain(struct rest *r, struct bytes text)
{
	const struct json *v = json_parse(&r->arena, text, JSON_HUJSON, &r->err);

	if (!v)
		return rest_refuse(r, 500, "the stored policy cannot be read");
	json_put_value(&r->out, v);
	return 0;
}

static void put_text(struct rest *r, struct bytes text)
{
	(void)buf_append(&r->text, text);
	r->content_type = "application/hujson";
}

static bool asks_for(const struct rest *r, const char *type)
{
	struct bytes accept = http_header_get(r->req, "accept");

	return accept.n && memmem(accept.p, accept.n, type, strlen(type)) != NULL;
}

static int put_policy(struct rest *r)
{
	struct bytes text = access_text(r->tailnet);

	put_etag(r, text);
	if (asks_for(r, "application/json"))
		return put_plain(r, text);
	put_text(r, text);
	return 0;
}

static int put_details(struct rest *r)
{
	struct bytes text = access_text(r->tailnet);
	char *base64 = mem_alloc(TEXT_BASE64_LEN(text.n) + 1);

	text_base64(BASE64_STD, text, base64);
	put_etag(r, text);
	json_open_object(&r->out);
	command_put(&r->out, "acl", base64);
	json_key(&r->out, "warnings");
	json_open_array(&r->out);
	json_close_array(&r->out);
	json_key(&r->out, "errors");
	json_open_array(&r->out);
	json_close_array(&r->out);
	json_close_object(&r->out);
	mem_free(base64);
	return 0;
}

static int policy_get(struct rest *r)
{
	char details[8];

	if (http_query_get(r->req, "details", details, sizeof(details)) &&
	    strcmp(details, "true") == 0)
		return put_details(r);
	return put_policy(r);
}

/* If-Match: the tag of what is in force, or "ts-default" while nobody has set any. */
static int check_match(struct rest *r)
{
	struct bytes wanted = text_trim(http_header_get(r->req, "if-match"));
	char etag[65];

	if (!wanted.n || bytes_equal_str(wanted, "*"))
		return 0;
	if (wanted.n > 2 && wanted.p[0] == '"')
		wanted = bytes_of(wanted.p + 1, wanted.n - 2);
	access_etag(access_text(r->tailnet), etag);
	if (bytes_equal_str(wanted, etag) || (bytes_equal_str(wanted, "ts-default") &&
					      !(r->tailnet->policy && r->tailnet->policy[0])))
		return 0;
	return rest_refuse(r, 412, "precondition failed, invalid old hash");
}

static int policy_set(struct rest *r)
{
	char was[65], is[65];

	if (check_match(r) < 0)
		return -1;
	if (access_report(r->tailnet, r->req->body, &r->out) < 0) {
		r->status = 400; /* the report is the answer */
		return 0;
	}
	buf_clear(&r->text);
	json_out_init(&r->out, &r->text);
	access_etag(access_text(r->tailnet), was);
	access_etag(r->req->body, is);
	if (core_set_policy(r->c, r->tailnet, r->req->body, r->actor, &r->err) < 0 ||
	    rest_done(r, "policy.set", r->tailnet->name, was, is) < 0)
		return -1;
	return put_policy(r);
}

/* The policy in force with other tests. */
static int with_tests(struct rest *r, const struct json *tests, struct buf *out)
{
	const struct json *policy =
	    json_parse(&r->arena, access_text(r->tailnet), JSON_HUJSON, &r->err);
	struct json_out o;

	if (!policy)
		return -1;
	json_out_init(&o, out);
	json_open_object(&o);
	json_each (it, policy)
		if (!bytes_equal_nocase(it->key, bytes_str("tests"))) {
			json_key_bytes(&o, it->key);
			json_put_value(&o, it);
		}
	json_key(&o, "tests");
	json_put_value(&o, tests);
	json_close_object(&o);
	return 0;
}

/* A list is tests for the policy in force, an object a policy. 200 either way; a message says no.
 */
static int policy_validate(struct rest *r)
{
	const struct json *v = json_parse(&r->arena, r->req->body, JSON_HUJSON, &r->err);
	struct buf text;
	int ret = 0;

	if (!v)
		return rest_refuse(r, 400, "%.200s", r->err.text);
	buf_init(&text, REST_POLICY_MAX * 2);
	if (json_is(v, JSON_ARRAY))
		ret = with_tests(r, v, &text);
	else
		(void)buf_append(&text, r->req->body);
	if (ret == 0 && access_report(r->tailnet, buf_bytes(&text), &r->out) == 0) {
		buf_clear(&r->text);
		json_out_init(&r->out, &r->text);
		(void)rest_empty(r);
	}
	buf_fini(&text);
	return ret;
}

static int policy_preview(struct rest *r)
{
	char type[16] = "", who[256] = "";
	struct buf matches;
	int ret;

	(void)http_query_get(r->req, "type", type, sizeof(type));
	(void)http_query_get(r->req, "previewFor", who, sizeof(who));
	if (strcmp(type, "user") != 0 || !who[0])
		return rest_refuse(r, 400, "type takes user, previewFor a login");
	buf_init(&matches, REST_ANSWER_MAX);
	ret = access_preview_user_in(r->tailnet, r->req->body, bytes_str(who), &matches, &r->err);
	if (ret == 0) {
		const struct json *v = json_parse(&r->arena, buf_bytes(&matches), 0, &r->err);

		json_open_object(&r->out);
		json_key(&r->out, "matches");
		if (json_get(v, "matches"))
			json_put_value(&r->out, json_get(v, "matches"));
		else
			json_put_raw(&r->out, bytes_str("[]"));
		command_put(&r->out, "type", type);
		command_put(&r->out, "previewFor", who);
		json_close_object(&r->out);
	}
	buf_fini(&matches);
	return ret;
}

/* ---- DNS: kept in the form of the protocol, shown in the form of the API ---- */

static void read_dns(struct rest *r, struct tailcfg_dns *dns)
{
	*dns = (struct tailcfg_dns){ 0 };
	if (r->tailnet->dns && schema_decode(dns, &tailcfg_dns_schema, &r->arena,
					     bytes_str(r->tailnet->dns), NULL) < 0)
		*dns = (struct tailcfg_dns){ 0 };
}

static int write_dns(struct rest *r, const struct tailcfg_dns *dns, const char *action)
{
	struct json_out o;
	struct buf text;
	char *was = r->tailnet->dns;
	int ret;

	buf_init(&text, REST_BODY_MAX);
	json_out_init(&o, &text);
	schema_encode(&o, &tailcfg_dns_schema, dns);
	r->tailnet->dns = bytes_strdup(buf_bytes(&text));
	buf_fini(&text);
	ret = store_put_tailnet(r->c->store, r->tailnet, &r->err);
	if (ret == 0)
		ret = rest_done(r, action, r->tailnet->name, was ? was : "{}", r->tailnet->dns);
	if (ret == 0) {
		core_dns_changed(r->c, r->tailnet);
		core_flush_soon(r->c);
		mem_free(was);
	} else {
		mem_free(r->tailnet->dns);
		r->tailnet->dns = was;
	}
	return ret;
}

/* Servers that replace the local ones, or that stand behind them. */
static const struct tailcfg_resolver_list *servers_of(const struct tailcfg_dns *dns)
{
	return dns->resolvers.n ? &dns->resolvers : &dns->fallback_resolvers;
}

static bool is_server(struct bytes text)
{
	struct addrport at;
	struct ip ip;

	return ip_parse(&ip, text) || addrport_parse(&at, text) ||
	       bytes_has_prefix(text, "https://") || bytes_has_prefix(text, "tls://");
}

static int check_server(struct rest *r, struct bytes text)
{
	return is_server(text)
		   ? 0
		   : rest_refuse(r, 400, "%.*s is no address of a resolver",
				 text.n > 100 ? 100 : (int)text.n, (const char *)text.p);
}

static int take_servers(struct rest *r, const struct json *list, struct tailcfg_resolver_list *out)
{
	struct bytes texts[REST_LIST_MAX];
	size_t n;

	if (rest_texts(r, list, "dns", texts, &n) < 0)
		return -1;
	*out = (struct tailcfg_resolver_list){ arena_array(&r->arena, n + 1, sizeof(*out->v)), n,
					       true };
	for (size_t i = 0; i < n; i++) {
		if (check_server(r, texts[i]) < 0)
			return -1;
		out->v[i].addr = texts[i];
	}
	return 0;
}

static void put_servers(struct json_out *o, const struct tailcfg_resolver_list *list)
{
	json_open_array(o);
	for (size_t i = 0; i < list->n; i++)
		json_put_string(o, list->v[i].addr);
	json_close_array(o);
}

static int put_nameservers(struct rest *r, bool magic)
{
	struct tailcfg_dns dns;

	read_dns(r, &dns);
	json_open_object(&r->out);
	json_key(&r->out, "dns");
	put_servers(&r->out, servers_of(&dns));
	if (magic)
		command_put_bool(&r->out, "magicDNS", true);
	json_close_object(&r->out);
	return 0;
}

static int nameservers_get(struct rest *r)
{
	return put_nameservers(r, false);
}

static int nameservers_set(struct rest *r)
{
	struct tailcfg_resolver_list list;
	struct tailcfg_dns dns;
	bool fallback;

	read_dns(r, &dns);
	fallback = !dns.resolvers.n && dns.fallback_resolvers.n;
	if (!json_is(json_get(r->body, "dns"), JSON_ARRAY))
		return rest_refuse(r, 400, "dns is missing; it takes a list of addresses");
	if (take_servers(r, json_get(r->body, "dns"), &list) < 0)
		return -1;
	if (fallback)
		dns.fallback_resolvers = list;
	else
		dns.resolvers = list;
	return write_dns(r, &dns, "dns.nameservers") < 0 ? -1 : put_nameservers(r, true);
}

static int preferences_get(struct rest *r)
{
	json_open_object(&r->out);
	command_put_bool(&r->out, "magicDNS", true);
	json_close_object(&r->out);
	return 0;
}

static int preferences_set(struct rest *r)
{
	bool magic;

	if (rest_bool(r, "magicDNS", &magic) < 0)
		return -1;
	if (!magic)
		return rest_refuse(r, 400, "names of nodes cannot be switched off on this server");
	return preferences_get(r);
}

static int searchpaths_get(struct rest *r)
{
	struct tailcfg_dns dns;

	read_dns(r, &dns);
	json_open_object(&r->out);
	json_key(&r->out, "searchPaths");
	json_open_array(&r->out);
	for (size_t i = 0; i < dns.domains.n; i++)
		json_put_string(&r->out, dns.domains.v[i]);
	json_close_array(&r->out);
	json_close_object(&r->out);
	return 0;
}

static bool is_domain(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == '"' || text.p[i] == '/')
			return false;
	return text.n > 0 && text.n < 254;
}

static int take_domains(struct rest *r, const struct json *list, struct text_list *out)
{
	struct bytes texts[REST_LIST_MAX];
	size_t n;

	if (rest_texts(r, list, "searchPaths", texts, &n) < 0)
		return -1;
	*out = (struct text_list){ arena_array(&r->arena, n + 1, sizeof(*out->v)), n, true };
	for (size_t i = 0; i < n; i++) {
		if (!is_domain(texts[i]))
			return rest_refuse(r, 400, "searchPaths takes domain names");
		out->v[i] = texts[i];
	}
	return 0;
}

static int searchpaths_set(struct rest *r)
{
	struct tailcfg_dns dns;

	read_dns(r, &dns);
	if (take_domains(r, json_get(r->body, "searchPaths"), &dns.domains) < 0 ||
	    write_dns(r, &dns, "dns.searchpaths") < 0)
		return -1;
	return searchpaths_get(r);
}

/* {"corp.example": ["10.0.0.1"]} out of [{"Addr": "10.0.0.1"}]. */
static void put_split(struct rest *r, const struct tailcfg_dns *dns)
{
	json_open_object(&r->out);
	for (size_t i = 0; i < dns->routes.n; i++) {
		struct bytes addr;

		json_key_bytes(&r->out, dns->routes.v[i].name);
		json_open_array(&r->out);
		json_each (it, json_parse(&r->arena, dns->routes.v[i].json, 0, NULL))
			if (json_string(json_get(it, "Addr"), &addr))
				json_put_string(&r->out, addr);
		json_close_array(&r->out);
	}
	json_close_object(&r->out);
}

static int split_get(struct rest *r)
{
	struct tailcfg_dns dns;

	read_dns(r, &dns);
	put_split(r, &dns);
	return 0;
}

static int split_entry(struct rest *r, const struct json *servers, struct named_json *out)
{
	struct bytes texts[REST_LIST_MAX];
	struct json_out o;
	struct buf text;
	size_t n;

	if (!is_domain(servers->key))
		return rest_refuse(r, 400, "split DNS takes domain names with lists of resolvers");
	if (rest_texts(r, servers, "a domain", texts, &n) < 0)
		return -1;
	buf_init(&text, REST_BODY_MAX);
	json_out_init(&o, &text);
	json_open_array(&o);
	for (size_t i = 0; i < n; i++) {
		if (check_server(r, texts[i]) < 0) {
			buf_fini(&text);
			return -1;
		}
		json_open_object(&o);
		json_key(&o, "Addr");
		json_put_string(&o, texts[i]);
		json_close_object(&o);
	}
	json_close_array(&o);
	*out = (struct named_json){ servers->key, arena_bytes(&r->arena, buf_bytes(&text)) };
	buf_fini(&text);
	return 0;
}

static const struct json *member(const struct json *v, struct bytes key)
{
	json_each (it, v)
		if (bytes_equal(it->key, key))
			return it;
	return NULL;
}

/* merge: domains that are not in the body stay. null and an empty list take one out. */
static int take_split(struct rest *r, const struct json *wish, struct tailcfg_dns *dns, bool merge)
{
	size_t n = 0, old = merge ? dns->routes.n : 0;
	struct named_json *v;

	if (!json_is(wish, JSON_OBJECT) || wish->count > REST_LIST_MAX)
		return rest_refuse(r, 400, "split DNS takes an object of domains");
	v = arena_array(&r->arena, old + wish->count + 1, sizeof(*v));
	for (size_t i = 0; v && i < old; i++)
		if (!member(wish, dns->routes.v[i].name))
			v[n++] = dns->routes.v[i];
	json_each (it, wish) {
		if (json_is(it, JSON_NULL) || (json_is(it, JSON_ARRAY) && !it->count))
			continue;
		if (!v || split_entry(r, it, &v[n]) < 0)
			return -1;
		n++;
	}
	dns->routes = (struct named_json_list){ v, n, true };
	return 0;
}

static int split_change(struct rest *r, bool merge)
{
	struct tailcfg_dns dns;

	read_dns(r, &dns);
	if (take_split(r, r->body, &dns, merge) < 0 || write_dns(r, &dns, "dns.split") < 0)
		return -1;
	return split_get(r);
}

static int split_put(struct rest *r)
{
	return split_change(r, false);
}

static int split_patch(struct rest *r)
{
	return split_change(r, true);
}

/* ---- settings ---- */

static int settings_get(struct rest *r)
{
	const struct tailnet *t = r->tailnet;
	struct json_out *o = &r->out;

	json_open_object(o);
	command_put_bool(o, "aclsExternallyManagedOn", false);
	command_put(o, "aclsExternalLink", "");
	command_put_bool(o, "devicesApprovalOn", t->device_approval);
	command_put_bool(o, "devicesAutoUpdatesOn", false);
	command_put_i64(o, "devicesKeyDurationDays", t->key_expiry_s / DAY_S);
	command_put_bool(o, "usersApprovalOn", false);
	command_put(o, "usersRoleAllowedToJoinExternalTailnets", "none");
	command_put_bool(o, "networkFlowLoggingOn", false);
	command_put_bool(o, "regionalRoutingOn", false);
	command_put_bool(o, "postureIdentityCollectionOn", false);
	command_put_bool(o, "httpsEnabled", false);
	json_close_object(o);
	return 0;
}

/* What this server cannot be told is accepted only as it is. */
static int check_fixed(struct rest *r)
{
	static const char *const fixed[] = { "aclsExternallyManagedOn",
					     "devicesAutoUpdatesOn",
					     "usersApprovalOn",
					     "networkFlowLoggingOn",
					     "regionalRoutingOn",
					     "postureIdentityCollectionOn",
					     "httpsEnabled" };

	for (size_t i = 0; i < array_len(fixed); i++) {
		bool on = false;

		if (json_bool(json_get(r->body, fixed[i]), &on) && on)
			return rest_refuse(r, 400, "%s cannot be switched on in this release",
					   fixed[i]);
	}
	return 0;
}

static int settings_patch(struct rest *r)
{
	const struct json *days = json_get(r->body, "devicesKeyDurationDays");
	int64_t n = r->tailnet->key_expiry_s / DAY_S;
	bool approval = r->tailnet->device_approval;
	char was[64], is[64];

	if (check_fixed(r) < 0)
		return -1;
	if (days && !json_is(days, JSON_NULL) && (!json_i64(days, &n) || n < 0 || n > 3650))
		return rest_refuse(r, 400, "devicesKeyDurationDays takes 0 (never) to 3650");
	(void)json_bool(json_get(r->body, "devicesApprovalOn"), &approval);
	(void)snprintf(was, sizeof(was), "approval %d, key days %lld", r->tailnet->device_approval,
		       (long long)(r->tailnet->key_expiry_s / DAY_S));
	(void)snprintf(is, sizeof(is), "approval %d, key days %lld", approval, (long long)n);
	r->tailnet->device_approval = approval;
	r->tailnet->key_expiry_s = n * DAY_S;
	if (store_put_tailnet(r->c->store, r->tailnet, &r->err) < 0 ||
	    rest_done(r, "tailnet.set", r->tailnet->name, was, is) < 0)
		return -1;
	return settings_get(r);
}

// clang-format off
const struct rest_op rest_network[] = {
	{ "GET", "/tailnet/{t}/acl", SCOPE_POLICY_FILE, false, REST_NO_BODY, policy_get, "getPolicyFile", "the policy file, as HuJSON or JSON, with its ETag", NULL, "Policy" },
	{ "POST", "/tailnet/{t}/acl", SCOPE_POLICY_FILE, true, REST_RAW, policy_set, "setPolicyFile", "check it and put it in force; If-Match guards against lost changes", "Policy", "Policy" },
	{ "POST", "/tailnet/{t}/acl/validate", SCOPE_POLICY_FILE, false, REST_RAW, policy_validate, "validateAndTestPolicyFile", "check a policy, or tests against the one in force", "Policy", "PolicyReport" },
	{ "POST", "/tailnet/{t}/acl/preview", SCOPE_POLICY_FILE, false, REST_RAW, policy_preview, "previewRuleMatches", "the rules of a policy that name a user", "Policy", "PolicyPreview" },
	{ "GET", "/tailnet/{t}/dns/nameservers", SCOPE_DNS, false, REST_NO_BODY, nameservers_get, "listDnsNameservers", "resolvers for everything", NULL, "Nameservers" },
	{ "POST", "/tailnet/{t}/dns/nameservers", SCOPE_DNS, true, REST_JSON, nameservers_set, "setDnsNameservers", "replace them", "Nameservers", "Nameservers" },
	{ "GET", "/tailnet/{t}/dns/preferences", SCOPE_DNS, false, REST_NO_BODY, preferences_get, "getDnsPreferences", "are names of nodes answered", NULL, "DnsPreferences" },
	{ "POST", "/tailnet/{t}/dns/preferences", SCOPE_DNS, true, REST_JSON, preferences_set, "setDnsPreferences", "always on here", "DnsPreferences", "DnsPreferences" },
	{ "GET", "/tailnet/{t}/dns/searchpaths", SCOPE_DNS, false, REST_NO_BODY, searchpaths_get, "listDnsSearchPaths", "search domains", NULL, "SearchPaths" },
	{ "POST", "/tailnet/{t}/dns/searchpaths", SCOPE_DNS, true, REST_JSON, searchpaths_set, "setDnsSearchPaths", "replace them", "SearchPaths", "SearchPaths" },
	{ "GET", "/tailnet/{t}/dns/split-dns", SCOPE_DNS, false, REST_NO_BODY, split_get, "getSplitDns", "resolvers per domain", NULL, "SplitDns" },
	{ "PUT", "/tailnet/{t}/dns/split-dns", SCOPE_DNS, true, REST_JSON, split_put, "setSplitDns", "replace all", "SplitDns", "SplitDns" },
	{ "PATCH", "/tailnet/{t}/dns/split-dns", SCOPE_DNS, true, REST_JSON, split_patch, "updateSplitDns", "change some; null takes a domain out", "SplitDns", "SplitDns" },
	{ "GET", "/tailnet/{t}/settings", SCOPE_FEATURE_SETTINGS, false, REST_NO_BODY, settings_get, "getTailnetSettings", "the tailnet's switches", NULL, "Settings" },
	{ "PATCH", "/tailnet/{t}/settings", SCOPE_FEATURE_SETTINGS, true, REST_JSON, settings_patch, "updateTailnetSettings", "change some", "Settings", "Settings" },
};
// clang-format on
const size_t rest_network_n = array_len(rest_network);
