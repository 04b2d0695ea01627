/* os/resolver/resolver_priv.h - what the files of this folder share. Used in the resolver's thread.
 */
#pragma once

#include "base/bytes.h"
#include "os/resolver/resolver.h"
#include "os/resolver/resolver_decide.h"

struct sd_bus;
struct err;

enum { RESOLVER_PATH_MAX = 256 };

struct resolver_paths {
	char root[RESOLVER_PATH_MAX - 128];
	char conf[RESOLVER_PATH_MAX];
	char backup[RESOLVER_PATH_MAX];  /* in the same folder, so that relative links stay true */
	char fresh[RESOLVER_PATH_MAX];   /* ours, just before it trades places with conf */
	char cover[RESOLVER_PATH_MAX];   /* what is mounted over conf */
	char state[RESOLVER_PATH_MAX];   /* which manager holds our wishes, for the next start */
	char lock[RESOLVER_PATH_MAX];    /* held while something of ours is set */
	char program[RESOLVER_PATH_MAX]; /* resolvconf; empty: there is none */
};

int resolver_paths_init(struct resolver_paths *p, const struct resolver_conf *conf,
			struct err *err);
/* root and then path, in out. */
void resolver_paths_join(const struct resolver_paths *p, const char *path,
			 char out[RESOLVER_PATH_MAX]);

int resolver_make_folder_of(const char *path, struct err *err);

/* ---- resolver_file.c: the file itself ---- */

/* /etc/resolv.conf beneath our own change. */
struct resolver_host {
	bool exists;
	bool whole;     /* text is all of it: one that is too long is not read */
	bool ours;      /* our text is what programs read now */
	bool overtaken; /* see resolver_file_set() */
	char link[256];
	struct buf text; /* of the host's */
	struct buf now;  /* of what programs read */
};

void resolver_host_read(struct resolver_host *h, const struct resolver_paths *p);
void resolver_host_fini(struct resolver_host *h);
/* mount_point, immutable, *_writable, can_mount */
void resolver_file_look(struct resolver_facts *f, const struct resolver_paths *p);
/*
 * manager: FILE, IN_PLACE or MOUNT. host: as read just before; its overtaken is set when another
 * program wrote the file since then (what it wrote is the backup now).
 */
int resolver_file_set(const struct resolver_paths *p, enum resolver_manager manager,
		      struct resolver_host *host, struct bytes text, struct err *err);
/* Puts back what was there. What another program wrote meanwhile stays. Nothing to do: 0. */
int resolver_file_undo(const struct resolver_paths *p, struct err *err);

/* ---- resolver_script.c: both programs named resolvconf ---- */

enum resolvconf_kind resolver_script_look(const struct resolver_paths *p);
int resolver_script_set(const struct resolver_paths *p, enum resolver_manager manager,
			const struct resolver_want *want, struct err *err);
int resolver_script_undo(const struct resolver_paths *p, enum resolver_manager manager,
			 struct err *err);
/* What other records say. */
void resolver_script_upstreams(const struct resolver_paths *p, struct resolver_upstreams *up);

/* ---- resolver_bus.c: systemd-resolved, and who else is on the bus ---- */

struct resolver_bus {
	struct sd_bus *bus; /* NULL: not connected */
	bool changed;       /* resolved came, went or was replaced since this was last cleared */
};

/* No-op when connected. False: there is no bus that answers. */
bool resolver_bus_open(struct resolver_bus *b);
void resolver_bus_close(struct resolver_bus *b);
void resolver_bus_look(struct resolver_bus *b, struct resolver_facts *f);
/* Handles what has come. False: the connection is gone and was closed. */
bool resolver_bus_process(struct resolver_bus *b);
int resolver_bus_fd(const struct resolver_bus *b, short *events); /* -1: not connected */
int resolver_bus_set(struct resolver_bus *b, const struct resolver_want *want, struct err *err);
int resolver_bus_undo(struct resolver_bus *b, uint32_t index, struct err *err);
