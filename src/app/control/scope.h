/*
 * app/control/scope.h - what a credential may do: the scopes of the API, and the rights that roles
 * have. One question, scopes_allow(); whatever is not said is refused.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/control/model.h"
#include "base/bytes.h"

struct err;

enum scope {
	SCOPE_NONE, /* never allowed */
	SCOPE_ALL,
	SCOPE_DEVICES_CORE,
	SCOPE_DEVICES_TAGS, /* a right of roles only: tokens need devices:core for it */
	SCOPE_DEVICES_ROUTES,
	SCOPE_DEVICES_POSTURE,
	SCOPE_AUTH_KEYS,
	SCOPE_OAUTH_KEYS,
	SCOPE_API_TOKENS,
	SCOPE_POLICY_FILE,
	SCOPE_DNS,
	SCOPE_USERS,
	SCOPE_FEATURE_SETTINGS,
	SCOPE_NETWORKING_SETTINGS,
	SCOPE_LOGS_CONFIGURATION, /* read only */
	SCOPE_TAILNETS,
	SCOPES
};

struct scopes {
	uint32_t read, write; /* bits by enum scope; write implies read */
};

const char *scope_name(enum scope s, bool write, char out[48]);
/* Words between spaces or commas, older spellings too. -1 names the unknown one. */
int scopes_parse(struct scopes *out, struct bytes text, struct err *err);
void scopes_format(const struct scopes *s, struct buf *out); /* words between spaces */
struct scopes scopes_of_role(enum tn_role role);
bool scopes_allow(const struct scopes *s, enum scope scope, bool write);
bool scopes_are_within(const struct scopes *inner, const struct scopes *outer);
struct scopes scopes_both(struct scopes a, struct scopes b); /* what a and b allow */
