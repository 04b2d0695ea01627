#include "node/dnsconf.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "node/netmap.h"
#include "node/peerapi_at.h"
#include "node/prefs.h"
#include "node/routes_plan.h"
#include "part/dnsd/dnsd_provider.h"
#include "wire/url.h"

enum {
	DNSCONF_BYTES_MAX = 256 << 20,
	PORT_DNS = 53,
	PORT_TLS = 853,
	CAP_DNS_PROXY = 26, /* exit nodes answer DNS since then */
	HOST_MAX = 253,
	PATH_MAX_BYTES = 200,
};

/* While it is built: where it comes from. */
struct builder {
	struct dnsconf *c;
	const struct netmap *map;
	const struct prefs *prefs;
	const struct tailcfg_dns *dns; /* never NULL */
	const struct tailcfg_node *exit;
	bool uses_exit; /* chosen, even if it is not there */
};

struct resolvers {
	struct addrport v[DNS_RESOLVERS_MAX];
	size_t n;
};

static struct ip service_ip(bool six)
{
	static const uint8_t b[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 0x53 };

	return six ? ip_v6_of(b) : ip_v4(100, 100, 100, 100);
}

/* ---- one resolver ---- */

static bool peer_carries(const struct builder *b, const struct tailcfg_node *peer, struct ip ip)
{
	for (size_t i = 0; i < peer->allowed_ips.n; i++)
		if (prefix_contains(peer->allowed_ips.v[i], ip) &&
		    routes_wants(peer, peer->allowed_ips.v[i], b->prefs))
			return true;
	return false;
}

/* Is it reached through the tunnel? Then its socket must not be marked to bypass it. */
static bool is_inside(const struct builder *b, struct ip ip)
{
	if (ip_is_loopback(ip))
		return false;
	if (b->uses_exit)
		return true;
	for (size_t i = 0; i < netmap_peer_count(b->map); i++)
		if (peer_carries(b, netmap_peer(b->map, i), ip))
			return true;
	return false;
}

static bool put(struct builder *b, struct resolvers *to, const struct dnsd_upstream *u)
{
	struct dnsconf *c = b->c;
	struct dnsd_upstream *copy;

	if (to->n == DNS_RESOLVERS_MAX)
		return false;
	to->v[to->n++] = u->at;
	if (u->kind == DNSD_PLAIN && !u->inside)
		return true;
	mem_reserve(c->upstreams, c->upstream_count, c->upstream_cap);
	copy = &c->upstreams[c->upstream_count++];
	*copy = *u;
	return true;
}

static bool put_plain(struct builder *b, struct resolvers *to, struct addrport at)
{
	return put(b, to, &(struct dnsd_upstream){ .at = at, .inside = is_inside(b, at.ip) });
}

static bool put_named(struct builder *b, struct resolvers *to, struct dnsd_upstream *u,
		      struct bytes host, const struct ip *ips, size_t n)
{
	bool any = false;

	if (host.n > HOST_MAX)
		return false;
	u->host = arena_str(&b->c->arena, host);
	for (size_t i = 0; u->host && i < n; i++) {
		u->at.ip = ips[i];
		u->inside = is_inside(b, ips[i]);
		any = put(b, to, u) || any;
	}
	return any;
}

/* "tls://host", "tls://host:853"; an address as host needs no bootstrap. */
static bool put_tls(struct builder *b, struct resolvers *to, const struct tailcfg_resolver *r)
{
	struct bytes rest = bytes_from(r->addr, strlen("tls://"));
	struct dnsd_upstream u = { .at.port = PORT_TLS, .kind = DNSD_TLS };
	char url[URL_MAX];
	struct url parsed;
	struct ip ip;

	/* The rules for host and port are those of URLs. */
	if (rest.n > HOST_MAX + 8)
		return false;
	(void)snprintf(url, sizeof(url), "https://%.*s/", BYTES_FMT(rest));
	if (!url_parse(&parsed, bytes_str(url)))
		return false;
	if (memchr(parsed.authority.p, ':', parsed.authority.n) && parsed.port != 443)
		u.at.port = parsed.port;
	if (ip_parse(&ip, parsed.host))
		return put_named(b, to, &u, parsed.host, &ip, 1);
	return put_named(b, to, &u, parsed.host, r->bootstrap_resolution.v,
			 r->bootstrap_resolution.n);
}

/* https:// of a known provider, of an address, or with bootstrap addresses; http:// of an address,
 * which is a peer's. */
static bool put_url(struct builder *b, struct resolvers *to, const struct tailcfg_resolver *r)
{
	struct dnsd_upstream u = { .kind = DNSD_HTTPS };
	struct ip ips[8];
	struct url url;
	size_t n;

	if (!url_parse(&url, r->addr) || url.target.n > PATH_MAX_BYTES)
		return false;
	u.at.port = url.port;
	u.path = arena_str(&b->c->arena, url.target);
	if (ip_parse(&ips[0], url.host)) {
		u.kind = url.tls ? DNSD_HTTPS : DNSD_HTTP;
		return u.path && put_named(b, to, &u, url.host, ips, 1);
	}
	if (!u.path || !url.tls)
		return false;
	if (r->bootstrap_resolution.n)
		return put_named(b, to, &u, url.host, r->bootstrap_resolution.v,
				 r->bootstrap_resolution.n);
	n = dnsd_provider_addresses(url.host, url.path, ips, array_len(ips));
	return put_named(b, to, &u, url.host, ips, n);
}

static void take_resolver(struct builder *b, struct resolvers *to, const struct tailcfg_resolver *r)
{
	struct addrport at = { .port = PORT_DNS };
	bool taken;

	if (bytes_has_prefix(r->addr, "tls://"))
		taken = put_tls(b, to, r);
	else if (bytes_has_prefix(r->addr, "https://") || bytes_has_prefix(r->addr, "http://"))
		taken = put_url(b, to, r);
	else if (ip_parse(&at.ip, r->addr) || addrport_parse(&at, r->addr))
		taken = put_plain(b, to, at);
	else
		taken = false;
	b->c->skipped += !taken;
}

/* With an exit node in use only those remain that are meant for it. */
static void take_list(struct builder *b, struct resolvers *to,
		      const struct tailcfg_resolver_list *list, bool for_exit_only)
{
	for (size_t i = 0; i < list->n; i++)
		if (!for_exit_only || list->v[i].use_with_exit_node)
			take_resolver(b, to, &list->v[i]);
}

static struct addrport *keep(struct builder *b, const struct resolvers *r)
{
	struct addrport *v = arena_array(&b->c->arena, r->n + 1, sizeof(*v));

	if (v)
		memcpy(v, r->v, r->n * sizeof(*v));
	return v;
}

/* ---- names ---- */

static bool has_four(const struct tailcfg_node *n)
{
	for (size_t i = 0; i < n->addresses.n; i++)
		if (n->addresses.v[i].addr.family == 4)
			return true;
	return false;
}

/* IPv6 addresses are only told to those who can be expected to use them. */
static void take_host(struct builder *b, const struct tailcfg_node *n, struct dns_host *h)
{
	const struct tailcfg_node *self = netmap_self(b->map);
	bool four = has_four(self);
	bool six = !four || netmap_node_has_cap(self, "magicdns-aaaa") || !has_four(n);
	struct ip *addrs = arena_array(&b->c->arena, n->addresses.n + 1, sizeof(*addrs));

	h->name = arena_str(&b->c->arena, n->name);
	h->addrs = addrs;
	h->subdomains = netmap_node_has_cap(n, "dns-subdomain-resolve");
	for (size_t i = 0; addrs && i < n->addresses.n; i++) {
		struct ip ip = n->addresses.v[i].addr;

		if (ip.family == 4 ? four : six)
			addrs[h->addr_count++] = ip;
	}
}

static void take_hosts(struct builder *b)
{
	size_t peers = netmap_peer_count(b->map);
	struct dns_host *hosts = arena_array(&b->c->arena, peers + 1, sizeof(*hosts));
	size_t n = 0;

	if (!hosts)
		return;
	take_host(b, netmap_self(b->map), &hosts[n++]);
	for (size_t i = 0; i < peers; i++)
		if (netmap_peer(b->map, i)->name.n)
			take_host(b, netmap_peer(b->map, i), &hosts[n++]);
	b->c->engine.hosts = hosts;
	b->c->engine.host_count = n;
}

static void take_records(struct builder *b)
{
	const struct tailcfg_dns_record_list *list = &b->dns->extra_records;
	struct dns_record *records = arena_array(&b->c->arena, list->n + 1, sizeof(*records));
	size_t n = 0;

	for (size_t i = 0; records && i < list->n; i++) {
		const struct tailcfg_dns_record *r = &list->v[i];
		struct ip ip;

		if (!ip_parse(&ip, r->value) || (bytes_equal_str(r->type, "A") && ip.family != 4) ||
		    (bytes_equal_str(r->type, "AAAA") && ip.family != 6) ||
		    (r->type.n && r->type.p[0] != 'A')) {
			b->c->skipped++;
			continue;
		}
		records[n++] = (struct dns_record){ arena_str(&b->c->arena, r->name), ip };
	}
	b->c->engine.records = records;
	b->c->engine.record_count = n;
}

static void take_own(struct builder *b)
{
	const struct tailcfg_node *self = netmap_self(b->map);
	struct ip *own = arena_array(&b->c->arena, self->addresses.n + 1, sizeof(*own));

	for (size_t i = 0; own && i < self->addresses.n; i++)
		own[i] = self->addresses.v[i].addr;
	b->c->engine.own = own;
	b->c->engine.own_count = own ? self->addresses.n : 0;
}

/* ---- whom to ask ---- */

static void read_route(struct builder *b, struct resolvers *to, struct bytes text, bool *kept)
{
	struct json *list = json_parse(&b->c->arena, text, 0, NULL);
	size_t named = 0;

	json_each (v, list) {
		struct tailcfg_resolver r = { 0 };

		if (schema_decode_value(&r, &tailcfg_resolver_schema, &b->c->arena, text, v, NULL) <
		    0)
			continue;
		named++;
		if (!b->c->through_exit || r.use_with_exit_node)
			take_resolver(b, to, &r);
	}
	/* Nobody named: we are the authority. All of them not for the exit node: as if not there.
	 */
	*kept = !named || to->n || !b->c->through_exit;
}

static void take_routes(struct builder *b)
{
	const struct named_json_list *list = &b->dns->routes;
	struct dns_route *routes = arena_array(&b->c->arena, list->n + 1, sizeof(*routes));
	size_t n = 0;

	for (size_t i = 0; routes && i < list->n; i++) {
		struct resolvers r = { 0 };
		bool kept = true;

		if (list->v[i].json.n)
			read_route(b, &r, list->v[i].json, &kept);
		if (!kept)
			continue;
		routes[n].suffix = arena_str(&b->c->arena, list->v[i].name);
		routes[n].resolvers = keep(b, &r);
		routes[n++].resolver_count = r.n;
	}
	b->c->engine.routes = routes;
	b->c->engine.route_count = n;
}

/* The exit node's own resolver, over HTTP inside of the tunnel. */
static bool take_exit_proxy(struct builder *b, struct resolvers *to)
{
	const struct tailcfg_node *exit = b->exit;
	struct dnsd_upstream u = { .kind = DNSD_HTTP, .inside = true, .path = "/dns-query" };

	if (exit->cap < CAP_DNS_PROXY && !peerapi_service(exit, "peerapi-dns-proxy"))
		return false;
	return peerapi_of(netmap_self(b->map), exit, &u.at) && put(b, to, &u);
}

static void take_exit_resolvers(struct builder *b, struct resolvers *to)
{
	if (!b->exit)
		return; /* chosen but gone: nothing may leave beside the tunnel */
	if (b->exit->is_wireguard_only)
		take_list(b, to, &b->exit->exit_node_dns_resolvers, false);
	else
		take_list(b, to, &b->dns->fallback_resolvers, false);
}

static void take_global(struct builder *b, const struct addrport *base, size_t base_count)
{
	struct resolvers r = { 0 };

	if (b->prefs->v.corp_dns && b->uses_exit) {
		take_list(b, &r, &b->dns->resolvers, true);
		if (b->exit && take_exit_proxy(b, &r))
			b->c->through_exit = true;
		else
			take_exit_resolvers(b, &r);
	} else {
		if (b->prefs->v.corp_dns) {
			take_list(b, &r, &b->dns->resolvers, false);
			for (size_t i = 0; i < b->dns->nameservers.n; i++)
				(void)put_plain(
				    b, &r, (struct addrport){ b->dns->nameservers.v[i], PORT_DNS });
		}
		b->c->os.override_all = r.n > 0;
		for (size_t i = 0; !b->c->os.override_all && i < base_count; i++)
			(void)put_plain(b, &r, base[i]);
	}
	b->c->os.override_all |= b->uses_exit;
	b->c->engine.resolvers = keep(b, &r);
	b->c->engine.resolver_count = r.n;
}

/* ---- what the host is told ---- */

static bool take_domain(char to[][PRIVOPS_DOMAIN_MAX], uint8_t *n, struct bytes name)
{
	if (*n == PRIVOPS_DOMAINS_MAX)
		return false;
	while (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!bytes_to_cstr(name, to[*n], PRIVOPS_DOMAIN_MAX) || !privops_domain_is_valid(to[*n])) {
		memset(to[*n], 0, PRIVOPS_DOMAIN_MAX); /* it travels whole */
		return true;
	}
	for (uint8_t i = 0; i < *n; i++)
		if (!strcmp(to[i], to[*n])) {
			memset(to[*n], 0, PRIVOPS_DOMAIN_MAX);
			return true;
		}
	(*n)++;
	return true;
}

static bool take_match(struct builder *b, struct bytes name)
{
	return take_domain(b->c->os.match, &b->c->os.match_count, name);
}

static void take_os(struct builder *b)
{
	struct privops_dns *os = &b->c->os;
	const struct dns_conf *e = &b->c->engine;
	bool fits = true;

	if (!b->prefs->v.corp_dns || (!e->zone && !e->route_count && !os->override_all)) {
		*os = (struct privops_dns){ 0 };
		return;
	}
	os->servers[os->server_count++] = service_ip(!has_four(netmap_self(b->map)));
	for (size_t i = 0; i < b->dns->domains.n; i++)
		(void)take_domain(os->search, &os->search_count, b->dns->domains.v[i]);
	if (e->zone) {
		fits = take_match(b, bytes_str(e->zone));
		/* 64 zones of 100.64/10 would be too many to name; what is not ours of the whole
		 * is asked of the host's resolvers. */
		fits = take_match(b, bytes_str("100.in-addr.arpa")) && fits;
		fits = take_match(b, bytes_str("0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa")) && fits;
	}
	for (size_t i = 0; i < e->route_count; i++)
		fits = take_match(b, bytes_str(e->routes[i].suffix)) && fits;
	/* Who cannot be told all suffixes brings everything here, where they are sorted out. */
	os->override_all |= !fits;
}

/* ---- ---- */

static void build(struct builder *b, const struct addrport *base, size_t base_count)
{
	struct dnsconf *c = b->c;

	b->uses_exit = routes_has_exit_node(b->prefs);
	b->exit = b->uses_exit ? routes_exit_node(b->map, b->prefs) : NULL;
	take_own(b);
	take_global(b, base, base_count);
	if (b->prefs->v.corp_dns)
		take_routes(b);
	take_records(b);
	if (b->dns->proxied) {
		struct bytes suffix = netmap_node_suffix(netmap_self(b->map));

		c->engine.zone = suffix.n ? arena_str(&c->arena, suffix) : NULL;
		take_hosts(b);
	}
	take_os(b);
}

struct dnsconf *dnsconf_create(const struct netmap *map, const struct prefs *prefs,
			       const struct addrport *base, size_t base_count, struct wall now)
{
	static const struct tailcfg_dns nothing = { 0 };
	struct dnsconf *c = mem_alloc(sizeof(*c));
	struct builder b = { .c = c, .map = map, .prefs = prefs, .dns = &nothing };

	arena_init(&c->arena, DNSCONF_BYTES_MAX);
	c->engine.serial = (uint32_t)wall_s(now);
	if (map && !netmap_node_is_expired(map, netmap_self(map), now)) {
		if (netmap_dns(map))
			b.dns = netmap_dns(map);
		build(&b, base, base_count);
	} else {
		struct addrport *v = arena_array(&c->arena, base_count + 1, sizeof(*v));

		if (v && base_count)
			memcpy(v, base, base_count * sizeof(*v));
		c->engine.resolvers = v;
		c->engine.resolver_count = v ? base_count : 0;
	}
	return c;
}

void dnsconf_destroy(struct dnsconf *c)
{
	if (!c)
		return;
	mem_free(c->upstreams);
	arena_fini(&c->arena);
	mem_free(c);
}
