/* Nodes and auth keys as rows, the history of the policy, the audit log. */
#include "app/control/model.h"
#include "app/control/store_priv.h"
#include "app/control/store_text.h"
#include "base/err.h"
#include "base/json.h"
#include "io/db.h"

enum { COLUMN_MAX = 1 << 20, POLICY_MAX = 16 << 20, AUDIT_PAGE = 200, AUDIT_ANSWER_MAX = 100000 };

static void bind_key(struct db_stmt *q, int at, const struct key *k)
{
	db_bind_blob(q, at, bytes_of(k->b, sizeof(k->b)));
}

static void bind_node_state(struct db_stmt *q, const struct tn_node *n)
{
	struct buf text[4];

	for (int i = 0; i < 4; i++)
		buf_init(&text[i], COLUMN_MAX);
	store_text_tags(&n->tags, &text[0]);
	store_text_prefixes(&n->advertised, &text[1]);
	store_text_prefixes(&n->approved, &text[2]);
	store_text_endpoints(n, &text[3]);
	for (int i = 0; i < 4; i++) {
		db_bind_cstr(q, 13 + i, buf_cstr(&text[i]));
		buf_fini(&text[i]);
	}
	db_bind_i64(q, 17, n->cap);
	db_bind_i64(q, 18, n->home_derp);
	db_bind_text(q, 19, n->hostinfo.n ? n->hostinfo : bytes_str(""));
	db_bind_i64(q, 20, wall_s(n->created));
	db_bind_i64(q, 21, wall_s(n->expiry));
	db_bind_i64(q, 22, wall_s(n->last_seen));
}

static void bind_node(struct db_stmt *q, const struct tn_node *n)
{
	char ip[IP_TEXT_MAX];

	store_bind_id(q, 1, n->id);
	db_bind_i64(q, 2, n->tailnet->id);
	store_bind_id(q, 3, n->user ? n->user->id : 0);
	db_bind_cstr(q, 4, n->stable_id);
	bind_key(q, 5, &n->machine);
	bind_key(q, 6, &n->key);
	bind_key(q, 7, &n->disco);
	db_bind_cstr(q, 8, ip_format(n->v4, ip));
	db_bind_cstr(q, 9, n->name);
	db_bind_i64(q, 10, n->name_fixed);
	db_bind_i64(q, 11, n->ephemeral);
	db_bind_i64(q, 12, n->authorized);
	bind_node_state(q, n);
}

int store_put_node(struct store *s, struct tn_node *n, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(
	    s->db,
	    "INSERT INTO node (id, tailnet, member, stable_id, machine, node_key, disco, ipv4,"
	    " name, name_fixed, ephemeral, authorized, tags, advertised, approved, endpoints, cap,"
	    " home_derp, hostinfo, created, expiry, last_seen)"
	    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
	    " member = excluded.member, node_key = excluded.node_key, disco = excluded.disco,"
	    " ipv4 = excluded.ipv4, name = excluded.name, name_fixed = excluded.name_fixed,"
	    " ephemeral = excluded.ephemeral, authorized = excluded.authorized,"
	    " tags = excluded.tags, advertised = excluded.advertised,"
	    " approved = excluded.approved, endpoints = excluded.endpoints, cap = excluded.cap,"
	    " home_derp = excluded.home_derp, hostinfo = excluded.hostinfo,"
	    " expiry = excluded.expiry, last_seen = excluded.last_seen",
	    err);
	if (!q)
		return -1;
	bind_node(q, n);
	if (store_run(q, err) < 0)
		return err_wrap(err, "store node %s", n->name);
	if (!n->id)
		n->id = db_last_id(s->db);
	return store_log_change(s, n->tailnet->id, "node", n->id, err);
}

int store_put_key(struct store *s, struct auth_key *k, struct err *err)
{
	struct db_stmt *q;
	struct buf tags;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "INSERT INTO auth_key (id, tailnet, member, hash, reusable, ephemeral,"
		       " preauthorized, used, revoked, tags, created, expiry, description)"
		       " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
		       " used = excluded.used, revoked = excluded.revoked",
		       err);
	if (!q)
		return -1;
	buf_init(&tags, COLUMN_MAX);
	store_text_tags(&k->tags, &tags);
	store_bind_id(q, 1, k->id);
	db_bind_i64(q, 2, k->tailnet->id);
	store_bind_id(q, 3, k->user ? k->user->id : 0);
	db_bind_blob(q, 4, bytes_of(k->hash, sizeof(k->hash)));
	db_bind_i64(q, 5, k->reusable);
	db_bind_i64(q, 6, k->ephemeral);
	db_bind_i64(q, 7, k->preauthorized);
	db_bind_i64(q, 8, k->used);
	db_bind_i64(q, 9, k->revoked);
	db_bind_cstr(q, 10, buf_cstr(&tags));
	db_bind_i64(q, 11, wall_s(k->created));
	db_bind_i64(q, 12, wall_s(k->expiry));
	db_bind_cstr(q, 13, k->description ? k->description : "");
	buf_fini(&tags);
	if (store_run(q, err) < 0)
		return -1;
	if (!k->id)
		k->id = db_last_id(s->db);
	return store_log_change(s, k->tailnet->id, "key", k->id, err);
}

/* ---- policy history ---- */

int store_put_policy(struct store *s, const struct tailnet *t, struct bytes text,
		     const char *author, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db, "INSERT INTO policy (tailnet, text, author, at) VALUES (?, ?, ?, ?)",
		       err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, t->id);
	db_bind_text(q, 2, text);
	db_bind_cstr(q, 3, author);
	db_bind_i64(q, 4, wall_s(wall_now()));
	if (store_run(q, err) < 0)
		return -1;
	return store_log_change(s, t->id, "policy", db_last_id(s->db), err);
}

int store_get_policy(struct store *s, const struct tailnet *t, int64_t id, struct buf *out,
		     struct err *err)
{
	const char *one = "SELECT text FROM policy WHERE tailnet = ? AND id = ?";
	const char *newest = "SELECT text FROM policy WHERE tailnet = ? ORDER BY id DESC LIMIT 1";
	struct db_stmt *q = db_prepare(s->db, id ? one : newest, err);
	int step;

	buf_init(out, POLICY_MAX);
	if (!q)
		return -1;
	db_bind_i64(q, 1, t->id);
	if (id)
		db_bind_i64(q, 2, id);
	step = db_step(q, err);
	if (step == 1) {
		(void)buf_append(out, db_text(q, 0));
		db_reset(q);
	}
	if (step == 0 && id)
		return err_set(err, ERR_USAGE, "there is no policy %lld", (long long)id);
	return step < 0 ? -1 : 0;
}

int store_policy_before(struct store *s, const struct tailnet *t, int64_t *id, struct buf *out,
			struct err *err)
{
	struct db_stmt *q = db_prepare(s->db,
				       "SELECT id, text FROM policy WHERE tailnet = ? AND"
				       " id < ? ORDER BY id DESC LIMIT 1",
				       err);
	int step;

	buf_init(out, POLICY_MAX);
	if (!q)
		return -1;
	db_bind_i64(q, 1, t->id);
	db_bind_i64(q, 2, *id);
	step = db_step(q, err);
	if (step == 0)
		return err_set(err, ERR_USAGE, "there is no earlier policy");
	if (step < 0)
		return -1;
	*id = db_i64(q, 0);
	(void)buf_append(out, db_text(q, 1));
	db_reset(q);
	return 0;
}

static void put_time(struct json_out *o, const char *name, int64_t s)
{
	char at[WALL_TEXT_MAX];

	json_key(o, name);
	json_put_cstr(o, wall_format(wall_from_s(s), at));
}

static void put_text(struct json_out *o, const char *name, struct bytes text)
{
	json_key(o, name);
	json_put_string(o, text);
}

int store_list_policies(struct store *s, const struct tailnet *t, struct json_out *o,
			struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT id, author, at, length(text) FROM policy WHERE tailnet = ?"
		       " ORDER BY id DESC LIMIT 100",
		       err);
	int step;

	if (!q)
		return -1;
	db_bind_i64(q, 1, t->id);
	json_open_array(o);
	while ((step = db_step(q, err)) == 1) {
		json_open_object(o);
		json_key(o, "id");
		json_put_i64(o, db_i64(q, 0));
		put_text(o, "author", db_text(q, 1));
		put_time(o, "at", db_i64(q, 2));
		json_key(o, "bytes");
		json_put_i64(o, db_i64(q, 3));
		json_close_object(o);
	}
	json_close_array(o);
	return step;
}

/* ---- audit ---- */

int store_audit(struct store *s, int64_t tailnet, const char *actor, const char *action,
		const char *target, const char *detail, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "INSERT INTO audit (tailnet, at, actor, action, target, detail)"
		       " VALUES (?, ?, ?, ?, ?, ?)",
		       err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, tailnet);
	db_bind_i64(q, 2, wall_s(wall_now()));
	db_bind_cstr(q, 3, actor);
	db_bind_cstr(q, 4, action);
	db_bind_cstr(q, 5, target);
	db_bind_cstr(q, 6, detail);
	return store_run(q, err);
}

static void put_log(struct json_out *o, struct db_stmt *q)
{
	json_open_object(o);
	put_time(o, "eventTime", db_i64(q, 0));
	put_text(o, "type", bytes_str("CONFIG"));
	json_key(o, "actor");
	json_open_object(o);
	put_text(o, "loginName", db_text(q, 1));
	json_close_object(o);
	put_text(o, "action", db_text(q, 2));
	json_key(o, "target");
	json_open_object(o);
	put_text(o, "name", db_text(q, 3));
	json_close_object(o);
	put_text(o, "actionDetails", db_text(q, 4));
	json_close_object(o);
}

int store_list_audit_between(struct store *s, const struct tailnet *t, int64_t from, int64_t to,
			     struct json_out *o, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT at, actor, action, target, detail FROM audit WHERE tailnet = ?"
		       " AND at >= ? AND at <= ? ORDER BY id LIMIT ?",
		       err);
	int step;

	if (!q)
		return -1;
	db_bind_i64(q, 1, t->id);
	db_bind_i64(q, 2, from);
	db_bind_i64(q, 3, to);
	db_bind_i64(q, 4, AUDIT_ANSWER_MAX);
	json_open_array(o);
	while ((step = db_step(q, err)) == 1)
		put_log(o, q);
	json_close_array(o);
	return step;
}

int store_list_audit(struct store *s, const struct tailnet *t, struct json_out *o, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT at, actor, action, target, detail FROM audit WHERE tailnet = ?"
		       " ORDER BY id DESC LIMIT ?",
		       err);
	static const char *const names[] = { "actor", "action", "target", "detail" };
	int step;

	if (!q)
		return -1;
	db_bind_i64(q, 1, t->id);
	db_bind_i64(q, 2, AUDIT_PAGE);
	json_open_array(o);
	while ((step = db_step(q, err)) == 1) {
		json_open_object(o);
		put_time(o, "at", db_i64(q, 0));
		for (int i = 0; i < 4; i++)
			put_text(o, names[i], db_text(q, i + 1));
		json_close_object(o);
	}
	json_close_array(o);
	return step;
}
