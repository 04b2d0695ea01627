/* app/cli/cli.h - the command line of a node: everything by LocalAPI. */
#pragma once

int cli_main(int argc, char **argv); /* the exit status: 0, 1 failed, 2 wrong usage */
