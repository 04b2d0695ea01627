/* node/explain_rules.h - which rules of our filter let a peer in; for explain.c and its test. */
#pragma once

#include <stddef.h>

#include "base/bytes.h"
#include "node/explain.h"

/* Appends one line of text per rule that lets the peer in, at most max of them; returns how many
 * there are. *total: rules looked at. */
size_t explain_rules(const struct explain *e, struct buf *lines, size_t max, size_t *total);
