/*
 * os/resolver/resolv_conf.h - the text of /etc/resolv.conf: what it says, who wrote it, and ours.
 *
 * Our file carries what it replaced behind "#was ", so that it can be undone without a backup.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "os/resolver/resolver.h"

enum {
	RESOLV_CONF_BYTES_MAX = 16 << 10, /* longer ones are read up to here */
	RESOLV_CONF_OPTIONS_MAX = 128,
};

/* From the comments at the top. */
enum resolv_conf_writer {
	RESOLV_CONF_UNKNOWN,
	RESOLV_CONF_OURS,
	RESOLV_CONF_RESOLVED,
	RESOLV_CONF_NETWORKMANAGER,
	RESOLV_CONF_RESOLVCONF,
};

struct resolv_conf {
	enum resolv_conf_writer writer;
	struct resolver_upstreams up; /* as libc reads them: the last search or domain line wins */
	char options[RESOLV_CONF_OPTIONS_MAX];
	bool only_stub; /* it names systemd-resolved's own addresses and no others */
};

void resolv_conf_parse(struct resolv_conf *c, struct bytes text);
/* Adds servers and search domains that are not there yet. */
void resolver_upstreams_merge(struct resolver_upstreams *to, const struct resolver_upstreams *from);
void resolver_upstreams_drop(struct resolver_upstreams *up, const struct resolver_want *ours);

bool resolv_conf_is_ours(struct bytes text);
/* host: what it replaces; NULL text pointer: there was no file. */
void resolv_conf_render(struct buf *out, const struct resolver_want *want, struct bytes host);
/* Servers and search domains only, for programs that read this form. */
void resolv_conf_render_plain(struct buf *out, const struct resolver_want *want);
/* What ours replaced; false: there was no file. */
bool resolv_conf_original(struct bytes ours, struct buf *out);
