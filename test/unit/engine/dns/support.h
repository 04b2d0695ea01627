/* A resolver with a small tailnet, and the words to talk to it. */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "engine/dns/dns.h"
#include "kit/kit.h"
#include "wire/dnsmsg.h"

struct got {
	size_t n;
	uint8_t b[2048];
	struct dnsmsg_header h;
	int rcode;
	int records;                 /* OPT not counted */
	uint32_t ttl;                /* of the first record */
	uint16_t type;               /* of the first record */
	char data[DNSNAME_TEXT_MAX]; /* of the first record: address or name */
	struct dnsname name;
};

extern const struct addrport r1, r2;

struct dns *tailnet(void);
struct bytes make_query(uint16_t id, const char *name, uint16_t type, int edns_size);
void send_query(struct dns *d, struct mono now, struct bytes message);
bool next_reply(struct dns *d, struct got *g); /* false: none */
struct got ask_local(struct dns *d, const char *name, uint16_t type);
/* The answer to what was asked in q: one A record, or none with an SOA. */
struct bytes make_answer(const struct dns_query *q, int rcode, const char *ip, uint32_t ttl);
struct mono at_ms(int64_t ms);
