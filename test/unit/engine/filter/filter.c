#include "engine/filter/filter.h"

#include "base/err.h"
#include "base/json.h"
#include "base/rand.h"
#include "kit/kit.h"

static const struct filter_source peer;

struct lab {
	struct filter *f;
	struct filter_flows *flows;
	size_t skipped;
};

static struct ip_range one(const char *text)
{
	struct ip_range r;

	CHECK(ip_parse(&r.first, bytes_str(text)));
	r.last = r.first;
	return r;
}

static struct lab lab_of(const char *rules, bool shields_up)
{
	struct ip_range local[] = { one("100.64.0.1"), one("fd7a:115c:a1e0::1"), one("10.0.0.7") };
	struct filter_conf conf = { .local = local, .local_count = 3, .shields_up = shields_up };
	const struct json *list;
	struct lab lab = { 0 };
	struct arena arena;
	struct err err;

	arena_init(&arena, 1 << 24);
	list = json_parse(&arena, bytes_str(rules), 0, &err);
	CHECK(list);
	lab.flows = filter_flows_create((const uint8_t *)"0123456789abcdef");
	conf.lists = &list;
	conf.list_count = 1;
	conf.flows = lab.flows;
	lab.f = filter_create(&conf, &lab.skipped, &err);
	CHECK(lab.f);
	arena_fini(&arena);
	return lab;
}

static void lab_end(struct lab *lab)
{
	filter_unref(lab->f);
	filter_flows_destroy(lab->flows);
}

static struct ippkt packet(const char *src, const char *dst, uint8_t proto, uint16_t port)
{
	struct ippkt p = { .proto = proto, .src_port = 5000, .dst_port = port };

	CHECK(ip_parse(&p.src, bytes_str(src)) && ip_parse(&p.dst, bytes_str(dst)));
	p.version = p.src.family;
	p.has_ports = proto == IPPKT_TCP || proto == IPPKT_UDP || proto == IPPKT_SCTP;
	p.tcp_flags = proto == IPPKT_TCP ? TCP_SYN : 0;
	p.has_icmp = proto == IPPKT_ICMP || proto == IPPKT_ICMP6;
	p.icmp_type = proto == IPPKT_ICMP ? 8 : proto == IPPKT_ICMP6 ? 128 : 0;
	return p;
}

static enum filter_verdict in(const struct lab *lab, struct ippkt p)
{
	return filter_in(lab->f, &peer, &p);
}

#define SSH                                                                                        \
	"[{\"SrcIPs\":[\"100.64.0.2\"],\"DstPorts\":[{\"IP\":\"100.64.0.1\",\"Ports\":{\"First\":" \
	"22,\"Last\":22}}]}]"

TEST(default_deny)
{
	struct lab lab = lab_of("[]", false);

	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 22)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_UDP, 53)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_ICMP, 0)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", 47, 0)) == FILTER_DROP_RULE);
	lab_end(&lab);
}

TEST(a_rule_opens_its_port_and_ping)
{
	struct lab lab = lab_of(SSH, false);
	struct ippkt p;

	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 22)) == FILTER_ACCEPT_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 23)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.3", "100.64.0.1", IPPKT_TCP, 22)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "10.0.0.7", IPPKT_TCP, 22)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.9", IPPKT_TCP, 22)) == FILTER_DROP_NOT_LOCAL);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_ICMP, 0)) == FILTER_ACCEPT_RULE);
	p = packet("100.64.0.9", "100.64.0.1", IPPKT_TCP, 22);
	p.tcp_flags = TCP_SYN | TCP_ACK; /* an answer to a connection of ours */
	CHECK(in(&lab, p) == FILTER_ACCEPT_TCP);
	p.tcp_flags = TCP_ACK;
	CHECK(in(&lab, p) == FILTER_ACCEPT_TCP);
	p.has_ports = false; /* a cut header says nothing, so it is nothing */
	CHECK(in(&lab, p) == FILTER_DROP_UNKNOWN);
	lab_end(&lab);
}

TEST(answers_to_our_udp_come_in)
{
	struct lab lab = lab_of("[]", true);
	struct ippkt out = packet("100.64.0.1", "100.64.0.2", IPPKT_UDP, 53), back;

	back = packet("100.64.0.2", "100.64.0.1", IPPKT_UDP, 5000);
	back.src_port = 53;
	CHECK(in(&lab, back) == FILTER_DROP_RULE);
	CHECK(filter_out(lab.f, &out) == FILTER_ACCEPT_OUT);
	CHECK(in(&lab, back) == FILTER_ACCEPT_FLOW);
	back.src_port = 54;
	CHECK(in(&lab, back) == FILTER_DROP_RULE);
	back.src_port = 53;
	back.proto = IPPKT_SCTP;
	CHECK(in(&lab, back) == FILTER_DROP_RULE);
	lab_end(&lab);
}

TEST(a_full_flow_table_forgets_but_never_opens_a_stranger)
{
	struct lab lab = lab_of("[]", false);
	unsigned remembered = 0, strangers = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		struct ippkt out = packet("100.64.0.1", "100.64.0.2", IPPKT_UDP, 53);

		out.dst = ip_v4_of(0x64400000 + i);
		(void)filter_out(lab.f, &out);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		struct ippkt back = packet("100.64.0.2", "100.64.0.1", IPPKT_UDP, 5000);

		back.src_port = 53;
		back.src = ip_v4_of(0x64400000 + i);
		remembered += in(&lab, back) == FILTER_ACCEPT_FLOW;
		back.src = ip_v4_of(0x64500000 + i);
		strangers += in(&lab, back) == FILTER_ACCEPT_FLOW;
	}
	CHECK(remembered > 4000 && remembered <= 8192);
	CHECK_INT(strangers, 0);
	lab_end(&lab);
}

TEST(shields_up_and_jailed_peers)
{
	struct lab open = lab_of("[{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{"
				 "\"First\":0,\"Last\":65535}}]}]",
				 false);
	struct lab shut = lab_of(SSH, true);
	struct filter_source jailed = { .jailed = true };
	struct ippkt p = packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 22);

	CHECK(in(&shut, p) == FILTER_DROP_RULE && in(&open, p) == FILTER_ACCEPT_RULE);
	CHECK(filter_in(open.f, &jailed, &p) == FILTER_DROP_RULE);
	lab_end(&open);
	lab_end(&shut);
}

TEST(other_protocols_need_to_be_named_and_all_ports)
{
	struct lab lab = lab_of("[{\"SrcIPs\":[\"*\"],\"IPProto\":[47],\"DstPorts\":[{\"IP\":\"*\","
				"\"Ports\":{\"First\":0,\"Last\":65535}}]},"
				"{\"SrcIPs\":[\"*\"],\"IPProto\":[50],\"DstPorts\":[{\"IP\":\"*\","
				"\"Ports\":{\"First\":1,\"Last\":65535}}]}]",
				false);

	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", 47, 0)) == FILTER_ACCEPT_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", 50, 0)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 22)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_UNKNOWN, 0)) ==
	      FILTER_DROP_UNKNOWN);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_TSMP, 0)) == FILTER_ACCEPT_TSMP);
	lab_end(&lab);
}

TEST(capabilities_as_sources)
{
	struct lab lab = lab_of("[{\"SrcIPs\":[\"cap:blue\"],\"DstPorts\":[{\"IP\":\"100.64.0.1\","
				"\"Ports\":{\"First\":80,\"Last\":80}}]}]",
				false);
	struct filter_source blue = { .caps = 1 };
	struct ippkt p = packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 80);

	CHECK(filter_cap_count(lab.f) == 1 && bytes_equal_str(filter_cap_name(lab.f, 0), "blue"));
	CHECK(in(&lab, p) == FILTER_DROP_RULE && filter_in(lab.f, &blue, &p) == FILTER_ACCEPT_RULE);
	p = packet("100.64.0.2", "10.0.0.7", IPPKT_ICMP, 0); /* the destination counts here too */
	CHECK(filter_in(lab.f, &blue, &p) == FILTER_DROP_RULE);
	lab_end(&lab);
}

TEST(shapes_that_never_pass)
{
	struct lab lab = lab_of("[{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{"
				"\"First\":0,\"Last\":65535}}]}]",
				false);
	struct ippkt p = packet("100.64.0.1", "224.0.0.1", IPPKT_UDP, 53);

	CHECK(filter_out(lab.f, &p) == FILTER_DROP_MULTICAST);
	p = packet("100.64.0.1", "169.254.1.1", IPPKT_UDP, 53);
	CHECK(filter_out(lab.f, &p) == FILTER_DROP_LINK_LOCAL);
	p = packet("100.64.0.1", "169.254.169.254", IPPKT_TCP, 80);
	CHECK(filter_out(lab.f, &p) == FILTER_ACCEPT_OUT);
	p = packet("100.64.0.1", "100.64.0.2", IPPKT_TSMP, 0);
	CHECK(filter_out(lab.f, &p) == FILTER_DROP_TSMP_OUT);
	p = packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 0);
	p.has_ports = false;
	p.fragment = IPPKT_LATER;
	p.fragment_offset = 79;
	CHECK(in(&lab, p) == FILTER_DROP_FRAGMENT);
	p.fragment_offset = 80;
	CHECK(in(&lab, p) == FILTER_ACCEPT_FRAGMENT);
	p.dst = ip_v4(9, 9, 9, 9);
	CHECK(in(&lab, p) == FILTER_DROP_NOT_LOCAL);
	lab_end(&lab);
}

TEST(mistakes_narrow_never_widen)
{
	struct lab lab = lab_of("[{\"SrcIPs\":[\"100.64.0.2/"
				"24\",7,\"nonsense\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{"
				"\"First\":0,\"Last\":65535}}]},"
				"{\"SrcIPs\":[\"*\"],\"SrcBits\":[32],\"DstPorts\":[{\"IP\":\"*\","
				"\"Ports\":{\"First\":0,\"Last\":65535}}]},"
				"{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\"},{\"IP\":\"x\","
				"\"Ports\":{\"First\":0,\"Last\":1}},"
				"{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":70000}}]},"
				"{\"SrcIPs\":[\"*\"],\"IPProto\":[300],\"DstPorts\":[{\"IP\":\"*\","
				"\"Ports\":{\"First\":0,\"Last\":65535}}]},"
				"\"rule\",null]",
				false);

	CHECK_INT(lab.skipped, 8);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_TCP, 22)) == FILTER_DROP_RULE);
	CHECK(in(&lab, packet("100.64.0.2", "100.64.0.1", IPPKT_ICMP, 0)) == FILTER_DROP_RULE);
	lab_end(&lab);
}

/* ---- against a naive reading of the rules ---- */

enum { RULES = 60 };

struct plain {
	struct ip_range src, dst;
	uint16_t first, last;
	uint8_t proto; /* 0: the usual four */
};

static struct ip_range random_range(struct rng *rng)
{
	uint32_t a = 0x64400000 + (uint32_t)rng_below(rng, 32),
		 b = a + (uint32_t)rng_below(rng, 16);

	if (rng_below(rng, 8) == 0)
		return (struct ip_range){ ip_v4_of(0), ip_v4_of(UINT32_MAX) };
	return (struct ip_range){ ip_v4_of(a), ip_v4_of(b) };
}

static void put_range(struct buf *b, struct ip_range r)
{
	char text[RANGE_TEXT_MAX];

	(void)buf_printf(b, "\"%s\"",
			 ip_v4_u32(r.last) == UINT32_MAX ? "*" : range_format(r, text));
}

static bool naive(const struct plain *rules, const struct ippkt *p)
{
	for (int i = 0; i < RULES; i++) {
		const struct plain *r = &rules[i];

		if (!range_contains(r->src, p->src) || !range_contains(r->dst, p->dst))
			continue;
		if (p->proto == IPPKT_ICMP)
			return true;
		if (r->proto ? r->proto != p->proto
			     : p->proto != IPPKT_TCP && p->proto != IPPKT_UDP)
			continue;
		if (p->has_ports ? r->first <= p->dst_port && p->dst_port <= r->last
				 : r->first == 0 && r->last == UINT16_MAX)
			return true;
	}
	return false;
}

TEST(matcher_agrees_with_a_naive_one)
{
	static const uint8_t protos[] = { IPPKT_TCP, IPPKT_UDP, IPPKT_ICMP, 47 };
	static struct plain rules[RULES];
	struct rng rng = rng_seeded(99);
	unsigned allowed = 0;

	for (int round = 0; round < 30; round++) {
		struct buf text;
		struct lab lab;

		buf_init(&text, 1 << 20);
		for (int i = 0; i < RULES; i++) {
			struct plain *r = &rules[i];
			bool all = rng_below(&rng, 3) == 0;

			r->src = random_range(&rng);
			r->dst = random_range(&rng);
			r->first = all ? 0 : (uint16_t)rng_below(&rng, 100);
			r->last = all ? UINT16_MAX : (uint16_t)(r->first + rng_below(&rng, 5));
			r->proto = rng_below(&rng, 2) ? protos[rng_below(&rng, 4)] : 0;
			(void)buf_printf(&text, "%s{\"SrcIPs\":[", i ? "," : "[");
			put_range(&text, r->src);
			(void)buf_append_str(&text, "],\"DstPorts\":[{\"IP\":");
			put_range(&text, r->dst);
			(void)buf_printf(&text, ",\"Ports\":{\"First\":%u,\"Last\":%u}}]", r->first,
					 r->last);
			if (r->proto)
				(void)buf_printf(&text, ",\"IPProto\":[%u]", r->proto);
			(void)buf_append_str(&text, "}");
		}
		(void)buf_append_str(&text, "]");
		lab = lab_of(buf_cstr(&text), false);
		CHECK_INT(lab.skipped, 0);
		for (int probe = 0; probe < 3000; probe++) {
			struct ippkt p =
			    packet("100.64.0.2", "100.64.0.1", protos[rng_below(&rng, 4)],
				   (uint16_t)rng_below(&rng, 110));
			bool got;

			p.src = ip_v4_of(0x64400000 + (uint32_t)rng_below(&rng, 50));
			got = in(&lab, p) == FILTER_ACCEPT_RULE;
			CHECK(got == naive(rules, &p));
			allowed += got;
		}
		lab_end(&lab);
		buf_fini(&text);
	}
	CHECK(allowed > 1000 && allowed < 80000); /* both answers were really tried */
}
