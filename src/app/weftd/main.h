/* app/weftd/main.h - the daemon as a node: `weftd [options]`. */
#pragma once

int weftd_main(int argc, char **argv); /* argv[0] is the program; the exit status */
