/* os/nft/nft.c - see nft.h. One batch of netlink messages per change. */
#include "os/nft/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "os/nft/nft_rule.h"

#define TABLE "weft"
#define NOTE "note-"

enum { BATCH_MAX = 32 << 10, ANSWER_MAX = 32 << 10 };

/* ---- a transaction ---- */

struct batch {
	struct mnl_nlmsg_batch *list;
	uint32_t seq;
	_Alignas(8) char room[2 * BATCH_MAX];
};

static struct nlmsghdr *head(void *at, uint16_t type, uint8_t family, uint16_t flags, uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(at);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = seq;
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

/* The first and the last message of a batch. */
static void put_bracket(struct batch *b, uint16_t type)
{
	struct nlmsghdr *h = head(mnl_nlmsg_batch_current(b->list), type, AF_UNSPEC, 0, b->seq++);
	struct nfgenmsg *g = mnl_nlmsg_get_payload(h);

	g->res_id = htons(NFNL_SUBSYS_NFTABLES);
	(void)mnl_nlmsg_batch_next(b->list);
}

static struct batch *batch_begin(void)
{
	struct batch *b = mem_alloc(sizeof(*b));

	b->seq = (uint32_t)time(NULL);
	b->list = mnl_nlmsg_batch_start(b->room, BATCH_MAX);
	if (!b->list)
		abort(); /* small and of fixed size: as mem_alloc() does */
	put_bracket(b, NFNL_MSG_BATCH_BEGIN);
	return b;
}

static struct nlmsghdr *message(struct batch *b, uint16_t type, uint16_t flags)
{
	return head(mnl_nlmsg_batch_current(b->list), (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
		    NFPROTO_INET, flags, b->seq++);
}

static struct mnl_socket *open_socket(struct err *err)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0)
		return s;
	err_sys(err, "open nfnetlink");
	if (s)
		(void)mnl_socket_close(s);
	return NULL;
}

/* The kernel works while we send; whatever it complains about is there afterwards. */
static int first_complaint(struct mnl_socket *s)
{
	uint8_t answer[8192];
	int first = 0;
	ssize_t n;

	while ((n = recv(mnl_socket_get_fd(s), answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *h = (const void *)answer;
		int left = (int)n;

		for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type == NLMSG_ERROR && !first && e->error)
				first = -e->error;
		}
	}
	return first;
}

/* Takes b. Returns 0, or -1 with errno. */
static int batch_commit(struct batch *b, struct err *err)
{
	struct mnl_socket *s = open_socket(err);
	int ret = -1;

	if (!s)
		goto out;
	put_bracket(b, NFNL_MSG_BATCH_END);
	if (mnl_socket_sendto(s, mnl_nlmsg_batch_head(b->list), mnl_nlmsg_batch_size(b->list)) <
	    0) {
		(void)err_sys(err, "send nftables rules");
		goto out;
	}
	errno = first_complaint(s);
	ret = errno ? err_sys(err, "nftables refused the rules") : 0;
out:
	if (s)
		(void)mnl_socket_close(s);
	mnl_nlmsg_batch_stop(b->list);
	mem_free(b);
	return ret;
}

/* ---- words of a transaction ---- */

static void put_table(struct batch *b, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = message(b, type, flags);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, TABLE);
	(void)mnl_nlmsg_batch_next(b->list);
}

struct hook {
	const char *chain, *calls, *type;
	uint32_t number;
	int32_t priority;
};

static const struct hook hooks[] = {
	{ "input", "weft-input", "filter", NF_INET_LOCAL_IN, 0 },
	{ "forward", "weft-forward", "filter", NF_INET_FORWARD, 0 },
	{ "postrouting", "weft-postrouting", "nat", NF_INET_POST_ROUTING, 100 },
	{ "prerouting", "weft-prerouting", "filter", NF_INET_PRE_ROUTING, -150 },
	{ "output", "weft-output", "filter", NF_INET_LOCAL_OUT, -150 },
};

/* at NULL: a chain that others call. */
static void put_chain(struct batch *b, uint16_t type, const char *name, const struct hook *at)
{
	struct nlmsghdr *h = message(b, type, type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0);
	struct nlattr *nest;

	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, TABLE);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, name);
	if (at) {
		nest = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
		mnl_attr_put_u32(h, NFTA_HOOK_HOOKNUM, htonl(at->number));
		mnl_attr_put_u32(h, NFTA_HOOK_PRIORITY, htonl((uint32_t)at->priority));
		mnl_attr_nest_end(h, nest);
		mnl_attr_put_u32(h, NFTA_CHAIN_POLICY, htonl(NF_ACCEPT));
		mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, at->type);
	}
	(void)mnl_nlmsg_batch_next(b->list);
}

static struct nft_rule rule(struct batch *b, const char *chain)
{
	return nft_rule_begin(message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND), TABLE,
			      chain);
}

static void put_rule(struct batch *b, struct nft_rule *r)
{
	nft_rule_end(r);
	(void)mnl_nlmsg_batch_next(b->list);
}

static void flush(struct batch *b, const char *chain)
{
	struct nlmsghdr *h = message(b, NFT_MSG_DELRULE, 0);

	mnl_attr_put_strz(h, NFTA_RULE_TABLE, TABLE);
	mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chain);
	(void)mnl_nlmsg_batch_next(b->list);
}

/* ---- the rules; upstream: util/linuxfw ---- */

static void end(struct batch *b, struct nft_rule *r, int verdict)
{
	nft_rule_verdict(r, verdict, NULL);
	put_rule(b, r);
}

static void put_input(struct batch *b, const struct nft_conf *conf)
{
	struct nft_rule r = rule(b, "weft-input");

	/* This host speaking to itself. */
	nft_rule_from(&r, "lo", true);
	end(b, &r, NF_ACCEPT);
	r = rule(b, "weft-input");
	nft_rule_from(&r, conf->device, true);
	end(b, &r, NF_ACCEPT);
	if (!conf->drop_spoofed)
		return;
	/* 100.115.92.0/23 is never given to nodes: some systems use it for their guests. */
	r = rule(b, "weft-input");
	nft_rule_source4(&r, 0x64735c00, 23);
	end(b, &r, NFT_RETURN);
	r = rule(b, "weft-input");
	nft_rule_source4(&r, 0x64400000, 10);
	end(b, &r, NF_DROP);
}

/* Hosts behind us believe in 1500 bytes, and too many networks lose the message that says no. */
static void put_clamp(struct batch *b, const char *device, bool to)
{
	struct nft_rule r = rule(b, "weft-forward");

	if (to)
		nft_rule_to(&r, device);
	else
		nft_rule_from(&r, device, true);
	nft_rule_tcp_syn(&r);
	nft_rule_clamp_mss(&r);
	put_rule(b, &r);
}

static void put_forward(struct batch *b, const struct nft_conf *conf)
{
	struct nft_rule r = rule(b, "weft-forward");

	nft_rule_from(&r, conf->device, true);
	nft_rule_set_mark(&r, NFT_MARK_MASK, NFT_MARK_FORWARD);
	put_rule(b, &r);
	put_clamp(b, conf->device, true);
	put_clamp(b, conf->device, false);
	r = rule(b, "weft-forward");
	nft_rule_mark_is(&r, NFT_MARK_MASK, NFT_MARK_FORWARD);
	end(b, &r, NF_ACCEPT);
	/* Nobody behind us speaks with the address of a node. */
	r = rule(b, "weft-forward");
	nft_rule_to(&r, conf->device);
	nft_rule_source4(&r, 0x64400000, 10);
	end(b, &r, NF_DROP);
	if (!conf->stateful)
		return;
	r = rule(b, "weft-forward");
	nft_rule_to(&r, conf->device);
	nft_rule_state(&r, NFT_STATE_ESTABLISHED | NFT_STATE_RELATED, false);
	end(b, &r, NF_DROP);
}

static void put_snat(struct batch *b, const struct nft_conf *conf)
{
	struct nft_rule r;

	if (!conf->snat)
		return;
	r = rule(b, "weft-postrouting");
	nft_rule_mark_is(&r, NFT_MARK_MASK, NFT_MARK_FORWARD);
	nft_rule_masquerade(&r);
	put_rule(b, &r);
}

/*
 * With an exit node, the way back to an answer's sender leads into the tunnel for every packet
 * without our mark, and a strict reverse path check would drop what comes in elsewhere. The mark of
 * the question is kept with the connection and put on its answers; of every packet and not only of
 * a connection's first, as those to control and peers are older than the choice. One rule per
 * value: kernels cannot join two registers, and the bits of others must stay.
 */
static void put_marks(struct batch *b, const struct nft_conf *conf)
{
	struct nft_rule r;

	if (!conf->keep_marks)
		return;
	r = rule(b, "weft-output");
	nft_rule_mark_is(&r, NFT_MARK_MASK, NFT_MARK_OWN);
	nft_rule_set_connmark(&r, NFT_MARK_MASK, NFT_MARK_OWN);
	put_rule(b, &r);
	r = rule(b, "weft-prerouting");
	nft_rule_state(&r, NFT_STATE_ESTABLISHED | NFT_STATE_RELATED, true);
	nft_rule_connmark_is(&r, NFT_MARK_MASK, NFT_MARK_OWN);
	nft_rule_set_mark(&r, NFT_MARK_MASK, NFT_MARK_OWN);
	put_rule(b, &r);
}

static void put_hook(struct batch *b, const struct hook *h, bool wanted)
{
	struct nft_rule r;

	put_chain(b, NFT_MSG_NEWCHAIN, h->chain, h);
	flush(b, h->chain);
	if (!wanted) {
		put_chain(b, NFT_MSG_DELCHAIN, h->chain, NULL);
		return;
	}
	r = rule(b, h->chain);
	nft_rule_verdict(&r, NFT_JUMP, h->calls);
	put_rule(b, &r);
}

int nft_apply(const struct nft_conf *conf, struct err *err)
{
	struct batch *b = batch_begin();

	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	for (size_t i = 0; i < array_len(hooks); i++) {
		put_chain(b, NFT_MSG_NEWCHAIN, hooks[i].calls, NULL);
		flush(b, hooks[i].calls);
	}
	put_input(b, conf);
	put_forward(b, conf);
	put_snat(b, conf);
	put_marks(b, conf);
	for (size_t i = 0; i < array_len(hooks); i++)
		put_hook(b, &hooks[i], conf->hooks);
	return batch_commit(b, err);
}

int nft_remove(struct err *err)
{
	struct batch *b = batch_begin();

	/* Deleting what is not there is an error: make it first. */
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	put_table(b, NFT_MSG_DELTABLE, 0);
	return batch_commit(b, err);
}

static int change_note(uint16_t type, const char *text, struct err *err)
{
	char name[NFT_NOTE_MAX + sizeof(NOTE)];
	struct batch *b;

	if (strlen(text) >= NFT_NOTE_MAX)
		return err_set(err, ERR_INTERNAL, "a note is too long");
	(void)snprintf(name, sizeof(name), NOTE "%s", text);
	b = batch_begin();
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	put_chain(b, type, name, NULL);
	return batch_commit(b, err);
}

int nft_note(const char *text, struct err *err)
{
	return change_note(NFT_MSG_NEWCHAIN, text, err);
}

int nft_forget(const char *text, struct err *err)
{
	return change_note(NFT_MSG_DELCHAIN, text, err);
}

/* ---- looking ---- */

static int dump(uint16_t type, uint8_t family, mnl_cb_t each, void *arg, struct err *err)
{
	struct mnl_socket *s = open_socket(err);
	_Alignas(8) char request[256];
	uint8_t *answer = mem_alloc(ANSWER_MAX);
	uint32_t seq = (uint32_t)time(NULL);
	struct nlmsghdr *h;
	ssize_t n;
	int more = 1;

	if (!s)
		goto out;
	h = head(request, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), family, NLM_F_DUMP, seq);
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		more = err_sys(err, "ask nftables");
	while (more > 0) {
		n = mnl_socket_recvfrom(s, answer, ANSWER_MAX);
		more =
		    n < 0 ? -1
			  : mnl_cb_run(answer, (size_t)n, seq, mnl_socket_get_portid(s), each, arg);
		if (more < 0)
			(void)err_sys(err, "read nftables");
	}
	(void)mnl_socket_close(s);
out:
	mem_free(answer);
	return s && more == 0 ? 0 : -1;
}

struct looking {
	uint16_t table_attr, name_attr;
	const char *start; /* of names that count; what follows is told */
	void (*each)(void *arg, const char *text);
	void *arg;
};

/* Chains and rules alike: a table's and a chain's name among their attributes. */
static int see(const struct nlmsghdr *h, void *data)
{
	const struct looking *l = data;
	const char *table = NULL, *name = NULL;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0)
			continue;
		if (mnl_attr_get_type(a) == l->table_attr)
			table = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == l->name_attr)
			name = mnl_attr_get_str(a);
	}
	if (table && name && !strcmp(table, TABLE) && !strncmp(name, l->start, strlen(l->start)))
		l->each(l->arg, name + strlen(l->start));
	return MNL_CB_OK;
}

int nft_notes(void (*each)(void *arg, const char *text), void *arg, struct err *err)
{
	struct looking l = { NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NOTE, each, arg };

	return dump(NFT_MSG_GETCHAIN, NFPROTO_INET, see, &l, err);
}

int nft_rules(void (*each)(void *arg, const char *chain), void *arg, struct err *err)
{
	struct looking l = { NFTA_RULE_TABLE, NFTA_RULE_CHAIN, "", each, arg };

	return dump(NFT_MSG_GETRULE, NFPROTO_INET, see, &l, err);
}

/* ---- others that drop what we forward ---- */

struct dropper {
	const char *device;
	uint8_t family; /* 0: none */
	char table[NFT_NAME_MAX], chain[NFT_NAME_MAX];
	bool knows_device;
};

static bool is_plain(const char *name)
{
	return strlen(name) < NFT_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		   strlen(name);
}

static uint32_t hook_number(const struct nlattr *hook)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, hook)
	{
		if (mnl_attr_get_type(a) == NFTA_HOOK_HOOKNUM &&
		    mnl_attr_validate(a, MNL_TYPE_U32) == 0)
			return ntohl(mnl_attr_get_u32(a));
	}
	return UINT32_MAX;
}

static int see_base_chain(const struct nlmsghdr *h, void *data)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	const char *table = NULL, *name = NULL;
	uint32_t hook = UINT32_MAX, policy = NF_ACCEPT;
	struct dropper *d = data;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(*g))
	{
		uint16_t type = mnl_attr_get_type(a);

		if (type == NFTA_CHAIN_TABLE && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			table = mnl_attr_get_str(a);
		else if (type == NFTA_CHAIN_NAME && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
			name = mnl_attr_get_str(a);
		else if (type == NFTA_CHAIN_HOOK)
			hook = hook_number(a);
		else if (type == NFTA_CHAIN_POLICY && mnl_attr_validate(a, MNL_TYPE_U32) == 0)
			policy = ntohl(mnl_attr_get_u32(a));
	}
	if (d->family || hook != NF_INET_FORWARD || policy != NF_DROP || !table || !name ||
	    !is_plain(table) || !is_plain(name))
		return MNL_CB_OK;
	if (g->nfgen_family != NFPROTO_INET && g->nfgen_family != NFPROTO_IPV4 &&
	    g->nfgen_family != NFPROTO_IPV6)
		return MNL_CB_OK;
	d->family = g->nfgen_family;
	(void)snprintf(d->table, sizeof(d->table), "%s", table);
	(void)snprintf(d->chain, sizeof(d->chain), "%s", name);
	return MNL_CB_OK;
}

/* Whoever names our device in that table has thought of us. */
static int see_device(const struct nlmsghdr *h, void *data)
{
	struct dropper *d = data;
	const struct nlattr *a;
	bool same = false;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) same =
	    same || (mnl_attr_get_type(a) == NFTA_RULE_TABLE &&
		     mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 &&
		     !strcmp(mnl_attr_get_str(a), d->table));
	if (same && memmem(mnl_nlmsg_get_payload(h), mnl_nlmsg_get_payload_len(h), d->device,
			   strlen(d->device)))
		d->knows_device = true;
	return MNL_CB_OK;
}

bool nft_dropper(const char *device, char out[NFT_DROPPER_MAX])
{
	struct dropper d = { .device = device };
	struct err ignored;

	if (!*device || dump(NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, see_base_chain, &d, &ignored) < 0 ||
	    !d.family || dump(NFT_MSG_GETRULE, d.family, see_device, &d, &ignored) < 0 ||
	    d.knows_device)
		return false;
	(void)snprintf(out, NFT_DROPPER_MAX, "%s %s %s",
		       d.family == NFPROTO_INET   ? "inet"
		       : d.family == NFPROTO_IPV4 ? "ip"
						  : "ip6",
		       d.table, d.chain);
	return true;
}
