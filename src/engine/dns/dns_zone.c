#include "engine/dns/dns_zone.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

enum {
	ZONE_BYTES_MAX = 256 << 20,
	TTL_S = 5, /* names change under running programs */
	NEGATIVE_TTL_S = 10,
};
#define SERVICE_NAME "magicdns.localhost-tailscale-daemon"

struct host {
	struct bytes key;  /* lower case, wire form */
	struct bytes name; /* as configured */
	struct ip *addrs;
	size_t n, cap; /* none: names below it exist */
	bool record;   /* from the extra records: hosts do not add to it */
	bool subdomains;
};

struct pointer {
	struct ip ip;
	struct bytes name;
};

struct suffix {
	struct bytes key;
	struct addrport *resolvers;
	size_t n;
	bool local; /* we are the authority */
};

struct dns_zone {
	struct arena arena;
	struct map hosts, pointers, suffixes;
	struct addrport *resolvers;
	size_t resolver_count;
	struct dnsname zone; /* n 0: none */
	uint32_t serial;
	struct buf routes; /* fingerprint */
	uint64_t skipped;
};

static struct bytes host_key(const void *item)
{
	return ((const struct host *)item)->key;
}

static struct bytes pointer_key(const void *item)
{
	const struct pointer *p = item;

	return bytes_of(&p->ip, sizeof(p->ip)); /* bytes only: no padding */
}

static struct bytes suffix_key(const void *item)
{
	return ((const struct suffix *)item)->key;
}

static struct ip service_ip(int i)
{
	static const uint8_t v6[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 0x53 };

	return i ? ip_v6_of(v6) : ip_v4(100, 100, 100, 100);
}

static bool usable(const struct dns_conf *conf, struct addrport a)
{
	if (!ip_is_valid(a.ip) || a.port == 0 || ip_is_unspecified(a.ip) || ip_is_multicast(a.ip) ||
	    ip_equal(a.ip, service_ip(0)) || ip_equal(a.ip, service_ip(1)))
		return false;
	for (size_t i = 0; i < conf->own_count; i++)
		if (ip_equal(a.ip, conf->own[i]))
			return false;
	return true;
}

/* What may be asked of the list, at most DNS_RESOLVERS_MAX. */
static size_t take_resolvers(struct dns_zone *z, const struct dns_conf *conf,
			     const struct addrport *list, size_t n, struct addrport **out)
{
	char text[ADDRPORT_TEXT_MAX];
	size_t kept = 0;

	*out = arena_array(&z->arena, DNS_RESOLVERS_MAX, sizeof(**out));
	for (size_t i = 0; i < n && *out; i++) {
		if (kept == DNS_RESOLVERS_MAX || !usable(conf, list[i])) {
			z->skipped++;
			continue;
		}
		(*out)[kept++] = list[i];
		buf_printf(&z->routes, " %s", addrport_format(list[i], text));
	}
	return kept;
}

static struct suffix *add_suffix(struct dns_zone *z, const struct dnsname *name)
{
	struct dnsname lower = *name;
	struct suffix *s = arena_alloc(&z->arena, sizeof(*s));

	if (!s)
		return NULL;
	dnsname_lower(&lower);
	s->local = true;
	s->key = arena_bytes(&z->arena, dnsname_bytes(&lower));
	map_put(&z->suffixes, s);
	return s;
}

static const struct suffix *find_suffix(const struct dns_zone *z, struct bytes lower)
{
	for (; lower.n; lower = dnsname_parent(lower)) {
		const struct suffix *s = map_get(&z->suffixes, lower);

		if (s)
			return s;
	}
	return NULL;
}

static void add_reverse_zones(struct dns_zone *z)
{
	struct dnsname name;
	char text[64];

	for (int i = 64; i < 128; i++) {
		snprintf(text, sizeof(text), "%d.100.in-addr.arpa", i);
		dnsname_parse(&name, bytes_str(text));
		add_suffix(z, &name);
	}
	dnsname_parse(&name, bytes_str("0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa"));
	add_suffix(z, &name);
}

static int add_routes(struct dns_zone *z, const struct dns_conf *conf, struct err *err)
{
	if (conf->zone) {
		if (!dnsname_parse(&z->zone, bytes_str(conf->zone)) || z->zone.n == 1)
			return err_set(err, ERR_USAGE, "DNS zone \"%s\" is not a name", conf->zone);
		add_suffix(z, &z->zone);
		add_reverse_zones(z);
		buf_append_str(&z->routes, conf->zone);
	}
	for (size_t i = 0; i < conf->route_count; i++) {
		const struct dns_route *r = &conf->routes[i];
		struct dnsname name;
		struct suffix *s;

		if (!dnsname_parse(&name, bytes_str(r->suffix)))
			return err_set(err, ERR_USAGE, "DNS route \"%s\" is not a name", r->suffix);
		s = add_suffix(z, &name);
		if (!s)
			break;
		s->local = r->resolver_count == 0;
		buf_printf(&z->routes, "\n%s", r->suffix);
		s->n = take_resolvers(z, conf, r->resolvers, r->resolver_count, &s->resolvers);
	}
	buf_append_str(&z->routes, "\n.");
	z->resolver_count =
	    take_resolvers(z, conf, conf->resolvers, conf->resolver_count, &z->resolvers);
	return 0;
}

static struct host *host_of(struct dns_zone *z, struct bytes lower, struct bytes name)
{
	struct host *h = map_get(&z->hosts, lower);

	if (h)
		return h;
	h = arena_alloc(&z->arena, sizeof(*h));
	if (!h)
		return NULL;
	h->key = arena_bytes(&z->arena, lower);
	h->name = arena_bytes(&z->arena, name);
	if (!z->arena.bad)
		map_put(&z->hosts, h);
	return h;
}

static void add_addr(struct dns_zone *z, struct host *h, struct ip ip)
{
	for (size_t i = 0; i < h->n; i++)
		if (ip_equal(h->addrs[i], ip))
			return;
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 2;
		struct ip *grown = arena_array(&z->arena, cap, sizeof(*grown));

		if (!grown)
			return;
		if (h->n)
			memcpy(grown, h->addrs, h->n * sizeof(*grown));
		h->addrs = grown;
		h->cap = cap;
	}
	h->addrs[h->n++] = ip;
}

static void add_pointer(struct dns_zone *z, struct ip ip, struct bytes name)
{
	struct pointer *p;

	if (map_get(&z->pointers, bytes_of(&ip, sizeof(ip))))
		return;
	p = arena_alloc(&z->arena, sizeof(*p));
	if (!p)
		return;
	*p = (struct pointer){ ip, name };
	map_put(&z->pointers, p);
}

/* The host, and the empty names between it and the zone it is in: they exist, without data. */
static struct host *add_host(struct dns_zone *z, const char *text)
{
	struct dnsname name, lower;
	const struct suffix *s;
	struct bytes up;
	struct host *h;

	if (!dnsname_parse(&name, bytes_str(text)) || name.n == 1) {
		z->skipped++;
		return NULL;
	}
	lower = name;
	dnsname_lower(&lower);
	h = host_of(z, dnsname_bytes(&lower), dnsname_bytes(&name));
	up = dnsname_bytes(&lower);
	s = find_suffix(z, up);
	if (s && s->local)
		for (up = dnsname_parent(up); up.n > s->key.n; up = dnsname_parent(up))
			host_of(z, up, up);
	return h;
}

static void add_hosts(struct dns_zone *z, const struct dns_conf *conf)
{
	struct host *h;

	for (size_t i = 0; i < conf->record_count; i++) {
		h = add_host(z, conf->records[i].name);
		if (!h)
			continue;
		h->record = true;
		add_addr(z, h, conf->records[i].addr);
	}
	for (size_t i = 0; i < conf->host_count; i++) {
		const struct dns_host *from = &conf->hosts[i];

		h = add_host(z, from->name);
		if (!h)
			continue;
		h->subdomains = from->subdomains;
		for (size_t a = 0; a < from->addr_count; a++) {
			if (!h->record)
				add_addr(z, h, from->addrs[a]);
			add_pointer(z, from->addrs[a], h->name);
		}
	}
	h = add_host(z, SERVICE_NAME);
	for (int i = 0; h && i < 2; i++) {
		add_addr(z, h, service_ip(i));
		add_pointer(z, service_ip(i), h->name);
	}
}

struct dns_zone *dns_zone_create(const struct dns_conf *conf, uint64_t *skipped, struct err *err)
{
	struct dns_zone *z = mem_alloc(sizeof(*z));

	arena_init(&z->arena, ZONE_BYTES_MAX);
	map_init(&z->hosts, host_key, NULL);
	map_init(&z->pointers, pointer_key, NULL);
	map_init(&z->suffixes, suffix_key, NULL);
	buf_init(&z->routes, ZONE_BYTES_MAX);
	z->serial = conf->serial;
	if (add_routes(z, conf, err) < 0) {
		dns_zone_destroy(z);
		return NULL;
	}
	add_hosts(z, conf);
	if (z->arena.bad || z->routes.bad) {
		err_set(err, ERR_LIMIT, "more DNS names than fit");
		dns_zone_destroy(z);
		return NULL;
	}
	*skipped += z->skipped;
	return z;
}

void dns_zone_destroy(struct dns_zone *z)
{
	if (!z)
		return;
	map_fini(&z->hosts);
	map_fini(&z->pointers);
	map_fini(&z->suffixes);
	buf_fini(&z->routes);
	arena_fini(&z->arena);
	mem_free(z);
}

bool dns_zone_same_routes(const struct dns_zone *a, const struct dns_zone *b)
{
	return bytes_equal(buf_bytes(&a->routes), buf_bytes(&b->routes));
}

static struct dnsname name_of(struct bytes wire)
{
	struct dnsname name;

	name.n = (uint8_t)wire.n;
	memcpy(name.b, wire.p, wire.n);
	return name;
}

static void put_authority(const struct dns_zone *z, const struct suffix *s, struct dnsmsg_out *o)
{
	struct dnsname zone = name_of(s->key);
	struct dnsmsg_soa soa = { &zone, z->serial, NEGATIVE_TTL_S };

	dnsmsg_put_soa(o, DNSMSG_AUTHORITY, NEGATIVE_TTL_S, &soa);
}

/* A name that exists. No data of the type asked for: the zone's SOA says for how long. */
static void answer_host(const struct dns_zone *z, const struct dnsmsg_question *q,
			struct bytes lower, const struct host *h, struct dnsmsg_out *o)
{
	const struct suffix *s;
	size_t put = 0;

	for (size_t i = 0; i < h->n && o->w.n + 64 < o->w.cap; i++) {
		uint16_t type = h->addrs[i].family == 4 ? DNSMSG_A : DNSMSG_AAAA;

		if (q->type != type && q->type != DNSMSG_ANY)
			continue;
		dnsmsg_put_ip(o, &q->name, TTL_S, h->addrs[i]);
		put++;
	}
	if (put)
		return;
	s = find_suffix(z, lower);
	if (s && s->local)
		put_authority(z, s, o);
}

static void answer_apex(const struct dns_zone *z, const struct dnsmsg_question *q,
			const struct suffix *s, struct dnsmsg_out *o)
{
	struct dnsname zone = name_of(s->key);
	struct dnsmsg_soa soa = { &zone, z->serial, NEGATIVE_TTL_S };

	if (q->type == DNSMSG_SOA || q->type == DNSMSG_ANY)
		dnsmsg_put_soa(o, DNSMSG_ANSWER, NEGATIVE_TTL_S, &soa);
	if (q->type == DNSMSG_NS || q->type == DNSMSG_ANY)
		dnsmsg_put_name(o, DNSMSG_ANSWER, &q->name, DNSMSG_NS, NEGATIVE_TTL_S, &zone);
	if (o->records[DNSMSG_ANSWER] == 0)
		put_authority(z, s, o);
}

static const struct host *find_host(const struct dns_zone *z, const struct dnsname *lower)
{
	struct bytes name = dnsname_bytes(lower), label = dnsname_label(name);
	const struct host *h = map_get(&z->hosts, name);

	/* One label: in our own zone. */
	if (!h && z->zone.n && label.n && label.n + 2 == name.n &&
	    label.n + 1 + z->zone.n <= DNSNAME_MAX) {
		struct dnsname full = *lower;

		memcpy(full.b + label.n + 1, z->zone.b, z->zone.n);
		full.n = (uint8_t)(label.n + 1 + z->zone.n);
		dnsname_lower(&full);
		h = map_get(&z->hosts, dnsname_bytes(&full));
	}
	while (!h && name.n > 1) {
		name = dnsname_parent(name);
		h = map_get(&z->hosts, name);
		if (h && !h->subdomains)
			return NULL;
	}
	return h;
}

/* Under .onion, which must not leak, and the questions of Bonjour, which nobody answers. */
static bool must_not_exist(struct bytes lower)
{
	static const char *const browse[] = { "b", "db", "r", "dr", "lb" };
	struct bytes rest = dnsname_parent(lower);

	if (dnsname_is_under(lower, bytes_of("\5onion", 7)))
		return true;
	if (rest.n < 13 || memcmp(rest.p, "\7_dns-sd\4_udp", 13) != 0)
		return false;
	for (size_t i = 0; i < array_len(browse); i++)
		if (bytes_equal_str(dnsname_label(lower), browse[i]))
			return true;
	return false;
}

static bool via_may_be_here(const struct dns_zone *z, struct bytes rest)
{
	return rest.n == 1 || dnsname_is_under(rest, bytes_of("\2ts\3net", 8)) ||
	       dnsname_is_under(rest, bytes_of("\11tailscale\3net", 15)) ||
	       (z->zone.n && dnsname_is_under(rest, dnsname_bytes(&z->zone)));
}

static bool answer_via(const struct dns_zone *z, const struct dnsmsg_question *q,
		       struct bytes lower, struct dnsmsg_out *o)
{
	struct ip ip;

	if (q->type != DNSMSG_A && q->type != DNSMSG_AAAA && q->type != DNSMSG_ANY)
		return false;
	if (!dns_via_parse(dnsname_label(lower), &ip) || !via_may_be_here(z, dnsname_parent(lower)))
		return false;
	if (q->type != DNSMSG_A)
		dnsmsg_put_ip(o, &q->name, TTL_S, ip);
	return true;
}

static bool answer_pointer(const struct dns_zone *z, const struct dnsmsg_question *q,
			   struct dnsmsg_out *o)
{
	const struct pointer *p;
	struct dnsname target;
	struct ip ip;

	if (q->type != DNSMSG_PTR || !dns_reverse_parse(&q->name, &ip))
		return false;
	p = map_get(&z->pointers, bytes_of(&ip, sizeof(ip)));
	if (!p)
		return false;
	target = name_of(p->name);
	dnsmsg_put_name(o, DNSMSG_ANSWER, &q->name, DNSMSG_PTR, TTL_S, &target);
	return true;
}

static bool is_transfer(uint16_t type)
{
	return type == DNSMSG_AXFR || type == DNSMSG_IXFR || type == DNSMSG_HINFO;
}

bool dns_zone_answer(const struct dns_zone *z, const struct dnsmsg_question *q,
		     struct dnsmsg_out *o, uint16_t *flags)
{
	struct dnsname lower = *q->name.b ? q->name : (struct dnsname){ 1, { 0 } };
	struct bytes name = dnsname_bytes(&lower);
	const struct suffix *s;
	const struct host *h;

	dnsname_lower(&lower);
	*flags = DNSMSG_AA | DNSMSG_NOERROR;
	if (must_not_exist(name)) {
		*flags = DNSMSG_AA | DNSMSG_NXDOMAIN;
		return true;
	}
	if (answer_via(z, q, name, o) || answer_pointer(z, q, o))
		return true;
	h = find_host(z, &lower);
	s = find_suffix(z, name);
	if (s && !s->local)
		s = NULL; /* someone else's */
	if ((h || s) && is_transfer(q->type)) {
		*flags = DNSMSG_NOTIMP;
		return true;
	}
	if (s && s->key.n == name.n && !(h && h->n)) {
		answer_apex(z, q, s, o);
	} else if (h) {
		answer_host(z, q, name, h, o);
	} else if (s) {
		*flags = DNSMSG_AA | DNSMSG_NXDOMAIN;
		put_authority(z, s, o);
	} else {
		return false;
	}
	return true;
}

struct dns_upstream dns_zone_upstream(const struct dns_zone *z, const struct dnsname *name)
{
	struct dnsname lower = *name;
	const struct suffix *s;

	dnsname_lower(&lower);
	s = find_suffix(z, dnsname_bytes(&lower));
	if (s)
		return (struct dns_upstream){ s->resolvers, s->n };
	return (struct dns_upstream){ z->resolvers, z->resolver_count };
}
