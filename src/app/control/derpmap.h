/* app/control/derpmap.h - the relays that nodes are told of: ours, and those of a file. */
#pragma once

#include "base/bytes.h"

struct config;
struct err;

enum { DERPMAP_MAX = 4 << 20, DERPMAP_OWN_REGION = 900, DERPMAP_REGION_MAX = 65535 };

/*
 * pin: "sha256-raw:HEX" of the certificate our own relay shows, or "" when a name vouches for it.
 * out is initialised here. A file whose regions do not hold together is refused: a key that is not
 * the region's id, a null region, a node of another region, no region at all.
 */
int derpmap_build(const struct config *conf, const char *pin, struct buf *out, struct err *err);
