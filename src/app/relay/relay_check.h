/*
 * app/relay/relay_check.h - looks at a relay from outside, step by step, and says what is wrong.
 */
#pragma once

#include "app/relay/relay_options.h"

/* Prints a line for each step; 0 when all is well, 1 when something is not. */
int relay_check_run(const struct relay_check_options *o, const char *host_text);
