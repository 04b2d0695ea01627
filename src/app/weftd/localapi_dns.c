/* app/weftd/localapi_dns.c - dns-query, dns-osconfig (as the original has them), dns-status (ours).
 */
#include <stdio.h>
#include <string.h>

#include "app/weftd/localapi_priv.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "engine/microtcp/microtcp.h"
#include "node/dnsconf.h"
#include "node/nodedns.h"
#include "node/prefs.h"
#include "os/resolver/resolver.h"
#include "part/dnsd/dnsd.h"
#include "wire/dnsmsg.h"

enum { REPLY_MAX = 4 << 20 };

// clang-format off
static const struct {
	const char *name;
	uint16_t type;
} types[] = {
	{ "A", 1 }, { "NS", 2 }, { "CNAME", 5 }, { "SOA", 6 }, { "WKS", 11 }, { "PTR", 12 }, { "HINFO", 13 },
	{ "MINFO", 14 }, { "MX", 15 }, { "TXT", 16 }, { "AAAA", 28 }, { "SRV", 33 }, { "OPT", 41 },
	{ "SVCB", 64 }, { "HTTPS", 65 }, { "ALL", 255 }, { "CAA", 257 },
};
// clang-format on

static bool type_of(const char *name, uint16_t *type)
{
	for (size_t i = 0; i < array_len(types); i++)
		if (!strcmp(name, types[i].name)) {
			*type = types[i].type;
			return true;
		}
	return false;
}

/* ---- dns-query ---- */

struct querying {
	struct http_exchange *x;
	struct localapi *api;
	struct dnsmsg_question question;
	struct dnsd_asking *asking;
	bool answered;
};

static void put_resolver(struct json_out *o, const struct dnsd *d, struct addrport at)
{
	char text[DNSD_TEXT_MAX];

	json_open_object(o);
	json_key(o, "Addr");
	json_put_cstr(o, dnsd_upstream_text(d, at, text));
	json_close_object(o);
}

static void put_message(struct json_out *o, struct bytes message)
{
	char *text = mem_alloc(TEXT_BASE64_LEN(message.n) + 1);

	text_base64(BASE64_STD, message, text);
	json_put_cstr(o, text);
	mem_free(text);
}

static void on_answer(void *arg, struct bytes message)
{
	struct querying *q = arg;
	const struct dnsd *d = nodedns_dnsd(node_dns(q->api->node));
	struct addrport asked[DNS_RESOLVERS_MAX];
	size_t n = dns_resolvers_of(dnsd_engine(d), &q->question, asked, DNS_RESOLVERS_MAX);
	struct json_out o;
	struct buf json;

	q->answered = true;
	http_on_gone(q->x, NULL, NULL);
	buf_init(&json, REPLY_MAX);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "Bytes");
	put_message(&o, message);
	json_key(&o, "Resolvers");
	json_open_array(&o);
	for (size_t i = 0; i < n; i++)
		put_resolver(&o, d, asked[i]);
	json_close_array(&o);
	json_close_object(&o);
	localapi_reply_json(q->x, 200, &json);
	if (q->asking) /* else localapi_dns_query() is still on the stack */
		mem_free(q);
}

static void on_gone(void *arg)
{
	struct querying *q = arg;

	dnsd_ask_cancel(q->asking);
	mem_free(q);
}

void localapi_dns_query(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	struct querying *q = mem_alloc(sizeof(*q));
	char name[DNSNAME_TEXT_MAX] = "", type[16] = "A";
	uint8_t message[512];
	struct rng rng = rng_system();
	struct dnsmsg_out o;
	size_t n;

	(void)http_query_get(req, "type", type, sizeof(type));
	q->question.class = DNSMSG_IN;
	if (!http_query_get(req, "name", name, sizeof(name)) || !*name ||
	    !dnsname_parse(&q->question.name, bytes_str(name))) {
		http_reply_text(x, 400, "missing or invalid 'name' parameter\n");
		mem_free(q);
		return;
	}
	if (!type_of(*type ? type : "A", &q->question.type)) {
		http_reply_text(x, 400, "invalid 'type' parameter\n");
		mem_free(q);
		return;
	}
	q->x = x;
	q->api = a;
	dnsmsg_begin(&o, message, sizeof(message), (uint16_t)rng_u32(&rng), DNSMSG_RD,
		     &q->question);
	n = dnsmsg_done(&o);
	http_on_gone(x, on_gone, q);
	q->asking = dnsd_ask(nodedns_dnsd(node_dns(a->node)), bytes_of(message, n), on_answer, q);
	if (q->answered)
		mem_free(q);
}

/* ---- what is set ---- */

static void put_domains(struct json_out *o, const char *key,
			const char domains[][PRIVOPS_DOMAIN_MAX], uint8_t n)
{
	json_key(o, key);
	json_open_array(o);
	for (uint8_t i = 0; i < n; i++)
		json_put_cstr(o, domains[i]);
	json_close_array(o);
}

static void put_os(struct json_out *o, const struct privops_dns *os)
{
	char text[IP_TEXT_MAX];

	json_key(o, "Nameservers");
	json_open_array(o);
	for (uint8_t i = 0; i < os->server_count; i++)
		json_put_cstr(o, ip_format(os->servers[i], text));
	json_close_array(o);
	put_domains(o, "SearchDomains", os->search, os->search_count);
	put_domains(o, "MatchDomains", os->match, os->override_all ? 0 : os->match_count);
}

void localapi_dns_osconfig(struct localapi *a, struct http_exchange *x,
			   const struct http_request *req)
{
	static const struct privops_dns nothing = { 0 };
	const struct dnsconf *c = nodedns_conf(node_dns(a->node));
	struct json_out o;
	struct buf json;

	(void)req;
	buf_init(&json, REPLY_MAX);
	json_out_init(&o, &json);
	json_open_object(&o);
	put_os(&o, c ? &c->os : &nothing);
	json_close_object(&o);
	localapi_reply_json(x, 200, &json);
}

static void put_list(struct json_out *o, const struct dnsd *d, const struct addrport *v, size_t n)
{
	json_open_array(o);
	for (size_t i = 0; i < n; i++)
		put_resolver(o, d, v[i]);
	json_close_array(o);
}

static void put_counters(struct json_out *o, const struct nodedns *dns)
{
	const struct dns_counters *c = dns_counters(dnsd_engine(nodedns_dnsd(dns)));
	const struct microtcp_counters *t = nodedns_tcp_counters(dns);

	json_key(o, "Counters");
	json_open_object(o);
#define X(name, sentence)                                                                          \
	json_key(o, "dns_" #name);                                                                 \
	json_put_u64(o, c->name);
	DNS_COUNTERS(X)
#undef X
#define X(name, sentence)                                                                          \
	json_key(o, "tcp_" #name);                                                                 \
	json_put_u64(o, t->name);
	MICROTCP_COUNTERS(X)
#undef X
	json_close_object(o);
}

static void put_conf(struct json_out *o, const struct dnsconf *c, const struct dnsd *d)
{
	char text[IP_TEXT_MAX];

	json_key(o, "Zone");
	json_put_cstr(o, c->engine.zone ? c->engine.zone : "");
	json_key(o, "Hosts");
	json_put_u64(o, c->engine.host_count);
	json_key(o, "ThroughExitNode");
	json_put_bool(o, c->through_exit);
	json_key(o, "Resolvers");
	put_list(o, d, c->engine.resolvers, c->engine.resolver_count);
	json_key(o, "Routes");
	json_open_object(o);
	for (size_t i = 0; i < c->engine.route_count; i++) {
		json_key(o, c->engine.routes[i].suffix);
		put_list(o, d, c->engine.routes[i].resolvers, c->engine.routes[i].resolver_count);
	}
	json_close_object(o);
	json_key(o, "Records");
	json_open_array(o);
	for (size_t i = 0; i < c->engine.record_count; i++) {
		json_open_object(o);
		json_key(o, "Name");
		json_put_cstr(o, c->engine.records[i].name);
		json_key(o, "Value");
		json_put_cstr(o, ip_format(c->engine.records[i].addr, text));
		json_close_object(o);
	}
	json_close_array(o);
	json_key(o, "Host");
	json_open_object(o);
	put_os(o, &c->os);
	json_key(o, "AllNames");
	json_put_bool(o, c->os.override_all);
}

void localapi_dns_status(struct localapi *a, struct http_exchange *x,
			 const struct http_request *req)
{
	const struct nodedns *dns = node_dns(a->node);
	const struct resolver_status *host = nodedns_host(dns);
	const struct dnsconf *c = nodedns_conf(dns);
	struct json_out o;
	struct buf json;

	(void)req;
	buf_init(&json, REPLY_MAX);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "CorpDNS");
	json_put_bool(&o, node_prefs(a->node)->v.corp_dns);
	if (c) {
		put_conf(&o, c, nodedns_dnsd(dns));
		json_key(&o, "Manager");
		json_put_cstr(&o, host->serial ? resolver_manager_name(host->manager) : "");
		json_key(&o, "State");
		json_put_cstr(&o, host->serial ? resolver_state_name(host->state) : "");
		json_key(&o, "Why");
		json_put_cstr(&o, host->why);
		json_key(&o, "Error");
		json_put_cstr(&o, host->trouble);
		json_close_object(&o); /* Host */
	}
	put_counters(&o, dns);
	json_close_object(&o);
	localapi_reply_json(x, 200, &json);
}
