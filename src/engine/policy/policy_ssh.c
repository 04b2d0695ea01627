/* The ssh section: who may open sessions where, as whom, and after which check. */
#include "engine/policy/policy_parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

static const char *const ssh_keys[] = { "action",      "src",       "dst",      "users",
					"checkPeriod", "acceptEnv", "recorder", "enforceRecorder",
					"srcPosture" };

#define SECOND_NS 1000000000LL
#define CHECK_DEFAULT_NS (12 * 3600 * SECOND_NS)
#define CHECK_MAX_NS (168 * 3600 * SECOND_NS)

/* One "1.5h" off the front. False with the sentence Go would say. */
static bool duration_part(struct bytes *rest, double *ns, struct bytes whole, char why[160])
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "ns", 1 },  { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "ms", 1e6 },
		      { "s", 1e9 }, { "m", 6e10 }, { "h", 3.6e12 } };
	struct bytes unit;
	double v = 0, scale = 1;
	size_t n = 0, digits = 0;

	for (bool frac = false; n < rest->n; n++) {
		uint8_t b = rest->p[n];

		if (b == '.' && !frac)
			frac = true;
		else if (b >= '0' && b <= '9') {
			digits++;
			v = v * 10 + (b - '0');
			scale *= frac ? 10 : 1;
		} else
			break;
	}
	if (!digits) {
		(void)snprintf(why, 160, "time: invalid duration \"%.*s\"", BYTES_FMT(whole));
		return false;
	}
	*rest = bytes_from(*rest, n);
	unit = *rest;
	for (unit.n = 0; unit.n < rest->n; unit.n++)
		if (rest->p[unit.n] == '.' || (rest->p[unit.n] >= '0' && rest->p[unit.n] <= '9'))
			break;
	if (!unit.n) {
		(void)snprintf(why, 160, "time: missing unit in duration \"%.*s\"",
			       BYTES_FMT(whole));
		return false;
	}
	for (size_t i = 0; i < array_len(units); i++)
		if (bytes_equal_str(unit, units[i].name)) {
			*ns += v / scale * units[i].ns;
			*rest = bytes_from(*rest, unit.n);
			return true;
		}
	(void)snprintf(why, 160, "time: unknown unit \"%.*s\" in duration \"%.*s\"",
		       BYTES_FMT(unit), BYTES_FMT(whole));
	return false;
}

static bool parse_duration(struct bytes text, int64_t *out, char why[160])
{
	struct bytes rest = text, whole = text;
	bool negative = false;
	double ns = 0;

	if (whole.n > 40)
		whole.n = 40;
	if (rest.n && (rest.p[0] == '-' || rest.p[0] == '+')) {
		negative = rest.p[0] == '-';
		rest = bytes_from(rest, 1);
	}
	if (bytes_equal_str(rest, "0")) {
		*out = 0;
		return true;
	}
	if (!rest.n) {
		(void)snprintf(why, 160, "time: invalid duration \"%.*s\"", BYTES_FMT(whole));
		return false;
	}
	while (rest.n)
		if (!duration_part(&rest, &ns, whole, why))
			return false;
	if (ns > 9.2e18) {
		(void)snprintf(why, 160, "time: invalid duration \"%.*s\"", BYTES_FMT(whole));
		return false;
	}
	*out = negative ? -(int64_t)ns : (int64_t)ns;
	return true;
}

/* As Go prints a duration: 168h0m1s, -1m0s, 1.5s, 20ms. */
static const char *format_duration(int64_t ns, char out[48])
{
	const char *sign = ns < 0 ? "-" : "";
	double v = ns < 0 ? -(double)ns : (double)ns, s = v / 1e9;
	long h = (long)(s / 3600), m = (long)(s / 60) % 60;
	double rest = s - (double)(h * 3600 + m * 60);

	if (v == 0)
		(void)snprintf(out, 48, "0s");
	else if (v < 1e3)
		(void)snprintf(out, 48, "%s%.0fns", sign, v);
	else if (v < 1e6)
		(void)snprintf(out, 48, "%s%.6g\xc2\xb5s", sign, v / 1e3);
	else if (v < 1e9)
		(void)snprintf(out, 48, "%s%.9gms", sign, v / 1e6);
	else if (h)
		(void)snprintf(out, 48, "%s%ldh%ldm%.9gs", sign, h, m, rest);
	else if (m)
		(void)snprintf(out, 48, "%s%ldm%.9gs", sign, m, rest);
	else
		(void)snprintf(out, 48, "%s%.9gs", sign, rest);
	return out;
}

static bool parse_period(struct compiler *c, const struct json *v, struct ssh_entry *e)
{
	const struct json *period;
	char why[160], text[48];

	e->period_ns = CHECK_DEFAULT_NS;
	if (!policy_member(c, v, "checkPeriod", JSON_STRING, &period))
		return false;
	if (!period || !period->text.n)
		return true;
	if (!e->check)
		return policy_complain(c, period, "write \"action\": \"check\"",
				       "checkPeriod is only valid with action \"check\"");
	if (bytes_equal_str(period->text, "always")) {
		e->period_ns = 0;
		return true;
	}
	if (!parse_duration(period->text, &e->period_ns, why))
		return policy_complain(c, period, "for instance \"20h\", \"90m\" or \"always\"",
				       "%s", why);
	if (e->period_ns < 0)
		return policy_complain(c, period, NULL,
				       "checkPeriod %s must be a positive duration",
				       format_duration(e->period_ns, text));
	if (e->period_ns > CHECK_MAX_NS)
		return policy_complain(c, period, NULL, "checkPeriod %s is above the max (168h)",
				       format_duration(e->period_ns, text));
	return true;
}

static bool parse_action(struct compiler *c, const struct json *v, struct ssh_entry *e)
{
	static const char *const actions[] = { "accept", "check" };
	const struct json *action;
	struct bytes text;

	if (!policy_member(c, v, "action", JSON_STRING, &action))
		return false;
	text = action ? text_trim(action->text) : (struct bytes){ 0 };
	if (!text.n)
		return policy_complain(c, action ? action : v, "\"accept\" or \"check\"",
				       "action must be specified");
	e->check = bytes_equal_str(text, "check");
	if (!e->check && !bytes_equal_str(text, "accept"))
		return policy_complain(c, action, policy_suggest_in(c, text, actions, 2),
				       "%s is not a valid action", policy_quote(c, text));
	return true;
}

static void add_login(struct ssh_entry *e, struct bytes login, const char *local)
{
	for (uint32_t i = 0; i < e->n_base && i < 4096; i++)
		if (bytes_equal(e->base[i].login, login)) {
			e->base[i].local = local ? bytes_str(local) : login;
			return;
		}
	e->base[e->n_base++] = (struct ssh_user){ login, local ? bytes_str(local) : login };
}

/* localpart:*@<domain> with a domain of the tailnet; anything near it is a plain login name. */
static bool add_localpart(struct compiler *c, const struct json *it, struct bytes user,
			  struct ssh_entry *e)
{
	struct bytes domain = bytes_from(user, 12);

	if (!policy_domain_known(c->p, domain))
		return policy_complain(
		    c, it, NULL,
		    "%.*s is not associated with this Tailnet and cannot be used "
		    "in user:*@<domain> expressions",
		    BYTES_FMT(domain));
	e->has_localpart = true;
	e->domains[e->n_domains++] = domain;
	return true;
}

static bool parse_users(struct compiler *c, const struct json *v, struct ssh_entry *e)
{
	const struct json *users;

	if (!policy_strings(c, v, "users", &users))
		return false;
	if (!users || !users->count)
		return policy_complain(c, users ? users : v, "for instance [\"autogroup:nonroot\"]",
				       "users must be specified");
	e->base = policy_alloc(c->p, users->count + 1, sizeof(*e->base));
	e->domains = policy_alloc(c->p, users->count, sizeof(*e->domains));
	add_login(e, bytes_str("root"), "");
	json_each (it, users) {
		struct bytes user = text_trim(it->text);

		if (!user.n || bytes_equal_str(user, "*"))
			return policy_complain(c, it, "\"autogroup:nonroot\" is any user but root",
					       "user %s is not valid", policy_quote(c, user));
		if (bytes_equal_str(user, "autogroup:nonroot"))
			add_login(e, bytes_str("*"), "=");
		else if (bytes_has_prefix(user, "localpart:*@") && user.n > 12 &&
			 !memchr(user.p + 12, '@', user.n - 12)) {
			if (!add_localpart(c, it, user, e))
				return false;
		} else
			add_login(e, user, NULL);
	}
	return true;
}

static bool parse_env(struct compiler *c, const struct json *v, struct ssh_entry *e)
{
	const struct json *env;

	if (!policy_strings(c, v, "acceptEnv", &env))
		return false;
	e->accept_env = policy_alloc(c->p, env ? env->count : 0, sizeof(*e->accept_env));
	json_each (it, env) {
		if (!it->text.n)
			return policy_complain(c, it, NULL, "acceptEnv values cannot be empty");
		e->accept_env[e->n_accept_env++] = it->text;
	}
	return true;
}

static bool parse_recorder(struct compiler *c, const struct json *v, struct ssh_entry *e)
{
	const struct json *list;

	e->recorder = NO_SEL;
	if (!policy_strings(c, v, "recorder", &list) ||
	    !policy_flag(c, v, "enforceRecorder", &e->enforce_recorder))
		return false;
	if (!list || !list->count)
		return true;
	if (list->count > 1 || !bytes_has_prefix(list->first->text, "tag:"))
		return policy_complain(c, list, NULL, "recorder is a list with one tag");
	return policy_select(c, list->first, list->first->text, CTX_SSH_SRC, &e->recorder);
}

/* What the sources are made of decides which destinations they may have. */
static bool fits(struct compiler *c, const struct json *v, const struct ids *src,
		 const struct ids *dst)
{
	bool tags = false;

	for (uint32_t i = 0; i < src->n; i++) {
		enum sel_kind k = c->p->sels[src->v[i]]->kind;

		tags |= k == SEL_TAG || k == SEL_TAGGED;
	}
	for (uint32_t i = 0; i < dst->n && src->n; i++) {
		const struct sel *d = c->p->sels[dst->v[i]];
		const char *name = policy_quote(c, d->name);

		if (d->kind == SEL_SELF && tags)
			return policy_complain(
			    c, v, NULL,
			    "autogroup:self destination requires source to contain "
			    "only users or groups, not tags or autogroup:tagged");
		if (d->kind == SEL_MEMBER && tags)
			return policy_complain(c, v, NULL,
					       "tags in SSH source cannot access autogroup:member "
					       "(user-owned devices)");
		if (d->kind == SEL_USER && tags)
			return policy_complain(
			    c, v, NULL,
			    "tags in SSH source cannot access user-owned devices "
			    "(%s); use autogroup:tagged or specific tags as "
			    "destinations instead",
			    name);
		if (d->kind == SEL_USER && (src->n != 1 || src->v[0] != d->id))
			return policy_complain(
			    c, v, NULL,
			    "user destination requires source to contain only that "
			    "same user %s; use autogroup:self instead for same-user "
			    "SSH access",
			    name);
	}
	return true;
}

static bool parse_entry(struct compiler *c, const struct json *v, struct ssh_entry *e)
{
	struct ids src = { 0 }, dst = { 0 }, postures = { 0 };
	const struct json *srcs, *dsts;
	bool ok = policy_check_keys(c, v, ssh_keys, array_len(ssh_keys), 0) &&
		  parse_action(c, v, e) && parse_users(c, v, e) && parse_period(c, v, e) &&
		  parse_env(c, v, e) && parse_recorder(c, v, e) &&
		  policy_strings(c, v, "src", &srcs) && policy_strings(c, v, "dst", &dsts) &&
		  policy_select_list(c, srcs, CTX_SSH_SRC, &src) &&
		  policy_select_list(c, dsts, CTX_SSH_DST, &dst) &&
		  policy_posture_list(c, v, &postures) && fits(c, v, &src, &dst);

	if (ok) {
		e->src = policy_class(c->p, &src, &postures);
		e->has_src = src.n > 0;
		ids_add(&c->p->classes[e->src]->ssh, e->id);
		e->dsts = policy_alloc(c->p, dst.n, sizeof(*e->dsts));
		for (uint32_t i = 0; i < dst.n; i++) {
			if (c->p->sels[dst.v[i]]->kind == SEL_SELF) {
				e->self = true;
				continue;
			}
			e->dsts[e->n_dsts++] = dst.v[i];
			ids_add(&c->p->sels[dst.v[i]]->ssh_dsts, e->id);
		}
	}
	mem_free(src.v);
	mem_free(dst.v);
	mem_free(postures.v);
	return ok;
}

bool policy_compile_ssh(struct compiler *c)
{
	const struct json *ssh;

	if (!policy_member(c, c->p->root, "ssh", JSON_ARRAY, &ssh))
		return false;
	c->p->ssh = policy_alloc(c->p, ssh ? ssh->count : 0, sizeof(*c->p->ssh));
	json_each (it, ssh) {
		struct ssh_entry *e = &c->p->ssh[c->p->n_ssh];

		if (it->kind != JSON_OBJECT)
			return policy_complain(c, it, NULL, "an ssh rule is an object, not %s",
					       json_kind_name(it->kind));
		*e = (struct ssh_entry){ .id = c->p->n_ssh, .where = where_of(it) };
		if (!parse_entry(c, it, e))
			return false;
		c->p->n_ssh++;
	}
	return true;
}
