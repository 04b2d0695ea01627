/* io/loop_uv.h - libuv's loop below ours, for the files of io/ that hand it requests. */
#pragma once

#include <uv.h>

#include "base/err.h"
#include "io/loop.h"

uv_loop_t *loop_uv(struct loop *loop);
/* First thing in every callback from libuv: reads the clock once per turn. */
void loop_wake(struct loop *loop);
/* As err_sys(), for libuv's negative errno. */
int loop_uv_err(struct err *err, int status, const char *what);
