#include "app/control/register.h"

#include <stdio.h>

#include "app/control/authkey.h"
#include "app/control/core.h"
#include "app/control/hostinfo.h"
#include "app/control/store.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/httpd.h"
#include "wire/tailcfg_register.h"

enum { TAGS_MAX = 64, DAY_S = 86400 };

/* ---- answers ---- */

static void reply(struct http_exchange *x, const struct tailcfg_register_response *r)
{
	struct tailcfg_user nobody = { 0 };
	struct tailcfg_login no_login = { 0 };
	struct tailcfg_register_response full = *r;
	struct json_out o;
	struct buf body;

	if (!full.user)
		full.user = &nobody;
	if (!full.login)
		full.login = &no_login;
	buf_init(&body, 1 << 20);
	json_out_init(&o, &body);
	schema_encode(&o, &tailcfg_register_response_schema, &full);
	http_reply(x, 200, "application/json", buf_bytes(&body));
	buf_fini(&body);
}

static void reply_error(struct control *c, struct http_exchange *x, const char *why)
{
	struct tailcfg_register_response r = { .error = bytes_str(why) };

	c->count.register_errors++;
	reply(x, &r);
}

static void reply_node(struct http_exchange *x, const struct tn_node *n)
{
	bool tagged = model_owner_id(n) == MODEL_TAGGED_USER;
	struct tailcfg_user user = {
		.id = model_owner_id(n),
		.display_name = bytes_str(tagged ? "Tagged Devices" : n->user->name),
		.created = tagged ? n->created : n->user->created,
	};
	const char *picture = tagged || !n->user->identity ? "" : n->user->identity->picture;
	struct tailcfg_login login = {
		.id = user.id,
		.login_name = bytes_str(tagged ? "tagged-devices" : n->user->login),
		.display_name = user.display_name,
		.profile_pic_url = bytes_str(picture),
	};
	struct tailcfg_register_response r = { .user = &user,
					       .login = &login,
					       .machine_authorized = true };

	reply(x, &r);
}

static void reply_auth_url(struct control *c, struct http_exchange *x, const struct login *l)
{
	struct tailcfg_register_response r = { 0 };
	char url[sizeof(c->conf.server_url) + LOGIN_TOKEN_SIZE + 8];

	(void)snprintf(url, sizeof(url), "%s/a/%s", c->conf.server_url, l->token);
	r.auth_url = bytes_str(url);
	reply(x, &r);
}

/* The store failed: 5xx, the client tries again. An AuthURL here would log it out. */
static void reply_unstored(struct control *c, struct http_exchange *x, const struct err *err)
{
	log_error(&c->log, "registration was not stored: %s", err->text);
	c->count.register_errors++;
	http_reply_text(x, 503, "the registration could not be stored; try again later");
}

/* ---- making and finding nodes ---- */

struct admission { /* everything that was decided about a node that comes in */
	struct tailnet *tailnet;
	struct tn_user *user; /* NULL: tagged, by a key of nobody */
	const struct bytes *tags;
	size_t n_tags;
	const struct auth_key *key; /* to be consumed, or NULL */
	bool ephemeral, authorized;
	const struct key *machine, *node_key;
	const struct tailcfg_hostinfo *host;
	int64_t version;
	struct wall expiry_wish; /* 0: none */
};

static struct wall expiry_of(const struct admission *a)
{
	struct wall now = wall_now(), at = { 0 };

	if (a->n_tags)
		return at;
	if (a->tailnet->key_expiry_s)
		at = wall_from_s(wall_s(now) + a->tailnet->key_expiry_s);
	/* A node may ask for less time, never for more. */
	if (a->expiry_wish.ns > now.ns && (!at.ns || a->expiry_wish.ns < at.ns))
		at = a->expiry_wish;
	return at;
}

static void make_stable_id(struct control *c, char out[24])
{
	uint8_t raw[8];
	char hex[17];

	c->rng.fill(&c->rng, raw, sizeof(raw));
	text_hex(bytes_of(raw, sizeof(raw)), hex);
	(void)snprintf(out, 24, "n%sCNTRL", hex);
}

static void set_common(struct tn_node *n, const struct admission *a)
{
	(void)text_set_assign(&n->tags, a->tags, a->n_tags);
	n->user = a->user;
	n->ephemeral = a->ephemeral;
	n->expiry = expiry_of(a);
	n->cap = a->version;
	if (a->authorized)
		n->authorized = true;
}

static struct tn_node *add_node(struct control *c, const struct admission *a, struct err *err)
{
	struct hostinfo_change change = { 0 };
	struct tn_node *n = model_node_new(a->tailnet);

	if (!model_next_ip(a->tailnet, &n->v4, &n->v6)) {
		model_node_free(n);
		(void)err_set(err, ERR_LIMIT, "no address is free in this network");
		return NULL;
	}
	make_stable_id(c, n->stable_id);
	n->machine = *a->machine;
	n->key = *a->node_key;
	n->created = n->last_seen = wall_now();
	n->offline_since = loop_now(c->loop);
	set_common(n, a);
	model_free_name(a->tailnet, NULL, a->host ? a->host->hostname : (struct bytes){ 0 },
			n->name);
	if (store_put_node(c->store, n, err) < 0 ||
	    store_put_tailnet(c->store, a->tailnet, err) < 0) {
		model_node_free(n);
		return NULL;
	}
	model_add_node(&c->model, n);
	hostinfo_apply(&c->model, n, a->host, &change);
	return n;
}

/* The same machine for the same owner: keeps id, addresses and name; the key is swapped. */
static void update_node(struct control *c, struct tn_node *n, const struct admission *a)
{
	struct hostinfo_change change = { 0 };
	struct wall old = n->expiry;

	if (!key_equal(&n->key, a->node_key)) {
		core_key_revoked(c, &n->key);
		model_rekey(&c->model, n, a->node_key);
		model_touch(&c->model, n, PART_WHOLE);
	}
	set_common(n, a);
	if (n->expiry.ns != old.ns)
		model_touch(&c->model, n, PART_EXPIRY);
	hostinfo_apply(&c->model, n, a->host, &change);
}

/* The disk did not take it: the model must not know more than the disk. */
static void take_back(struct control *c, struct tn_node *n, bool is_new, const struct tn_node *was)
{
	store_rollback(c->store);
	if (!n)
		return;
	if (is_new) {
		model_remove_node(&c->model, n);
		list_append(&c->graveyard, &n->link);
		core_flush_soon(c);
		return;
	}
	if (!key_equal(&n->key, &was->key))
		model_rekey(&c->model, n, &was->key);
	n->expiry = was->expiry;
	n->authorized = was->authorized;
	n->ephemeral = was->ephemeral;
}

static int write_admission(struct control *c, const struct admission *a, struct tn_node *n,
			   bool is_new, struct err *err)
{
	(void)core_auto_approve(c, n);
	if (store_put_node(c->store, n, err) < 0)
		return -1;
	core_audit(c, a->tailnet, a->user ? a->user->login : "auth-key",
		   is_new ? "node.create" : "node.login", n->name, a->key ? "auth key" : "login");
	return core_commit_now(c, err);
}

/* One transaction: the key is consumed, the node is written. */
static struct tn_node *admit(struct control *c, const struct admission *a, struct err *err)
{
	struct tn_node *n =
	    model_node_of_machine(a->tailnet, a->machine, a->n_tags ? NULL : a->user);
	struct tn_node was = n ? *n : (struct tn_node){ 0 };
	bool is_new = !n;

	if (core_commit_now(c, err) < 0) /* what others wrote stays out of our transaction */
		return NULL;
	if (a->key && store_consume_key(c->store, a->key, err) < 0) {
		store_rollback(c->store);
		return NULL;
	}
	if (is_new)
		n = add_node(c, a, err);
	else
		update_node(c, n, a);
	if (!n || write_admission(c, a, n, is_new, err) < 0) {
		take_back(c, n, is_new, &was);
		return NULL;
	}
	core_node_changed(c, n);
	return n;
}

/* ---- the rows of the decision table ---- */

static void do_logout(struct control *c, struct http_exchange *x, struct tn_node *n)
{
	struct err err;

	if (n->ephemeral) {
		if (core_delete_node(c, n, &err) < 0) {
			reply_unstored(c, x, &err);
			return;
		}
	} else if (!model_node_is_tagged(n)) {
		/* Now, not the year that the request names. Tagged nodes do not expire. */
		n->expiry = wall_now();
		model_touch(&c->model, n, PART_EXPIRY);
		(void)store_put_node(c->store, n, &err);
		core_node_touched(c, n);
	}
	if (core_commit_now(c, &err) < 0) {
		reply_unstored(c, x, &err);
		return;
	}
	reply(x, &(struct tailcfg_register_response){ 0 });
}

static void do_shorten(struct control *c, struct tn_node *n, struct wall to)
{
	struct err err;

	if (model_node_is_tagged(n) || (n->expiry.ns && n->expiry.ns <= to.ns))
		return;
	n->expiry = to;
	model_touch(&c->model, n, PART_EXPIRY);
	if (store_put_node(c->store, n, &err) == 0)
		core_commit_soon(c);
	core_node_touched(c, n);
}

static void new_login(struct control *c, const struct key *machine, struct http_exchange *x,
		      const struct tailcfg_register_request *r)
{
	struct bytes raw = r->hostinfo ? r->hostinfo->raw : (struct bytes){ 0 };
	struct login *l;

	if (raw.n > HOSTINFO_MAX) {
		reply_error(c, x, "Hostinfo is too large");
		return;
	}
	l = login_add(&c->logins, &c->rng, loop_now(c->loop), machine, &r->node_key, raw);
	l->version = r->version;
	l->ephemeral = r->ephemeral;
	if (r->hostinfo) {
		names_sanitise(r->hostinfo->hostname, l->hostname);
		(void)bytes_to_cstr(r->hostinfo->os, l->os, sizeof(l->os));
	}
	(void)bytes_to_cstr(r->tailnet, l->tailnet, sizeof(l->tailnet));
	log_info(&c->log, "login of %s waits: weft-control nodes approve %s --user NAME",
		 l->hostname[0] ? l->hostname : "a node", l->token);
	reply_auth_url(c, x, l);
}

/* The id is what counts: clients rewrite the URL around it. */
static struct bytes token_of(struct bytes url)
{
	size_t start = url.n;

	while (start && url.p[start - 1] != '/')
		start--;
	url = bytes_from(url, start);
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] == '?' || url.p[i] == '#')
			url.n = i;
	return url;
}

static void do_followup(struct control *c, const struct key *machine, struct http_exchange *x,
			const struct tailcfg_register_request *r)
{
	struct login *l = login_find(&c->logins, token_of(r->followup), loop_now(c->loop));

	if (!l || !key_equal(&l->machine, machine) || !key_equal(&l->node_key, &r->node_key))
		new_login(c, machine, x,
			  r); /* a restart of ours, or too late: a fresh URL heals it */
	else if (!login_park(l, x))
		http_reply_text(x, 429, "too many requests wait for this login");
}

static bool tags_allowed(const struct auth_key *k, const struct tailcfg_hostinfo *h,
			 struct bytes *bad)
{
	for (size_t i = 0; h && i < h->request_tags.n; i++) {
		*bad = h->request_tags.v[i];
		if (k->tags.n
			? !text_set_has(&k->tags, *bad)
			: !k->user || !access_user_may_tag(k->tailnet, k->user->id, bad, 1, bad))
			return false;
	}
	return true;
}

static size_t tags_of(const struct auth_key *k, const struct tailcfg_hostinfo *h,
		      struct bytes out[TAGS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < k->tags.n && n < TAGS_MAX; i++)
		out[n++] = bytes_str(k->tags.v[i]);
	if (!k->tags.n && h)
		for (size_t i = 0; i < h->request_tags.n && n < TAGS_MAX; i++)
			out[n++] = h->request_tags.v[i];
	return n;
}

static void do_auth_key(struct control *c, const struct key *machine, struct http_exchange *x,
			const struct tailcfg_register_request *r)
{
	struct admission a = { .machine = machine,
			       .node_key = &r->node_key,
			       .host = r->hostinfo,
			       .version = r->version,
			       .expiry_wish = r->expiry };
	struct bytes tags[TAGS_MAX], bad = { 0 };
	char text[128];
	struct auth_key *k;
	struct tn_node *n;
	struct err err = { 0 };

	k = authkey_find(&c->model, r->auth->auth_key, &err);
	if (!k || authkey_check(k, wall_now(), &err) < 0) {
		reply_error(c, x, err.text);
		return;
	}
	if (!tags_allowed(k, r->hostinfo, &bad)) {
		(void)snprintf(text, sizeof(text),
			       "requested tag %.*s is not permitted by this key",
			       bad.n > 64 ? 64 : (int)bad.n, (const char *)bad.p);
		reply_error(c, x, text);
		return;
	}
	a.tailnet = k->tailnet;
	a.user = k->user;
	a.n_tags = tags_of(k, r->hostinfo, tags);
	a.tags = tags;
	a.key = k;
	a.ephemeral = k->ephemeral || r->ephemeral;
	a.authorized = k->preauthorized || !k->tailnet->device_approval;
	n = admit(c, &a, &err);
	if (n) {
		k->used = true;
		reply_node(x, n);
	} else if (err.code == ERR_REFUSED || err.code == ERR_LIMIT) {
		reply_error(c, x, err.text);
	} else {
		reply_unstored(c, x, &err);
	}
}

void register_request(struct control *c, const struct key *machine, struct http_exchange *x,
		      const struct tailcfg_register_request *r)
{
	struct tn_node *n = model_node_by_key(&c->model, &r->node_key);
	struct wall now = wall_now();
	bool has_expiry = r->expiry.ns != 0;

	c->count.registers++;
	if (r->version < CAPVER_MIN) {
		http_reply_text(x, 400,
				"this client is too old: capability version %lld, at least %d",
				(long long)r->version, CAPVER_MIN);
		return;
	}
	if (key_is_zero(&r->node_key)) {
		http_reply_text(x, 400, "NodeKey is missing");
		return;
	}
	if (n && !key_equal(&n->machine, machine)) {
		log_warn(&c->log, "node key of %s was presented by another machine", n->name);
		reply_error(c, x, "node key belongs to another machine");
		return;
	}
	if (has_expiry && r->expiry.ns <= now.ns) {
		if (n)
			do_logout(c, x, n);
		else
			reply(x, &(struct tailcfg_register_response){ 0 });
		return;
	}
	if (r->followup.n && !(n && !model_node_is_expired(n, now))) {
		do_followup(c, machine, x, r);
		return;
	}
	if (n && !model_node_is_expired(n, now)) {
		if (has_expiry)
			do_shorten(c, n, r->expiry);
		reply_node(x, n);
		return;
	}
	if (r->auth && r->auth->auth_key.n) {
		do_auth_key(c, machine, x, r);
		return;
	}
	if (n) {
		struct tailcfg_register_response expired = { .node_key_expired = true };

		reply(x, &expired);
		return;
	}
	new_login(c, machine, x, r);
}

/* ---- a person decides ---- */

int register_complete(struct control *c, struct login *login, struct tailnet *t,
		      struct tn_user *user, const char *actor, struct err *err)
{
	struct admission a = { .tailnet = t,
			       .user = user,
			       .machine = &login->machine,
			       .node_key = &login->node_key,
			       .ephemeral = login->ephemeral,
			       .authorized = !t->device_approval,
			       .version = login->version };
	struct tailcfg_hostinfo host;
	struct http_exchange *x;
	struct bytes bad = { 0 };
	struct arena arena;
	struct tn_node *n = NULL;

	arena_init(&arena, 4 << 20);
	if (login->hostinfo.n &&
	    schema_decode(&host, &tailcfg_hostinfo_schema, &arena, login->hostinfo, NULL) == 0)
		a.host = &host;
	if (a.host && a.host->request_tags.n) {
		a.tags = a.host->request_tags.v;
		a.n_tags = a.host->request_tags.n < TAGS_MAX ? a.host->request_tags.n : TAGS_MAX;
	}
	if (a.n_tags && !access_user_may_tag(t, user->id, a.tags, a.n_tags, &bad))
		(void)err_set(err, ERR_REFUSED, "%s may not give the tag %.*s", user->login,
			      bad.n > 64 ? 64 : (int)bad.n, (const char *)bad.p);
	else
		n = admit(c, &a, err);
	arena_fini(&arena);
	if (!n)
		return -1;
	core_audit(c, t, actor, "login.approve", n->name, user->login);
	while ((x = login_next_parked(login)))
		reply_node(x, n);
	login_remove(&c->logins, login);
	return 0;
}

void register_deny(struct control *c, struct login *login, const char *why)
{
	struct http_exchange *x;

	while ((x = login_next_parked(login)))
		reply_error(c, x, why);
	login_remove(&c->logins, login);
}
