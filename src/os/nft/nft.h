/*
 * os/nft/nft.h - our one nftables table, "inet weft": what the host does with packets that it
 * forwards for the tunnel, and with marked packets of our own.
 *
 *   input        packets that claim to come from the tailnet but came another way are dropped
 *   forward      from the tunnel: marked, so that postrouting knows them; MSS made to fit
 *   postrouting  marked ones leave with this host's address (source NAT)
 *   prerouting, output   the mark of our sockets travels with its connection (conntrack mark)
 *
 * Each change is one transaction: the kernel takes all of it or nothing. Nobody else's table is
 * touched, so a drop elsewhere still drops. Upstream: util/linuxfw.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum {
	NFT_MARK_MASK = 0xff0000,
	NFT_MARK_FORWARD = 0x40000, /* came from the tunnel */
	NFT_MARK_OWN = 0x80000,     /* sockets of the daemon */
	NFT_NOTE_MAX = 64,
	NFT_NAME_MAX = 32,
	NFT_DROPPER_MAX = 5 + 2 * NFT_NAME_MAX,
};

struct nft_conf {
	const char *device; /* of the tunnel; at most 15 characters */
	bool hooks;         /* false: chains that nothing calls; an administrator may */
	bool snat;          /* forwarded packets leave with our address */
	bool stateful;      /* forwarded into the tunnel: only answers */
	bool drop_spoofed;  /* 100.64.0.0/10 from elsewhere than the tunnel */
	bool keep_marks;    /* for strict reverse path checks while an exit node is used */
};

int nft_apply(const struct nft_conf *conf, struct err *err);
int nft_remove(struct err *err); /* no table is a success */

/*
 * Notes live in the table as empty chains called "note-TEXT", so that they last exactly as long as
 * the kernel state that they speak of: past a crash of the daemon, not past a reboot. They go with
 * the table.
 */
int nft_note(const char *text, struct err *err);
int nft_forget(const char *text, struct err *err); /* one that is there */
int nft_notes(void (*each)(void *arg, const char *text), void *arg, struct err *err);

/*
 * Does a chain of somebody else drop what this host forwards, by its policy and without a word
 * about our device? An own table cannot overrule it. out: "family table chain". Rules of the old
 * xtables are not seen.
 */
bool nft_dropper(const char *device, char out[NFT_DROPPER_MAX]);

/* The chain of every rule in the table: for tests and reports. */
int nft_rules(void (*each)(void *arg, const char *chain), void *arg, struct err *err);
