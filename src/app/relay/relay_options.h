/* app/relay/relay_options.h - what a person can say to weft-relay, and what it comes to. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/opt.h"
#include "crypto/secret.h"

struct err;

struct relay_options {
	/* addresses */
	struct opt_list listen, http, stun, proxy;
	const char *status;
	/* identity */
	const char *hostname, *cert, *key, *state, *congestion;
	bool plain;
	/* admission */
	bool open, verify_fail_open, plain_stun;
	struct opt_list verify;
	const char *allow, *verify_ca;
	/* mesh */
	const char *mesh_key, *mesh_ca;
	struct opt_list mesh_with;
	bool mesh_plain;
	/* limits */
	int64_t connections, memory_mib, queue_kib, handshakes, client_rate, client_burst,
	    total_rate, drain_ms, threads;
	/* log */
	bool verbose, log_json;
};

extern const struct opt relay_opts[];
extern const size_t relay_opt_count;

struct relay_check_options {
	const char *ca, *pin, *ip, *key;
	bool insecure, plain, no_stun, no_throughput;
	int64_t stun_port, seconds;
};

extern const struct opt relay_check_opts[];
extern const size_t relay_check_opt_count;

/* What says no to itself, before anything is opened: ERR_USAGE. */
int relay_options_check(const struct relay_options *o, struct err *err);

/* "443", ":443", "192.0.2.1:443", "[2001:db8::1]:443"; no address means all of both families. */
int relay_parse_listen(const char *text, struct addrport *out, struct err *err);
/* "host", "host:port", "[v6]:port"; host is copied to out. */
int relay_parse_host(const char *text, uint16_t usual_port, char out[256], uint16_t *port,
		     struct err *err);

/* The key in a file, made with mode 0600 when there is none. */
int relay_load_key(const char *folder, struct secret32 *key, struct err *err);
/* 64 hex digits. */
int relay_load_mesh_key(const char *path, struct secret32 *key, struct err *err);
