/*
 * node/profiles.h - accounts on this node: each with its node key and preferences, one in use.
 *
 * The list lives in the state file, so a switch is one atomic write. A profile without a node key
 * is a login that has not happened: it is never listed and goes when another is taken.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "crypto/secret.h"

struct err;
struct json;
struct json_out;
struct prefs;
struct rng;

enum { PROFILES_MAX = 32 };

struct state_profile {   /* texts owned by it; "" when logged out */
	char id[8];      /* four hex digits */
	char *stable_id; /* of our node */
	char *user;      /* JSON {"ID","LoginName","DisplayName"...} */
	char *login_name;
	char *domain;
	char *magic_suffix;
};

struct profile {
	struct secret32 node_key, old_node_key;
	struct prefs *prefs;
	struct state_profile info;
};

struct profiles {
	struct profile *current; /* never NULL between calls */
	struct profile *others[PROFILES_MAX];
	size_t other_count;
};

struct profile *profile_create(const struct profiles *all, struct rng *rng); /* default prefs */
void profile_destroy(struct profile *p);                                     /* NULL is a no-op */
bool profile_has_key(const struct profile *p);

/* Members of a profile into an open object, and back; text is what v was parsed from. */
void profile_encode(const struct profile *p, struct json_out *o);
struct profile *profile_decode(const struct json *v, struct bytes text, struct err *err);

void profiles_fini(struct profiles *all);
/* By ID; NULL: there is none. */
const struct profile *profiles_find(const struct profiles *all, const char *id);
/* Adds to the others. */
int profiles_add(struct profiles *all, struct profile *p, struct err *err); /* takes p */
/* A fresh one becomes the current one. */
int profiles_new(struct profiles *all, struct rng *rng, struct err *err);
int profiles_switch(struct profiles *all, const char *id, struct err *err);
/* Of the current one nothing but a fresh one stays. */
int profiles_remove(struct profiles *all, const char *id, struct rng *rng, struct err *err);

void state_set_text(char **slot, struct bytes text);
