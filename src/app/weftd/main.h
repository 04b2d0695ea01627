/* app/weftd/main.h - the daemon as a node: `weftd [options]`. */
#pragma once

int weftd_main(int argc, char **argv); /* argv[0] is the program; the exit status */
/* The unprivileged half, executed by the other one: argv[0] is "engine". */
int weftd_engine_main(int argc, char **argv);
