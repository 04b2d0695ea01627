/* Tables: member names and omission as upstream has them, one row per member, aligned by nobody. */
#include "wire/tailcfg_dns.h"

// clang-format off

static const struct field resolver_fields[] = {
	{ "Addr", FIELD_TEXT, offsetof(struct tailcfg_resolver, addr) },
	{ "BootstrapResolution", FIELD_IPS, offsetof(struct tailcfg_resolver, bootstrap_resolution) },
	{ "UseWithExitNode", FIELD_BOOL, offsetof(struct tailcfg_resolver, use_with_exit_node) },
};

const struct schema tailcfg_resolver_schema = {
	.noun = "Resolver", .size = sizeof(struct tailcfg_resolver), .fields = resolver_fields, .n = sizeof(resolver_fields) / sizeof(resolver_fields[0]),
};

static const struct field dns_record_fields[] = {
	{ "Name", FIELD_TEXT, offsetof(struct tailcfg_dns_record, name), .flags = FIELD_ALWAYS },
	{ "Type", FIELD_TEXT, offsetof(struct tailcfg_dns_record, type) },
	{ "Value", FIELD_TEXT, offsetof(struct tailcfg_dns_record, value), .flags = FIELD_ALWAYS },
};

const struct schema tailcfg_dns_record_schema = {
	.noun = "DNSRecord", .size = sizeof(struct tailcfg_dns_record), .fields = dns_record_fields, .n = sizeof(dns_record_fields) / sizeof(dns_record_fields[0]),
};

static const struct field dns_fields[] = {
	{ "Resolvers", FIELD_OBJECTS, offsetof(struct tailcfg_dns, resolvers), .sub = &tailcfg_resolver_schema },
	{ "Routes", FIELD_NAMED_JSONS, offsetof(struct tailcfg_dns, routes) },
	{ "FallbackResolvers", FIELD_OBJECTS, offsetof(struct tailcfg_dns, fallback_resolvers), .sub = &tailcfg_resolver_schema },
	{ "Domains", FIELD_TEXTS, offsetof(struct tailcfg_dns, domains) },
	{ "Proxied", FIELD_BOOL, offsetof(struct tailcfg_dns, proxied) },
	{ "Nameservers", FIELD_IPS, offsetof(struct tailcfg_dns, nameservers) },
	{ "CertDomains", FIELD_TEXTS, offsetof(struct tailcfg_dns, cert_domains) },
	{ "ExtraRecords", FIELD_OBJECTS, offsetof(struct tailcfg_dns, extra_records), .sub = &tailcfg_dns_record_schema },
	{ "ExitNodeFilteredSet", FIELD_TEXTS, offsetof(struct tailcfg_dns, exit_node_filtered_set) },
	{ "TempCorpIssue13969", FIELD_TEXT, offsetof(struct tailcfg_dns, temp_corp_issue13969) },
};

const struct schema tailcfg_dns_schema = {
	.noun = "DNSConfig", .size = sizeof(struct tailcfg_dns), .fields = dns_fields, .n = sizeof(dns_fields) / sizeof(dns_fields[0]),
};

// clang-format on
