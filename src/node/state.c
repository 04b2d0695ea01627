/* node/state.c - see state.h. */
#include "node/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"
#include "io/file.h"
#include "node/prefs.h"

enum {
	STATE_MAX = 16 << 20, /* PROFILES_MAX preferences of their largest size */
	MAP_MAX = 128 << 20,
	NLPRIV_HEX = 128,
};

struct state {
	char *dir;
	int lock_fd;
	struct secret32 machine, nl_seed;
	struct ed25519_key nl;
	struct profiles profiles;
};

static char *path_of(const struct state *s, const char *name)
{
	size_t n = strlen(s->dir) + strlen(name) + 2;
	char *path = mem_alloc(n);

	(void)snprintf(path, n, "%s/%s", s->dir, name);
	return path;
}

/* ---- reading ---- */

static bool private_from(struct secret32 *k, const struct json *v)
{
	struct bytes text;

	return json_string(v, &text) && keytext_parse_private(k, text);
}

static int take_others(struct state *s, const struct json *list, struct bytes text, struct err *err)
{
	json_each (v, list) {
		struct profile *p = profile_decode(v, text, err);

		if (!p || profiles_add(&s->profiles, p, err) < 0)
			return -1;
	}
	return 0;
}

static int take_state(struct state *s, struct bytes text, struct err *err)
{
	struct arena arena;
	const struct json *v;
	int ret = -1;

	arena_init(&arena, 256 << 20);
	v = json_parse(&arena, text, 0, err);
	if (!v)
		goto out;
	if (!private_from(&s->machine, json_get(v, "machineKey")) ||
	    !private_from(&s->nl_seed, json_get(v, "lockSeed"))) {
		err_set(err, ERR_MALFORMED, "it holds no keys");
		goto out;
	}
	s->profiles.current = profile_decode(v, text, err);
	if (s->profiles.current)
		ret = take_others(s, json_get(v, "otherProfiles"), text, err);
out:
	arena_fini(&arena);
	return ret;
}

static int set_aside(const char *path, struct err *err)
{
	char *aside = mem_alloc(strlen(path) + 40);
	struct err why = *err;
	int ret;

	(void)snprintf(aside, strlen(path) + 40, "%s.corrupt-%lld", path,
		       (long long)wall_s(wall_now()));
	if (rename(path, aside) < 0)
		ret = err_sys(err, "move the unreadable %s aside", path);
	else
		ret =
		    err_set(err, ERR_MALFORMED,
			    "%s cannot be read (%.60s) and was moved to %s; put it back repaired, "
			    "or start again for a new identity",
			    path, why.text, strrchr(aside, '/') + 1);
	mem_free(aside);
	return ret;
}

static void make_fresh(struct state *s, struct rng *rng)
{
	x25519_generate(&s->machine, rng);
	secret32_random(&s->nl_seed, rng);
	s->profiles.current = profile_create(&s->profiles, rng);
}

static int load(struct state *s, struct rng *rng, struct err *err)
{
	char *path = path_of(s, "weftd.state");
	struct buf text;
	int ret = 0;

	if (file_read(path, STATE_MAX, &text, err) == 0) {
		if (take_state(s, buf_bytes(&text), err) < 0)
			ret = set_aside(path, err);
		secret_wipe(text.p, text.n);
	} else if (err->sys == ENOENT) {
		make_fresh(s, rng);
		ret = state_save(s, err);
	} else if (err->code == ERR_LIMIT) {
		ret = set_aside(path, err);
	} else {
		ret = -1;
	}
	buf_fini(&text);
	mem_free(path);
	if (ret == 0)
		ed25519_from_seed(&s->nl, &s->nl_seed);
	return ret;
}

static int make_folder(const char *dir, struct err *err)
{
	if (file_mkdirs(dir, 0700, err) < 0)
		return -1;
	if (chmod(dir, 0700) < 0)
		return err_sys(err, "close %s to others", dir);
	return 0;
}

struct state *state_open(const char *dir, struct rng *rng, struct err *err)
{
	struct state *s;
	char *lock;

	if (make_folder(dir, err) < 0)
		return NULL;
	s = mem_alloc(sizeof(*s));
	s->dir = mem_strdup(dir);
	lock = path_of(s, "lock");
	s->lock_fd = file_lock(lock, err);
	mem_free(lock);
	if (s->lock_fd < 0) {
		if (err->code == ERR_REFUSED)
			(void)err_set(err, ERR_REFUSED, "another daemon uses %s", dir);
		state_close(s);
		return NULL;
	}
	if (load(s, rng, err) < 0) {
		state_close(s);
		return NULL;
	}
	return s;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	profiles_fini(&s->profiles);
	mem_free(s->dir);
	secret_wipe(s, sizeof(*s));
	mem_free(s);
}

/* ---- writing ---- */

static void put_private(struct json_out *o, const char *name, const struct secret32 *k)
{
	char text[KEYTEXT_MAX];

	keytext_format_private(k, text);
	json_key(o, name);
	json_put_cstr(o, text);
	secret_wipe(text, sizeof(text));
}

int state_save(struct state *s, struct err *err)
{
	char *path = path_of(s, "weftd.state");
	struct json_out o;
	struct buf buf;
	int ret;

	buf_init(&buf, STATE_MAX);
	json_out_init(&o, &buf);
	json_open_object(&o);
	put_private(&o, "machineKey", &s->machine);
	put_private(&o, "lockSeed", &s->nl_seed);
	profile_encode(s->profiles.current, &o);
	json_key(&o, "otherProfiles");
	json_open_array(&o);
	for (size_t i = 0; i < s->profiles.other_count; i++) {
		json_open_object(&o);
		profile_encode(s->profiles.others[i], &o);
		json_close_object(&o);
	}
	json_close_array(&o);
	json_close_object(&o);
	(void)buf_append_str(&buf, "\n");
	if (buf.bad)
		ret = err_set(err, ERR_LIMIT, "the state is too large to be saved");
	else
		ret = file_write(path, buf_bytes(&buf), 0600, err);
	secret_wipe(buf.p, buf.n);
	buf_fini(&buf);
	mem_free(path);
	return ret;
}

/* ---- the map ---- */

static void map_key(const struct state *s, struct secret32 *key)
{
	hash_hmac_sha256(key->b, bytes_of(s->machine.b, sizeof(s->machine.b)),
			 bytes_str("weft netmap cache 1"));
}

static char *map_path(const struct state *s, const char *id)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "netmap-%s.cache", id);
	return path_of(s, name);
}

/* A map of one profile must not be taken for that of another. */
static struct bytes map_binding(const struct state *s)
{
	return bytes_str(s->profiles.current->info.id);
}

int state_save_map(struct state *s, struct bytes json, struct rng *rng, struct err *err)
{
	size_t n = AEAD_XNONCE_LEN + json.n + AEAD_TAG_LEN;
	uint8_t *sealed = mem_try_alloc(n);
	char *path = map_path(s, s->profiles.current->info.id);
	struct secret32 key;
	int ret;

	if (!sealed) {
		mem_free(path);
		return err_set(err, ERR_LIMIT, "no memory for the map's cache");
	}
	map_key(s, &key);
	rng->fill(rng, sealed, AEAD_XNONCE_LEN);
	aead_xseal(sealed + AEAD_XNONCE_LEN, &key, sealed, json, map_binding(s));
	ret = file_write(path, bytes_of(sealed, n), 0600, err);
	secret32_wipe(&key);
	mem_free(sealed);
	mem_free(path);
	return ret;
}

int state_load_map(struct state *s, struct buf *out, struct err *err)
{
	char *path = map_path(s, s->profiles.current->info.id);
	struct secret32 key;
	struct buf sealed;
	struct bytes body;
	uint8_t *plain;
	int ret = -1;

	buf_init(out, MAP_MAX);
	*err = (struct err){ 0 };
	if (file_read(path, MAP_MAX, &sealed, err) < 0) {
		if (err->sys == ENOENT)
			*err = (struct err){ 0 };
		goto out;
	}
	body = bytes_from(buf_bytes(&sealed), AEAD_XNONCE_LEN);
	plain = body.n > AEAD_TAG_LEN ? buf_reserve(out, body.n) : NULL;
	map_key(s, &key);
	if (!plain || !aead_xopen(plain, &key, sealed.p, body, map_binding(s))) {
		err_set(err, ERR_AUTH, "%s is not ours or is damaged", path);
	} else {
		out->n += body.n - AEAD_TAG_LEN;
		ret = 0;
	}
	secret32_wipe(&key);
out:
	buf_fini(&sealed);
	mem_free(path);
	return ret;
}

static void forget_map(struct state *s, const char *id)
{
	char *path = map_path(s, id);

	(void)unlink(path);
	mem_free(path);
}

void state_forget_map(struct state *s)
{
	forget_map(s, s->profiles.current->info.id);
}

/* ---- members ---- */

struct secret32 *state_machine_key(struct state *s)
{
	return &s->machine;
}

struct secret32 *state_node_key(struct state *s)
{
	return &s->profiles.current->node_key;
}

struct secret32 *state_old_node_key(struct state *s)
{
	return &s->profiles.current->old_node_key;
}

const struct ed25519_key *state_nl_key(struct state *s)
{
	return &s->nl;
}

const struct prefs *state_prefs(const struct state *s)
{
	return s->profiles.current->prefs;
}

void state_set_prefs(struct state *s, struct prefs *p)
{
	prefs_destroy(s->profiles.current->prefs);
	s->profiles.current->prefs = p;
}

struct state_profile *state_profile(struct state *s)
{
	return &s->profiles.current->info;
}

const struct profiles *state_profiles(const struct state *s)
{
	return &s->profiles;
}

int state_new_profile(struct state *s, struct rng *rng, struct err *err)
{
	return profiles_new(&s->profiles, rng, err);
}

int state_switch_profile(struct state *s, const char *id, struct err *err)
{
	return profiles_switch(&s->profiles, id, err);
}

int state_remove_profile(struct state *s, const char *id, struct rng *rng, struct err *err)
{
	char gone[sizeof(s->profiles.current->info.id)];

	(void)snprintf(gone, sizeof(gone), "%s", id); /* it may be the profile's own text */
	if (profiles_remove(&s->profiles, gone, rng, err) < 0)
		return -1;
	forget_map(s, gone);
	return 0;
}
