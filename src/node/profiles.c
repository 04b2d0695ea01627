/* node/profiles.c - see profiles.h. */
#include "node/profiles.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rand.h"
#include "crypto/keytext.h"
#include "node/prefs.h"

void state_set_text(char **slot, struct bytes text)
{
	mem_free(*slot);
	*slot = bytes_strdup(text);
}

/* ---- one ---- */

static struct profile *empty(void)
{
	struct profile *p = mem_alloc(sizeof(*p));

	state_set_text(&p->info.stable_id, bytes_str(""));
	state_set_text(&p->info.user, bytes_str(""));
	state_set_text(&p->info.login_name, bytes_str(""));
	state_set_text(&p->info.domain, bytes_str(""));
	state_set_text(&p->info.magic_suffix, bytes_str(""));
	return p;
}

struct profile *profile_create(const struct profiles *all, struct rng *rng)
{
	struct profile *p = empty();

	p->prefs = prefs_create();
	do
		(void)snprintf(p->info.id, sizeof(p->info.id), "%04x",
			       (unsigned)rng_below(rng, 0x10000));
	while (profiles_find(all, p->info.id));
	return p;
}

void profile_destroy(struct profile *p)
{
	if (!p)
		return;
	prefs_destroy(p->prefs);
	mem_free(p->info.stable_id);
	mem_free(p->info.user);
	mem_free(p->info.login_name);
	mem_free(p->info.domain);
	mem_free(p->info.magic_suffix);
	secret_wipe(p, sizeof(*p));
	mem_free(p);
}

bool profile_has_key(const struct profile *p)
{
	return !secret_is_zero(p->node_key.b, sizeof(p->node_key.b));
}

/* ---- as text ---- */

static void put_private(struct json_out *o, const char *name, const struct secret32 *k)
{
	char text[KEYTEXT_MAX];

	keytext_format_private(k, text);
	json_key(o, name);
	json_put_cstr(o, text);
	secret_wipe(text, sizeof(text));
}

static void put_text(struct json_out *o, const char *name, const char *text)
{
	json_key(o, name);
	json_put_cstr(o, text);
}

void profile_encode(const struct profile *p, struct json_out *o)
{
	put_private(o, "nodeKey", &p->node_key);
	put_private(o, "oldNodeKey", &p->old_node_key);
	json_key(o, "prefs");
	json_put_raw(o, p->prefs->text);
	json_key(o, "profile");
	json_open_object(o);
	put_text(o, "id", p->info.id);
	put_text(o, "stableID", p->info.stable_id);
	put_text(o, "user", p->info.user);
	put_text(o, "loginName", p->info.login_name);
	put_text(o, "domain", p->info.domain);
	put_text(o, "magicSuffix", p->info.magic_suffix);
	json_close_object(o);
}

static void take_private(struct secret32 *k, const struct json *v)
{
	struct bytes text;

	if (json_string(v, &text))
		(void)keytext_parse_private(k, text);
}

static void take_text(char **slot, const struct json *v)
{
	struct bytes text = { NULL, 0 };

	(void)json_string(v, &text);
	state_set_text(slot, text);
}

struct profile *profile_decode(const struct json *v, struct bytes text, struct err *err)
{
	const struct json *prefs = json_get(v, "prefs"), *info = json_get(v, "profile");
	struct bytes id = { NULL, 0 };
	struct profile *p = empty();

	(void)json_string(json_get(info, "id"), &id);
	if (!json_is(prefs, JSON_OBJECT)) {
		err_set(err, ERR_MALFORMED, "it holds no preferences");
		goto bad;
	}
	if (!bytes_to_cstr(id, p->info.id, sizeof(p->info.id))) {
		err_set(err, ERR_MALFORMED, "the profile's id is too long");
		goto bad;
	}
	p->prefs = prefs_decode(bytes_of(text.p + prefs->start, prefs->end - prefs->start), err);
	if (!p->prefs)
		goto bad;
	take_private(&p->node_key, json_get(v, "nodeKey"));
	take_private(&p->old_node_key, json_get(v, "oldNodeKey"));
	take_text(&p->info.stable_id, json_get(info, "stableID"));
	take_text(&p->info.user, json_get(info, "user"));
	take_text(&p->info.login_name, json_get(info, "loginName"));
	take_text(&p->info.domain, json_get(info, "domain"));
	take_text(&p->info.magic_suffix, json_get(info, "magicSuffix"));
	return p;
bad:
	profile_destroy(p);
	return NULL;
}

/* ---- all ---- */

void profiles_fini(struct profiles *all)
{
	profile_destroy(all->current);
	for (size_t i = 0; i < all->other_count; i++)
		profile_destroy(all->others[i]);
	*all = (struct profiles){ 0 };
}

static bool find_other(const struct profiles *all, const char *id, size_t *at)
{
	for (size_t i = 0; i < all->other_count; i++)
		if (!strcmp(all->others[i]->info.id, id)) {
			*at = i;
			return true;
		}
	return false;
}

const struct profile *profiles_find(const struct profiles *all, const char *id)
{
	size_t at;

	if (all->current && !strcmp(all->current->info.id, id))
		return all->current;
	return find_other(all, id, &at) ? all->others[at] : NULL;
}

int profiles_add(struct profiles *all, struct profile *p, struct err *err)
{
	if (all->other_count == PROFILES_MAX || profiles_find(all, p->info.id)) {
		profile_destroy(p);
		return err_set(err, ERR_LIMIT, "there are too many profiles, or two of one id");
	}
	all->others[all->other_count++] = p;
	return 0;
}

static struct profile *take_out(struct profiles *all, size_t at)
{
	struct profile *p = all->others[at];

	all->others[at] = all->others[--all->other_count];
	all->others[all->other_count] = NULL;
	return p;
}

/* The current one steps back among the others, or goes when nobody ever logged in with it. */
static void step_back(struct profiles *all)
{
	if (profile_has_key(all->current))
		all->others[all->other_count++] = all->current;
	else
		profile_destroy(all->current);
	all->current = NULL;
}

int profiles_new(struct profiles *all, struct rng *rng, struct err *err)
{
	struct profile *fresh;
	struct prefs_values v;

	/* One place stays free, so that the current one can always step back. */
	if (all->other_count + 1 >= PROFILES_MAX)
		return err_set(err, ERR_LIMIT,
			       "there are %d profiles already; `weft switch remove` takes one away",
			       PROFILES_MAX);
	fresh = profile_create(all, rng);
	/* Who may log in must be able to finish it. */
	v = fresh->prefs->v;
	v.operator_user = all->current->prefs->v.operator_user;
	if (v.operator_user.n) {
		struct prefs *with = prefs_with(fresh->prefs, &v);

		if (with) {
			prefs_destroy(fresh->prefs);
			fresh->prefs = with;
		}
	}
	step_back(all);
	all->current = fresh;
	return 0;
}

int profiles_switch(struct profiles *all, const char *id, struct err *err)
{
	struct profile *next;
	size_t at;

	if (!strcmp(all->current->info.id, id))
		return 0;
	if (!find_other(all, id, &at))
		return err_set(err, ERR_REFUSED, "Profile not found");
	next = take_out(all, at);
	step_back(all);
	all->current = next;
	return 0;
}

int profiles_remove(struct profiles *all, const char *id, struct rng *rng, struct err *err)
{
	size_t at;

	if (find_other(all, id, &at)) {
		profile_destroy(take_out(all, at));
		return 0;
	}
	if (strcmp(all->current->info.id, id) != 0)
		return err_set(err, ERR_REFUSED, "Profile not found");
	profile_destroy(all->current);
	all->current = NULL;
	all->current = profile_create(all, rng);
	return 0;
}
