/*
 * node/state.h - what a node must not forget: keys, preferences, who it is. One folder, one file.
 *
 *   DIR/weftd.state      JSON, mode 0600, replaced as a whole
 *   DIR/netmap-ID.cache  the last map of a profile, sealed with a key from the machine key
 *   DIR/lock             held while a daemon runs
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/wall.h"
#include "crypto/ed25519.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "node/profiles.h"

struct err;
struct prefs;
struct rng;
struct state;

/*
 * Creates the folder and, in an empty one, a machine key. A state file that cannot be read is moved
 * aside as weftd.state.corrupt-TIME and the error says so: a fresh identity is the user's decision.
 */
struct state *state_open(const char *dir, struct rng *rng, struct err *err);
void state_close(struct state *s); /* NULL is a no-op */
int state_save(struct state *s, struct err *err);

struct secret32 *state_machine_key(struct state *s);
struct secret32 *state_node_key(struct state *s);
struct secret32 *state_old_node_key(struct state *s);
const struct ed25519_key *state_nl_key(struct state *s);
const struct prefs *state_prefs(const struct state *s);
void state_set_prefs(struct state *s, struct prefs *p); /* takes p */
struct state_profile *state_profile(struct state *s);

const struct profiles *state_profiles(const struct state *s);
/* These three change what is current; nothing is saved. See node/profiles.h. */
int state_new_profile(struct state *s, struct rng *rng, struct err *err);
int state_switch_profile(struct state *s, const char *id, struct err *err);
int state_remove_profile(struct state *s, const char *id, struct rng *rng, struct err *err);

/* The map of the current profile. */
int state_save_map(struct state *s, struct bytes json, struct rng *rng, struct err *err);
/* -1 with ERR_NONE when there is none. out is initialised here. */
int state_load_map(struct state *s, struct buf *out, struct err *err);
void state_forget_map(struct state *s);
