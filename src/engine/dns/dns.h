/*
 * engine/dns/dns.h - the resolver at 100.100.100.100: the tailnet's names, others' by forwarding.
 *
 * Names of the tailnet are answered at once. Everything else goes to the resolvers of the longest
 * matching route, or to the global ones; answers are cached. See doc/design/dns.md.
 *
 * Pure: messages, time and randomness in; replies, queries and deadlines out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rand.h"

struct dns;
struct err;

enum {
	DNS_LOOKUPS_MAX = 256,  /* questions under way upstream */
	DNS_WAITING_MAX = 1024, /* clients waiting for them */
	DNS_SOURCE_MAX = 192,   /* of those, from one address: a busy host is one address */
	DNS_RESOLVERS_MAX = 8,  /* per route; more are ignored */
	DNS_REPLIES_MAX = 1024, /* not fetched yet */
	DNS_CACHE_ENTRIES_MAX = 4096,
	DNS_CACHE_BYTES_MAX = 4 << 20,
	DNS_CACHE_ENTRY_MAX = 16384,
	DNS_EDNS_SIZE = 1232,       /* what we ask upstream for, and announce */
	DNS_CLIENT_SIZE_MAX = 4095, /* over UDP, whatever the client announces */
};

/* clang-format off */
#define DNS_COUNTERS(X)                                                        \
	X(queries,            "questions received")                            \
	X(answered_local,     "questions answered from the tailnet's names")   \
	X(answered_cache,     "questions answered from the cache")             \
	X(answered_stale,     "questions answered with an expired answer because resolvers failed") \
	X(answered_upstream,  "questions answered by a resolver")              \
	X(answered_failure,   "questions that no resolver answered")           \
	X(truncated,          "replies too long for the client's UDP")         \
	X(sent_udp,           "queries sent to resolvers over UDP")            \
	X(sent_tcp,           "queries sent to resolvers over TCP")            \
	X(without_edns,       "queries sent again without EDNS, which a resolver did not know") \
	X(joined,             "questions that joined one under way")           \
	X(dropped_malformed,  "messages from clients that were no query")      \
	X(dropped_replies,    "replies dropped because nobody fetched them")   \
	X(refused_source,     "questions over the limit of their source")      \
	X(refused_total,      "questions over the limit of all")               \
	X(refused_no_resolver, "questions for which there is no resolver")     \
	X(answer_malformed,   "answers that did not parse")                    \
	X(answer_unasked,     "answers with an id and port we do not wait for") \
	X(answer_wrong_resolver, "answers from another address than asked")    \
	X(answer_wrong_question, "answers to another question")                \
	X(answer_failure,     "answers that say the resolver failed or refused") \
	X(conf_skipped,       "names and resolvers of a configuration that cannot be used")
/* clang-format on */

struct dns_counters {
#define X(name, sentence) uint64_t name;
	DNS_COUNTERS(X)
#undef X
};

struct dns_host {
	const char *name; /* full */
	const struct ip *addrs;
	size_t addr_count;
	bool subdomains; /* anything.name is the same host */
};

struct dns_record {
	const char *name;
	struct ip addr;
};

struct dns_route {
	const char *suffix;
	const struct addrport *resolvers; /* none: what we do not know does not exist */
	size_t resolver_count;
};

struct dns_conf {
	const char *zone; /* the tailnet's suffix; NULL: MagicDNS is off */
	uint32_t serial;  /* of its SOA; unix time will do */
	const struct dns_host *hosts;
	size_t host_count;
	const struct dns_record *records; /* before hosts */
	size_t record_count;
	const struct dns_route *routes;
	size_t route_count;
	const struct addrport *resolvers; /* for everything else */
	size_t resolver_count;
	const struct ip *own; /* our addresses: never asked, that would be a loop */
	size_t own_count;
};

struct dns *dns_create(struct rng rng);
void dns_destroy(struct dns *d);
/* Copies conf and swaps it in whole; on -1 the old one stays. A name or resolver that cannot be
 * used is left out and counted; a bad zone or suffix is an error. */
int dns_set_conf(struct dns *d, const struct dns_conf *conf, struct err *err);

struct dns_client {
	struct addrport addr; /* limits are per address */
	uint64_t token;       /* the caller's, comes back with the reply: a connection, say */
	bool tcp;
};

void dns_input_query(struct dns *d, struct mono now, const struct dns_client *from,
		     struct bytes message);

struct dns_reply {
	struct dns_client to;
	struct bytes message; /* until the next call on d */
};
bool dns_next_reply(struct dns *d, struct dns_reply *out);

/* A query to send. Its answer counts only from `resolver`, on the socket that was opened for
 * `port`: one random port (or connection) for each value. */
struct dns_query {
	struct addrport resolver;
	uint16_t port;
	bool tcp;
	size_t n;
	uint8_t message[12 + 255 + 4 + 11];
};
bool dns_next_query(struct dns *d, struct dns_query *out);
void dns_input_answer(struct dns *d, struct mono now, struct addrport resolver, uint16_t port,
		      bool tcp, struct bytes message);
/* The socket of that query failed: refused, unreachable. */
void dns_input_failure(struct dns *d, struct mono now, struct addrport resolver, uint16_t port);

/* Who would be asked for this name; 0: nobody, it is known here or cannot be known. */
struct dnsmsg_question;
size_t dns_resolvers_of(const struct dns *d, const struct dnsmsg_question *q, struct addrport *out,
			size_t max);
struct mono dns_deadline(const struct dns *d);
void dns_tick(struct dns *d, struct mono now);
const struct dns_counters *dns_counters(const struct dns *d);
