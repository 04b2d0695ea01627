/* node/pathwhy.c - see pathwhy.h. */
#include "node/pathwhy.h"

#include "part/netcheck.h"
#include "wire/tailcfg_hostinfo.h"

static const struct {
	const char *code, *sentence, *advice;
} texts[] = {
#define X(name, c, s, a) { c, s, a },
	PATHWHYS(X)
#undef X
};

static enum pathwhy no_answer(const struct pathwhy_facts *f)
{
	bool here = f->ours && f->ours->varies_known && f->ours->varies;
	bool there = f->theirs && f->theirs->mapping_varies_by_dest_ip == OPT_TRUE;

	if (here && there)
		return PATHWHY_HARD_BOTH;
	if (here)
		return PATHWHY_HARD_HERE;
	/* Some servers keep what a node says of its network to themselves. */
	if (f->no_public && !f->theirs)
		return PATHWHY_NO_PUBLIC;
	return there ? PATHWHY_HARD_THERE : PATHWHY_NO_ANSWER;
}

/* The order is that of certainty: what cannot change by waiting stands before what may. */
enum pathwhy pathwhy_of(const struct pathwhy_facts *f)
{
	if (f->pings == MAGIC_WHY_DIRECT)
		return PATHWHY_DIRECT;
	if (f->offline)
		return PATHWHY_OFFLINE;
	if (f->pings == MAGIC_WHY_NO_DISCO)
		return PATHWHY_NO_DISCO;
	if (f->ours && !f->ours->udp)
		return PATHWHY_NO_UDP;
	if (f->theirs && f->theirs->working_udp == OPT_FALSE)
		return PATHWHY_PEER_NO_UDP;
	switch (f->pings) {
	case MAGIC_WHY_IDLE:
		return PATHWHY_IDLE;
	case MAGIC_WHY_SEEKING:
		return PATHWHY_SEEKING;
	case MAGIC_WHY_NO_ADDRESS:
		return PATHWHY_NO_ADDRESS;
	case MAGIC_WHY_LOST:
		return PATHWHY_LOST;
	default:
		return no_answer(f);
	}
}

const char *pathwhy_code(enum pathwhy w)
{
	return texts[w].code;
}

const char *pathwhy_sentence(enum pathwhy w)
{
	return texts[w].sentence;
}

const char *pathwhy_advice(enum pathwhy w)
{
	return texts[w].advice;
}
