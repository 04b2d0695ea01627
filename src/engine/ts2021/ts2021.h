/*
 * engine/ts2021/ts2021.h - the Noise channel of the control protocol, both roles
 * (upstream: control/controlbase; Noise_IK_25519_ChaChaPoly_BLAKE2s).
 *
 *   node                                              control server
 *   e, es, s, ss     -- initiation, in an HTTP header -->
 *                    <-- response in the stream --        e, ee, se
 *   records with counters of their own in both directions
 *
 * Pure: bytes from the wire go into ts2021_input(), what they held comes out of
 * ts2021_next_plain(); plaintext goes into ts2021_output(), what the wire shall carry comes out of
 * ts2021_next_bytes(). After an error the channel is dead for good: nonces must not be used twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/mono.h"
#include "crypto/keytext.h"
#include "wire/ts2021.h"

struct err;
struct rng;
struct secret32;
struct ts2021;

enum { TS2021_HANDSHAKE_S = 10 };

/* The node. The initiation is ready at once. NULL when the server's key is no point. */
struct ts2021 *ts2021_create_client(const struct secret32 *machine_key, const struct key *server,
				    uint16_t version, struct mono now, struct rng *rng,
				    struct err *err);
/* The server, from the initiation it was sent. The response is ready at once. */
struct ts2021 *ts2021_create_server(const struct secret32 *server_key, struct bytes initiation,
				    struct rng *rng, struct err *err);
void ts2021_destroy(struct ts2021 *t);

const uint8_t *ts2021_initiation(const struct ts2021 *t); /* TS2021_INITIATION_LEN bytes; client */
bool ts2021_is_open(const struct ts2021 *t);
uint16_t ts2021_version(const struct ts2021 *t);          /* of the node */
const struct key *ts2021_machine(const struct ts2021 *t); /* the node's machine key */
const uint8_t *ts2021_hash(const struct ts2021 *t);       /* handshake hash, 32 bytes */

/* Copies. -1: the channel is dead. The text of a server's error frame is in err, for people only.
 */
int ts2021_input(struct ts2021 *t, struct bytes data, struct err *err);
/* Decrypted bytes, {NULL, 0} when there are no more; borrowed until the next call. -1: dead. */
int ts2021_next_plain(struct ts2021 *t, struct bytes *plain, struct err *err);
/* Seals. Before the channel is open it is kept and sealed then. False at the limit of 2^64-1
 * records. */
bool ts2021_output(struct ts2021 *t, struct bytes plain);
/* Everything that is to be written, borrowed until ts2021_output(); the second call finds nothing.
 */
struct bytes ts2021_next_bytes(struct ts2021 *t);
struct mono ts2021_deadline(const struct ts2021 *t); /* of the handshake, then never */
int ts2021_tick(struct ts2021 *t, struct mono now, struct err *err); /* -1: it took too long */
