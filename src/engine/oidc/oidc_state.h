/* engine/oidc/oidc_state.h - what the files of the machine share. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "engine/oidc/oidc.h"
#include "wire/jws.h"

enum oidc_fetch_kind { FETCH_DISCOVERY, FETCH_KEYS, FETCH_TOKEN, FETCH_USERINFO };

enum flow_state {
	FLOW_OVER,         /* zero: nothing may come any more */
	FLOW_STARTING,     /* waits for the provider's description */
	FLOW_AT_PROVIDER,  /* the browser is away; nobody waits */
	FLOW_REDEEMING,    /* the code is on its way to the provider */
	FLOW_WAITING_KEYS, /* has an ID token, and no key for it yet */
	FLOW_ASKING,       /* UserInfo */
};

struct flow {
	enum flow_state state;
	uint64_t ticket; /* 0: nobody waits */
	char subject[OIDC_SUBJECT_SIZE];
	char state_token[OIDC_SECRET_SIZE], cookie[OIDC_SECRET_SIZE];
	char nonce[OIDC_SECRET_SIZE], verifier[OIDC_SECRET_SIZE];
	bool keys_asked; /* were fetched again for this token already */
	bool other_way;  /* the secret goes the way that the provider did not ask for first */
	char *code, *id_token, *access_token;
	struct oidc_identity *identity;
	struct mono expires;
	struct list link;
};

struct fetch {
	uint64_t id;
	enum oidc_fetch_kind kind;
	struct flow *flow; /* TOKEN, USERINFO; NULL when it is over */
	char *url, *authorization;
	struct buf body;
	bool handed_out;
	struct mono deadline;
	struct list link;
};

struct event {
	struct oidc_event e;
	struct list link;
};

struct provider { /* as it describes itself */
	char *authorization, *token, *keys, *userinfo;
	bool secret_in_body; /* client_secret_post and not _basic */
	bool names_itself;   /* iss in every redirect back (RFC 9207) */
	struct mono good_until, keys_good_until, keys_since;
	struct jwks *jwks;
};

struct oidc {
	char *issuer, *client_id, *client_secret, *redirect_uri, *scopes, *groups_claim;
	struct rng *rng;
	struct provider provider;
	struct list flows; /* oldest first */
	size_t n_flows;
	struct list fetches, events;
	uint64_t last_fetch;
};

/* ---- oidc.c ---- */

/* One of a kind at a time for the provider's own documents. */
struct fetch *oidc_fetch_add(struct oidc *o, struct oidc_now now, enum oidc_fetch_kind kind,
			     struct flow *flow, const char *url);
bool oidc_is_fetching(const struct oidc *o, enum oidc_fetch_kind kind);
/* Ends the flow with a sentence for whoever waits. */
void oidc_fail(struct oidc *o, struct flow *f, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct event *oidc_event_add(struct oidc *o, enum oidc_event_kind kind, const struct flow *f);
void oidc_flow_free(struct oidc *o, struct flow *f);

/* ---- oidc_provider.c ---- */

void provider_fini(struct provider *p);
bool provider_is_known(const struct provider *p, struct mono now);
int provider_read(struct oidc *o, struct oidc_now now, struct bytes body, struct err *err);
int provider_read_keys(struct oidc *o, struct oidc_now now, struct bytes body, struct err *err);
/* May the keys be asked for again because a token names one that is not there? */
bool provider_may_refresh_keys(const struct provider *p, struct mono now);

/* ---- oidc_flow.c: each moves one flow on ---- */

void flow_send_away(struct oidc *o, struct oidc_now now, struct flow *f);
void flow_redeem(struct oidc *o, struct oidc_now now, struct flow *f);
void flow_take_tokens(struct oidc *o, struct oidc_now now, struct flow *f, unsigned status,
		      struct bytes body);
void flow_verify(struct oidc *o, struct oidc_now now, struct flow *f);
void flow_take_userinfo(struct oidc *o, struct flow *f, unsigned status, struct bytes body);
