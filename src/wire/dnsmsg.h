/*
 * wire/dnsmsg.h - DNS messages: read record by record, built in order (RFC 1035, 3596, 6891).
 *
 * Data of records stays in the message it came in: what is passed on is passed on as it is. The
 * caller adds the two bytes of length that TCP puts in front.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "wire/dnsname.h"

enum {
	DNSMSG_HEADER_LEN = 12,
	DNSMSG_MAX = 65535,
	DNSMSG_UDP_MAX = 512, /* without EDNS */
	DNSMSG_OPT_LEN = 11,  /* an OPT record without options */
};

enum dnsmsg_type {
	DNSMSG_A = 1,
	DNSMSG_NS = 2,
	DNSMSG_CNAME = 5,
	DNSMSG_SOA = 6,
	DNSMSG_PTR = 12,
	DNSMSG_HINFO = 13,
	DNSMSG_MX = 15,
	DNSMSG_TXT = 16,
	DNSMSG_AAAA = 28,
	DNSMSG_SRV = 33,
	DNSMSG_OPT = 41,
	DNSMSG_IXFR = 251,
	DNSMSG_AXFR = 252,
	DNSMSG_ANY = 255,
};
enum { DNSMSG_IN = 1 };
enum dnsmsg_rcode {
	DNSMSG_NOERROR,
	DNSMSG_FORMERR,
	DNSMSG_SERVFAIL,
	DNSMSG_NXDOMAIN,
	DNSMSG_NOTIMP,
	DNSMSG_REFUSED,
	DNSMSG_BADVERS = 16, /* needs EDNS */
};
/* The flags word of the header. */
enum {
	DNSMSG_QR = 0x8000,
	DNSMSG_OPCODE = 0x7800,
	DNSMSG_AA = 0x0400,
	DNSMSG_TC = 0x0200,
	DNSMSG_RD = 0x0100,
	DNSMSG_RA = 0x0080,
	DNSMSG_AD = 0x0020,
	DNSMSG_CD = 0x0010,
	DNSMSG_RCODE = 0x000f,
};

struct dnsmsg_header {
	uint16_t id, flags;
	uint16_t questions;
	uint16_t records[3]; /* answer, authority, additional */
};

struct dnsmsg_question {
	struct dnsname name;
	uint16_t type, class;
};

enum dnsmsg_section { DNSMSG_ANSWER, DNSMSG_AUTHORITY, DNSMSG_ADDITIONAL };

struct dnsmsg_record {
	enum dnsmsg_section section;
	struct dnsname name;
	uint16_t type, class;
	uint32_t ttl;
	struct bytes data;    /* borrowed; names inside may be compressed */
	size_t start, ttl_at; /* offsets in the message */
	size_t data_at;
};

/* A message being read. */
struct dnsmsg {
	struct bytes whole;
	struct dnsmsg_header header;
	size_t at;
	uint16_t section, done; /* done: records of this section read */
};

enum dnsmsg_next { DNSMSG_RECORD, DNSMSG_END, DNSMSG_BAD };

bool dnsmsg_open(struct dnsmsg *m, struct bytes whole); /* false: no header */
/* Once, for messages whose header.questions is 1. */
bool dnsmsg_question(struct dnsmsg *m, struct dnsmsg_question *q);
/* Records in order. BAD also for data that cannot be what its type says (A of five bytes, a CNAME
 * that loops); bytes behind the last record are ignored. */
enum dnsmsg_next dnsmsg_next(struct dnsmsg *m, struct dnsmsg_record *r);

struct dnsmsg_edns {
	bool present, wants_dnssec;
	uint8_t version, rcode_high;
	uint16_t size;
};
struct dnsmsg_edns dnsmsg_edns_of(const struct dnsmsg_record *opt);
/* Names of a record: CNAME, NS, PTR. */
bool dnsmsg_data_name(const struct dnsmsg *m, const struct dnsmsg_record *r, struct dnsname *name);
bool dnsmsg_soa_minimum(const struct dnsmsg_record *soa, uint32_t *minimum);
bool dnsmsg_address(const struct dnsmsg_record *r, struct ip *ip); /* A, AAAA */

/* A message being built. Sections in order; a record that does not fit sets w.bad. */
struct dnsmsg_out {
	struct writer w;
	uint16_t questions, records[3];
	struct dnsname question; /* names that end like it become pointers into it */
};

struct dnsmsg_soa {
	const struct dnsname *zone; /* also primary server and mailbox */
	uint32_t serial, times_s;   /* refresh, retry, expire and minimum */
};

/* q may be NULL: a reply to what could not be read. */
void dnsmsg_begin(struct dnsmsg_out *o, void *p, size_t cap, uint16_t id, uint16_t flags,
		  const struct dnsmsg_question *q);
void dnsmsg_put(struct dnsmsg_out *o, enum dnsmsg_section s, const struct dnsname *name,
		uint16_t type, uint32_t ttl, struct bytes data);
void dnsmsg_put_ip(struct dnsmsg_out *o, const struct dnsname *name, uint32_t ttl, struct ip ip);
/* CNAME, NS, PTR */
void dnsmsg_put_name(struct dnsmsg_out *o, enum dnsmsg_section s, const struct dnsname *name,
		     uint16_t type, uint32_t ttl, const struct dnsname *target);
void dnsmsg_put_soa(struct dnsmsg_out *o, enum dnsmsg_section s, uint32_t ttl,
		    const struct dnsmsg_soa *soa);
void dnsmsg_put_opt(struct dnsmsg_out *o, uint16_t size, uint8_t rcode_high, bool wants_dnssec);
size_t dnsmsg_done(struct dnsmsg_out *o); /* fills in the counts; 0: did not fit */

/* Edits of a finished message. */
void dnsmsg_set_id(uint8_t *message, uint16_t id);
void dnsmsg_set_flags(uint8_t *message, uint16_t flags);
/* Cuts a well-formed message to header and question and sets TC; returns the new length. */
size_t dnsmsg_truncate(uint8_t *message, size_t n);
