/*
 * app/control/person.h - people as an identity provider knows them, made into users: found by
 * issuer and subject, never by an address; the profile follows at every login.
 */
#pragma once

struct control;
struct err;
struct oidc_identity;
struct tailnet;
struct tn_user;

/*
 * The user that this person is in t. In the server's first tailnet whoever was admitted becomes a
 * user; into another one an administrator lets people by linking them. NULL with a sentence.
 */
struct tn_user *person_login(struct control *c, struct tailnet *t, const struct oidc_identity *id,
			     struct err *err);
/* With their devices, keys and credentials; tagged devices stay, without an owner. */
int person_delete(struct control *c, struct tn_user *u, struct err *err);
/* A user who exists logs in through the provider from now on. */
int person_link(struct control *c, struct tn_user *u, const char *issuer, const char *subject,
		struct err *err);
