#include "engine/oidc/oidc.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "engine/oidc/oidc_state.h"

struct oidc *oidc_create(const struct oidc_conf *conf)
{
	struct oidc *o = mem_alloc(sizeof(*o));

	o->issuer = mem_strdup(conf->issuer);
	o->client_id = mem_strdup(conf->client_id);
	o->client_secret = mem_strdup(conf->client_secret ? conf->client_secret : "");
	o->redirect_uri = mem_strdup(conf->redirect_uri);
	o->scopes = mem_strdup(conf->scopes);
	o->groups_claim = mem_strdup(conf->groups_claim);
	o->rng = conf->rng;
	list_init(&o->flows);
	list_init(&o->fetches);
	list_init(&o->events);
	return o;
}

static void wipe_free(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	mem_free(text);
}

static void fetch_free(struct fetch *f)
{
	list_remove(&f->link);
	secret_wipe(f->body.p, f->body.n);
	buf_fini(&f->body);
	mem_free(f->url);
	wipe_free(f->authorization);
	mem_free(f);
}

void oidc_flow_free(struct oidc *o, struct flow *f)
{
	list_each (it, &o->fetches)
		if (list_entry(it, struct fetch, link)->flow == f)
			list_entry(it, struct fetch, link)->flow = NULL;
	list_remove(&f->link);
	o->n_flows--;
	wipe_free(f->code);
	wipe_free(f->id_token);
	wipe_free(f->access_token);
	oidc_identity_free(f->identity);
	secret_wipe(f, sizeof(*f));
	mem_free(f);
}

void oidc_event_fini(struct oidc_event *e)
{
	mem_free(e->url);
	oidc_identity_free(e->identity);
	*e = (struct oidc_event){ 0 };
}

void oidc_destroy(struct oidc *o)
{
	struct oidc_event e;

	if (!o)
		return;
	list_each_safe (it, &o->flows)
		oidc_flow_free(o, list_entry(it, struct flow, link));
	list_each_safe (it, &o->fetches)
		fetch_free(list_entry(it, struct fetch, link));
	while (oidc_next_event(o, &e))
		oidc_event_fini(&e);
	provider_fini(&o->provider);
	mem_free(o->issuer);
	mem_free(o->client_id);
	wipe_free(o->client_secret);
	mem_free(o->redirect_uri);
	mem_free(o->scopes);
	mem_free(o->groups_claim);
	mem_free(o);
}

/* ---- events ---- */

struct event *oidc_event_add(struct oidc *o, enum oidc_event_kind kind, const struct flow *f)
{
	struct event *ev = mem_alloc(sizeof(*ev));

	ev->e.kind = kind;
	ev->e.ticket = f->ticket;
	memcpy(ev->e.subject, f->subject, sizeof(ev->e.subject));
	list_append(&o->events, &ev->link);
	return ev;
}

void oidc_fail(struct oidc *o, struct flow *f, const char *fmt, ...)
{
	va_list ap;

	if (f->ticket) {
		struct event *ev = oidc_event_add(o, OIDC_FAILED, f);

		va_start(ap, fmt);
		(void)vsnprintf(ev->e.why, sizeof(ev->e.why), fmt, ap);
		va_end(ap);
	}
	oidc_flow_free(o, f);
}

bool oidc_next_event(struct oidc *o, struct oidc_event *out)
{
	struct list *first = list_pop(&o->events);
	struct event *ev;

	if (!first)
		return false;
	ev = list_entry(first, struct event, link);
	*out = ev->e;
	mem_free(ev);
	return true;
}

void oidc_forget(struct oidc *o, uint64_t ticket)
{
	list_each_safe (it, &o->flows)
		if (list_entry(it, struct flow, link)->ticket == ticket)
			oidc_flow_free(o, list_entry(it, struct flow, link));
	list_each_safe (it, &o->events) {
		struct event *ev = list_entry(it, struct event, link);

		if (ev->e.ticket != ticket)
			continue;
		list_remove(&ev->link);
		oidc_event_fini(&ev->e);
		mem_free(ev);
	}
}

/* ---- fetches ---- */

bool oidc_is_fetching(const struct oidc *o, enum oidc_fetch_kind kind)
{
	list_each (it, (struct list *)&o->fetches)
		if (list_entry(it, struct fetch, link)->kind == kind)
			return true;
	return false;
}

struct fetch *oidc_fetch_add(struct oidc *o, struct oidc_now now, enum oidc_fetch_kind kind,
			     struct flow *flow, const char *url)
{
	struct fetch *f = mem_alloc(sizeof(*f));

	f->id = ++o->last_fetch;
	f->kind = kind;
	f->flow = flow;
	f->url = mem_strdup(url);
	f->deadline = mono_add_s(now.mono, OIDC_FETCH_S);
	buf_init(&f->body, OIDC_BODY_MAX);
	list_append(&o->fetches, &f->link);
	return f;
}

bool oidc_next_fetch(struct oidc *o, struct oidc_fetch *out)
{
	list_each (it, &o->fetches) {
		struct fetch *f = list_entry(it, struct fetch, link);

		if (f->handed_out)
			continue;
		f->handed_out = true;
		*out = (struct oidc_fetch){
			.id = f->id,
			.method = f->kind == FETCH_TOKEN ? "POST" : "GET",
			.url = f->url,
			.authorization = f->authorization,
			.content_type =
			    f->kind == FETCH_TOKEN ? "application/x-www-form-urlencoded" : NULL,
			.body = buf_bytes(&f->body),
		};
		return true;
	}
	return false;
}

/* ---- the provider's documents, for all who wait for them ---- */

static void ask_provider(struct oidc *o, struct oidc_now now)
{
	struct buf url;
	size_t n = strlen(o->issuer);

	if (oidc_is_fetching(o, FETCH_DISCOVERY))
		return;
	buf_init(&url, 4096);
	(void)buf_printf(&url, "%.*s/.well-known/openid-configuration",
			 (int)(n && o->issuer[n - 1] == '/' ? n - 1 : n), o->issuer);
	(void)oidc_fetch_add(o, now, FETCH_DISCOVERY, NULL, buf_cstr(&url));
	buf_fini(&url);
}

static void each_in(struct oidc *o, struct oidc_now now, enum flow_state state, const char *failed,
		    const struct err *err)
{
	list_each_safe (it, &o->flows) {
		struct flow *f = list_entry(it, struct flow, link);

		if (f->state != state)
			continue;
		if (failed)
			oidc_fail(o, f, "%s: %.150s", failed, err->text);
		else if (state == FLOW_STARTING)
			flow_send_away(o, now, f);
		else
			flow_verify(o, now, f);
	}
}

static void take_document(struct oidc *o, struct oidc_now now, enum oidc_fetch_kind kind,
			  unsigned status, struct bytes body, const struct err *why)
{
	struct err err = { 0 };
	bool keys = kind == FETCH_KEYS;
	int ret = -1;

	if (!status)
		(void)err_set(&err, ERR_SYSTEM, "it does not answer (%.120s)",
			      why ? why->text : "no reason");
	else if (status != 200)
		(void)err_set(&err, ERR_REFUSED, "it answered with status %u", status);
	else
		ret = keys ? provider_read_keys(o, now, body, &err)
			   : provider_read(o, now, body, &err);
	each_in(o, now, keys ? FLOW_WAITING_KEYS : FLOW_STARTING,
		ret < 0 ? "The identity provider cannot be used" : NULL, &err);
}

void oidc_answer(struct oidc *o, struct oidc_now now, uint64_t fetch, unsigned status,
		 struct bytes body, const struct err *err)
{
	struct fetch *f = NULL;
	enum oidc_fetch_kind kind;
	struct flow *flow;

	list_each (it, &o->fetches)
		if (list_entry(it, struct fetch, link)->id == fetch)
			f = list_entry(it, struct fetch, link);
	if (!f)
		return; /* too late */
	kind = f->kind;
	flow = f->flow;
	fetch_free(f);
	if (kind == FETCH_DISCOVERY || kind == FETCH_KEYS)
		take_document(o, now, kind, status, body, err);
	else if (!flow)
		return;
	else if (!status)
		oidc_fail(o, flow, "The identity provider does not answer: %.150s",
			  err ? err->text : "no reason");
	else if (kind == FETCH_TOKEN)
		flow_take_tokens(o, now, flow, status, body);
	else
		flow_take_userinfo(o, flow, status, body);
}

/* ---- logins ---- */

static void random_text(struct oidc *o, char out[OIDC_SECRET_SIZE])
{
	uint8_t raw[(OIDC_SECRET_SIZE - 1) / 2];

	o->rng->fill(o->rng, raw, sizeof(raw));
	text_hex(bytes_of(raw, sizeof(raw)), out);
	secret_wipe(raw, sizeof(raw));
}

int oidc_begin(struct oidc *o, struct oidc_now now, uint64_t ticket, const char *subject,
	       struct err *err)
{
	struct flow *f;

	if (strlen(subject) >= OIDC_SUBJECT_SIZE)
		return err_set(err, ERR_INTERNAL, "the subject is too long");
	if (o->n_flows >= OIDC_FLOWS_MAX) /* whoever is slowest starts again */
		oidc_fail(o, list_entry(list_first(&o->flows), struct flow, link),
			  "Too many people log in at once; try again.");
	f = mem_alloc(sizeof(*f));
	f->state = FLOW_STARTING;
	f->ticket = ticket;
	memcpy(f->subject, subject, strlen(subject) + 1);
	random_text(o, f->state_token);
	random_text(o, f->cookie);
	random_text(o, f->nonce);
	random_text(o, f->verifier);
	f->expires = mono_add_s(now.mono, OIDC_LOGIN_S);
	list_append(&o->flows, &f->link);
	o->n_flows++;
	if (provider_is_known(&o->provider, now.mono))
		flow_send_away(o, now, f);
	else
		ask_provider(o, now);
	return 0;
}

static struct flow *flow_of(struct oidc *o, struct bytes state)
{
	if (state.n != OIDC_SECRET_SIZE - 1)
		return NULL;
	list_each (it, &o->flows) {
		struct flow *f = list_entry(it, struct flow, link);

		if (f->state == FLOW_AT_PROVIDER && secret_equal(f->state_token, state.p, state.n))
			return f;
	}
	return NULL;
}

static int refuse(struct oidc *o, struct flow *f, struct err *err, enum err_code code,
		  const char *why)
{
	f->ticket = 0; /* the answer goes out right here */
	oidc_fail(o, f, "%s", why);
	return err_set(err, code, "%s", why);
}

int oidc_returned(struct oidc *o, struct oidc_now now, uint64_t ticket,
		  const struct oidc_return *back, struct err *err)
{
	struct flow *f = flow_of(o, back->state);
	char why[256];

	if (!f)
		return err_set(err, ERR_REFUSED,
			       "This login is unknown, was finished before, or took longer than "
			       "%d minutes.",
			       OIDC_LOGIN_S / 60);
	if (back->cookie.n != OIDC_SECRET_SIZE - 1 ||
	    !secret_equal(f->cookie, back->cookie.p, back->cookie.n))
		return refuse(o, f, err, ERR_AUTH,
			      "This login was started in another browser, or cookies are off.");
	if (back->iss.n ? !bytes_equal_str(back->iss, o->issuer) : o->provider.names_itself)
		return refuse(o, f, err, ERR_AUTH,
			      "The answer does not come from the identity provider.");
	if (back->error.n) {
		struct bytes text =
		    back->error_description.n ? back->error_description : back->error;

		(void)snprintf(why, sizeof(why), "The identity provider refused: %.*s",
			       text.n > 200 ? 200 : (int)text.n, (const char *)text.p);
		return refuse(o, f, err, ERR_REFUSED, why);
	}
	if (!back->code.n || back->code.n > 4096)
		return refuse(o, f, err, ERR_MALFORMED,
			      "The identity provider sent the browser back without a code.");
	f->ticket = ticket;
	f->code = bytes_strdup(back->code);
	flow_redeem(o, now, f);
	return 0;
}

/* ---- time ---- */

struct mono oidc_deadline(const struct oidc *o)
{
	struct mono at = MONO_NEVER;

	list_each (it, (struct list *)&o->fetches)
		at = mono_min(at, list_entry(it, struct fetch, link)->deadline);
	list_each (it, (struct list *)&o->flows)
		at = mono_min(at, list_entry(it, struct flow, link)->expires);
	return at;
}

void oidc_tick(struct oidc *o, struct oidc_now now)
{
	struct err slow;
	bool again = true;

	(void)err_set(&slow, ERR_TIMEOUT, "no answer within %d s", OIDC_FETCH_S);
	while (again) { /* an answer may free other fetches' flows: look from the start */
		again = false;
		list_each (it, &o->fetches) {
			struct fetch *f = list_entry(it, struct fetch, link);

			if (!mono_reached(now.mono, f->deadline))
				continue;
			oidc_answer(o, now, f->id, 0, (struct bytes){ 0 }, &slow);
			again = true;
			break;
		}
	}
	list_each_safe (it, &o->flows) {
		struct flow *f = list_entry(it, struct flow, link);

		if (mono_reached(now.mono, f->expires))
			oidc_fail(o, f, "The login took longer than %d minutes.",
				  OIDC_LOGIN_S / 60);
	}
}
