#include "wire/dnsmsg.h"

#include <stdlib.h>

#include "kit/kit.h"

/* A reply to www.example.com A: CNAME web.example.com, A 192.0.2.1, OPT 1232. */
#define REPLY                                                                                      \
	"12348180000100020000000103777777076578616d706c6503636f6d0000010001"                       \
	"c00c000500010000012c00060377656"                                                          \
	"2c010"                                                                                    \
	"c02d000100010000003c0004c0000201"                                                         \
	"00002904d0000080000000"

static struct dnsmsg_question question(const char *name, uint16_t type)
{
	struct dnsmsg_question q = { .type = type, .class = DNSMSG_IN };

	CHECK(dnsname_parse(&q.name, bytes_str(name)));
	return q;
}

static enum dnsmsg_next walk(struct bytes b, int *records)
{
	struct dnsmsg_question q;
	struct dnsmsg_record r;
	enum dnsmsg_next next;
	struct dnsmsg m;

	*records = 0;
	if (!dnsmsg_open(&m, b) || m.header.questions != 1 || !dnsmsg_question(&m, &q))
		return DNSMSG_BAD;
	while ((next = dnsmsg_next(&m, &r)) == DNSMSG_RECORD)
		++*records;
	return next;
}

TEST(dnsmsg_reads_a_reply)
{
	struct bytes b = kit_hex(REPLY);
	char text[DNSNAME_TEXT_MAX];
	struct dnsmsg_edns edns;
	struct dnsmsg_question q;
	struct dnsmsg_record r;
	struct dnsname name;
	struct dnsmsg m;
	struct ip ip = { 0 };

	CHECK(dnsmsg_open(&m, b) && m.header.id == 0x1234 && m.header.flags & DNSMSG_QR);
	CHECK(dnsmsg_question(&m, &q) && q.type == DNSMSG_A && q.class == DNSMSG_IN);
	CHECK_STR(dnsname_format(&q.name, text), "www.example.com.");
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_RECORD && r.type == DNSMSG_CNAME && r.ttl == 300);
	CHECK(dnsmsg_data_name(&m, &r, &name));
	CHECK_STR(dnsname_format(&name, text), "web.example.com.");
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_RECORD && dnsmsg_address(&r, &ip));
	CHECK(ip_equal(ip, ip_v4(192, 0, 2, 1)) && dnsname_equal(&r.name, &name));
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_RECORD && r.section == DNSMSG_ADDITIONAL);
	edns = dnsmsg_edns_of(&r);
	CHECK(edns.size == 1232 && edns.wants_dnssec && edns.version == 0);
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_END);
}

TEST(dnsmsg_truncations_are_bad)
{
	struct bytes b = kit_hex(REPLY);
	int records;

	CHECK(walk(b, &records) == DNSMSG_END && records == 3);
	for (size_t n = 0; n < b.n; n++)
		CHECK(walk(kit_copy(bytes_of(b.p, n)), &records) == DNSMSG_BAD);
}

TEST(dnsmsg_data_must_be_what_its_type_says)
{
	static const struct {
		uint16_t type;
		const char *data;
		bool good;
	} cases[] = {
		{ DNSMSG_A, "01020304", true },
		{ DNSMSG_A, "0102030405", false },
		{ DNSMSG_AAAA, "01020304", false },
		{ DNSMSG_CNAME, "c00c", true },
		{ DNSMSG_CNAME, "c00c00", false },
		{ DNSMSG_CNAME, "c01f", false }, /* points at itself */
		{ DNSMSG_MX, "000ac00c", true },
		{ DNSMSG_MX, "000a", false },
		{ DNSMSG_SRV, "000a000a01bbc00c", true },
		{ DNSMSG_SRV, "000a000a01bb", false },
		{ DNSMSG_TXT, "03616263", true },
		{ DNSMSG_TXT, "04616263", false },
		{ DNSMSG_SOA, "c00cc00c0000000100000002000000030000000400000005", true },
		{ DNSMSG_SOA, "c00cc00c00000001000000020000000300000004000000", false },
		{ 999, "ff", true },
	};
	struct dnsmsg_question q = question("x", DNSMSG_A);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t out[200];
		struct dnsmsg_out o;
		int records;

		dnsmsg_begin(&o, out, sizeof(out), 1, DNSMSG_QR, &q);
		dnsmsg_put(&o, DNSMSG_ANSWER, &q.name, cases[i].type, 1, kit_hex(cases[i].data));
		CHECK_INT(walk(kit_copy(bytes_of(out, dnsmsg_done(&o))), &records),
			  cases[i].good ? DNSMSG_END : DNSMSG_BAD);
	}
}

TEST(dnsmsg_builds_with_pointers_into_the_question)
{
	struct dnsmsg_question q = question("Host.Tail.net", DNSMSG_A);
	struct dnsname zone, other;
	struct dnsmsg_soa soa = { &zone, 7, 10 };
	struct dnsmsg_record r;
	uint8_t out[512];
	struct dnsmsg_out o;
	uint32_t minimum = 0;
	struct dnsmsg m;
	size_t n;

	dnsname_parse(&zone, bytes_str("tail.net"));
	dnsname_parse(&other, bytes_str("b.tail.net"));
	dnsmsg_begin(&o, out, sizeof(out), 9, DNSMSG_QR | DNSMSG_AA, &q);
	dnsmsg_put_ip(&o, &q.name, 5, ip_v4(100, 64, 0, 1));
	dnsmsg_put_name(&o, DNSMSG_ANSWER, &q.name, DNSMSG_CNAME, 5, &other);
	dnsmsg_put_soa(&o, DNSMSG_AUTHORITY, 10, &soa);
	dnsmsg_put_opt(&o, 1232, 0, true);
	n = dnsmsg_done(&o);
	/* question 12 + 15 + 4; A 2 + 10 + 4; CNAME 2 + 10 + 4; SOA 2 + 10 + 24; OPT 11 */
	CHECK_INT(n, 31 + 16 + 16 + 36 + 11);
	CHECK(memcmp(out + 12, "\4Host\4Tail\3net", 14) == 0);
	CHECK(dnsmsg_open(&m, kit_copy(bytes_of(out, n))) && dnsmsg_question(&m, &q));
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_RECORD && dnsname_equal(&r.name, &q.name));
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_RECORD && dnsmsg_data_name(&m, &r, &zone));
	CHECK(dnsname_equal(&zone, &other));
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_RECORD && dnsmsg_soa_minimum(&r, &minimum));
	CHECK_INT(minimum, 10);
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_RECORD && dnsmsg_edns_of(&r).wants_dnssec);
	CHECK(dnsmsg_next(&m, &r) == DNSMSG_END);
	CHECK_INT(dnsmsg_truncate(out, n), 31);
	CHECK(dnsmsg_open(&m, bytes_of(out, 31)) && m.header.flags & DNSMSG_TC);
	CHECK(m.header.records[0] == 0 && m.header.records[2] == 0);
}

TEST(dnsmsg_that_does_not_fit_is_nothing)
{
	struct dnsmsg_question q = question("host.tail.net", DNSMSG_A);

	for (size_t cap = 0; cap < 31 + 16 + 11; cap++) {
		uint8_t *out = malloc(cap + 1);
		struct dnsmsg_out o;

		dnsmsg_begin(&o, out, cap, 9, DNSMSG_QR, &q);
		dnsmsg_put_name(&o, DNSMSG_ANSWER, &q.name, DNSMSG_CNAME, 5, &q.name);
		dnsmsg_put_opt(&o, 1232, 0, false);
		CHECK_INT(dnsmsg_done(&o), cap < 31 + 14 + 11 ? 0 : 31 + 14 + 11);
		free(out);
	}
}

TEST(dnsmsg_of_64_kib)
{
	struct dnsmsg_question q = question("x", DNSMSG_A);
	uint8_t *out = malloc(DNSMSG_MAX + 1);
	struct dnsmsg_out o;
	int records, n = 0;

	memset(out, 0, DNSMSG_MAX + 1);
	dnsmsg_begin(&o, out, DNSMSG_MAX, 1, DNSMSG_QR, &q);
	for (; o.w.n + 16 <= DNSMSG_MAX; n++)
		dnsmsg_put_ip(&o, &q.name, 1, ip_v4_of((uint32_t)n));
	CHECK(dnsmsg_done(&o) > DNSMSG_MAX - 16);
	CHECK(walk(bytes_of(out, o.w.n), &records) == DNSMSG_END && records == n);
	CHECK(walk(bytes_of(out, DNSMSG_MAX), &records) == DNSMSG_END);
	CHECK(walk(bytes_of(out, DNSMSG_MAX + 1), &records) == DNSMSG_BAD);
	free(out);
}
