/* Map and preferences into DNS settings: who is answered for, who is asked, what the host is told.
 */
#include "node/dnsconf.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "kit/kit.h"
#include "node/dnsbase.h"
#include "node/netmap.h"
#include "node/prefs.h"

#define NOW ((struct wall){ 1770000000LL * 1000000000 })
#define D8(c) c c c c c c c c
#define KEY(c) "\"nodekey:" D8(c) D8(c) D8(c) D8(c) D8(c) D8(c) D8(c) D8(c) "\""

static const struct addrport base[] = { { { 4, { 192, 168, 1, 1 } }, 53 } };

static struct netmap *map_of(const char *self, const char *dns)
{
	struct tailcfg_map_response f = { 0 };
	struct netmap *m = NULL;
	struct arena arena;
	struct err err = { 0 };
	char text[8192];

	(void)snprintf(
	    text, sizeof(text),
	    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.net.\",\"Key\":" KEY(
		"1") ",\"Addresses\":[\"100.64.0.1/32\",\"fd7a:115c:a1e0::1/128\"],"
		     "\"MachineAuthorized\":true%s},\"Peers\":["
		     "{\"ID\":2,\"StableID\":\"n2\",\"Name\":\"b.tail.net.\",\"Key\":" KEY(
			 "2") ",\"Addresses\":[\"100.64.0.2/32\",\"fd7a:115c:a1e0::2/"
			      "128\"],\"Cap\":100,"
			      "\"AllowedIPs\":[\"100.64.0.2/32\",\"10.0.0.0/8\",\"0.0.0.0/"
			      "0\"],\"Hostinfo\":"
			      "{\"Services\":[{\"Proto\":\"peerapi4\",\"Port\":40001}]}},"
			      "{\"ID\":3,\"StableID\":\"n3\",\"Name\":\"c.tail.net.\",\"Key\":" KEY(
				  "3") ",\"Addresses\":[\"fd7a:115c:a1e0::3/"
				       "128\"]}],\"DNSConfig\":%s}",
	    self, dns);
	arena_init(&arena, 1 << 20);
	if (schema_decode(&f, &tailcfg_map_response_schema, &arena, bytes_str(text), &err) == 0)
		m = netmap_apply(NULL, true, &f, NOW, &err);
	if (!m)
		printf("# %s\n", err.text);
	arena_fini(&arena);
	return m;
}

static struct dnsconf *conf_of(const char *self, const char *dns, const char *edit)
{
	struct netmap *m = map_of(self, dns);
	struct prefs *p = prefs_create();
	struct prefs_values v = p->v;
	struct prefs *q;
	struct dnsconf *c;

	v.corp_dns = !strstr(edit, "no-dns");
	v.route_all = strstr(edit, "routes") != NULL;
	if (strstr(edit, "exit"))
		v.exit_node_id = bytes_str(strstr(edit, "gone") ? "n9" : "n2");
	q = prefs_with(p, &v);
	c = dnsconf_create(m, q, base, 1, NOW);
	prefs_destroy(p);
	prefs_destroy(q);
	netmap_unref(m); /* nothing of it is needed afterwards */
	return c;
}

static bool has_resolver(const struct addrport *v, size_t n, const char *text)
{
	char out[ADDRPORT_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		if (!strcmp(addrport_format(v[i], out), text))
			return true;
	return false;
}

static const struct dnsd_upstream *upstream(const struct dnsconf *c, const char *text)
{
	char out[ADDRPORT_TEXT_MAX];

	for (size_t i = 0; i < c->upstream_count; i++)
		if (!strcmp(addrport_format(c->upstreams[i].at, out), text))
			return &c->upstreams[i];
	return NULL;
}

#define MAGIC "\"Proxied\":true,\"Domains\":[\"tail.net\"],\"Routes\":{\"tail.net\":null}"

TEST(names_of_the_tailnet)
{
	struct dnsconf *c = conf_of("", "{" MAGIC "}", "");

	CHECK_STR(c->engine.zone, "tail.net");
	CHECK_INT(c->engine.host_count, 3);
	CHECK_STR(c->engine.hosts[1].name, "b.tail.net.");
	CHECK(c->engine.hosts[1].addr_count == 1 && c->engine.hosts[1].addrs[0].family == 4);
	CHECK(c->engine.hosts[2].addr_count == 1 && c->engine.hosts[2].addrs[0].family == 6);
	CHECK(c->engine.resolver_count == 1 &&
	      has_resolver(c->engine.resolvers, 1, "192.168.1.1:53"));
	CHECK(c->os.server_count == 1 && ip_equal(c->os.servers[0], ip_v4(100, 100, 100, 100)));
	CHECK(c->os.search_count == 1 && !strcmp(c->os.search[0], "tail.net"));
	CHECK(c->os.match_count == 3 && !strcmp(c->os.match[1], "100.in-addr.arpa"));
	CHECK(!c->os.override_all);
	dnsconf_destroy(c);
	c = conf_of(",\"CapMap\":{\"magicdns-aaaa\":null,\"dns-subdomain-resolve\":null}",
		    "{" MAGIC "}", "");
	CHECK(c->engine.hosts[1].addr_count == 2 && c->engine.hosts[0].subdomains);
	dnsconf_destroy(c);
}

TEST(without_magic_there_is_nothing_to_tell)
{
	struct dnsconf *c = conf_of("", "{}", "");

	CHECK(!c->engine.zone && c->engine.host_count == 0 && c->os.server_count == 0);
	dnsconf_destroy(c);
	c = conf_of(",\"Expired\":true", "{" MAGIC "}", "");
	CHECK(!c->engine.zone && c->os.server_count == 0 && c->engine.resolver_count == 1);
	dnsconf_destroy(c);
}

TEST(resolvers_of_every_form)
{
	struct dnsconf *c = conf_of(
	    "",
	    "{" MAGIC ",\"Resolvers\":[{\"Addr\":\"1.1.1.1\"},{\"Addr\":\"[2001:db8::1]:5353\"},"
	    "{\"Addr\":\"https://dns.google/dns-query\"},{\"Addr\":\"tls://192.0.2.7\"},"
	    "{\"Addr\":\"tls://dot.test\",\"BootstrapResolution\":[\"192.0.2.8\"]},"
	    "{\"Addr\":\"https://unknown.test/q\"},{\"Addr\":\"nonsense\"}]}",
	    "");
	const struct dnsd_upstream *u;

	CHECK_INT(c->engine.resolver_count, 8); /* four of them of one provider */
	CHECK(has_resolver(c->engine.resolvers, 8, "1.1.1.1:53"));
	CHECK(has_resolver(c->engine.resolvers, 8, "[2001:db8::1]:5353"));
	CHECK(!upstream(c, "1.1.1.1:53")); /* plain and outside is what is not said */
	u = upstream(c, "8.8.8.8:443");
	CHECK(u && u->kind == DNSD_HTTPS && !strcmp(u->host, "dns.google"));
	u = upstream(c, "192.0.2.8:853");
	CHECK(u && u->kind == DNSD_TLS && !strcmp(u->host, "dot.test") && !u->inside);
	CHECK(c->os.override_all && c->skipped == 2);
	CHECK(!has_resolver(c->engine.resolvers, 8, "192.168.1.1:53"));
	dnsconf_destroy(c);
}

#define SPLIT                                                                                      \
	"{" MAGIC ",\"Resolvers\":[{\"Addr\":\"9.9.9.9\"}],\"ExtraRecords\":[{\"Name\":\"x.y\","   \
	"\"Value\":\"10.1.1.1\"},{\"Name\":\"t.y\",\"Type\":\"TXT\",\"Value\":\"10.1.1.1\"}],"     \
	"\"Routes\":{\"corp.test\":[{\"Addr\":\"10.0.0.53\"}],"                                    \
	"\"keep.test\":[{\"Addr\":\"10.0.0.54\",\"UseWithExitNode\":true}],\"own.test\":[]}}"

TEST(sockets_to_resolvers_behind_peers_are_not_marked)
{
	struct dnsconf *c = conf_of("", SPLIT, "routes");

	CHECK_INT(c->engine.route_count, 3);
	CHECK(upstream(c, "10.0.0.53:53") && upstream(c, "10.0.0.53:53")->inside);
	CHECK(!upstream(c, "9.9.9.9:53"));
	CHECK(c->engine.record_count == 1 && c->skipped == 1);
	dnsconf_destroy(c);
	c = conf_of("", SPLIT, ""); /* routes of others are not accepted: it is outside */
	CHECK(!upstream(c, "10.0.0.53:53"));
	dnsconf_destroy(c);
}

TEST(an_exit_node_is_asked_for_everything)
{
	struct dnsconf *c = conf_of("", SPLIT, "exit");
	const struct dnsd_upstream *u = upstream(c, "100.64.0.2:40001");

	CHECK(c->through_exit && c->os.override_all && c->engine.resolver_count == 1);
	CHECK(u && u->kind == DNSD_HTTP && u->inside && !strcmp(u->path, "/dns-query"));
	CHECK_INT(c->engine.route_count, 2); /* the one for it, and what is answered here */
	dnsconf_destroy(c);
	c = conf_of("", SPLIT, "exit gone"); /* nothing leaves beside the tunnel */
	CHECK(!c->through_exit && c->engine.resolver_count == 0 && c->os.override_all);
	dnsconf_destroy(c);
}

TEST(who_does_not_want_dns_is_left_alone)
{
	struct dnsconf *c = conf_of("", SPLIT, "no-dns");

	CHECK(c->os.server_count == 0 && c->os.match_count == 0 && !c->os.override_all);
	CHECK(c->engine.zone && c->engine.host_count == 3 && c->engine.route_count == 0);
	CHECK(has_resolver(c->engine.resolvers, c->engine.resolver_count, "192.168.1.1:53"));
	dnsconf_destroy(c);
}

TEST(too_many_suffixes_for_the_host_bring_all_names_here)
{
	char text[4096] = "{" MAGIC;
	struct dnsconf *c;
	size_t n;

	text[strlen(text) - 1] = '\0'; /* into Routes */
	for (int i = 0; i < 20; i++) {
		n = strlen(text);
		(void)snprintf(text + n, sizeof(text) - n, ",\"s%d.test\":null", i);
	}
	n = strlen(text);
	(void)snprintf(text + n, sizeof(text) - n, "}}");
	c = conf_of("", text, "");
	CHECK(c->engine.route_count == 21 && c->os.override_all);
	CHECK_INT(c->os.match_count, PRIVOPS_DOMAINS_MAX);
	dnsconf_destroy(c);
}

TEST(the_hosts_own_resolvers)
{
	struct addrport out[DNSBASE_MAX];
	static const char text[] = "# made by hand\nsearch a.b\nnameserver 192.0.2.1\n"
				   "nameserver\t2001:db8::1  \nnameserver 100.100.100.100\n"
				   "nameserver fe80::1%eth0\nnameservers 192.0.2.9\noptions x\n"
				   "nameserver 127.0.0.53";

	CHECK_INT(dnsbase_parse(bytes_str(text), out, DNSBASE_MAX), 3);
	CHECK(has_resolver(out, 3, "192.0.2.1:53") && has_resolver(out, 3, "127.0.0.53:53"));
	CHECK_INT(dnsbase_parse(bytes_str(text), out, 1), 1);
	for (size_t n = 0; n < sizeof(text); n++)
		CHECK(dnsbase_parse(kit_copy(bytes_of(text, n)), out, DNSBASE_MAX) <= 3);
	CHECK_INT(dnsbase_read("/nonexistent", out, DNSBASE_MAX), 0);
}
