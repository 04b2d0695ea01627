/* app/control/cli.h - the command line's half: sends argv to the running server, prints what it
 * answers as a table or as JSON. */
#pragma once

#include <stdbool.h>

struct config;
struct err;
struct loop;

/* Exit code. argv starts with the noun; -o table|json is taken out. */
int cli_run(struct loop *loop, const struct config *conf, int argc, char **argv);
/* All commands, or those of the noun that first is. NULL: all. */
void cli_usage(const char *first);
