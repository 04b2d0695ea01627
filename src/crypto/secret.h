/*
 * crypto/secret.h - secrets have their own type: compared in constant time, wiped, never printed.
 *
 * Nothing in this tree formats a struct secret32; code that must write one to a file or onto the
 * wire reads .b by name, which is what a reviewer greps for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct rng;

struct secret32 {
	uint8_t b[32];
};

void secret_wipe(void *p, size_t n); /* not removed by the optimiser */
bool secret_equal(const void *a, const void *b, size_t n);
bool secret_is_zero(const void *p, size_t n);
void secret32_random(struct secret32 *s, struct rng *rng);
static inline void secret32_wipe(struct secret32 *s)
{
	secret_wipe(s->b, sizeof(s->b));
}

/*
 * Before the first key is read: no core dumps, no ptrace and no /proc by equals. A program that
 * fails here ends. A sanitizer build stays open to itself.
 */
int secret_harden_process(struct err *err);
