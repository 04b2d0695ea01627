/* app/relay/relay_main.h - the command line of weft-relay. */
#pragma once

int relay_main(int argc, char **argv);
