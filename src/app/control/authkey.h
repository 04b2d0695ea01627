/*
 * app/control/authkey.h - auth keys: tskey-auth-k<id>-<secret>. The secret is shown once; what is
 * kept is its hash. It has 192 random bits, so the hash needs no salt and no stretching.
 */
#pragma once

#include "base/bytes.h"
#include "base/wall.h"

struct auth_key;
struct err;
struct model;
struct rng;

enum { AUTHKEY_TEXT_MAX = 96 };

/* A fresh secret for k, whose id is known after the first store_put_key(). */
void authkey_secret(struct rng *rng, char secret[49], uint8_t hash[32]);
void authkey_format(int64_t id, const char *secret, char out[AUTHKEY_TEXT_MAX]);
/* The key that text names and proves; ERR_REFUSED with a sentence for its holder. */
struct auth_key *authkey_find(const struct model *m, struct bytes text, struct err *err);
/* May it be used for a new node now? */
int authkey_check(const struct auth_key *k, struct wall now, struct err *err);
