#include "engine/dns/dns_impl.h"

#include "base/err.h"
#include "base/mem.h"

enum { LOCAL_REPLY_MAX = 4096 };

struct reply {
	struct list link;
	struct dns_client to;
	uint8_t *p;
	size_t n;
};

struct dns *dns_create(struct rng rng)
{
	struct dns *d = mem_alloc(sizeof(*d));

	d->rng = rng;
	d->cache = cache_create(&d->rng);
	d->health = health_create();
	d->lookups = lookups_create(d);
	list_init(&d->replies);
	return d;
}

static void reply_free(struct reply *r)
{
	if (!r)
		return;
	mem_free(r->p);
	mem_free(r);
}

void dns_destroy(struct dns *d)
{
	if (!d)
		return;
	while (!list_is_empty(&d->replies))
		reply_free(list_entry(list_pop(&d->replies), struct reply, link));
	reply_free(d->given);
	lookups_destroy(d->lookups);
	health_destroy(d->health);
	cache_destroy(d->cache);
	dns_zone_destroy(d->zone);
	mem_free(d);
}

int dns_set_conf(struct dns *d, const struct dns_conf *conf, struct err *err)
{
	struct dns_zone *z = dns_zone_create(conf, &d->counters.conf_skipped, err);

	if (!z)
		return -1;
	/* What one network's resolvers said must not answer for another's. */
	if (!d->zone || !dns_zone_same_routes(d->zone, z)) {
		cache_clear(d->cache);
		lookups_forget_cache(d->lookups);
	}
	dns_zone_destroy(d->zone);
	d->zone = z;
	return 0;
}

struct question_key question_key_of(const struct asker *a)
{
	struct dnsname lower = a->question.name;
	struct question_key k;

	dnsname_lower(&lower);
	k.n = (uint16_t)(lower.n + 3);
	k.b[0] = (uint8_t)(a->question.type >> 8);
	k.b[1] = (uint8_t)a->question.type;
	k.b[2] = (uint8_t)((a->flags & DNSMSG_CD ? 1 : 0) | (a->edns.wants_dnssec ? 2 : 0) |
			   (a->flags & DNSMSG_AD ? 4 : 0));
	memcpy(k.b + 3, lower.b, lower.n);
	return k;
}

/* How long a reply over UDP may be. */
static size_t room_of(const struct asker *a)
{
	size_t size = a->edns.present ? a->edns.size : DNSMSG_UDP_MAX;

	if (a->client.tcp)
		return DNSMSG_MAX;
	return size < DNSMSG_UDP_MAX        ? DNSMSG_UDP_MAX
	       : size > DNS_CLIENT_SIZE_MAX ? DNS_CLIENT_SIZE_MAX
					    : size;
}

void reply_take(struct dns *d, const struct asker *a, uint8_t *p, size_t n)
{
	struct reply *r;

	if (n == 0 || d->reply_count >= DNS_REPLIES_MAX) {
		d->counters.dropped_replies++;
		mem_free(p);
		return;
	}
	r = mem_alloc(sizeof(*r));
	r->to = a->client;
	r->p = p;
	r->n = n;
	list_append(&d->replies, &r->link);
	d->reply_count++;
}

/* Adds the OPT the client is owed; cuts what is too long for it. p has room for the OPT. */
static void reply_finish(struct dns *d, const struct asker *a, uint8_t *p, size_t n)
{
	size_t opt = a->edns.present ? DNSMSG_OPT_LEN : 0;
	struct dnsmsg m;

	if (n + opt > room_of(a)) {
		n = dnsmsg_truncate(p, n);
		d->counters.truncated++;
	}
	if (opt && dnsmsg_open(&m, bytes_of(p, n))) {
		struct dnsmsg_out o = { .w = writer_of(p, n + opt) };

		o.w.n = n;
		o.questions = m.header.questions;
		memcpy(o.records, m.header.records, sizeof(o.records));
		dnsmsg_put_opt(&o, DNS_EDNS_SIZE, a->edns.version ? 1 : 0, a->edns.wants_dnssec);
		n = dnsmsg_done(&o);
	}
	reply_take(d, a, p, n);
}

static uint16_t reply_flags(const struct asker *a, uint16_t more)
{
	return DNSMSG_QR | DNSMSG_RA | (a->flags & (DNSMSG_OPCODE | DNSMSG_RD | DNSMSG_CD)) | more;
}

void reply_rcode(struct dns *d, const struct asker *a, enum dnsmsg_rcode rcode)
{
	size_t cap = DNSMSG_HEADER_LEN + DNSNAME_MAX + 4 + DNSMSG_OPT_LEN;
	uint8_t *p = mem_alloc(cap);
	struct dnsmsg_out o;

	dnsmsg_begin(&o, p, cap, a->id, reply_flags(a, rcode & DNSMSG_RCODE),
		     a->question.name.n ? &a->question : NULL);
	reply_finish(d, a, p, dnsmsg_done(&o));
}

void reply_forwarded(struct dns *d, const struct asker *a, struct bytes message, uint32_t age_s,
		     uint32_t ttl_floor_s)
{
	uint8_t *p = mem_try_alloc(message.n + DNSMSG_OPT_LEN);
	struct dnsmsg_question q;
	struct dnsmsg_record r;
	struct dnsmsg m;

	if (!p || !dnsmsg_open(&m, message) || !dnsmsg_question(&m, &q)) {
		mem_free(p);
		return;
	}
	memcpy(p, message.p, message.n);
	dnsmsg_set_id(p, a->id);
	dnsmsg_set_flags(p, reply_flags(a, m.header.flags & (DNSMSG_RCODE | DNSMSG_AD)));
	/* The client's spelling; names in the records point at it. */
	memcpy(p + DNSMSG_HEADER_LEN, a->question.name.b, a->question.name.n);
	while (dnsmsg_next(&m, &r) == DNSMSG_RECORD) {
		uint32_t ttl = r.ttl > age_s ? r.ttl - age_s : 0;
		struct writer w = writer_of(p, message.n);

		w.n = r.ttl_at;
		write_be32(&w, ttl < ttl_floor_s ? ttl_floor_s : ttl);
	}
	reply_finish(d, a, p, message.n);
}

static bool answer_local(struct dns *d, const struct asker *a)
{
	uint8_t built[LOCAL_REPLY_MAX], *p;
	struct dnsmsg_out o;
	uint16_t flags;
	size_t n;

	dnsmsg_begin(&o, built, sizeof(built), a->id, 0, &a->question);
	if (!d->zone || !dns_zone_answer(d->zone, &a->question, &o, &flags))
		return false;
	n = dnsmsg_done(&o);
	dnsmsg_set_flags(built, reply_flags(a, flags));
	p = mem_alloc(n + DNSMSG_OPT_LEN);
	memcpy(p, built, n);
	reply_finish(d, a, p, n);
	d->counters.answered_local++;
	return true;
}

static void answer_elsewhere(struct dns *d, struct mono now, const struct asker *a)
{
	struct question_key key = question_key_of(a);
	const struct cached *e = cache_get(d->cache, now, &key);
	struct dns_upstream up = { 0 };

	if (e && cached_is_fresh(e, now)) {
		uint32_t age_s = (uint32_t)(mono_since_ms(now, e->stored) / 1000);

		reply_forwarded(d, a, bytes_of(e->message, e->n), age_s, 0);
		d->counters.answered_cache++;
		return;
	}
	if (d->zone)
		up = dns_zone_upstream(d->zone, &a->question.name);
	if (up.n == 0) {
		d->counters.refused_no_resolver++;
		reply_rcode(d, a, DNSMSG_SERVFAIL);
	} else if (!lookup_join(d->lookups, now, a, &key, up, e != NULL)) {
		reply_rcode(d, a, DNSMSG_SERVFAIL);
	}
}

/* NOERROR when the question can be looked at. */
static enum dnsmsg_rcode decode(struct asker *a, struct dnsmsg *m)
{
	struct dnsmsg_record r;
	enum dnsmsg_next next;

	if (m->header.flags & DNSMSG_OPCODE)
		return DNSMSG_NOTIMP;
	if (m->header.questions != 1 || m->header.records[0] || m->header.records[1])
		return DNSMSG_FORMERR;
	if (!dnsmsg_question(m, &a->question)) {
		a->question.name.n = 0;
		return DNSMSG_FORMERR;
	}
	while ((next = dnsmsg_next(m, &r)) == DNSMSG_RECORD) {
		if (r.type != DNSMSG_OPT)
			continue;
		if (a->edns.present || r.name.n != 1)
			return DNSMSG_FORMERR;
		a->edns = dnsmsg_edns_of(&r);
	}
	if (next == DNSMSG_BAD)
		return DNSMSG_FORMERR;
	if (a->edns.version)
		return DNSMSG_BADVERS;
	return a->question.class == DNSMSG_IN ? DNSMSG_NOERROR : DNSMSG_REFUSED;
}

void dns_input_query(struct dns *d, struct mono now, const struct dns_client *from,
		     struct bytes message)
{
	enum dnsmsg_rcode rcode;
	struct asker a;
	struct dnsmsg m;

	d->counters.queries++;
	/* A reply is never answered: two resolvers would talk for ever. */
	if (!dnsmsg_open(&m, message) || m.header.flags & DNSMSG_QR) {
		d->counters.dropped_malformed++;
		return;
	}
	a.client = *from;
	a.id = m.header.id;
	a.flags = m.header.flags;
	a.edns = (struct dnsmsg_edns){ 0 };
	a.question.name.n = 0;
	rcode = decode(&a, &m);
	if (rcode != DNSMSG_NOERROR)
		reply_rcode(d, &a, rcode);
	else if (!answer_local(d, &a))
		answer_elsewhere(d, now, &a);
}

bool dns_next_reply(struct dns *d, struct dns_reply *out)
{
	struct list *first = list_pop(&d->replies);

	reply_free(d->given);
	d->given = NULL;
	if (!first)
		return false;
	d->reply_count--;
	d->given = list_entry(first, struct reply, link);
	out->to = d->given->to;
	out->message = bytes_of(d->given->p, d->given->n);
	return true;
}

bool dns_next_query(struct dns *d, struct dns_query *out)
{
	return lookups_next_query(d->lookups, out);
}

void dns_input_answer(struct dns *d, struct mono now, struct addrport resolver, uint16_t port,
		      bool tcp, struct bytes message)
{
	lookups_answer(d->lookups, now, resolver, port, tcp, message);
}

void dns_input_failure(struct dns *d, struct mono now, struct addrport resolver, uint16_t port)
{
	lookups_failure(d->lookups, now, resolver, port);
}

size_t dns_resolvers_of(const struct dns *d, const struct dnsmsg_question *q, struct addrport *out,
			size_t max)
{
	uint8_t scratch[LOCAL_REPLY_MAX];
	struct dns_upstream up;
	struct dnsmsg_out o;
	uint16_t flags;
	size_t n;

	dnsmsg_begin(&o, scratch, sizeof(scratch), 0, 0, q);
	if (!d->zone || dns_zone_answer(d->zone, q, &o, &flags))
		return 0;
	up = dns_zone_upstream(d->zone, &q->name);
	n = up.n < max ? up.n : max;
	memcpy(out, up.resolvers, n * sizeof(*out));
	return n;
}

struct mono dns_deadline(const struct dns *d)
{
	return lookups_deadline(d->lookups);
}

void dns_tick(struct dns *d, struct mono now)
{
	lookups_tick(d->lookups, now);
}

const struct dns_counters *dns_counters(const struct dns *d)
{
	return &d->counters;
}
