/* engine/dns/dns_zone.h - one configuration, immutable: what is known here, and who knows the rest.
 */
#pragma once

#include "engine/dns/dns.h"
#include "wire/dnsmsg.h"

struct dns_zone;

struct dns_zone *dns_zone_create(const struct dns_conf *conf, uint64_t *skipped, struct err *err);
void dns_zone_destroy(struct dns_zone *z);
/* Do both forward the same names to the same resolvers? */
bool dns_zone_same_routes(const struct dns_zone *a, const struct dns_zone *b);

/*
 * Builds the answer into o, begun with the question. False: nothing is known here, ask resolvers.
 * The rcode and flags to set are in *flags.
 */
bool dns_zone_answer(const struct dns_zone *z, const struct dnsmsg_question *q,
		     struct dnsmsg_out *o, uint16_t *flags);

struct dns_upstream {
	const struct addrport *resolvers;
	size_t n;
};
struct dns_upstream dns_zone_upstream(const struct dns_zone *z, const struct dnsname *name);

/* "10-1-2-3-via-7": the label as a 4via6 address. */
bool dns_via_parse(struct bytes label, struct ip *ip);
/* in-addr.arpa and ip6.arpa of one whole address. */
bool dns_reverse_parse(const struct dnsname *name, struct ip *ip);
