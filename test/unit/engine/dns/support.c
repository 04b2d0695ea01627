#include "support.h"

const struct addrport r1 = { { 4, { 192, 0, 2, 1 } }, 53 }, r2 = { { 4, { 192, 0, 2, 2 } }, 53 };

struct mono at_ms(int64_t ms)
{
	return (struct mono){ (1000000 + ms) * 1000000 };
}

struct dns *tailnet(void)
{
	const struct ip v4 = ip_v4(100, 64, 0, 1),
			v6 =
			    ip_v6_of((uint8_t[16]){ 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 1 });
	const struct ip one[] = { v4, v6 }, two[] = { ip_v4(100, 64, 0, 2) };
	const struct dns_host hosts[] = { { "One.tail.example", one, 2, false },
					  { "two.a.tail.example.", two, 1, true },
					  { "bad..name", two, 1, false } };
	const struct dns_record records[] = { { "extra.other.example", ip_v4(10, 0, 0, 9) } };
	const struct addrport corp[] = { r2 },
			      global[] = { r1, r2, { ip_v4(100, 100, 100, 100), 53 } };
	const struct addrport self[] = { { v4, 53 } };
	const struct dns_route routes[] = { { "corp.example", corp, 1 },
					    { "loop.example", self, 1 },
					    { "private.example", NULL, 0 } };
	const struct dns_conf conf = { .zone = "tail.example",
				       .serial = 7,
				       .hosts = hosts,
				       .host_count = 3,
				       .records = records,
				       .record_count = 1,
				       .routes = routes,
				       .route_count = 3,
				       .resolvers = global,
				       .resolver_count = 3,
				       .own = one,
				       .own_count = 2 };
	struct dns *d = dns_create(rng_seeded(1));
	struct err err;

	CHECK(dns_set_conf(d, &conf, &err) == 0);
	CHECK_INT(dns_counters(d)->conf_skipped, 3); /* bad name, own address, service address */
	return d;
}

struct bytes make_query(uint16_t id, const char *name, uint16_t type, int edns_size)
{
	struct dnsmsg_question q = { .type = type, .class = DNSMSG_IN };
	uint8_t out[600];
	struct dnsmsg_out o;

	CHECK(dnsname_parse(&q.name, bytes_str(name)));
	dnsmsg_begin(&o, out, sizeof(out), id, DNSMSG_RD, &q);
	if (edns_size)
		dnsmsg_put_opt(&o, (uint16_t)edns_size, 0, false);
	return kit_copy(bytes_of(out, dnsmsg_done(&o)));
}

void send_query(struct dns *d, struct mono now, struct bytes message)
{
	const struct dns_client c = { { ip_v4(100, 64, 0, 1), 5000 }, 77, false };

	dns_input_query(d, now, &c, message);
}

bool next_reply(struct dns *d, struct got *g)
{
	struct dnsmsg_question q;
	struct dnsmsg_record r;
	struct dns_reply reply;
	enum dnsmsg_next next;
	struct dnsname name;
	struct dnsmsg m;
	struct ip ip;

	*g = (struct got){ .rcode = -1 };
	if (!dns_next_reply(d, &reply))
		return false;
	CHECK(reply.to.token == 77 && reply.message.n <= sizeof(g->b));
	g->n = reply.message.n;
	memcpy(g->b, reply.message.p, g->n);
	CHECK(dnsmsg_open(&m, bytes_of(g->b, g->n)));
	g->h = m.header;
	g->rcode = m.header.flags & DNSMSG_RCODE;
	if (m.header.questions == 1 && dnsmsg_question(&m, &q))
		g->name = q.name;
	while ((next = dnsmsg_next(&m, &r)) == DNSMSG_RECORD) {
		if (r.type == DNSMSG_OPT || g->records++)
			continue;
		g->ttl = r.ttl;
		g->type = r.type;
		if (dnsmsg_address(&r, &ip))
			ip_format(ip, g->data);
		else if (dnsmsg_data_name(&m, &r, &name))
			dnsname_format(&name, g->data);
	}
	CHECK(next == DNSMSG_END && m.at == g->n);
	return true;
}

struct got ask_local(struct dns *d, const char *name, uint16_t type)
{
	struct dns_query q;
	struct got g;

	send_query(d, at_ms(0), make_query(0xabcd, name, type, 0));
	CHECK(!dns_next_query(d, &q));
	CHECK(next_reply(d, &g) && g.h.id == 0xabcd);
	CHECK((g.h.flags & (DNSMSG_QR | DNSMSG_RA | DNSMSG_RD)) ==
	      (DNSMSG_QR | DNSMSG_RA | DNSMSG_RD));
	return g;
}

struct bytes make_answer(const struct dns_query *q, int rcode, const char *ip, uint32_t ttl)
{
	struct dnsmsg_soa soa = { 0 };
	struct dnsmsg_question question;
	uint8_t out[600];
	struct dnsmsg_out o;
	struct dnsname zone;
	struct dnsmsg m;
	struct ip addr;

	CHECK(dnsmsg_open(&m, bytes_of(q->message, q->n)) && dnsmsg_question(&m, &question));
	dnsmsg_begin(&o, out, sizeof(out), m.header.id,
		     (uint16_t)(DNSMSG_QR | DNSMSG_RD | DNSMSG_RA | rcode), &question);
	if (ip && ip_parse(&addr, bytes_str(ip)))
		dnsmsg_put_ip(&o, &question.name, ttl, addr);
	if (!ip) {
		CHECK(dnsname_parse(&zone, bytes_str("example")));
		soa = (struct dnsmsg_soa){ &zone, 1, ttl };
		dnsmsg_put_soa(&o, DNSMSG_AUTHORITY, ttl, &soa);
	}
	dnsmsg_put_opt(&o, 1232, 0, false);
	return kit_copy(bytes_of(out, dnsmsg_done(&o)));
}
