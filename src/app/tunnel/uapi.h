/*
 * app/tunnel/uapi.h - the cross-platform configuration protocol,
 * https://www.wireguard.com/xplatform/
 *
 *   get=1 LF LF        ->  key=value lines, errno=0 LF LF
 *   set=1 LF key=value lines LF  ->  errno=0 LF LF, or the errno of what went wrong first
 *
 * A set is applied line by line, as other implementations do; a bad line stops it.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct device;

enum { UAPI_REQUEST_MAX = 32 << 20, UAPI_ANSWER_MAX = 64 << 20 };

/* Length of the first whole request, its empty line included; 0: more is needed. */
size_t uapi_request_length(struct bytes input);
/* One whole request; the answer is appended to out. False: not a request, close the connection. */
bool uapi_answer(struct device *d, struct bytes request, struct buf *out);
