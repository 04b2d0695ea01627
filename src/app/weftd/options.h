/* app/weftd/options.h - what the daemon was told on its command line; both its halves read it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct log_sink;
struct opt_program;

struct weftd_options {
	const char *statedir, *socket, *tun, *ca_file, *user;
	uint16_t port;
	int64_t threads, verbose;
	bool json_log, no_sandbox;
};

extern const struct opt_program weftd_program;

/* argv: without the name of the program. */
int weftd_options_parse(struct weftd_options *o, int argc, char **argv, struct err *err);
/* Values that the table cannot judge, and the file that one of them names. */
int weftd_options_check(const struct weftd_options *o, struct err *err);
/* The name of the device, NULL for none. */
const char *weftd_options_device(const struct weftd_options *o);
void weftd_options_sink(const struct weftd_options *o, struct log_sink *sink);
