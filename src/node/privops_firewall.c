/* node/privops_firewall.c - the firewall in this process, and who else is there: os/nft, os/ipconf.
 */
#include "node/privops_local.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "os/ipconf.h"
#include "os/nft/nft.h"
#include "os/rtnl/rtnl.h"

#define MARK_CHECK "src_valid_mark-" /* a note: we switched it on for this interface */

static void keep_marks_on(void *arg, const char *interface)
{
	char note[NFT_NOTE_MAX];
	struct err *err = arg, one = { 0 };

	(void)snprintf(note, sizeof(note), MARK_CHECK "%s", interface);
	/* The note first: a crash in between must not leave a switch that nobody remembers. */
	if (nft_note(note, &one) < 0 || ipconf_set_mark_check(interface, true, &one) < 0)
		*err = one;
}

struct notes {
	char text[64][NFT_NOTE_MAX];
	size_t n;
};

static void collect_note(void *arg, const char *text)
{
	struct notes *notes = arg;

	if (notes->n < array_len(notes->text))
		(void)snprintf(notes->text[notes->n++], NFT_NOTE_MAX, "%s", text);
}

static void undo_notes(void)
{
	struct notes *notes = mem_alloc(sizeof(*notes));
	const size_t start = sizeof(MARK_CHECK) - 1;
	struct err ignored;

	(void)nft_notes(collect_note, notes, &ignored);
	for (size_t i = 0; i < notes->n; i++) {
		if (strncmp(notes->text[i], MARK_CHECK, start) != 0)
			continue;
		(void)ipconf_set_mark_check(notes->text[i] + start, false, &ignored);
		(void)nft_forget(notes->text[i], &ignored);
	}
	mem_free(notes);
}

int local_firewall(struct privops *p, const struct privops_firewall *f, struct err *err)
{
	struct local *l = local_of(p);
	struct nft_conf conf = { .device = l->device,
				 .hooks = f->mode == PRIVOPS_FIREWALL_ON,
				 .snat = f->snat,
				 .stateful = f->stateful,
				 .drop_spoofed = f->drop_spoofed,
				 .keep_marks = f->keep_marks };
	struct err failed = { 0 };

	if (f->mode > PRIVOPS_FIREWALL_ON)
		return err_set(err, ERR_USAGE, "there is no firewall mode %u", f->mode);
	if (f->mode == PRIVOPS_FIREWALL_OFF || !f->keep_marks)
		undo_notes();
	if (f->mode == PRIVOPS_FIREWALL_OFF)
		return nft_remove(err);
	if (local_need_device(l, err) < 0 || nft_apply(&conf, err) < 0)
		return -1;
	if (f->mode == PRIVOPS_FIREWALL_ON && f->keep_marks)
		ipconf_strict(keep_marks_on, &failed);
	if (failed.code == ERR_NONE)
		return 0;
	if (err)
		*err = failed;
	return -1;
}

/* ---- a look at the host ---- */

_Static_assert((int)PRIVOPS_CHAIN_MAX >= (int)NFT_DROPPER_MAX, "the name of a chain fits");

struct rival {
	unsigned own, found;
};

static void see_route(void *arg, const struct rtnl_route *r)
{
	struct rival *rival = arg;

	if (r->kind == RTNL_UNICAST && r->index && r->index != rival->own)
		rival->found = r->index;
}

/* The original uses the same routing table and the same rules. */
void local_find_rival(struct local *l, char out[PRIVOPS_NAME_MAX])
{
	struct rival rival = { .own = l->index };
	char name[IF_NAMESIZE];
	struct err ignored;

	(void)rtnl_route_list(l->rtnl, 4, PRIVOPS_ROUTE_TABLE, see_route, &rival, &ignored);
	(void)rtnl_route_list(l->rtnl, 6, PRIVOPS_ROUTE_TABLE, see_route, &rival, &ignored);
	if (rival.found && if_indextoname(rival.found, name))
		(void)snprintf(out, PRIVOPS_NAME_MAX, "%s", name);
}

int local_host(struct privops *p, struct privops_host *out, struct err *err)
{
	struct local *l = local_of(p);
	struct ipconf conf;

	(void)err;
	ipconf_look(&conf);
	*out = (struct privops_host){ .ipv6 = conf.ipv6,
				      .forward4 = conf.forward4,
				      .forward6 = conf.forward6,
				      .some4 = conf.some4,
				      .some6 = conf.some6 };
	local_find_rival(l, out->rival);
	memcpy(out->device, l->device, sizeof(out->device));
	(void)nft_dropper(l->device, out->dropper);
	return 0;
}

void local_firewall_restore(void)
{
	struct err ignored;

	undo_notes();
	(void)nft_remove(&ignored);
}
