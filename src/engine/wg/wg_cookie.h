/*
 * engine/wg/wg_cookie.h - mac1, mac2 and cookies, for both roles.
 *
 * mac1 proves that the sender knows our public key and is checked before anything dear. Under load
 * we ask for mac2 as well: it proves that the sender gets what we send to its address. R is
 * replaced every 120 s, which ends all cookies made from it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_message.h"

/* We check and issue. */
struct wg_cookie_judge {
	uint8_t mac1_key[32];
	struct secret32 reply_key;
	struct secret32 random; /* R */
	struct mono random_until;
};

void wg_cookie_judge_init(struct wg_cookie_judge *j, const struct key *ours);
/* msg: a whole initiation or response. */
bool wg_cookie_mac1_ok(const struct wg_cookie_judge *j, struct bytes msg);
bool wg_cookie_mac2_ok(const struct wg_cookie_judge *j, struct mono now,
		       const struct wg_source *from, struct bytes msg);
void wg_cookie_issue(struct wg_cookie_judge *j, struct mono now, struct rng *rng,
		     const struct wg_source *from, struct bytes msg, uint32_t receiver,
		     uint8_t out[WG_COOKIE_REPLY_LEN]);

/* We send to one peer. */
struct wg_cookie_jar {
	uint8_t mac1_key[32];
	struct secret32 reply_key;
	uint8_t cookie[16];
	struct mono cookie_until; /* zero: none */
	bool cookie_used;         /* a message went out with it */
	uint8_t last_mac1[WG_MAC_LEN];
	bool waiting; /* last_mac1 has not been answered by a cookie */
};

void wg_cookie_jar_init(struct wg_cookie_jar *jar, const struct key *theirs);
/* Fills in both macs at the end of msg. */
void wg_cookie_stamp(struct wg_cookie_jar *jar, struct mono now, uint8_t *msg, size_t n);
bool wg_cookie_take(struct wg_cookie_jar *jar, struct mono now, const struct wg_cookie_reply *m);
void wg_cookie_forget(struct wg_cookie_jar *jar);
