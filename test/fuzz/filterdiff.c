/*
 * The matcher against a naive reading of the same rules. Input: ten bytes a rule until a zero byte
 * begins one, then four bytes a packet.
 */
#include <stdlib.h>

#include "base/json.h"
#include "engine/filter/filter.h"

enum { RULE_BYTES = 10, RULES = 64, PACKET_BYTES = 4 };

struct plain {
	struct ip_range src, dst;
	uint16_t first, last;
	uint8_t proto; /* 0: the usual four */
};

static const uint8_t protos[] = { IPPKT_TCP, IPPKT_UDP, IPPKT_ICMP, 47 };

/* Small numbers, so that ranges overlap and packets hit them; 255 is everything. */
static struct ip_range range_of(uint8_t from, uint8_t length)
{
	if (from == 255)
		return (struct ip_range){ ip_v4_of(0), ip_v4_of(UINT32_MAX) };
	return (struct ip_range){ ip_v4(100, 64, 0, from),
				  ip_v4_of(0x64400000u + from + length % 32) };
}

static struct plain rule_of(struct reader *r)
{
	struct plain p = { 0 };
	uint8_t from, length, flags;

	(void)read_u8(r);
	from = read_u8(r);
	length = read_u8(r);
	p.src = range_of(from, length);
	from = read_u8(r);
	length = read_u8(r);
	p.dst = range_of(from, length);
	p.first = read_be16(r);
	flags = read_u8(r);
	p.last = p.first > UINT16_MAX - flags ? UINT16_MAX : (uint16_t)(p.first + flags);
	flags = read_u8(r);
	if (flags & 1)
		p.proto = protos[flags >> 1 & 3];
	if (flags & 8) {
		p.first = 0;
		p.last = UINT16_MAX;
	}
	(void)read_u8(r);
	return p;
}

static void put_range(struct buf *b, struct ip_range r)
{
	char text[RANGE_TEXT_MAX];

	(void)buf_printf(b, "\"%s\"",
			 ip_v4_u32(r.last) == UINT32_MAX ? "*" : range_format(r, text));
}

static void put_rule(struct buf *b, const struct plain *r, bool more)
{
	(void)buf_append_str(b, more ? ",{\"SrcIPs\":[" : "[{\"SrcIPs\":[");
	put_range(b, r->src);
	(void)buf_append_str(b, "],\"DstPorts\":[{\"IP\":");
	put_range(b, r->dst);
	(void)buf_printf(b, ",\"Ports\":{\"First\":%u,\"Last\":%u}}]", r->first, r->last);
	if (r->proto)
		(void)buf_printf(b, ",\"IPProto\":[%u]", r->proto);
	(void)buf_append_str(b, "}");
}

static bool rule_allows(const struct plain *r, const struct ippkt *p)
{
	if (!range_contains(r->src, p->src) || !range_contains(r->dst, p->dst))
		return false;
	if (p->proto == IPPKT_ICMP) /* any rule between two addresses admits ping */
		return true;
	if (r->proto ? r->proto != p->proto : p->proto == 47)
		return false;
	return p->has_ports ? r->first <= p->dst_port && p->dst_port <= r->last
			    : r->first == 0 && r->last == UINT16_MAX;
}

static struct ippkt packet_of(struct reader *r)
{
	struct ippkt p = { .version = 4, .tcp_flags = TCP_SYN, .icmp_type = 8, .src_port = 9 };
	uint8_t kind;

	p.src = ip_v4(100, 64, 0, read_u8(r));
	p.dst = ip_v4(100, 64, 0, read_u8(r));
	kind = read_u8(r);
	p.proto = protos[kind & 3];
	p.has_ports = p.proto == IPPKT_TCP || p.proto == IPPKT_UDP;
	p.has_icmp = p.proto == IPPKT_ICMP;
	p.dst_port = (uint16_t)((kind >> 2) * 1024 + read_u8(r));
	return p;
}

static struct filter *filter_of(const struct buf *text, struct filter_flows *flows)
{
	struct ip_range local = { ip_v4(100, 64, 0, 0), ip_v4(100, 64, 255, 255) };
	struct filter_conf conf = {
		.local = &local, .local_count = 1, .list_count = 1, .flows = flows
	};
	const struct json *list;
	struct filter *f;
	struct arena arena;

	arena_init(&arena, 1 << 22);
	list = json_parse(&arena, buf_bytes(text), 0, NULL);
	conf.lists = &list;
	f = filter_create(&conf, NULL, NULL);
	arena_fini(&arena);
	return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct filter_source anyone;
	struct reader r = reader_of(bytes_of(data, n));
	struct filter_flows *flows = filter_flows_create((const uint8_t *)"0123456789abcdef");
	struct plain rules[RULES];
	size_t count = 0;
	struct filter *f;
	struct buf text;

	buf_init(&text, 1 << 20);
	while (count < RULES && reader_left(&r) >= RULE_BYTES && *r.p) {
		rules[count] = rule_of(&r);
		put_rule(&text, &rules[count], count > 0);
		count++;
	}
	(void)buf_append_str(&text, count ? "]" : "[]");
	f = filter_of(&text, flows);
	while (f && reader_left(&r) >= PACKET_BYTES) {
		struct ippkt p = packet_of(&r);
		bool want = false;

		for (size_t i = 0; i < count; i++)
			want |= rule_allows(&rules[i], &p);
		if ((filter_in(f, &anyone, &p) == FILTER_ACCEPT_RULE) != want)
			abort();
	}
	filter_unref(f);
	filter_flows_destroy(flows);
	buf_fini(&text);
	return 0;
}
