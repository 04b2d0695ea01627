/*
 * app/weftd/localapi.h - the daemon's HTTP interface on its unix socket, as the original has it.
 *
 * Every local user may read; root, the daemon's own user and the operator named in the preferences
 * may write.
 */
#pragma once

#include "base/log.h"

struct err;
struct localapi;
struct loop;
struct node;

struct localapi *localapi_create(struct loop *loop, struct node *node, int listener,
				 const struct log *log, struct err *err);
void localapi_destroy(struct localapi *a); /* NULL is a no-op */
