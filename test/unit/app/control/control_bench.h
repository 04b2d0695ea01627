/*
 * test/unit/app/control/control_bench.h - a whole server on loopback in a temporary folder, and
 * nodes that speak the real protocol to it: TCP, upgrade, Noise, HTTP/2.
 */
#pragma once

#include <stdbool.h>

#include "app/control/core.h"
#include "crypto/keytext.h"

struct bench {
	struct loop *loop;
	struct config conf;
	struct log_sink sink;
	struct control *c;
	char dir[64];
};

/*
 * "" for SQLite. When the environment names a PostgreSQL (WEFT_TEST_DATABASE, a URL): that,
 * emptied.
 */
void bench_database(char out[CONFIG_DATABASE_MAX]);
void bench_start(struct bench *b);
void bench_restart(struct bench *b); /* as after a clean stop */
void bench_stop(struct bench *b);
void bench_remove(const char *dir); /* with all that is in it */
/* Turns the loop until *done or some seconds have passed; false then. */
bool bench_wait(struct bench *b, const bool *done);
void bench_settle(struct bench *b); /* a few turns, for what is under way */
/* Runs an admin command; argv words separated by spaces. Answer or error text; freed by the next.
 */
const char *bench_command(struct bench *b, const char *words, const char *input);
/* An auth key for user (created when needed); options as on the command line. */
void bench_key(struct bench *b, const char *user, const char *options, char out[128]);

struct peer {
	struct bench *b;
	struct secret32 machine;
	struct key node_key, disco;
	struct httpc *h2;
	bool connected, failed;
	unsigned status; /* of the last call */
	struct buf body;
	bool done;
	/* the stream */
	struct http_call *poll;
	unsigned poll_status;
	struct buf frames, frame;
	bool poll_done;
};

void peer_init(struct peer *p, struct bench *b, uint8_t seed); /* keys made from seed */
bool peer_connect(struct peer *p);
void peer_fini(struct peer *p);
/* POST; body by printf. Status in p->status, answer in p->body. */
const char *peer_post(struct peer *p, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const char *peer_register(struct peer *p, const char *auth_key, const char *host);
/* Members to add, such as "\"Endpoints\":[\"1.2.3.4:5\"]"; may be "". */
const char *peer_update(struct peer *p, const char *more);
void peer_poll(struct peer *p); /* a stream, uncompressed */
void peer_hang_up(struct peer *p);
/* The next whole frame as JSON, NULL when none comes in time. Keep-alives are skipped. */
const char *peer_frame(struct peer *p);
/* No frame is on its way. */
bool peer_is_quiet(struct peer *p);
