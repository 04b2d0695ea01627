#include "app/control/rest.h"

#include <stdarg.h>
#include <stdio.h>

#include "app/control/command_priv.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { ARENA_MAX = 64 << 20 };

/* ---- the tables ---- */

const struct rest_op *rest_op_at(size_t i)
{
	const struct {
		const struct rest_op *ops;
		size_t n;
	} tables[] = { { rest_devices, rest_devices_n },
		       { rest_keys, rest_keys_n },
		       { rest_network, rest_network_n },
		       { rest_people, rest_people_n } };

	for (size_t t = 0; t < array_len(tables); t++) {
		if (i < tables[t].n)
			return &tables[t].ops[i];
		i -= tables[t].n;
	}
	return NULL;
}

/* Does path, piece by piece, look like pattern? Fills in the parameters. */
static bool matches(struct rest *r, struct bytes pattern, struct bytes path)
{
	struct bytes want, got;

	r->n_params = 0;
	for (;;) {
		bool more = text_split(&pattern, '/', &want);

		if (more != text_split(&path, '/', &got))
			return false;
		if (!more)
			return true;
		if (want.n > 2 && want.p[0] == '{') {
			if (!got.n || r->n_params == REST_PARAMS_MAX)
				return false;
			r->params[r->n_params++] =
			    (struct http_header){ bytes_of(want.p + 1, want.n - 2), got };
		} else if (!bytes_equal(want, got)) {
			return false;
		}
	}
}

/* NULL with a status: 404 for a path that is none, 405 for one that has other methods. */
static const struct rest_op *find(struct rest *r, struct bytes path)
{
	const struct rest_op *op;

	r->status = 404;
	for (size_t i = 0; (op = rest_op_at(i)); i++) {
		if (!matches(r, bytes_str(op->path), path))
			continue;
		r->status = 405;
		if (bytes_equal_str(r->req->method, op->method)) {
			r->status = 0;
			return op;
		}
	}
	return NULL;
}

struct bytes rest_param(const struct rest *r, const char *name)
{
	for (size_t i = 0; i < r->n_params; i++)
		if (bytes_equal_str(r->params[i].name, name))
			return r->params[i].value;
	return (struct bytes){ 0 };
}

/* ---- who asks ---- */

/* Bearer, or Basic with the credential as the user's name. out is initialised here. */
static bool presented(const struct http_request *req, struct buf *out)
{
	struct bytes value = text_trim(http_header_get(req, "authorization")), kind;

	buf_init(out, 1024);
	if (!text_split(&value, ' ', &kind))
		return false;
	value = text_trim(value);
	if (bytes_equal_nocase(kind, bytes_str("bearer")))
		return buf_append(out, value);
	if (!bytes_equal_nocase(kind, bytes_str("basic")) || !text_unbase64(BASE64_STD, value, out))
		return false;
	for (size_t i = 0; i < out->n; i++)
		if (out->p[i] == ':')
			out->n = i;
	return true;
}

static void name_actor(struct rest *r)
{
	const struct token *k = r->token;

	(void)snprintf(r->actor, sizeof(r->actor), "%s%s%s c%lld", k->user ? k->user->login : "",
		       k->user ? " " : "", token_kind_name(k->kind), (long long)k->id);
}

static int authenticate(struct rest *r)
{
	struct wall now = wall_now();
	struct buf text;
	bool given = presented(r->req, &text);
	struct addrport peer = origin_of(&r->c->conf.proxies, r->req);

	if (given)
		r->token = token_find(&r->c->tokens, buf_bytes(&text), now, &r->err);
	if (text.p)
		secret_wipe(text.p, text.n);
	buf_fini(&text);
	if (r->token && r->token->kind != TOKEN_CLIENT) {
		r->tailnet = r->token->tailnet;
		r->may = r->token->scopes;
		if (r->token->user) {
			struct scopes role = scopes_of_role(r->token->user->role);

			r->may = scopes_both(r->may, role);
		}
		name_actor(r);
		return 0;
	}
	r->token = NULL;
	if (given && !rate_allow(&r->c->refused_rate, peer.ip, loop_now(r->c->loop))) {
		http_add_header(r->x, "retry-after", "60");
		return rest_refuse(r, 429, "too many wrong credentials from this address");
	}
	http_add_header(r->x, "www-authenticate", "Bearer");
	return rest_refuse(r, 401, given ? "API token invalid" : "API token missing");
}

/* The one place that decides. A person's role may need another right than a token's scope. */
static int authorise(struct rest *r)
{
	const struct rest_op *op = r->op;
	char name[48];
	bool allowed;

	if (op->auth == REST_OPEN)
		return 0;
	if (authenticate(r) < 0)
		return -1;
	allowed = op->auth == REST_ANY || scopes_allow(&r->may, op->scope, op->write);
	if (allowed && op->role_scope && r->token->user) {
		struct scopes role = scopes_of_role(r->token->user->role);

		allowed = scopes_allow(&role, op->role_scope, op->write);
	}
	if (!allowed) {
		core_audit(r->c, r->tailnet, r->actor, "api.refused", op->id, "");
		return rest_refuse(r, 403, "this needs the scope %s",
				   scope_name(op->scope, op->write, name));
	}
	return 0;
}

/* "-" is the credential's network; another one's name is as good as none: no leak of what exists.
 */
static int check_tailnet(struct rest *r)
{
	struct bytes t = rest_param(r, "t");
	struct tailnet *named;

	if (!t.n || bytes_equal_str(t, "-"))
		return 0;
	named = model_tailnet(&r->c->model, t);
	if (!named && t.n > 6 && t.p[0] == 'T' && bytes_equal_str(bytes_from(t, t.n - 5), "CNTRL"))
		named = model_tailnet(&r->c->model, bytes_of(t.p + 1, t.n - 6));
	return named == r->tailnet ? 0 : rest_refuse(r, 404, "tailnet not found");
}

static int read_body(struct rest *r)
{
	struct err why;

	if (r->op->body != REST_JSON)
		return 0;
	r->body = json_parse(&r->arena, r->req->body, JSON_NO_DUPLICATES, &why);
	if (!r->body)
		return rest_refuse(r, 400, "the body is no JSON: %.200s", why.text);
	return 0;
}

/* ---- answers ---- */

int rest_refuse(struct rest *r, unsigned status, const char *fmt, ...)
{
	va_list ap;

	r->err.code = ERR_REFUSED;
	va_start(ap, fmt);
	(void)vsnprintf(r->err.text, sizeof(r->err.text), fmt, ap);
	va_end(ap);
	r->status = status;
	return -1;
}

int rest_empty(struct rest *r)
{
	json_open_object(&r->out);
	json_close_object(&r->out);
	return 0;
}

static void say_error(struct rest *r)
{
	if (!r->status)
		r->status = r->err.code == ERR_USAGE || r->err.code == ERR_REFUSED ||
				    r->err.code == ERR_MALFORMED || r->err.code == ERR_LIMIT
				? 400
				: 503;
	buf_clear(&r->text);
	json_out_init(&r->out, &r->text);
	json_open_object(&r->out);
	command_put(&r->out, "message", r->err.text);
	json_key(&r->out, "status");
	json_put_u64(&r->out, r->status);
	json_close_object(&r->out);
	r->content_type = "application/json";
}

static void answer(struct rest *r, int ret)
{
	if (ret == 0 && r->text.bad)
		ret = rest_refuse(r, 500, "the answer is longer than %d bytes", REST_ANSWER_MAX);
	if (ret < 0 && r->err.code != ERR_NONE)
		say_error(r);
	http_add_header(r->x, "cache-control", "no-store");
	http_add_header(r->x, "x-content-type-options", "nosniff");
	http_reply(r->x, r->status ? r->status : 200,
		   r->content_type ? r->content_type : "application/json", buf_bytes(&r->text));
}

void rest_handle(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct bytes path = bytes_from(req->path, strlen("/api/v2"));
	struct rest r = { .c = arg, .x = x, .req = req };
	int ret = -1;

	arena_init(&r.arena, ARENA_MAX);
	buf_init(&r.text, REST_ANSWER_MAX);
	json_out_init(&r.out, &r.text);
	r.op = find(&r, path);
	if (!r.op)
		(void)rest_refuse(&r, r.status,
				  r.status == 404 ? "no such resource" : "no such method here");
	else if (authorise(&r) == 0 && check_tailnet(&r) == 0 && read_body(&r) == 0)
		ret = r.op->run(&r);
	answer(&r, ret);
	buf_fini(&r.text);
	arena_fini(&r.arena);
}

/* ---- what operations share ---- */

int rest_done(struct rest *r, const char *action, const char *target, const char *was,
	      const char *is)
{
	struct json_out o;
	struct buf diff;

	buf_init(&diff, 1 << 16);
	json_out_init(&o, &diff);
	json_open_object(&o);
	if (was)
		command_put(&o, "old", was);
	if (is)
		command_put(&o, "new", is);
	json_close_object(&o);
	core_audit(r->c, r->tailnet, r->actor, action, target, was || is ? buf_cstr(&diff) : "");
	buf_fini(&diff);
	return core_commit_now(r->c, &r->err);
}

int rest_node(struct rest *r, struct tn_node **out)
{
	struct bytes id = rest_param(r, "id");
	struct tn_node *n = NULL;
	uint64_t number;

	if (text_u64(id, INT64_MAX, &number))
		n = model_node_by_id(r->tailnet, (int64_t)number);
	else
		list_each (it, &r->tailnet->nodes)
			if (bytes_equal_str(id, list_entry(it, struct tn_node, link)->stable_id))
				n = list_entry(it, struct tn_node, link);
	*out = n;
	return n ? 0 : rest_refuse(r, 404, "device not found");
}

int rest_user(struct rest *r, struct tn_user **out)
{
	uint64_t number;

	*out = NULL;
	if (text_u64(rest_param(r, "id"), INT64_MAX, &number))
		*out = model_user_by_id(r->tailnet, (int64_t)number);
	return *out ? 0 : rest_refuse(r, 404, "user not found");
}

int rest_texts(struct rest *r, const struct json *list, const char *name, struct bytes *out,
	       size_t *n)
{
	*n = 0;
	if (!list || json_is(list, JSON_NULL))
		return 0;
	if (!json_is(list, JSON_ARRAY) || list->count > REST_LIST_MAX)
		return rest_refuse(r, 400, "%s takes a list of at most %d texts", name,
				   REST_LIST_MAX);
	json_each (it, list)
		if (!json_string(it, &out[(*n)++]))
			return rest_refuse(r, 400, "%s takes a list of texts", name);
	return 0;
}

int rest_bool(struct rest *r, const char *name, bool *out)
{
	return json_bool(json_get(r->body, name), out)
		   ? 0
		   : rest_refuse(r, 400, "%s is missing; it takes true or false", name);
}

int rest_tags(struct rest *r, const struct json *list, struct bytes *out, size_t *n)
{
	if (rest_texts(r, list, "tags", out, n) < 0)
		return -1;
	for (size_t i = 0; i < *n; i++)
		if (!bytes_has_prefix(out[i], "tag:") || !names_is_label(bytes_from(out[i], 4)))
			return rest_refuse(r, 400, "%.*s is no tag such as tag:server",
					   out[i].n > 80 ? 80 : (int)out[i].n,
					   (const char *)out[i].p);
	return 0;
}

/* A person needs the right of their role or to own the tags, a program must hold or own them. */
int rest_may_tag(struct rest *r, const struct bytes *tags, size_t n)
{
	struct bytes bad = { 0 };
	bool good;

	if (r->token->user) {
		struct scopes role = scopes_of_role(r->token->user->role);

		good = scopes_allow(&role, SCOPE_DEVICES_TAGS, true) ||
		       access_user_may_tag(r->tailnet, r->token->user->id, tags, n, &bad);
	} else {
		good = scopes_allow(&r->may, SCOPE_ALL, true) ||
		       access_tags_may_tag(r->tailnet, &r->token->tags, tags, n, &bad);
	}
	return good ? 0
		    : rest_refuse(r, 403, "the credential may not give the tag %.*s",
				  bad.n > 80 ? 80 : (int)bad.n, (const char *)bad.p);
}

void rest_put_time(struct json_out *o, const char *name, struct wall at)
{
	command_put_time(o, name, at);
}

void rest_put_time_if(struct json_out *o, const char *name, struct wall at)
{
	if (at.ns)
		command_put_time(o, name, at);
}

void rest_put_tailnet_id(struct json_out *o, const char *name, const struct tailnet *t)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "T%lldCNTRL", (long long)t->id);
	command_put(o, name, text);
}
