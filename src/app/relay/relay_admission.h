/*
 * app/relay/relay_admission.h - who may use the relay: a list in a file, and URLs that are asked.
 *
 * A key on the list is in at once. Otherwise all URLs are asked and one yes is enough. When none of
 * them could be reached, fail_open decides; it is off unless a person turned it on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "crypto/keytext.h"

struct err;
struct log;
struct loop;
struct relay_admission;

struct relay_admission_conf {
	struct loop *loop;
	const struct log *log;
	const char *allow_file; /* or NULL */
	const char *const *urls;
	size_t url_count;
	const char *ca_file; /* or NULL */
	bool fail_open;
	/* Exactly one for every relay_admission_ask(), at once or later. */
	void (*on_answer)(void *arg, uint64_t client, bool allow);
	void *arg;
};

struct relay_admission_stats {
	uint64_t allowed, refused, unreachable, too_many;
	size_t pending, listed;
};

/* Borrows the strings of conf. */
struct relay_admission *relay_admission_create(const struct relay_admission_conf *conf,
					       struct err *err);
void relay_admission_destroy(struct relay_admission *a); /* pending questions get no answer */
int relay_admission_reload(struct relay_admission *a, struct err *err); /* keeps the old on error */
void relay_admission_ask(struct relay_admission *a, uint64_t client, const struct key *key,
			 struct ip from);
void relay_admission_stats(const struct relay_admission *a, struct relay_admission_stats *out);

/* {"Allow":true}; false, allow untouched, for anything that is no such answer. */
bool relay_admission_parse(struct bytes body, bool *allow);
