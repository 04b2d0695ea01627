/* os/nft/nft_rule.c - see nft_rule.h. Expressions as `nft --debug=netlink` shows them. */
#include "os/nft/nft_rule.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

enum { IP4_SOURCE_OFFSET = 12, TCP_FLAGS_OFFSET = 13, TCP_SYN = 2, TCP_RST = 4, TCP_OPT_MSS = 2 };

struct nft_rule nft_rule_begin(struct nlmsghdr *msg, const char *table, const char *chain)
{
	mnl_attr_put_strz(msg, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(msg, NFTA_RULE_CHAIN, chain);
	return (struct nft_rule){ msg, mnl_attr_nest_start(msg, NFTA_RULE_EXPRESSIONS) };
}

void nft_rule_end(struct nft_rule *r)
{
	mnl_attr_nest_end(r->msg, r->list);
}

/* ---- expressions: an element with a name and nested attributes ---- */

struct expr {
	struct nlmsghdr *msg;
	struct nlattr *element, *data;
};

static struct expr expr(struct nft_rule *r, const char *name)
{
	struct expr e = { .msg = r->msg };

	e.element = mnl_attr_nest_start(e.msg, NFTA_LIST_ELEM);
	mnl_attr_put_strz(e.msg, NFTA_EXPR_NAME, name);
	e.data = mnl_attr_nest_start(e.msg, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct expr *e)
{
	mnl_attr_nest_end(e->msg, e->data);
	mnl_attr_nest_end(e->msg, e->element);
}

static void number(struct expr *e, uint16_t attr, uint32_t v)
{
	mnl_attr_put_u32(e->msg, attr, htonl(v));
}

static void value(struct expr *e, uint16_t attr, const void *data, uint32_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(e->msg, attr);

	mnl_attr_put(e->msg, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(e->msg, nest);
}

static void load_meta(struct nft_rule *r, uint32_t key)
{
	struct expr e = expr(r, "meta");

	number(&e, NFTA_META_KEY, key);
	number(&e, NFTA_META_DREG, NFT_REG_1);
	expr_end(&e);
}

static void load_ct(struct nft_rule *r, uint32_t key)
{
	struct expr e = expr(r, "ct");

	number(&e, NFTA_CT_KEY, key);
	number(&e, NFTA_CT_DREG, NFT_REG_1);
	expr_end(&e);
}

static void load_payload(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t len)
{
	struct expr e = expr(r, "payload");

	number(&e, NFTA_PAYLOAD_DREG, NFT_REG_1);
	number(&e, NFTA_PAYLOAD_BASE, base);
	number(&e, NFTA_PAYLOAD_OFFSET, offset);
	number(&e, NFTA_PAYLOAD_LEN, len);
	expr_end(&e);
}

static void compare(struct nft_rule *r, bool equal, const void *data, uint32_t len)
{
	struct expr e = expr(r, "cmp");

	number(&e, NFTA_CMP_SREG, NFT_REG_1);
	number(&e, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	value(&e, NFTA_CMP_DATA, data, len);
	expr_end(&e);
}

/* register = (register & mask) ^ flip */
static void bitwise(struct nft_rule *r, const void *mask, const void *flip, uint32_t len)
{
	struct expr e = expr(r, "bitwise");

	number(&e, NFTA_BITWISE_SREG, NFT_REG_1);
	number(&e, NFTA_BITWISE_DREG, NFT_REG_1);
	number(&e, NFTA_BITWISE_LEN, len);
	value(&e, NFTA_BITWISE_MASK, mask, len);
	value(&e, NFTA_BITWISE_XOR, flip, len);
	expr_end(&e);
}

static void bits(struct nft_rule *r, uint32_t mask, uint32_t flip)
{
	bitwise(r, &mask, &flip, sizeof(mask));
}

/* ---- matches ---- */

static void device_is(struct nft_rule *r, uint32_t key, const char *device, bool is)
{
	char name[IFNAMSIZ] = { 0 };

	memcpy(name, device, strnlen(device, IFNAMSIZ - 1));
	load_meta(r, key);
	compare(r, is, name, sizeof(name));
}

void nft_rule_from(struct nft_rule *r, const char *device, bool is)
{
	device_is(r, NFT_META_IIFNAME, device, is);
}

void nft_rule_to(struct nft_rule *r, const char *device)
{
	device_is(r, NFT_META_OIFNAME, device, true);
}

void nft_rule_source4(struct nft_rule *r, uint32_t net, unsigned len)
{
	uint8_t family = NFPROTO_IPV4;
	uint32_t mask = htonl(len ? ~0u << (32 - len) : 0), none = 0;

	net = htonl(net);
	load_meta(r, NFT_META_NFPROTO);
	compare(r, true, &family, sizeof(family));
	load_payload(r, NFT_PAYLOAD_NETWORK_HEADER, IP4_SOURCE_OFFSET, sizeof(net));
	bitwise(r, &mask, &none, sizeof(mask));
	compare(r, true, &net, sizeof(net));
}

void nft_rule_mark_is(struct nft_rule *r, uint32_t mask, uint32_t mark)
{
	load_meta(r, NFT_META_MARK);
	bits(r, mask, 0);
	compare(r, true, &mark, sizeof(mark));
}

void nft_rule_connmark_is(struct nft_rule *r, uint32_t mask, uint32_t mark)
{
	load_ct(r, NFT_CT_MARK);
	bits(r, mask, 0);
	compare(r, true, &mark, sizeof(mark));
}

void nft_rule_state(struct nft_rule *r, uint32_t states, bool is)
{
	uint32_t none = 0;

	load_ct(r, NFT_CT_STATE);
	bits(r, states, 0);
	compare(r, !is, &none, sizeof(none));
}

void nft_rule_tcp_syn(struct nft_rule *r)
{
	uint8_t protocol = IPPROTO_TCP, mask = TCP_SYN | TCP_RST, none = 0, syn = TCP_SYN;

	load_meta(r, NFT_META_L4PROTO);
	compare(r, true, &protocol, sizeof(protocol));
	load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_OFFSET, 1);
	bitwise(r, &mask, &none, 1);
	compare(r, true, &syn, 1);
}

/* ---- what then ---- */

void nft_rule_set_mark(struct nft_rule *r, uint32_t mask, uint32_t mark)
{
	struct expr e;

	load_meta(r, NFT_META_MARK);
	bits(r, ~mask, mark);
	e = expr(r, "meta");
	number(&e, NFTA_META_KEY, NFT_META_MARK);
	number(&e, NFTA_META_SREG, NFT_REG_1);
	expr_end(&e);
}

void nft_rule_set_connmark(struct nft_rule *r, uint32_t mask, uint32_t mark)
{
	struct expr e;

	load_ct(r, NFT_CT_MARK);
	bits(r, ~mask, mark);
	e = expr(r, "ct");
	number(&e, NFTA_CT_KEY, NFT_CT_MARK);
	number(&e, NFTA_CT_SREG, NFT_REG_1);
	expr_end(&e);
}

/* The kernel lowers the option to what the route takes and never raises it. */
void nft_rule_clamp_mss(struct nft_rule *r)
{
	struct expr e = expr(r, "rt");

	number(&e, NFTA_RT_KEY, NFT_RT_TCPMSS);
	number(&e, NFTA_RT_DREG, NFT_REG_1);
	expr_end(&e);
	e = expr(r, "byteorder");
	number(&e, NFTA_BYTEORDER_SREG, NFT_REG_1);
	number(&e, NFTA_BYTEORDER_DREG, NFT_REG_1);
	number(&e, NFTA_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	number(&e, NFTA_BYTEORDER_LEN, 2);
	number(&e, NFTA_BYTEORDER_SIZE, 2);
	expr_end(&e);
	e = expr(r, "exthdr");
	number(&e, NFTA_EXTHDR_SREG, NFT_REG_1);
	mnl_attr_put_u8(e.msg, NFTA_EXTHDR_TYPE, TCP_OPT_MSS);
	number(&e, NFTA_EXTHDR_OFFSET, 2);
	number(&e, NFTA_EXTHDR_LEN, 2);
	number(&e, NFTA_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
	expr_end(&e);
}

void nft_rule_masquerade(struct nft_rule *r)
{
	struct expr e = expr(r, "masq");

	expr_end(&e);
}

void nft_rule_verdict(struct nft_rule *r, int verdict, const char *chain)
{
	struct expr e = expr(r, "immediate");
	struct nlattr *data, *nest;

	number(&e, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(e.msg, NFTA_IMMEDIATE_DATA);
	nest = mnl_attr_nest_start(e.msg, NFTA_DATA_VERDICT);
	number(&e, NFTA_VERDICT_CODE, (uint32_t)verdict);
	if (chain)
		mnl_attr_put_strz(e.msg, NFTA_VERDICT_CHAIN, chain);
	mnl_attr_nest_end(e.msg, nest);
	mnl_attr_nest_end(e.msg, data);
	expr_end(&e);
}
