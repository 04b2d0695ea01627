#include "app/control/login.h"

#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "io/httpd.h"

void logins_init(struct logins *l)
{
	list_init(&l->all);
	l->n = 0;
}

static void waiter_gone(void *arg)
{
	struct login_wait *w = arg;

	list_remove(&w->link);
	mem_free(w);
}

bool login_park(struct login *login, struct http_exchange *x)
{
	struct login_wait *w;
	size_t n = 0;

	list_each (it, &login->parked)
		n++;
	if (n >= LOGIN_PARKED_MAX)
		return false;
	w = mem_alloc(sizeof(*w));
	w->x = x;
	list_append(&login->parked, &w->link);
	http_on_gone(x, waiter_gone, w);
	return true;
}

struct http_exchange *login_next_parked(struct login *login)
{
	struct list *first = list_pop(&login->parked);
	struct login_wait *w;
	struct http_exchange *x;

	if (!first)
		return NULL;
	w = list_entry(first, struct login_wait, link);
	x = w->x;
	http_on_gone(x, NULL, NULL);
	mem_free(w);
	return x;
}

void login_remove(struct logins *l, struct login *login)
{
	struct http_exchange *x;

	while ((x = login_next_parked(login)))
		http_reply_abort(x);
	list_remove(&login->link);
	l->n--;
	mem_free((void *)login->hostinfo.p);
	mem_free(login);
}

void logins_fini(struct logins *l)
{
	list_each_safe (it, &l->all)
		login_remove(l, list_entry(it, struct login, link));
}

void logins_expire(struct logins *l, struct mono now)
{
	list_each_safe (it, &l->all) {
		struct login *login = list_entry(it, struct login, link);

		if (!mono_reached(now, login->expires))
			return; /* the rest is younger */
		login_remove(l, login);
	}
}

static void random_token(struct rng *rng, char out[LOGIN_TOKEN_SIZE])
{
	uint8_t raw[(LOGIN_TOKEN_SIZE - 1) / 2];

	rng->fill(rng, raw, sizeof(raw));
	text_hex(bytes_of(raw, sizeof(raw)), out);
}

void login_prove(struct login *login, struct rng *rng, int64_t tailnet, int64_t user)
{
	login->tailnet_id = tailnet;
	login->user_id = user;
	random_token(rng, login->confirm);
}

static void drop_older(struct logins *l, const struct key *machine)
{
	list_each_safe (it, &l->all) {
		struct login *login = list_entry(it, struct login, link);

		if (key_equal(&login->machine, machine))
			login_remove(l, login);
	}
	if (l->n >= LOGINS_MAX)
		login_remove(l, list_entry(list_first(&l->all), struct login, link));
}

struct login *login_add(struct logins *l, struct rng *rng, struct mono now,
			const struct key *machine, const struct key *node_key,
			struct bytes hostinfo)
{
	struct login *login = mem_alloc(sizeof(*login));
	uint8_t *copy = mem_alloc(hostinfo.n + 1);

	drop_older(l, machine);
	random_token(rng, login->token);
	random_token(rng, login->csrf);
	login->machine = *machine;
	login->node_key = *node_key;
	if (hostinfo.n)
		memcpy(copy, hostinfo.p, hostinfo.n);
	login->hostinfo = bytes_of(copy, hostinfo.n);
	login->expires = mono_add_s(now, LOGIN_MINUTES * 60);
	list_init(&login->parked);
	list_append(&l->all, &login->link);
	l->n++;
	return login;
}

struct login *login_find(struct logins *l, struct bytes token, struct mono now)
{
	logins_expire(l, now);
	if (token.n != LOGIN_TOKEN_SIZE - 1)
		return NULL;
	list_each (it, &l->all) {
		struct login *login = list_entry(it, struct login, link);

		if (secret_equal(login->token, token.p, token.n))
			return login;
	}
	return NULL;
}
