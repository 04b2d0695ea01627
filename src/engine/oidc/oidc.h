/*
 * engine/oidc/oidc.h - logging people in at an OpenID provider: discovery, authorization code with
 * PKCE (S256), state and nonce, ID token, UserInfo. The relying party's side, as a pure machine.
 *
 *   begin(ticket, subject) -> fetch discovery -> event REDIRECT: send the browser to url
 *   returned(ticket, state, code) -> fetch token -> [fetch keys] -> [fetch userinfo] -> IDENTITY
 *
 * A ticket is the caller's name for the browser request that waits for an event. Fetches are the
 * caller's to make, side by side, each answered once with oidc_answer(). A login is good for one
 * return: state and code are taken out before anything is checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/mono.h"
#include "base/wall.h"
#include "engine/oidc/oidc_identity.h"

struct err;
struct oidc;
struct rng;

enum oidc_limits {
	OIDC_FLOWS_MAX = 4096,
	OIDC_BODY_MAX = 256 << 10, /* of any answer of the provider */
	OIDC_SECRET_SIZE = 65,     /* state and cookie: hex digits and the end */
	OIDC_SUBJECT_SIZE = 64,
	OIDC_FETCH_S = 15,
	OIDC_LOGIN_S = 600, /* a person has this long at the provider */
};

struct oidc_conf {
	const char *issuer; /* exactly as the provider writes it */
	const char *client_id;
	const char *client_secret; /* "": a public client */
	const char *redirect_uri;
	const char *scopes;       /* "openid profile email groups" */
	const char *groups_claim; /* "groups", or a path such as "realm_access.roles" */
	struct rng *rng;
};

struct oidc_now {
	struct mono mono;
	struct wall wall;
};

/* Copies conf but the rng. */
struct oidc *oidc_create(const struct oidc_conf *conf);
void oidc_destroy(struct oidc *o);

/* ---- input ---- */

/* subject is the caller's: what is being logged in to; it comes back with the identity. */
int oidc_begin(struct oidc *o, struct oidc_now now, uint64_t ticket, const char *subject,
	       struct err *err);

struct oidc_return { /* the query of the redirect back; empty where absent */
	struct bytes state, code, error, error_description, iss;
	struct bytes cookie; /* as the browser sent it */
};
/* -1: refused at once, with a sentence for the person. */
int oidc_returned(struct oidc *o, struct oidc_now now, uint64_t ticket,
		  const struct oidc_return *back, struct err *err);

/* status 0: nothing came, err says why. */
void oidc_answer(struct oidc *o, struct oidc_now now, uint64_t fetch, unsigned status,
		 struct bytes body, const struct err *err);
/* The browser left: no event will come for the ticket. */
void oidc_forget(struct oidc *o, uint64_t ticket);

/* ---- output ---- */

struct oidc_fetch {
	uint64_t id;
	const char *method, *url;  /* these four live until oidc_answer() or the next tick */
	const char *authorization; /* a header's value, or NULL */
	const char *content_type;  /* of the body, or NULL */
	struct bytes body;
};
bool oidc_next_fetch(struct oidc *o, struct oidc_fetch *out);

enum oidc_event_kind { OIDC_REDIRECT, OIDC_IDENTITY, OIDC_FAILED };

struct oidc_event {
	enum oidc_event_kind kind;
	uint64_t ticket;
	char subject[OIDC_SUBJECT_SIZE];
	char *url;                    /* REDIRECT */
	char state[OIDC_SECRET_SIZE]; /* REDIRECT: its first letters name the cookie */
	char cookie[OIDC_SECRET_SIZE];
	struct oidc_identity *identity; /* IDENTITY */
	char why[256];                  /* FAILED: a sentence for the person */
};
/* False when there is none. The caller frees with oidc_event_fini(). */
bool oidc_next_event(struct oidc *o, struct oidc_event *out);
void oidc_event_fini(struct oidc_event *e);

struct mono oidc_deadline(const struct oidc *o);
void oidc_tick(struct oidc *o, struct oidc_now now);
