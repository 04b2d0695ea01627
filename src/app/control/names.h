/* app/control/names.h - host names as people set them, made into DNS labels. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

enum { NAME_MAX_LEN = 63, NAME_SIZE = NAME_MAX_LEN + 1 };

/*
 * Strips .local, .localdomain and .lan, lowers letters, turns space . @ _ into '-', drops the rest,
 * trims what is not alphanumeric at the ends, caps at 63. "node" when nothing is left.
 */
void names_sanitise(struct bytes host, char out[NAME_SIZE]);
/* base, then base-1, base-2, ...: still 63 at most. n 0 is base itself. */
void names_with_suffix(const char *base, unsigned n, char out[NAME_SIZE]);
/* For names that a person sets: exactly a DNS label in lower case. */
bool names_is_label(struct bytes name);
