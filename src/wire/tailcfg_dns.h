/*
 * wire/tailcfg_dns.h - DNS settings in a map (upstream: tailcfg.DNSConfig, types/dnstype).
 */
#pragma once

#include "wire/schema.h"

struct tailcfg_resolver {
	struct bytes addr;
	struct ip_list bootstrap_resolution;
	bool use_with_exit_node;
};
extern const struct schema tailcfg_resolver_schema;
struct tailcfg_resolver_list {
	struct tailcfg_resolver *v;
	size_t n;
	bool set;
};

struct tailcfg_dns_record {
	struct bytes name;
	struct bytes type; /* "", A or AAAA; others are ignored */
	struct bytes value;
};
extern const struct schema tailcfg_dns_record_schema;
struct tailcfg_dns_record_list {
	struct tailcfg_dns_record *v;
	size_t n;
	bool set;
};

struct tailcfg_dns {
	struct tailcfg_resolver_list resolvers; /* not empty: overrides local DNS */
	struct named_json_list routes;          /* suffix: null or a list of Resolver */
	struct tailcfg_resolver_list fallback_resolvers;
	struct text_list domains;   /* search domains without trailing dot */
	bool proxied;               /* MagicDNS */
	struct ip_list nameservers; /* before capver 14 */
	struct text_list cert_domains;
	struct tailcfg_dns_record_list extra_records;
	struct text_list exit_node_filtered_set;
	struct bytes temp_corp_issue13969;
};
extern const struct schema tailcfg_dns_schema;
