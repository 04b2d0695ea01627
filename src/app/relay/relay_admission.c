#include "app/relay/relay_admission.h"

#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "io/file.h"
#include "io/httpc.h"
#include "io/loop.h"

enum {
	ALLOW_FILE_MAX = 64 << 20,
	ANSWER_MAX = 4096,
	TIMEOUT_MS = 5000,
	PENDING_MAX = 1024, /* more questions at a time are answered with no */
};

struct listed {
	struct key key;
};

struct relay_admission {
	struct relay_admission_conf conf;
	struct map allow;
	struct list pending;
	struct relay_admission_stats stats;
	bool unreachable_said;
};

struct question;

struct asked {
	struct question *question;
	struct http_fetch *fetch;
};

/* One client and the URLs that were asked about it. */
struct question {
	struct relay_admission *admission;
	struct list node;
	uint64_t client;
	size_t open;
	bool reached;
	struct asked asked[];
};

static struct bytes listed_key(const void *item)
{
	return bytes_of(((const struct listed *)item)->key.b, 32);
}

static void free_list(struct map *m)
{
	struct listed *l;
	size_t it = 0;

	while ((l = map_next(m, &it)) != NULL)
		mem_free(l);
	map_fini(m);
}

/* One key a line; a hash starts a comment, what follows the key is for people. */
static int parse_line(struct map *m, struct bytes line)
{
	struct listed *l;
	struct bytes word;
	struct key key;

	(void)text_split(&line, '#', &word);
	word = text_trim(word);
	if (!word.n)
		return 0;
	line = word;
	(void)text_split(&line, ' ', &word);
	if (!keytext_parse(&key, KEY_NODE, word))
		return -1;
	l = mem_alloc(sizeof(*l));
	l->key = key;
	mem_free(map_put(m, l));
	return 0;
}

static int load(const char *path, struct map *m, struct err *err)
{
	struct rng rng = rng_system();
	struct bytes rest, line;
	struct buf text;
	uint8_t seed[16];
	unsigned number = 0;
	int ret = 0;

	rng.fill(&rng, seed, sizeof(seed));
	map_init(m, listed_key, seed);
	if (!path)
		return 0;
	if (file_read(path, ALLOW_FILE_MAX, &text, err) < 0)
		return err_wrap(err, "allow list");
	rest = buf_bytes(&text);
	while (ret == 0 && text_split(&rest, '\n', &line)) {
		number++;
		if (parse_line(m, line) < 0)
			ret = err_set(err, ERR_USAGE, "%s, line %u: not nodekey: and 64 hex digits",
				      path, number);
	}
	buf_fini(&text);
	if (ret < 0)
		free_list(m);
	return ret;
}

int relay_admission_reload(struct relay_admission *a, struct err *err)
{
	struct map fresh;

	if (load(a->conf.allow_file, &fresh, err) < 0)
		return -1;
	free_list(&a->allow);
	a->allow = fresh;
	return 0;
}

struct relay_admission *relay_admission_create(const struct relay_admission_conf *conf,
					       struct err *err)
{
	struct relay_admission *a = mem_alloc(sizeof(*a));

	a->conf = *conf;
	list_init(&a->pending);
	if (load(conf->allow_file, &a->allow, err) < 0) {
		mem_free(a);
		return NULL;
	}
	return a;
}

static void question_free(struct question *q)
{
	struct relay_admission *a = q->admission;

	for (size_t i = 0; i < a->conf.url_count; i++)
		if (q->asked[i].fetch)
			http_fetch_cancel(q->asked[i].fetch);
	list_remove(&q->node);
	a->stats.pending--;
	loop_free_later(a->conf.loop, q);
}

void relay_admission_destroy(struct relay_admission *a)
{
	if (!a)
		return;
	while (!list_is_empty(&a->pending))
		question_free(list_entry(a->pending.next, struct question, node));
	free_list(&a->allow);
	mem_free(a);
}

static void tell(struct relay_admission *a, uint64_t client, bool allow)
{
	if (allow)
		a->stats.allowed++;
	else
		a->stats.refused++;
	a->conf.on_answer(a->conf.arg, client, allow);
}

static void answer(struct question *q, bool allow)
{
	struct relay_admission *a = q->admission;
	uint64_t client = q->client;

	question_free(q);
	tell(a, client, allow);
}

bool relay_admission_parse(struct bytes body, bool *allow)
{
	struct arena arena;
	struct json *v;
	bool ok;

	arena_init(&arena, 64 << 10);
	v = json_parse(&arena, body, 0, NULL);
	ok = json_is(v, JSON_OBJECT) && json_bool(json_get_nocase(v, "Allow"), allow);
	arena_fini(&arena);
	return ok;
}

static void note_reached(struct relay_admission *a, bool reached, const char *url, const char *why)
{
	if (reached && a->unreachable_said)
		log_info(a->conf.log, "verify %s answered again", url);
	if (!reached && !a->unreachable_said)
		log_warn(a->conf.log, "verify %s gave no answer, clients are %s: %s", url,
			 a->conf.fail_open ? "let in" : "refused", why);
	a->unreachable_said = !reached;
}

static void on_fetched(void *arg, unsigned status, struct bytes body, const struct err *err)
{
	struct asked *asked = arg;
	struct question *q = asked->question;
	struct relay_admission *a = q->admission;
	size_t at = (size_t)(asked - q->asked);
	bool allow = false, said = status == 200 && relay_admission_parse(body, &allow);
	char why[64];

	asked->fetch = NULL;
	(void)snprintf(why, sizeof(why), "it answered with status %u", status);
	note_reached(a, said, a->conf.urls[at], status ? why : err->text);
	a->stats.unreachable += !said;
	q->reached |= said;
	q->open--;
	if (said && allow)
		answer(q, true);
	else if (!q->open)
		answer(q, !q->reached && a->conf.fail_open);
}

static void put_question(struct buf *out, const struct key *key, struct ip from)
{
	char text[KEYTEXT_MAX], addr[IP_TEXT_MAX];
	struct json_out o;

	json_out_init(&o, out);
	json_open_object(&o);
	json_key(&o, "NodePublic");
	json_put_cstr(&o, keytext_format(key, KEY_NODE, text));
	json_key(&o, "Source");
	json_put_cstr(&o, ip_format(from, addr));
	json_close_object(&o);
}

static void fetch_all(struct question *q, struct bytes body)
{
	struct relay_admission *a = q->admission;
	static const struct http_header json = { { (const uint8_t *)"content-type", 12 },
						 { (const uint8_t *)"application/json", 16 } };
	struct err err;

	for (size_t i = 0; i < a->conf.url_count; i++) {
		struct http_fetch_conf conf = {
			.method = "POST",
			.url = a->conf.urls[i],
			.headers = &json,
			.header_count = 1,
			.body = body,
			.body_max = ANSWER_MAX,
			.timeout_ms = TIMEOUT_MS,
			.ca_file = a->conf.ca_file,
			.on_done = on_fetched,
			.arg = &q->asked[i],
		};

		q->asked[i].question = q;
		q->asked[i].fetch = http_fetch(a->conf.loop, &conf, &err);
		if (q->asked[i].fetch)
			q->open++;
		else
			note_reached(a, false, a->conf.urls[i], err.text);
	}
}

void relay_admission_ask(struct relay_admission *a, uint64_t client, const struct key *key,
			 struct ip from)
{
	struct question *q;
	struct buf body;

	if (map_get(&a->allow, bytes_of(key->b, 32))) {
		tell(a, client, true);
		return;
	}
	if (!a->conf.url_count || a->stats.pending >= PENDING_MAX) {
		a->stats.too_many += a->conf.url_count != 0;
		tell(a, client, false);
		return;
	}
	q = mem_alloc(sizeof(*q) + a->conf.url_count * sizeof(q->asked[0]));
	q->admission = a;
	q->client = client;
	list_init(&q->node);
	list_append(&a->pending, &q->node);
	a->stats.pending++;
	buf_init(&body, 512);
	put_question(&body, key, ip_unmap(from));
	fetch_all(q, buf_bytes(&body));
	buf_fini(&body);
	if (!q->open)
		answer(q, a->conf.fail_open);
}

void relay_admission_stats(const struct relay_admission *a, struct relay_admission_stats *out)
{
	*out = a->stats;
	out->listed = a->allow.n;
}
