/* Identities, groups of the provider, posture attributes and API credentials as rows. */
#include "app/control/attributes.h"
#include "app/control/model.h"
#include "app/control/store_priv.h"
#include "app/control/store_text.h"
#include "app/control/token.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/db.h"

enum { GROUPS_TEXT_MAX = 1 << 20, GROUPS_MAX = 1024 };

/* ---- identities: group names may hold spaces, so they stand between line feeds ---- */

int store_put_identity(struct store *s, const struct tn_user *u, struct err *err)
{
	const struct tn_identity *id = u->identity;
	struct db_stmt *q;
	struct buf groups;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "INSERT INTO identity (tailnet, member, issuer, subject,"
		       " email, verified, picture, groups, seen)"
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
		       " ON CONFLICT (tailnet, member) DO UPDATE SET issuer = excluded.issuer,"
		       " subject = excluded.subject, email = excluded.email,"
		       " verified = excluded.verified, picture = excluded.picture,"
		       " groups = excluded.groups, seen = excluded.seen",
		       err);
	if (!q)
		return -1;
	buf_init(&groups, GROUPS_TEXT_MAX);
	for (size_t i = 0; i < id->groups.n; i++)
		(void)buf_printf(&groups, "%s%s", i ? "\n" : "", id->groups.v[i]);
	db_bind_i64(q, 1, u->tailnet->id);
	db_bind_i64(q, 2, u->id);
	db_bind_cstr(q, 3, id->issuer);
	db_bind_cstr(q, 4, id->subject);
	db_bind_cstr(q, 5, id->email);
	db_bind_i64(q, 6, id->email_verified);
	db_bind_cstr(q, 7, id->picture);
	db_bind_cstr(q, 8, buf_cstr(&groups));
	db_bind_i64(q, 9, wall_s(id->seen));
	buf_fini(&groups);
	if (store_run(q, err) < 0)
		return -1;
	return store_log_change(s, u->tailnet->id, "user", u->id, err);
}

static void read_identity(struct db_stmt *q, struct tn_user *u)
{
	struct tn_identity *id = model_identity(u);
	struct bytes text[GROUPS_MAX], rest;
	char **texts[] = { &id->issuer, &id->subject, &id->email, &id->picture };
	static const int columns[] = { 2, 3, 4, 6 };
	size_t n = 0;

	for (size_t i = 0; i < array_len(texts); i++) {
		mem_free(*texts[i]);
		*texts[i] = bytes_strdup(db_text(q, columns[i]));
	}
	id->email_verified = db_i64(q, 5);
	rest = db_text(q, 7);
	while (n < GROUPS_MAX && text_split(&rest, '\n', &text[n]))
		n += text[n].n > 0;
	(void)text_set_assign(&id->groups, text, n);
	id->seen = wall_from_s(db_i64(q, 8));
}

static int load_identities(struct store *s, struct model *m, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT tailnet, member, issuer, subject, email, verified, picture,"
		       " groups, seen FROM identity",
		       err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1) {
		struct tailnet *t = model_tailnet_by_id(m, db_i64(q, 0));
		struct tn_user *u = t ? model_user_by_id(t, db_i64(q, 1)) : NULL;

		if (u)
			read_identity(q, u);
	}
	return step;
}

/* ---- groups ---- */

static int group_row(struct store *s, const char *sql, const struct tailnet *t, const char *name,
		     struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db, sql, err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, t->id);
	db_bind_cstr(q, 2, name);
	if (store_run(q, err) < 0)
		return -1;
	return store_log_change(s, t->id, "group", t->id, err);
}

int store_put_group(struct store *s, const struct tailnet *t, const char *name, struct err *err)
{
	return group_row(
	    s, "INSERT INTO idp_group (tailnet, name) VALUES (?, ?) ON CONFLICT DO NOTHING", t,
	    name, err);
}

int store_delete_group(struct store *s, const struct tailnet *t, const char *name, struct err *err)
{
	return group_row(s, "DELETE FROM idp_group WHERE tailnet = ? AND name = ?", t, name, err);
}

static int load_groups(struct store *s, struct model *m, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db, "SELECT tailnet, name FROM idp_group ORDER BY name", err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1) {
		struct tailnet *t = model_tailnet_by_id(m, db_i64(q, 0));

		if (t)
			(void)text_set_add(&t->groups, db_text(q, 1));
	}
	return step;
}

/* ---- attributes ---- */

int store_put_attributes(struct store *s, const struct tn_node *n, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "INSERT INTO attribute (tailnet, node, value) VALUES (?, ?, ?)"
		       " ON CONFLICT (tailnet, node) DO UPDATE SET value = excluded.value",
		       err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, n->tailnet->id);
	db_bind_i64(q, 2, n->id);
	db_bind_cstr(q, 3, n->attributes ? n->attributes : "{}");
	if (store_run(q, err) < 0)
		return -1;
	return store_log_change(s, n->tailnet->id, "node", n->id, err);
}

static void take_attributes(struct tn_node *n, struct bytes text)
{
	n->attributes = bytes_strdup(text);
	attributes_restore(n);
}

static int load_attributes(struct store *s, struct model *m, struct err *err)
{
	struct db_stmt *q = db_prepare(s->db, "SELECT tailnet, node, value FROM attribute", err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1) {
		struct tailnet *t = model_tailnet_by_id(m, db_i64(q, 0));
		struct tn_node *n = t ? model_node_by_id(t, db_i64(q, 1)) : NULL;

		if (n && !n->attributes)
			take_attributes(n, db_text(q, 2));
	}
	return step;
}

int store_load_identities(struct store *s, struct model *m, struct err *err)
{
	return load_identities(s, m, err) < 0 || load_groups(s, m, err) < 0 ||
		       load_attributes(s, m, err) < 0
		   ? -1
		   : 0;
}

/* ---- credentials ---- */

int store_put_token(struct store *s, struct token *k, struct err *err)
{
	struct db_stmt *q;
	struct buf scopes, tags;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "INSERT INTO credential (id, tailnet, kind, member, parent, hash,"
		       " scopes, tags, description, created, expiry, revoked)"
		       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
		       " SET scopes = excluded.scopes, tags = excluded.tags,"
		       " description = excluded.description, revoked = excluded.revoked",
		       err);
	if (!q)
		return -1;
	buf_init(&scopes, 4096);
	buf_init(&tags, GROUPS_TEXT_MAX);
	scopes_format(&k->scopes, &scopes);
	store_text_tags(&k->tags, &tags);
	store_bind_id(q, 1, k->id);
	db_bind_i64(q, 2, k->tailnet->id);
	db_bind_cstr(q, 3, token_kind_name(k->kind));
	store_bind_id(q, 4, k->user ? k->user->id : 0);
	db_bind_i64(q, 5, k->parent);
	db_bind_blob(q, 6, bytes_of(k->hash, sizeof(k->hash)));
	db_bind_cstr(q, 7, buf_cstr(&scopes));
	db_bind_cstr(q, 8, buf_cstr(&tags));
	db_bind_cstr(q, 9, k->description ? k->description : "");
	db_bind_i64(q, 10, wall_s(k->created));
	db_bind_i64(q, 11, wall_s(k->expiry));
	db_bind_i64(q, 12, k->revoked);
	buf_fini(&scopes);
	buf_fini(&tags);
	if (store_run(q, err) < 0)
		return -1;
	if (!k->id)
		k->id = db_last_id(s->db);
	return store_log_change(s, k->tailnet->id, "credential", k->id, err);
}

int store_delete_token(struct store *s, const struct token *k, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db, "DELETE FROM credential WHERE tailnet = ? AND id = ?", err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, k->tailnet->id);
	db_bind_i64(q, 2, k->id);
	if (store_run(q, err) < 0)
		return -1;
	return store_log_change(s, k->tailnet->id, "credential-gone", k->id, err);
}

/* A row that does not say exactly what it may do is left out: it opens nothing. */
static void read_token(struct db_stmt *q, const struct model *m, struct tokens *out)
{
	struct tailnet *t = model_tailnet_by_id(m, db_i64(q, 1));
	struct tn_user *u = t ? model_user_by_id(t, db_i64(q, 3)) : NULL;
	struct bytes hash = db_blob(q, 5);
	enum token_kind kind;
	struct scopes scopes;
	struct token *k;

	if (!t || hash.n != sizeof(k->hash) || !token_kind_parse(&kind, db_text(q, 2)) ||
	    scopes_parse(&scopes, db_text(q, 6), NULL) < 0 || (!db_is_null(q, 3) && !u))
		return;
	k = token_add(out, t, kind, db_i64(q, 0));
	k->user = u;
	k->parent = db_i64(q, 4);
	memcpy(k->hash, hash.p, hash.n);
	k->scopes = scopes;
	store_read_tags(&k->tags, db_text(q, 7));
	k->description = bytes_strdup(db_text(q, 8));
	k->created = wall_from_s(db_i64(q, 9));
	k->expiry = wall_from_s(db_i64(q, 10));
	k->revoked = db_i64(q, 11);
}

int store_load_tokens(struct store *s, const struct model *m, struct tokens *out, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT id, tailnet, kind, member, parent, hash, scopes, tags,"
		       " description, created, expiry, revoked FROM credential ORDER BY id",
		       err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1)
		read_token(q, m, out);
	return step;
}
