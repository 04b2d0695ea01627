/*
 * part/dnsd/dnsd_provider.h - public resolvers that are known to speak HTTPS (upstream:
 * net/dns/publicdns/publicdns.go).
 */
#pragma once

#include <stdbool.h>

#include "base/ip.h"

enum { DNSD_PROVIDER_PATH_MAX = 64 };

struct dnsd_provider {
	const char *host;
	char path[DNSD_PROVIDER_PATH_MAX];
	bool https_only; /* plain DNS to this address does not know whose it is */
};

bool dnsd_provider_of(struct ip ip, struct dnsd_provider *out);
/* The addresses of "https://dns.google/dns-query"; 0: not a known one. */
size_t dnsd_provider_addresses(struct bytes host, struct bytes path, struct ip *out, size_t max);
