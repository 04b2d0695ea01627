#include "app/control/person.h"

#include <stdio.h>

#include "app/control/core.h"
#include "app/control/store.h"
#include "base/err.h"
#include "base/mem.h"
#include "engine/oidc/oidc_identity.h"

enum { LOGIN_MAX = 127, TARGET_MAX = 128 };

static bool set_text(char **at, const char *text)
{
	if (strcmp(*at, text) == 0)
		return false;
	mem_free(*at);
	*at = mem_strdup(text);
	return true;
}

/* How the user is called: the address when it can be trusted, else what the provider calls them. */
static const char *login_of(const struct control *c, const struct oidc_identity *id)
{
	if (id->email[0] && (id->email_verified || c->conf.oidc_unverified_email))
		return id->email;
	return id->username[0] ? id->username : id->subject;
}

static bool is_login(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((uint8_t)text[i] <= ' ' || text[i] == '"' || text[i] == '\\' || text[i] == 0x7f)
			return false;
	return n > 0 && n <= LOGIN_MAX;
}

static struct tn_user *new_user(struct control *c, struct tailnet *t, const char *login,
				struct err *err)
{
	struct tn_user *u;

	if (t != list_entry(c->model.tailnets.next, struct tailnet, link)) {
		(void)err_set(err, ERR_REFUSED, "%s is no user of the network %s", login, t->name);
		return NULL;
	}
	if (!is_login(login)) {
		(void)err_set(err, ERR_REFUSED, "the provider's name for you cannot be a login");
		return NULL;
	}
	if (model_user(t, bytes_str(login))) {
		(void)err_set(err, ERR_REFUSED,
			      "a user %.80s exists already and is not known to be you; an "
			      "administrator can link it: weft-control users link",
			      login);
		return NULL;
	}
	u = model_add_user(&c->model, t, 0, login);
	u->created = wall_now();
	return u;
}

static bool take_groups(struct control *c, struct tn_user *u, const struct oidc_identity *id,
			struct err *err)
{
	struct bytes *names = mem_alloc((id->n_groups + 1) * sizeof(*names));
	bool changed;

	for (size_t i = 0; i < id->n_groups; i++) {
		names[i] = bytes_str(id->groups[i]);
		if (text_set_add(&u->tailnet->groups, names[i]))
			(void)store_put_group(c->store, u->tailnet, id->groups[i], err);
	}
	changed = text_set_assign(&u->identity->groups, names, id->n_groups);
	mem_free(names);
	return changed;
}

/* True when something changed that policies or other nodes see. */
static bool take_profile(struct control *c, struct tn_user *u, const struct oidc_identity *id,
			 struct err *err)
{
	struct tn_identity *to = model_identity(u);
	const char *login = login_of(c, id), *name = id->name[0] ? id->name : u->login;
	struct tn_user *other = model_user(u->tailnet, bytes_str(login));
	bool changed = false;

	(void)set_text(&to->issuer, id->issuer);
	(void)set_text(&to->subject, id->subject);
	(void)set_text(&to->email, id->email);
	to->email_verified = id->email_verified;
	to->seen = wall_now();
	changed = set_text(&to->picture, id->picture) || changed;
	if (is_login(login) && (!other || other == u))
		changed = set_text(&u->login, login) || changed;
	changed = set_text(&u->name, name) || changed;
	return take_groups(c, u, id, err) || changed;
}

static int write_user(struct control *c, struct tn_user *u, struct err *err)
{
	if (store_put_user(c->store, u, err) < 0 || store_put_identity(c->store, u, err) < 0)
		return -1;
	return core_commit_now(c, err);
}

struct tn_user *person_login(struct control *c, struct tailnet *t, const struct oidc_identity *id,
			     struct err *err)
{
	struct tn_user *u = model_user_by_identity(t, id->issuer, id->subject);
	bool is_new = !u, changed;

	if (!u)
		u = new_user(c, t, login_of(c, id), err);
	if (!u)
		return NULL;
	changed = take_profile(c, u, id, err) || is_new;
	if (write_user(c, u, err) < 0) {
		if (is_new)
			model_remove_user(u);
		return NULL;
	}
	if (is_new)
		core_audit(c, t, u->login, "user.create", u->login, "first login");
	if (changed) {
		u->rev = ++c->model.rev;
		core_users_changed(c, t);
	}
	return u;
}

int person_link(struct control *c, struct tn_user *u, const char *issuer, const char *subject,
		struct err *err)
{
	struct tn_user *other = model_user_by_identity(u->tailnet, issuer, subject);
	struct tn_identity *id;

	if (other && other != u)
		return err_set(err, ERR_USAGE, "that person is %s already", other->login);
	id = model_identity(u);
	(void)set_text(&id->issuer, issuer);
	(void)set_text(&id->subject, subject);
	return store_put_identity(c->store, u, err);
}

/* ---- leaving ---- */

static int delete_nodes(struct control *c, struct tn_user *u, struct err *err)
{
	list_each_safe (it, &u->tailnet->nodes) {
		struct tn_node *n = list_entry(it, struct tn_node, link);

		if (n->user != u)
			continue;
		if (model_node_is_tagged(n)) {
			n->user = NULL;
			if (store_put_node(c->store, n, err) < 0)
				return -1;
		} else if (core_delete_node(c, n, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int delete_credentials(struct control *c, struct tn_user *u, struct err *err)
{
	list_each_safe (it, &u->tailnet->keys) {
		struct auth_key *k = list_entry(it, struct auth_key, link);

		if (k->user != u)
			continue;
		if (store_delete_key(c->store, k, err) < 0)
			return -1;
		model_remove_key(k);
	}
	list_each_safe (it, &c->tokens.all) {
		struct token *k = list_entry(it, struct token, link);

		if (k->user != u)
			continue;
		if (store_delete_token(c->store, k, err) < 0)
			return -1;
		token_remove(&c->tokens, k);
	}
	return 0;
}

int person_delete(struct control *c, struct tn_user *u, struct err *err)
{
	struct tailnet *t = u->tailnet;

	if (delete_nodes(c, u, err) < 0 || delete_credentials(c, u, err) < 0 ||
	    store_delete_user(c->store, u, err) < 0 || core_commit_now(c, err) < 0)
		return -1;
	model_remove_user(u);
	core_users_changed(c, t);
	return 0;
}
