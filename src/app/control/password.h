/* app/control/password.h - passwords of local users: Argon2id, by libsodium. Slow on purpose: run
 * them in a worker. */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

enum { PASSWORD_HASH_MAX = 128, PASSWORD_MIN = 8, PASSWORD_MAX = 256 };

bool password_hash(char out[PASSWORD_HASH_MAX], struct bytes password);
/* hash NULL takes as long as a real one and fails: nobody learns which users exist. */
bool password_verify(const char *hash, struct bytes password);
