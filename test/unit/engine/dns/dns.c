/* What is answered from the tailnet's own names. */
#include "engine/dns/dns.h"

#include "support.h"

TEST(names_of_the_tailnet)
{
	static const struct {
		const char *name;
		uint16_t type;
		int rcode, records;
		uint16_t first;
		const char *data;
	} cases[] = {
		{ "one.tail.example", DNSMSG_A, 0, 1, DNSMSG_A, "100.64.0.1" },
		{ "ONE.Tail.example", DNSMSG_AAAA, 0, 1, DNSMSG_AAAA, "fd7a:115c:a1e0::1" },
		{ "one.tail.example", DNSMSG_ANY, 0, 2, DNSMSG_A, "100.64.0.1" },
		{ "one", DNSMSG_A, 0, 1, DNSMSG_A, "100.64.0.1" },
		{ "one.tail.example", DNSMSG_MX, 0, 1, DNSMSG_SOA, "tail.example." },
		{ "one.tail.example", DNSMSG_AXFR, DNSMSG_NOTIMP, 0, 0, "" },
		{ "two.a.tail.example", DNSMSG_AAAA, 0, 1, DNSMSG_SOA, "tail.example." },
		{ "x.two.a.tail.example", DNSMSG_A, 0, 1, DNSMSG_A, "100.64.0.2" },
		{ "x.one.tail.example", DNSMSG_A, DNSMSG_NXDOMAIN, 1, DNSMSG_SOA, "tail.example." },
		{ "a.tail.example", DNSMSG_A, 0, 1, DNSMSG_SOA, "tail.example." },
		{ "nobody.tail.example", DNSMSG_A, DNSMSG_NXDOMAIN, 1, DNSMSG_SOA,
		  "tail.example." },
		{ "nobody.private.example", DNSMSG_A, DNSMSG_NXDOMAIN, 1, DNSMSG_SOA,
		  "private.example." },
		{ "tail.example", DNSMSG_SOA, 0, 1, DNSMSG_SOA, "tail.example." },
		{ "tail.example", DNSMSG_NS, 0, 1, DNSMSG_NS, "tail.example." },
		{ "tail.example", DNSMSG_A, 0, 1, DNSMSG_SOA, "tail.example." },
		{ "extra.other.example", DNSMSG_A, 0, 1, DNSMSG_A, "10.0.0.9" },
		{ "extra.other.example", DNSMSG_TXT, 0, 0, 0, "" },
		{ "1.0.64.100.in-addr.arpa", DNSMSG_PTR, 0, 1, DNSMSG_PTR, "One.tail.example." },
		{ "9.0.64.100.in-addr.arpa", DNSMSG_PTR, DNSMSG_NXDOMAIN, 1, DNSMSG_SOA,
		  "64.100.in-addr.arpa." },
		{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.E.1.A.C.5.1.1.A.7.D.F.ip6.arpa",
		  DNSMSG_PTR, 0, 1, DNSMSG_PTR, "One.tail.example." },
		{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa",
		  DNSMSG_A, DNSMSG_NXDOMAIN, 1, DNSMSG_SOA, "0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa." },
		{ "100.100.100.100.in-addr.arpa", DNSMSG_PTR, 0, 1, DNSMSG_PTR,
		  "magicdns.localhost-tailscale-daemon." },
		{ "magicdns.localhost-tailscale-daemon", DNSMSG_AAAA, 0, 1, DNSMSG_AAAA,
		  "fd7a:115c:a1e0::53" },
		{ "secret.onion", DNSMSG_A, DNSMSG_NXDOMAIN, 0, 0, "" },
		{ "lb._dns-sd._udp.x.example", DNSMSG_PTR, DNSMSG_NXDOMAIN, 0, 0, "" },
		{ "192-168-1-2-via-7", DNSMSG_AAAA, 0, 1, DNSMSG_AAAA,
		  "fd7a:115c:a1e0:b1a:0:7:c0a8:102" },
		{ "10-1-2-3-via-0xffff.x.ts.net", DNSMSG_AAAA, 0, 1, DNSMSG_AAAA,
		  "fd7a:115c:a1e0:b1a:0:ffff:a01:203" },
		{ "10-1-2-3-VIA-7.tail.example", DNSMSG_A, 0, 0, 0, "" },
		{ "10-1-2-256-via-7.tail.example", DNSMSG_AAAA, DNSMSG_NXDOMAIN, 1, DNSMSG_SOA,
		  "tail.example." },
		{ "10-1-2-3-via-4294967296.tail.example", DNSMSG_AAAA, DNSMSG_NXDOMAIN, 1,
		  DNSMSG_SOA, "tail.example." },
		/* The only resolver is ourselves: refused, and not taken for "does not exist". */
		{ "www.loop.example", DNSMSG_A, DNSMSG_SERVFAIL, 0, 0, "" },
	};
	struct dns *d = tailnet();

	for (size_t i = 0; i < array_len(cases); i++) {
		struct got g = ask_local(d, cases[i].name, cases[i].type);

		if (!(CHECK_INT(g.rcode, cases[i].rcode) & CHECK_INT(g.records, cases[i].records) &
		      CHECK_INT(g.type, cases[i].first) & CHECK_STR(g.data, cases[i].data)))
			CHECK_STR(cases[i].name, "");
	}
	dns_destroy(d);
}

TEST(case_comes_back_as_it_was_sent)
{
	struct dns *d = tailnet();
	struct got g = ask_local(d, "oNe.TAIL.example", DNSMSG_A);

	CHECK(memcmp(g.name.b, "\3oNe\4TAIL", 9) == 0 && g.h.flags & DNSMSG_AA && g.ttl == 5);
	dns_destroy(d);
}

TEST(what_is_no_query)
{
	struct dns *d = tailnet();
	struct bytes b = make_query(1, "one.tail.example", DNSMSG_A, 0);
	uint8_t *p = (uint8_t *)b.p;
	struct got g;

	for (size_t n = 0; n < b.n; n++) {
		send_query(d, at_ms(0), kit_copy(bytes_of(b.p, n)));
		CHECK(next_reply(d, &g) == (n >= 12) && (n < 12 || g.rcode == DNSMSG_FORMERR));
	}
	p[b.n - 1] = 3; /* class CH */
	send_query(d, at_ms(0), b);
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_REFUSED);
	p[2] = 0x28; /* UPDATE */
	send_query(d, at_ms(0), b);
	CHECK(next_reply(d, &g) && g.rcode == DNSMSG_NOTIMP);
	p[2] = 0x80; /* a reply */
	send_query(d, at_ms(0), b);
	CHECK(!next_reply(d, &g));
	dns_destroy(d);
}

TEST(a_bad_configuration_changes_nothing)
{
	struct dns *d = tailnet();
	struct dns_conf conf = { .zone = "no..zone" };
	struct err err;

	CHECK(dns_set_conf(d, &conf, &err) == -1 && err.code == ERR_USAGE);
	CHECK_STR(ask_local(d, "one", DNSMSG_A).data, "100.64.0.1");
	conf.zone = NULL;
	CHECK(dns_set_conf(d, &conf, &err) == 0);
	CHECK_INT(ask_local(d, "one.tail.example", DNSMSG_A).rcode, DNSMSG_SERVFAIL);
	dns_destroy(d);
}
