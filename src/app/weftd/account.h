/* app/weftd/account.h - who the unprivileged half of the daemon is, and that its state is its own.
 */
#pragma once

#include <sys/types.h>

struct err;

struct account {
	uid_t uid;
	gid_t gid;
};

/*
 * wanted: the name of a user, never root; NULL: `weft` when there is such a user, else a number
 * that nobody else has (see doc/design/privsep.md). The same one each time for the same folder.
 */
int account_choose(struct account *a, const char *wanted, const char *statedir, struct err *err);

/*
 * Makes the folder, or takes over one of an earlier version that ran as root: mode 0700, all of it
 * the account's. Refuses a folder that holds other things than a state.
 */
int account_take_folder(const struct account *a, const char *dir, struct err *err);
