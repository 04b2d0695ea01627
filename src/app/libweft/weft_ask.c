/* app/libweft/weft_ask.c - what an embedded node knows: state, addresses, names, identities. */
#include <weft.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "app/libweft/weft_impl.h"
#include "io/loop.h"
#include "node/netmap.h"

/* ---- questions to the node's thread ---- */

static void run(void *arg)
{
	struct weft_ask *ask = arg;
	struct weft *w = ask->w;
	int result = ask->answer(w, ask->arg, &ask->err);

	pthread_mutex_lock(&w->lock);
	ask->result = result;
	ask->done = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

int weft_ask(struct weft *w, int (*answer)(struct weft *w, void *arg, struct err *err), void *arg)
{
	struct weft_ask ask = { .w = w, .answer = answer, .arg = arg };

	if (!w->started) {
		(void)err_set(&ask.err, ERR_USAGE, "the node was not started");
		return weft_fail(w, &ask.err);
	}
	loop_post(w->loop, run, &ask);
	pthread_mutex_lock(&w->lock);
	while (!ask.done)
		pthread_cond_wait(&w->changed, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return ask.result < 0 ? weft_fail(w, &ask.err) : 0;
}

/* A text for the caller's buffer, whole or not at all. */
static int give(struct bytes text, char *buf, size_t size, struct err *err)
{
	if (text.n >= size)
		return err_set(err, ERR_LIMIT, "the buffer has %zu bytes, %zu are needed", size,
			       text.n + 1);
	memcpy(buf, text.p, text.n);
	buf[text.n] = '\0';
	return 0;
}

static const struct netmap *need_map(const struct weft *w, struct err *err)
{
	const struct netmap *map = node_map(w->node);

	if (!map)
		(void)err_set(err, ERR_REFUSED, "the node has no map of its network yet");
	return map;
}

/* ---- what is mirrored under the lock ---- */

const char *weft_state(struct weft *w)
{
	enum node_state s;

	pthread_mutex_lock(&w->lock);
	s = w->state;
	pthread_mutex_unlock(&w->lock);
	return node_state_name(s);
}

int weft_login_url(struct weft *w, char *buf, size_t size)
{
	char url[WEFT_URL_MAX];
	struct err err;

	pthread_mutex_lock(&w->lock);
	memcpy(url, w->url, sizeof(url));
	pthread_mutex_unlock(&w->lock);
	return give(bytes_str(url), buf, size, &err) < 0 ? weft_fail(w, &err) : 0;
}

int weft_packet_fd(struct weft *w)
{
	struct err err;

	if (w->started)
		return w->packets[1];
	(void)err_set(&err, ERR_USAGE, "the node was not started");
	return weft_fail(w, &err);
}

/* ---- addresses, names, identities ---- */

struct text_question {
	const char *name;
	char *buf;
	size_t size;
};

static int give_addresses(const struct tailcfg_node *n, struct text_question *q, struct err *err)
{
	char text[2 * IP_TEXT_MAX + 2] = "", one[IP_TEXT_MAX];
	size_t used = 0;

	for (size_t i = 0; i < n->addresses.n && i < 2; i++) {
		ip_format(n->addresses.v[i].addr, one);
		used +=
		    (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? "," : "", one);
	}
	return give(bytes_str(text), q->buf, q->size, err);
}

static int answer_addresses(struct weft *w, void *arg, struct err *err)
{
	const struct netmap *map = need_map(w, err);

	return map ? give_addresses(netmap_self(map), arg, err) : -1;
}

int weft_addresses(struct weft *w, char *buf, size_t size)
{
	struct text_question q = { .buf = buf, .size = size };

	return weft_ask(w, answer_addresses, &q);
}

static bool is_called(const struct tailcfg_node *n, const char *name)
{
	struct bytes label = netmap_node_label(n), full = n->name;
	size_t len = strlen(name);

	if (full.n && full.p[full.n - 1] == '.')
		full.n--;
	if (len && name[len - 1] == '.')
		len--;
	return (label.n == len && !strncasecmp((const char *)label.p, name, len)) ||
	       (full.n == len && !strncasecmp((const char *)full.p, name, len));
}

static int answer_lookup(struct weft *w, void *arg, struct err *err)
{
	const struct netmap *map = need_map(w, err);
	struct text_question *q = arg;

	if (!map)
		return -1;
	for (size_t i = 0; i < netmap_peer_count(map); i++)
		if (is_called(netmap_peer(map, i), q->name))
			return give_addresses(netmap_peer(map, i), q, err);
	if (is_called(netmap_self(map), q->name))
		return give_addresses(netmap_self(map), q, err);
	return err_set(err, ERR_REFUSED, "no node is called '%.100s'", q->name);
}

int weft_lookup(struct weft *w, const char *name, char *buf, size_t size)
{
	struct text_question q = { .name = name, .buf = buf, .size = size };

	return weft_ask(w, answer_lookup, &q);
}

struct whois_question {
	struct ip ip;
	struct text_question node, user;
};

static int answer_whois(struct weft *w, void *arg, struct err *err)
{
	const struct netmap *map = need_map(w, err);
	const struct tailcfg_user_profile *user;
	struct whois_question *q = arg;
	const struct tailcfg_node *n;
	struct bytes name, who = bytes_str("");
	char text[IP_TEXT_MAX];

	if (!map)
		return -1;
	n = netmap_node_by_ip(map, q->ip);
	if (!n) {
		ip_format(q->ip, text);
		return err_set(err, ERR_REFUSED, "no node that is visible here has %s", text);
	}
	name = n->name;
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	user = netmap_profile(map, n->user);
	if (n->tags.n)
		who = n->tags.v[0];
	else if (user)
		who = user->login_name;
	return give(name, q->node.buf, q->node.size, err) < 0
		   ? -1
		   : give(who, q->user.buf, q->user.size, err);
}

int weft_whois(struct weft *w, const char *address, char *node, size_t node_size, char *user,
	       size_t user_size)
{
	struct whois_question q = { .node = { .buf = node, .size = node_size },
				    .user = { .buf = user, .size = user_size } };
	struct err err;

	if (!ip_parse(&q.ip, bytes_str(address))) {
		(void)err_set(&err, ERR_USAGE, "'%.60s' is not an IP address", address);
		return weft_fail(w, &err);
	}
	return weft_ask(w, answer_whois, &q);
}
