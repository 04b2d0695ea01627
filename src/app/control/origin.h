/*
 * app/control/origin.h - from which address a request comes when proxies stand in between. Only
 * what a trusted proxy wrote into X-Forwarded-For counts: anybody else may write anything there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/ip.h"

struct http_request;

enum { ORIGIN_PROXIES_MAX = 16 };

struct origin_proxies {
	struct prefix v[ORIGIN_PROXIES_MAX];
	size_t n;
};

/* Addresses and prefixes, separated by spaces or commas. False: one is none, or too many. */
bool origin_parse(struct origin_proxies *p, struct bytes text);
/*
 * The right-most address that is no trusted proxy, the connection's own first. Where the chain
 * breaks off, the last hop that can be believed.
 */
struct addrport origin_of(const struct origin_proxies *p, const struct http_request *req);
