/* engine/dns/dns_impl.h - what the files of this engine share. */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/dns/dns.h"
#include "engine/dns/dns_zone.h"

enum {
	KEY_MAX = 4 + DNSNAME_MAX,
};

/* What makes two questions the same: name in lower case, type, DNSSEC wishes. */
struct question_key {
	uint16_t n;
	uint8_t b[KEY_MAX];
};

/* One question of one client. */
struct asker {
	struct list link; /* lookup.askers */
	struct dns_client client;
	struct dnsmsg_question question;
	struct dnsmsg_edns edns;
	uint16_t id, flags; /* as the client sent them */
};

struct question_key question_key_of(const struct asker *a);

/* dns.c: replies */

/* Takes a finished message, frees p. */
void reply_take(struct dns *d, const struct asker *a, uint8_t *p, size_t n);
void reply_rcode(struct dns *d, const struct asker *a, enum dnsmsg_rcode rcode);
/* The message of a resolver, made the answer to this client. */
void reply_forwarded(struct dns *d, const struct asker *a, struct bytes message, uint32_t age_s,
		     uint32_t ttl_floor_s);

/* dns_cache.c */

struct dns_cache;
struct cached {
	struct list link;
	struct question_key key;
	struct mono stored;
	uint32_t ttl_s;
	size_t n;
	uint8_t message[];
};

struct dns_cache *cache_create(struct rng *rng);
void cache_destroy(struct dns_cache *c);
void cache_clear(struct dns_cache *c);
/* Fresh or stale; until the next call on c. NULL: nothing of use. */
const struct cached *cache_get(struct dns_cache *c, struct mono now,
			       const struct question_key *key);
bool cached_is_fresh(const struct cached *e, struct mono now);
/* Keeps what may be kept, for as long as it may. */
void cache_put(struct dns_cache *c, struct mono now, const struct question_key *key,
	       struct bytes message);

/* dns_health.c: how quick and how reliable each resolver was */

struct dns_health;
struct dns_health *health_create(void);
void health_destroy(struct dns_health *h);
/* The indices of resolvers, best first. */
void health_order(const struct dns_health *h, struct mono now, const struct addrport *resolvers,
		  size_t n, uint8_t *order);
void health_answered(struct dns_health *h, struct addrport resolver, int64_t ns);
void health_failed(struct dns_health *h, struct mono now, struct addrport resolver);
void health_slow(struct dns_health *h, struct addrport resolver, int64_t ns);
/* Is it one that does not understand EDNS? That is forgotten after a while. */
bool health_is_plain(const struct dns_health *h, struct mono now, struct addrport resolver);
void health_set_plain(struct dns_health *h, struct mono now, struct addrport resolver);
int64_t health_patience_ms(const struct dns_health *h, struct addrport resolver);

/* dns_lookup.c: questions under way upstream */

struct lookups;
struct lookups *lookups_create(struct dns *d);
void lookups_destroy(struct lookups *l);
/* Copies a. False: over a limit. stale: an answer is in the cache, though expired. */
bool lookup_join(struct lookups *l, struct mono now, const struct asker *a,
		 const struct question_key *key, struct dns_upstream up, bool stale);
void lookups_forget_cache(struct lookups *l); /* routes changed: what comes now is not kept */
bool lookups_next_query(struct lookups *l, struct dns_query *out);
void lookups_answer(struct lookups *l, struct mono now, struct addrport from, uint16_t port,
		    bool tcp, struct bytes message);
void lookups_failure(struct lookups *l, struct mono now, struct addrport from, uint16_t port);
struct mono lookups_deadline(const struct lookups *l);
void lookups_tick(struct lookups *l, struct mono now);

struct dns {
	struct rng rng;
	struct dns_zone *zone; /* NULL until configured */
	struct dns_cache *cache;
	struct dns_health *health;
	struct lookups *lookups;
	struct list replies;
	size_t reply_count;
	struct reply *given; /* what dns_next_reply() returned last */
	struct dns_counters counters;
};
