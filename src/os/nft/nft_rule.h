/* os/nft/nft_rule.h - the few words that our rules are made of, as netlink attributes.
 *
 * A rule is a message in the making: its expressions are appended between begin and end. Register 1
 * carries everything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

struct nft_rule {
	struct nlmsghdr *msg;
	void *list; /* the open nest of expressions */
};

/* msg: NFT_MSG_NEWRULE with its head, with room for a kilobyte. */
struct nft_rule nft_rule_begin(struct nlmsghdr *msg, const char *table, const char *chain);
void nft_rule_end(struct nft_rule *r);

/* Matches. */
void nft_rule_from(struct nft_rule *r, const char *device, bool is); /* it came through it */
void nft_rule_to(struct nft_rule *r, const char *device);
void nft_rule_source4(struct nft_rule *r, uint32_t net, unsigned len); /* host order */
void nft_rule_mark_is(struct nft_rule *r, uint32_t mask, uint32_t mark);
void nft_rule_connmark_is(struct nft_rule *r, uint32_t mask, uint32_t mark);
void nft_rule_state(struct nft_rule *r, uint32_t states, bool is); /* any of the bits */
void nft_rule_tcp_syn(struct nft_rule *r);

/* What then. Bits outside of the mask stay. */
void nft_rule_set_mark(struct nft_rule *r, uint32_t mask, uint32_t mark);
void nft_rule_set_connmark(struct nft_rule *r, uint32_t mask, uint32_t mark);
void nft_rule_clamp_mss(struct nft_rule *r);
void nft_rule_masquerade(struct nft_rule *r);
void nft_rule_verdict(struct nft_rule *r, int verdict, const char *chain); /* NF_..., NFT_... */

enum { NFT_STATE_ESTABLISHED = 2, NFT_STATE_RELATED = 4 };
