/* What is asked of others, and what is believed of the answers. */
#include "support.h"

static struct dns_query must_ask(struct dns *d)
{
	struct dns_query q = { 0 };

	CHECK(dns_next_query(d, &q));
	return q;
}

static bool asks(struct dns *d)
{
	struct dns_query q;

	return dns_next_query(d, &q);
}

static void answer(struct dns *d, int64_t ms, const struct dns_query *q, struct bytes b)
{
	dns_input_answer(d, at_ms(ms), q->resolver, q->port, q->tcp, b);
}

static void ask(struct dns *d, int64_t ms, const char *name)
{
	send_query(d, at_ms(ms), make_query(5, name, DNSMSG_A, 0));
}

TEST(spoofed_answers_are_not_believed)
{
	struct dns *d = tailnet();
	const struct dns_counters *c = dns_counters(d);
	struct dns_query q, other;
	struct bytes good;
	uint8_t *p;
	struct got g;

	ask(d, 0, "Www.corp.example");
	q = must_ask(d);
	CHECK(addrport_equal(q.resolver, r2) && !q.tcp);
	good = make_answer(&q, 0, "192.0.2.77", 60);
	dns_input_answer(d, at_ms(1), r1, q.port, false, good);
	CHECK_INT(c->answer_wrong_resolver, 1);
	dns_input_answer(d, at_ms(1), q.resolver, q.port ^ 1, false, good);
	dns_input_answer(d, at_ms(1), q.resolver, q.port, true, good);
	p = (uint8_t *)kit_copy(good).p;
	p[0] ^= 1;
	answer(d, 1, &q, bytes_of(p, good.n));
	CHECK_INT(c->answer_unasked, 3);
	p = (uint8_t *)kit_copy(good).p;
	p[13] ^= 2; /* another name */
	answer(d, 1, &q, bytes_of(p, good.n));
	CHECK_INT(c->answer_wrong_question, 1);
	p = (uint8_t *)kit_copy(good).p;
	p[2] &= 0x7f; /* a query */
	answer(d, 1, &q, bytes_of(p, good.n));
	CHECK_INT(c->answer_malformed, 1);
	CHECK(!next_reply(d, &g));
	answer(d, 2, &q, good);
	CHECK(next_reply(d, &g) && g.rcode == 0 && g.h.id == 5 && g.records == 1);
	CHECK_STR(g.data, "192.0.2.77");
	CHECK(memcmp(g.name.b, "\3Www", 4) == 0 && g.h.records[DNSMSG_ADDITIONAL] == 0);
	answer(d, 2, &q, good); /* twice */
	CHECK(c->answer_unasked == 4 && !next_reply(d, &g));
	ask(d, 3, "x.corp.example");
	other = must_ask(d);
	CHECK(other.port != q.port || memcmp(other.message, q.message, 2) != 0);
	dns_destroy(d);
}

TEST(cache_ages_and_expires)
{
	struct dns *d = tailnet();
	struct dns_query q;
	struct got g;

	ask(d, 0, "www.example");
	q = must_ask(d);
	answer(d, 10, &q, make_answer(&q, 0, "192.0.2.77", 60));
	CHECK(next_reply(d, &g) && g.ttl == 60);
	ask(d, 20010, "WWW.example");
	CHECK(!asks(d) && next_reply(d, &g) && g.ttl == 40 && g.name.b[1] == 'W');
	ask(d, 60011, "www.example");
	CHECK(asks(d) && !next_reply(d, &g));
	CHECK_INT(dns_counters(d)->answered_cache, 1);
	dns_destroy(d);
}

TEST(negative_answers_are_cached_when_they_have_an_soa)
{
	struct dns *d = tailnet();
	struct dns_query q;
	struct got g;

	ask(d, 0, "no.example");
	q = must_ask(d);
	answer(d, 10, &q, make_answer(&q, DNSMSG_NXDOMAIN, NULL, 30));
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_NXDOMAIN && g.type == DNSMSG_SOA);
	ask(d, 20000, "no.example");
	CHECK(!asks(d) && next_reply(d, &g) && g.rcode == DNSMSG_NXDOMAIN && g.ttl == 11);
	ask(d, 0, "bare.example");
	q = must_ask(d);
	answer(d, 10, &q, make_answer(&q, DNSMSG_NXDOMAIN, "", 30));
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_NXDOMAIN);
	ask(d, 20, "bare.example");
	CHECK(asks(d));
	dns_destroy(d);
}

TEST(expired_answers_serve_while_resolvers_are_silent)
{
	struct dns *d = tailnet();
	struct dns_query q;
	struct got g;

	ask(d, 0, "www.example");
	q = must_ask(d);
	answer(d, 10, &q, make_answer(&q, 0, "192.0.2.77", 60));
	CHECK(next_reply(d, &g));
	ask(d, 100000, "www.example");
	dns_tick(d, at_ms(101799));
	CHECK(!next_reply(d, &g));
	dns_tick(d, at_ms(101800));
	CHECK(next_reply(d, &g) && g.ttl == 30 && g.rcode == 0);
	CHECK_STR(g.data, "192.0.2.77");
	CHECK_INT(dns_counters(d)->answered_stale, 1);
	/* And at once when they all say no. */
	dns_tick(d, at_ms(200000));
	while (dns_next_query(d, &q))
		;
	ask(d, 300000, "www.example");
	while (dns_next_query(d, &q))
		answer(d, 300010, &q, make_answer(&q, DNSMSG_SERVFAIL, "", 0));
	CHECK(next_reply(d, &g) && g.rcode == 0 && g.ttl == 30);
	dns_destroy(d);
}

TEST(the_next_resolver_is_asked_when_one_is_slow_and_health_is_remembered)
{
	struct dns *d = tailnet();
	struct dns_query a, b;
	struct got g;

	ask(d, 0, "www.example");
	a = must_ask(d);
	CHECK(addrport_equal(a.resolver, r1) && !asks(d));
	CHECK(dns_deadline(d).ns == at_ms(300).ns);
	dns_tick(d, at_ms(300));
	b = must_ask(d);
	CHECK(addrport_equal(b.resolver, r2));
	answer(d, 320, &b, make_answer(&b, 0, "192.0.2.77", 60));
	CHECK(next_reply(d, &g) && dns_deadline(d).ns == MONO_NEVER.ns);
	answer(d, 330, &a, make_answer(&b, 0, "192.0.2.66", 60)); /* too late */
	CHECK(!next_reply(d, &g));
	ask(d, 400, "www2.example");
	a = must_ask(d);
	CHECK(addrport_equal(a.resolver, r2));
	dns_destroy(d);
}

TEST(a_refusal_loses_to_any_answer)
{
	struct dns *d = tailnet();
	struct dns_query a, b;
	struct got g;

	ask(d, 0, "www.example");
	a = must_ask(d);
	answer(d, 5, &a, make_answer(&a, DNSMSG_REFUSED, "", 0));
	CHECK(!next_reply(d, &g));
	b = must_ask(d);
	answer(d, 9, &b, make_answer(&b, 0, "192.0.2.77", 60));
	CHECK(next_reply(d, &g) && g.rcode == 0);
	ask(d, 10, "www2.example");
	a = must_ask(d);
	dns_input_failure(d, at_ms(11), a.resolver, a.port);
	b = must_ask(d);
	answer(d, 12, &b, make_answer(&b, DNSMSG_REFUSED, "", 0));
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_REFUSED);
	dns_destroy(d);
}

TEST(silence_ends_with_servfail)
{
	struct dns *d = tailnet();
	struct dns_query q;
	int udp = 0, tcp = 0;
	struct got g;

	ask(d, 0, "www.example");
	for (struct mono t; (t = dns_deadline(d)).ns != MONO_NEVER.ns; dns_tick(d, t)) {
		CHECK(t.ns <= at_ms(10000).ns);
		while (dns_next_query(d, &q))
			*(q.tcp ? &tcp : &udp) += 1;
	}
	CHECK(udp == 4 && tcp == 2);
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_SERVFAIL);
	dns_destroy(d);
}

TEST(truncated_answers_are_fetched_over_tcp_and_cut_for_small_clients)
{
	struct dns *d = tailnet();
	struct dnsmsg_question question;
	uint8_t big[1500];
	struct dnsmsg_out o;
	struct dns_query q, t;
	struct bytes cut;
	struct dnsmsg m;
	struct got g;

	ask(d, 0, "www.corp.example");
	send_query(d, at_ms(0), make_query(6, "WWW.corp.example", DNSMSG_A, 1400));
	q = must_ask(d);
	CHECK(!asks(d) && dns_counters(d)->joined == 1);
	cut = make_answer(&q, DNSMSG_TC, "", 0);
	answer(d, 5, &q, cut);
	t = must_ask(d);
	CHECK(t.tcp && addrport_equal(t.resolver, q.resolver));
	CHECK(dnsmsg_open(&m, bytes_of(t.message, t.n)) && dnsmsg_question(&m, &question));
	dnsmsg_begin(&o, big, sizeof(big), m.header.id, DNSMSG_QR, &question);
	for (uint32_t i = 0; i < 60; i++)
		dnsmsg_put_ip(&o, &question.name, 60, ip_v4_of(i));
	answer(d, 9, &t, kit_copy(bytes_of(big, dnsmsg_done(&o))));
	CHECK(next_reply(d, &g) && g.h.id == 5 && g.h.flags & DNSMSG_TC && g.records == 0);
	CHECK(g.n <= 512);
	CHECK(next_reply(d, &g) && g.h.id == 6 && !(g.h.flags & DNSMSG_TC) && g.records == 60);
	CHECK(g.h.records[DNSMSG_ADDITIONAL] == 1 && g.name.b[1] == 'W');
	dns_destroy(d);
}

TEST(one_source_cannot_take_everything)
{
	struct dns *d = tailnet();
	char name[32];
	struct got g;

	for (int i = 0; i < DNS_SOURCE_MAX + 1; i++) {
		struct buf b;

		buf_init(&b, sizeof(name));
		buf_printf(&b, "n%d.example", i);
		CHECK(!next_reply(d, &g));
		ask(d, 0, buf_cstr(&b));
		buf_fini(&b);
	}
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_SERVFAIL);
	CHECK_INT(dns_counters(d)->refused_source, 1);
	dns_tick(d, at_ms(20000));
	while (next_reply(d, &g))
		;
	ask(d, 20001, "again.example");
	CHECK(!next_reply(d, &g) && dns_counters(d)->refused_source == 1);
	dns_destroy(d);
}

TEST(other_routes_empty_the_cache)
{
	struct dns *d = tailnet();
	struct dns_conf conf = { .resolvers = &r1, .resolver_count = 1 };
	struct dns_query q;
	struct err err;
	struct got g;

	ask(d, 0, "www.example");
	q = must_ask(d);
	answer(d, 10, &q, make_answer(&q, 0, "192.0.2.77", 60));
	CHECK(next_reply(d, &g));
	CHECK(dns_set_conf(d, &conf, &err) == 0);
	ask(d, 20, "www.example");
	CHECK(asks(d) && !next_reply(d, &g));
	dns_destroy(d);
}

TEST(lookups_of_all_sources_have_a_limit)
{
	struct dns *d = tailnet();
	struct dns_query q;
	struct got g;
	int asked = 0;

	for (int i = 0; i < DNS_LOOKUPS_MAX + 1; i++) {
		struct dns_client c = { { ip_v4(100, 64, 1, (uint8_t)(i % 200)), 5000 },
					77,
					false };
		struct buf b;

		buf_init(&b, 32);
		buf_printf(&b, "n%d.corp.example", i);
		CHECK(!next_reply(d, &g));
		dns_input_query(d, at_ms(0), &c, make_query(1, buf_cstr(&b), DNSMSG_A, 0));
		buf_fini(&b);
	}
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_SERVFAIL);
	CHECK_INT(dns_counters(d)->refused_total, 1);
	while (dns_next_query(d, &q))
		asked++;
	CHECK_INT(asked, DNS_LOOKUPS_MAX);
	dns_destroy(d); /* with all of them under way */
}

TEST(the_cache_has_a_limit)
{
	struct dns *d = tailnet();
	struct dns_query q;
	struct got g;

	for (int i = 0; i < DNS_CACHE_ENTRIES_MAX + 1; i++) {
		struct buf b;

		buf_init(&b, 32);
		buf_printf(&b, "n%d.corp.example", i);
		ask(d, 0, buf_cstr(&b));
		buf_fini(&b);
		if (dns_next_query(d, &q))
			answer(d, 1, &q, make_answer(&q, 0, "192.0.2.7", 60));
		CHECK(next_reply(d, &g) && g.rcode == 0);
	}
	ask(d, 2, "n4096.corp.example");
	CHECK(!asks(d) && next_reply(d, &g));
	ask(d, 2, "n0.corp.example"); /* the oldest made room */
	CHECK(asks(d));
	dns_destroy(d);
}

TEST(a_resolver_without_edns_is_asked_without_it)
{
	struct dns *d = tailnet();
	uint8_t bare[DNSMSG_HEADER_LEN] = { 0 };
	struct dns_query q, again;
	struct got g;

	ask(d, 0, "www.corp.example");
	q = must_ask(d);
	answer(d, 1, &q, make_answer(&q, DNSMSG_FORMERR, "", 0));
	again = must_ask(d);
	CHECK(again.n == q.n - DNSMSG_OPT_LEN && addrport_equal(again.resolver, q.resolver));
	CHECK(!next_reply(d, &g));
	answer(d, 2, &again, make_answer(&again, 0, "192.0.2.77", 60));
	CHECK(next_reply(d, &g) && g.rcode == 0 && g.records == 1);
	ask(d, 3, "two.corp.example"); /* it is remembered ... */
	CHECK_INT(must_ask(d).n, again.n);
	ask(d, 700000, "www.corp.example"); /* ... for a while */
	q = must_ask(d);
	CHECK_INT(q.n, again.n + DNSMSG_OPT_LEN);
	memcpy(bare, q.message, 2); /* without the question */
	bare[2] = 0x80;
	bare[3] = DNSMSG_FORMERR;
	answer(d, 700001, &q, bytes_of(bare, sizeof(bare)));
	again = must_ask(d);
	CHECK_INT(again.n, q.n - DNSMSG_OPT_LEN);
	answer(d, 700002, &again, make_answer(&again, DNSMSG_FORMERR, "", 0));
	CHECK_INT(dns_counters(d)->without_edns, 2);
	dns_destroy(d);
}
