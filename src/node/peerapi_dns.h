/*
 * node/peerapi_dns.h - what peers ask their exit node, as it comes over HTTP (RFC 8484): messages
 * in requests, and names that are not answered. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/dnsmsg.h"

struct http_request;
struct text_list;

/* Questions are short; the resolver takes no longer ones over TCP either. */
enum { PEERAPI_DNS_MAX = 4096 };

#define PEERAPI_DNS_TYPE "application/dns-message"

/* Appends the message that a request carries. 0, or the HTTP status of its refusal. */
unsigned peerapi_dns_read(const struct http_request *req, struct buf *out);
/* A query with one question about the internet, and no reply or update. */
bool peerapi_dns_question(struct bytes message, struct dnsmsg_question *q);
/* In ExitNodeFilteredSet: "a.b" is that name, ".a.b" all names below it. */
bool peerapi_dns_is_filtered(const struct text_list *set, const struct dnsname *name);
/* The answer that refuses a message with that question; its length. */
size_t peerapi_dns_refuse(struct bytes message, const struct dnsmsg_question *q, uint8_t *out,
			  size_t cap);
