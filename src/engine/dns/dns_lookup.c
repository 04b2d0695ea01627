/*
 * Questions under way upstream. Equal questions share one lookup, so a question that comes back to
 * us through some resolver joins itself and ends with the lookup's deadline.
 *
 * The best resolver is asked first; when it takes longer than it usually does, the next one too;
 * after all were asked, again, the last round over TCP. The first good answer wins.
 */
#include "engine/dns/dns_impl.h"

#include "base/mem.h"

enum {
	ROUNDS = 3,
	TOTAL_MS = 10000,
	STALE_AFTER_MS = 1800, /* RFC 8767: then the client gets the expired answer */
	STALE_TTL_S = 30,
	SLOW_MS = 1000,      /* no answer for so long while another answered is a failure */
	EXPLORE_ONE_IN = 32, /* ask two at once, to know whether the second got better */
};

struct lookup {
	struct question_key key;
	struct heap_node timer;
	struct list askers, attempts;
	struct dnsmsg_question question;
	uint16_t flags; /* RD, CD and AD of the clients */
	bool wants_dnssec, stale, keep;
	struct addrport resolvers[DNS_RESOLVERS_MAX];
	uint8_t order[DNS_RESOLVERS_MAX];
	uint8_t n, sent;
	enum dnsmsg_rcode failure; /* the last one told */
	struct mono started, next_send;
};

struct attempt {
	struct list link; /* lookup.attempts */
	struct lookup *lookup;
	uint8_t key[4]; /* port, id */
	struct addrport resolver;
	bool tcp, plain; /* plain: without EDNS, which the resolver does not understand */
	struct mono sent;
};

struct source {
	struct ip ip;
	unsigned waiting;
};

struct unsent {
	uint8_t key[4];
};

struct lookups {
	struct dns *d;
	struct map by_question, attempts, sources;
	struct heap timers;
	struct unsent *unsent;
	size_t unsent_at, unsent_n, unsent_cap;
	size_t waiting;
};

static struct bytes lookup_key(const void *item)
{
	const struct lookup *l = item;

	return bytes_of(l->key.b, l->key.n);
}

static struct bytes attempt_key(const void *item)
{
	return bytes_of(((const struct attempt *)item)->key, 4);
}

static struct bytes source_key(const void *item)
{
	const struct source *s = item;

	return bytes_of(&s->ip, sizeof(s->ip));
}

struct lookups *lookups_create(struct dns *d)
{
	struct lookups *ls = mem_alloc(sizeof(*ls));
	uint8_t seed[16];

	ls->d = d;
	d->rng.fill(&d->rng, seed, sizeof(seed));
	map_init(&ls->by_question, lookup_key, seed);
	map_init(&ls->attempts, attempt_key, seed);
	map_init(&ls->sources, source_key, seed);
	heap_init(&ls->timers);
	return ls;
}

static bool source_take(struct lookups *ls, struct ip ip)
{
	struct source *s = map_get(&ls->sources, bytes_of(&ip, sizeof(ip)));

	if (!s) {
		s = mem_alloc(sizeof(*s));
		s->ip = ip;
		map_put(&ls->sources, s);
	}
	if (s->waiting >= DNS_SOURCE_MAX)
		return false;
	s->waiting++;
	ls->waiting++;
	return true;
}

static void source_give(struct lookups *ls, struct ip ip)
{
	struct source *s = map_get(&ls->sources, bytes_of(&ip, sizeof(ip)));

	ls->waiting--;
	if (--s->waiting)
		return;
	map_remove(&ls->sources, bytes_of(&ip, sizeof(ip)));
	mem_free(s);
}

static struct asker *asker_pop(struct lookups *ls, struct lookup *l)
{
	struct asker *a;

	if (list_is_empty(&l->askers))
		return NULL;
	a = list_entry(list_pop(&l->askers), struct asker, link);
	source_give(ls, a->client.addr.ip);
	return a;
}

static void attempt_drop(struct lookups *ls, struct attempt *t)
{
	map_remove(&ls->attempts, attempt_key(t));
	list_remove(&t->link);
	mem_free(t);
}

static void lookup_drop(struct lookups *ls, struct lookup *l)
{
	struct asker *a;

	while ((a = asker_pop(ls, l)))
		mem_free(a);
	while (!list_is_empty(&l->attempts))
		attempt_drop(ls, list_entry(l->attempts.next, struct attempt, link));
	map_remove(&ls->by_question, lookup_key(l));
	heap_remove(&ls->timers, &l->timer);
	mem_free(l);
}

void lookups_destroy(struct lookups *ls)
{
	struct lookup *l;
	size_t it;

	if (!ls)
		return;
	while (it = 0, (l = map_next(&ls->by_question, &it)))
		lookup_drop(ls, l);
	map_fini(&ls->by_question);
	map_fini(&ls->attempts);
	map_fini(&ls->sources);
	heap_fini(&ls->timers);
	mem_free(ls->unsent);
	mem_free(ls);
}

void lookups_forget_cache(struct lookups *ls)
{
	struct lookup *l;
	size_t it = 0;

	while ((l = map_next(&ls->by_question, &it)))
		l->keep = l->stale = false;
}

static void queue_unsent(struct lookups *ls, const struct attempt *t)
{
	if (ls->unsent_at == ls->unsent_n)
		ls->unsent_at = ls->unsent_n = 0;
	mem_reserve(ls->unsent, ls->unsent_n, ls->unsent_cap);
	memcpy(ls->unsent[ls->unsent_n++].key, t->key, 4);
}

/* A port and an id that nobody who does not see our packets can know. */
static struct attempt *ask(struct lookups *ls, struct mono now, struct lookup *l,
			   struct addrport resolver, bool tcp)
{
	struct attempt *t = mem_alloc(sizeof(*t));

	do
		ls->d->rng.fill(&ls->d->rng, t->key, sizeof(t->key));
	while (map_get(&ls->attempts, attempt_key(t)));
	t->lookup = l;
	t->resolver = resolver;
	t->tcp = tcp;
	t->plain = health_is_plain(ls->d->health, now, resolver);
	t->sent = now;
	list_append(&l->attempts, &t->link);
	map_put(&ls->attempts, t);
	queue_unsent(ls, t);
	return t;
}

static void arm(struct lookups *ls, struct lookup *l)
{
	struct mono at = mono_min(l->next_send, mono_add_ms(l->started, TOTAL_MS));

	if (l->stale && !list_is_empty(&l->askers))
		at = mono_min(at, mono_add_ms(l->started, STALE_AFTER_MS));
	heap_set(&ls->timers, &l->timer, at);
}

/* Asks the next resolver in order and sets when the one after it is asked. */
static void ask_next(struct lookups *ls, struct mono now, struct lookup *l)
{
	unsigned round = l->sent / l->n;
	struct addrport to;

	if (round >= ROUNDS) {
		l->next_send = MONO_NEVER;
		return;
	}
	to = l->resolvers[l->order[l->sent++ % l->n]];
	(void)ask(ls, now, l, to, round == ROUNDS - 1);
	if (l->sent % l->n)
		l->next_send = mono_add_ms(now, health_patience_ms(ls->d->health, to));
	else
		l->next_send = mono_add_ms(now, INT64_C(1000) << round);
}

static struct lookup *lookup_create(struct lookups *ls, struct mono now, const struct asker *a,
				    const struct question_key *key, struct dns_upstream up)
{
	struct lookup *l = mem_alloc(sizeof(*l));

	l->key = *key;
	list_init(&l->askers);
	list_init(&l->attempts);
	l->question = a->question;
	l->flags = DNSMSG_RD | (a->flags & (DNSMSG_CD | DNSMSG_AD));
	l->wants_dnssec = a->edns.wants_dnssec;
	l->keep = true;
	l->n = (uint8_t)up.n;
	memcpy(l->resolvers, up.resolvers, up.n * sizeof(*up.resolvers));
	health_order(ls->d->health, now, l->resolvers, l->n, l->order);
	l->failure = DNSMSG_SERVFAIL;
	l->started = now;
	map_put(&ls->by_question, l);
	ask_next(ls, now, l);
	if (l->n > 1 && rng_below(&ls->d->rng, EXPLORE_ONE_IN) == 0)
		ask_next(ls, now, l);
	return l;
}

bool lookup_join(struct lookups *ls, struct mono now, const struct asker *a,
		 const struct question_key *key, struct dns_upstream up, bool stale)
{
	struct lookup *l = map_get(&ls->by_question, bytes_of(key->b, key->n));
	struct asker *copy;

	if (ls->waiting >= DNS_WAITING_MAX || (!l && ls->by_question.n >= DNS_LOOKUPS_MAX)) {
		ls->d->counters.refused_total++;
		return false;
	}
	if (!source_take(ls, a->client.addr.ip)) {
		ls->d->counters.refused_source++;
		return false;
	}
	if (l)
		ls->d->counters.joined++;
	else
		l = lookup_create(ls, now, a, key, up);
	l->stale = stale && l->keep;
	copy = mem_alloc(sizeof(*copy));
	*copy = *a;
	list_append(&l->askers, &copy->link);
	arm(ls, l);
	return true;
}

bool lookups_next_query(struct lookups *ls, struct dns_query *out)
{
	while (ls->unsent_at < ls->unsent_n) {
		struct unsent u = ls->unsent[ls->unsent_at++];
		struct attempt *t = map_get(&ls->attempts, bytes_of(u.key, 4));
		struct dnsmsg_out o;
		uint16_t id;

		if (!t)
			continue; /* answered meanwhile by another */
		out->resolver = t->resolver;
		out->port = (uint16_t)(t->key[0] << 8 | t->key[1]);
		out->tcp = t->tcp;
		id = (uint16_t)(t->key[2] << 8 | t->key[3]);
		dnsmsg_begin(&o, out->message, sizeof(out->message), id, t->lookup->flags,
			     &t->lookup->question);
		if (!t->plain)
			dnsmsg_put_opt(&o, DNS_EDNS_SIZE, 0, t->lookup->wants_dnssec);
		out->n = dnsmsg_done(&o);
		if (t->tcp)
			ls->d->counters.sent_tcp++;
		else
			ls->d->counters.sent_udp++;
		return true;
	}
	return false;
}

/* The expired answer, to all who wait. The lookup may go on, to have a fresh one next time. */
static bool answer_stale(struct lookups *ls, struct mono now, struct lookup *l)
{
	const struct cached *e = l->stale ? cache_get(ls->d->cache, now, &l->key) : NULL;
	struct asker *a;

	if (!e)
		return false;
	while ((a = asker_pop(ls, l))) {
		reply_forwarded(ls->d, a, bytes_of(e->message, e->n), UINT32_MAX, STALE_TTL_S);
		ls->d->counters.answered_stale++;
		mem_free(a);
	}
	return true;
}

static void judge_slow(struct lookups *ls, struct mono now, const struct lookup *l)
{
	list_each (it, &l->attempts) {
		const struct attempt *t = list_entry(it, struct attempt, link);
		int64_t ns = now.ns - t->sent.ns;

		health_slow(ls->d->health, t->resolver, ns);
		if (ns >= SLOW_MS * INT64_C(1000000))
			health_failed(ls->d->health, now, t->resolver);
	}
}

static void fail(struct lookups *ls, struct mono now, struct lookup *l)
{
	struct asker *a;

	judge_slow(ls, now, l);
	if (!answer_stale(ls, now, l)) {
		while ((a = asker_pop(ls, l))) {
			reply_rcode(ls->d, a, l->failure);
			ls->d->counters.answered_failure++;
			mem_free(a);
		}
	}
	lookup_drop(ls, l);
}

static void succeed(struct lookups *ls, struct mono now, struct lookup *l, struct bytes message)
{
	struct asker *a;

	judge_slow(ls, now, l);
	while ((a = asker_pop(ls, l))) {
		reply_forwarded(ls->d, a, message, 0, 0);
		ls->d->counters.answered_upstream++;
		mem_free(a);
	}
	if (l->keep)
		cache_put(ls->d->cache, now, &l->key, message);
	lookup_drop(ls, l);
}

/* One attempt came to nothing: the next resolver is asked without waiting. */
static void attempt_failed(struct lookups *ls, struct mono now, struct attempt *t)
{
	struct lookup *l = t->lookup;

	health_failed(ls->d->health, now, t->resolver);
	attempt_drop(ls, t);
	if (l->sent < l->n)
		ask_next(ls, now, l);
	if (list_is_empty(&l->attempts))
		fail(ls, now, l);
	else
		arm(ls, l);
}

/*
 * The message as clients get it: without OPT. What comes behind an OPT goes with it (there is only
 * TSIG, which would not verify any more). False: malformed, or an rcode that needs EDNS to say.
 */
static bool strip_opt(struct dnsmsg *m, uint8_t *copy, size_t *n)
{
	struct dnsmsg_record r;
	enum dnsmsg_next next;
	uint16_t kept = 0;
	bool cut = false;

	while ((next = dnsmsg_next(m, &r)) == DNSMSG_RECORD) {
		if (r.type == DNSMSG_OPT && !cut) {
			if (r.section != DNSMSG_ADDITIONAL || dnsmsg_edns_of(&r).rcode_high)
				return false;
			*n = r.start;
			cut = true;
		}
		if (r.section == DNSMSG_ADDITIONAL && !cut)
			kept++;
	}
	if (!cut)
		*n = m->at;
	copy[10] = (uint8_t)(kept >> 8);
	copy[11] = (uint8_t)kept;
	return next == DNSMSG_END;
}

/*
 * The resolver did not understand the question: an old one that does not know EDNS (RFC 6891 7).
 * It is asked again without, and for a while it is asked so from the start.
 */
static void ask_plain(struct lookups *ls, struct mono now, struct attempt *t)
{
	struct lookup *l = t->lookup;
	struct addrport resolver = t->resolver;
	bool tcp = t->tcp;

	ls->d->counters.without_edns++;
	health_set_plain(ls->d->health, now, resolver);
	attempt_drop(ls, t);
	(void)ask(ls, now, l, resolver, tcp);
}

static void take_answer(struct lookups *ls, struct mono now, struct attempt *t, struct dnsmsg *m)
{
	enum dnsmsg_rcode rcode = m->header.flags & DNSMSG_RCODE;
	struct addrport resolver = t->resolver;
	struct lookup *l = t->lookup;
	size_t n = m->whole.n;
	uint8_t *copy;

	if (m->header.flags & DNSMSG_TC && !t->tcp) {
		health_answered(ls->d->health, resolver, now.ns - t->sent.ns);
		attempt_drop(ls, t);
		(void)ask(ls, now, l, resolver, true);
		return;
	}
	if ((rcode == DNSMSG_FORMERR || rcode == DNSMSG_NOTIMP) && !t->plain) {
		ask_plain(ls, now, t);
		return;
	}
	if (rcode != DNSMSG_NOERROR && rcode != DNSMSG_NXDOMAIN) {
		ls->d->counters.answer_failure++;
		l->failure = rcode;
		attempt_failed(ls, now, t);
		return;
	}
	copy = mem_try_alloc(n);
	if (copy)
		memcpy(copy, m->whole.p, n);
	if (!copy || !strip_opt(m, copy, &n)) {
		ls->d->counters.answer_malformed++;
		attempt_failed(ls, now, t);
	} else {
		health_answered(ls->d->health, resolver, now.ns - t->sent.ns);
		attempt_drop(ls, t);
		succeed(ls, now, l, bytes_of(copy, n));
	}
	mem_free(copy);
}

static struct attempt *find_attempt(struct lookups *ls, uint16_t port, uint16_t id)
{
	uint8_t key[4] = { (uint8_t)(port >> 8), (uint8_t)port, (uint8_t)(id >> 8), (uint8_t)id };

	return map_get(&ls->attempts, bytes_of(key, 4));
}

void lookups_answer(struct lookups *ls, struct mono now, struct addrport from, uint16_t port,
		    bool tcp, struct bytes message)
{
	struct dns_counters *c = &ls->d->counters;
	struct dnsmsg_question q;
	struct attempt *t;
	struct dnsmsg m;

	if (!dnsmsg_open(&m, message) || !(m.header.flags & DNSMSG_QR) ||
	    m.header.flags & DNSMSG_OPCODE) {
		c->answer_malformed++;
		return;
	}
	t = find_attempt(ls, port, m.header.id);
	if (!t || t->tcp != tcp) {
		c->answer_unasked++;
		return;
	}
	if (!addrport_equal(t->resolver, from)) {
		c->answer_wrong_resolver++;
		return;
	}
	/* Some that do not understand do not even repeat the question. */
	if (m.header.questions == 0 && !t->plain && message.n == DNSMSG_HEADER_LEN &&
	    (m.header.flags & DNSMSG_RCODE) == DNSMSG_FORMERR) {
		ask_plain(ls, now, t);
		return;
	}
	if (m.header.questions != 1 || !dnsmsg_question(&m, &q) ||
	    m.at != DNSMSG_HEADER_LEN + (size_t)q.name.n + 4 ||
	    !dnsname_equal(&q.name, &t->lookup->question.name) ||
	    q.type != t->lookup->question.type || q.class != DNSMSG_IN) {
		c->answer_wrong_question++;
		return;
	}
	take_answer(ls, now, t, &m);
}

void lookups_failure(struct lookups *ls, struct mono now, struct addrport from, uint16_t port)
{
	struct attempt *t;
	size_t it = 0;

	while ((t = map_next(&ls->attempts, &it))) {
		if (t->key[0] != port >> 8 || t->key[1] != (port & 0xff) ||
		    !addrport_equal(t->resolver, from))
			continue;
		attempt_failed(ls, now, t);
		return;
	}
}

struct mono lookups_deadline(const struct lookups *ls)
{
	struct heap_node *first = heap_first(&ls->timers);

	return first ? first->at : MONO_NEVER;
}

void lookups_tick(struct lookups *ls, struct mono now)
{
	struct heap_node *node;

	while ((node = heap_pop_due(&ls->timers, now))) {
		struct lookup *l = container_of(node, struct lookup, timer);

		if (mono_reached(now, mono_add_ms(l->started, TOTAL_MS))) {
			fail(ls, now, l);
			continue;
		}
		if (l->stale && mono_since_ms(now, l->started) >= STALE_AFTER_MS &&
		    !answer_stale(ls, now, l))
			l->stale = false; /* gone from the cache */
		if (mono_reached(now, l->next_send))
			ask_next(ls, now, l);
		arm(ls, l);
	}
}
