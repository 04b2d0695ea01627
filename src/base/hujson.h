/*
 * base/hujson.h - the canonical layout of a HuJSON document: comments stay, blanks do not matter.
 *
 * Two spaces per level; a list or object stands on one line when it fits into 80 columns and holds
 * no comment, else each member has a line and a comma. Formatting twice changes nothing.
 */
#pragma once

#include "base/bytes.h"

struct err;

/* Appends to out, ending in a line feed; -1 with a position when text is no HuJSON. */
int hujson_format(struct bytes text, struct buf *out, struct err *err);
