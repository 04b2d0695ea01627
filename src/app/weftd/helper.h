/*
 * app/weftd/helper.h - the privileged half of the daemon, and its parent: makes what needs root,
 * starts the engine as somebody else, does what it asks for (node/privops_table.h), puts the host
 * back as it was when the engine ends, however it ends. It never reads a secret and parses nothing
 * but the engine's fixed messages. doc/design/privsep.md.
 */
#pragma once

struct err;
struct log_sink;
struct weftd_options;

/* argv: the command line without the program's name, ends with NULL. *status: of the engine. */
int helper_run(const struct weftd_options *o, char *const *argv, struct log_sink *sink, int *status,
	       struct err *err);

enum { HELPER_FDS = 3 };
struct helper_fds {
	int sock, listener;
	int folder; /* of the state, as a place to stand in */
};
/* The other side of it: `engine SOCKET LISTENER FOLDER ...`. The descriptors, checked. */
int helper_child_fds(int argc, char **argv, struct helper_fds *fds, struct err *err);
