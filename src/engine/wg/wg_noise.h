/*
 * engine/wg/wg_noise.h - the handshake's mathematics: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s.
 *
 *   initiator                                      responder
 *     wg_noise_initiate()   -- initiation -->        wg_noise_open_static()   who says it is
 *                                                    wg_noise_open_timestamp()  who it is
 *     wg_noise_open_response()  <-- response --      wg_noise_respond()
 *     wg_noise_keys()                                wg_noise_keys()
 *
 * Pure: no time, no peers, no indices but those the messages carry.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "engine/wg/wg_message.h"

struct rng;

/* Our static key and what follows from it. */
struct wg_identity {
	struct secret32 private_key;
	struct key public_key;
	uint8_t hash[32]; /* H after the responder's static key, when we are the responder */
};

/* A peer's static key and what follows from it and ours. */
struct wg_remote {
	struct key public_key;
	uint8_t hash[32];
	struct secret32 static_static; /* DH(ours, theirs) */
	struct secret32 psk;
};

/* A handshake between two messages. */
struct wg_noise {
	uint8_t hash[32];
	struct secret32 chain;
	struct secret32 ephemeral;    /* ours, private */
	uint8_t remote_ephemeral[32]; /* responder: theirs */
};

void wg_identity_init(struct wg_identity *me, const struct secret32 *private_key);
/* False when the key is a point of low order. */
bool wg_remote_init(struct wg_remote *peer, const struct wg_identity *me,
		    const struct key *public_key, const struct secret32 *psk);

bool wg_noise_initiate(struct wg_noise *n, const struct wg_identity *me,
		       const struct wg_remote *peer, const uint8_t timestamp[WG_TIMESTAMP_LEN],
		       struct rng *rng, struct wg_initiation *m);
/* Yields the static key that the sender claims; nothing proves yet that it holds it. */
bool wg_noise_open_static(struct wg_noise *n, const struct wg_identity *me,
			  const struct wg_initiation *m, struct key *claimed);
bool wg_noise_open_timestamp(struct wg_noise *n, const struct wg_remote *peer,
			     const struct wg_initiation *m, uint8_t timestamp[WG_TIMESTAMP_LEN]);
bool wg_noise_respond(struct wg_noise *n, const struct wg_remote *peer, struct rng *rng,
		      struct wg_response *m);
/* n is unchanged unless it verifies, so a forged response does no harm. */
bool wg_noise_open_response(struct wg_noise *n, const struct wg_identity *me,
			    const struct wg_remote *peer, const struct wg_response *m);
/* Wipes n. */
void wg_noise_keys(struct wg_noise *n, bool initiator, struct secret32 *send,
		   struct secret32 *receive);
