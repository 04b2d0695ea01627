/* Parsing. The printing half is optprint.c. */
#include "base/opt.h"

#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"

enum { MEANT_MAX = 2 }; /* edits within which a slip is guessed */

static void *field(void *values, const struct opt *o)
{
	return (char *)values + o->field;
}

static bool parse_i64(const char *text, int64_t *out)
{
	bool minus = text[0] == '-';
	uint64_t v;

	if (!text_u64(bytes_str(text + minus), INT64_MAX, &v))
		return false;
	*out = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

/* 1h30m, 250ms, 10: the unit of a bare number is the second. */
static bool parse_duration(const char *text, int64_t *ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
	};
	struct bytes rest = bytes_str(text);

	*ms = 0;
	if (!rest.n)
		return false;
	while (rest.n) {
		size_t digits = 0, unit = 0;
		uint64_t v;

		while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
			digits++;
		if (!text_u64(bytes_of(rest.p, digits), INT32_MAX, &v))
			return false;
		rest = bytes_from(rest, digits);
		if (!rest.n && *ms == 0) {
			*ms = (int64_t)v * 1000;
			return true;
		}
		while (unit < array_len(units) && !bytes_has_prefix(rest, units[unit].unit))
			unit++;
		if (unit == array_len(units))
			return false;
		*ms += (int64_t)v * units[unit].ms;
		rest = bytes_from(rest, strlen(units[unit].unit));
	}
	return true;
}

static bool parse_flag(const char *text, bool *out)
{
	static const char *const yes[] = { "true", "yes", "on", "1" }, *const no[] = { "false",
										       "no", "off",
										       "0" };

	for (size_t i = 0; i < array_len(yes); i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*out = strcmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

static int store(const struct opt *o, void *values, const char *text, struct err *err)
{
	void *at = field(values, o);
	struct opt_list *list = at;
	int64_t v;

	switch (o->kind) {
	case OPT_FLAG:
		if (!parse_flag(text, at))
			return err_set(err, ERR_USAGE, "--%s takes true or false, not '%s'",
				       o->name, text);
		return 0;
	case OPT_STRING:
		*(const char **)at = text;
		return 0;
	case OPT_INT:
		if (!parse_i64(text, at))
			return err_set(err, ERR_USAGE, "--%s takes a whole number, not '%s'",
				       o->name, text);
		return 0;
	case OPT_PORT:
		if (!parse_i64(text, &v) || v < 0 || v > UINT16_MAX)
			return err_set(err, ERR_USAGE,
				       "--%s takes a port from 0 to 65535, not '%s'", o->name,
				       text);
		*(uint16_t *)at = (uint16_t)v;
		return 0;
	case OPT_DURATION:
		if (!parse_duration(text, at))
			return err_set(err, ERR_USAGE,
				       "--%s takes a duration such as 10s, 5m or 1h30m, not '%s'",
				       o->name, text);
		return 0;
	case OPT_LIST:
		if (list->n == OPT_LIST_MAX)
			return err_set(err, ERR_USAGE, "--%s may be given %d times at most",
				       o->name, OPT_LIST_MAX);
		list->items[list->n++] = text;
		return 0;
	}
	return -1;
}

void opt_defaults(const struct opt *opts, size_t n, void *values)
{
	for (size_t i = 0; i < n; i++)
		if (opts[i].fallback && opts[i].fallback[0])
			(void)store(&opts[i], values, opts[i].fallback, NULL);
}

/* The option a word names; *negated for --no-NAME of a flag. */
static const struct opt *find(const struct opt *opts, size_t n, struct bytes name, bool *negated)
{
	*negated = false;
	for (size_t i = 0; i < n; i++)
		if (bytes_equal_str(name, opts[i].name))
			return &opts[i];
	for (size_t i = 0; i < n; i++)
		if (opts[i].kind == OPT_FLAG && bytes_has_prefix(name, "no-") &&
		    bytes_equal_str(bytes_from(name, 3), opts[i].name)) {
			*negated = true;
			return &opts[i];
		}
	return NULL;
}

static int unknown_option(const struct opt *opts, size_t n, struct bytes name, struct err *err)
{
	const char *best = NULL;
	size_t least = MEANT_MAX + 1;

	for (size_t i = 0; i < n; i++) {
		size_t d = text_distance(name, bytes_str(opts[i].name));

		if (d < least && d < name.n) {
			least = d;
			best = opts[i].name;
		}
	}
	if (best)
		return err_set(err, ERR_USAGE, "unknown option --%.*s; did you mean --%s?",
			       BYTES_FMT(name), best);
	return err_set(err, ERR_USAGE, "unknown option --%.*s; --help lists all", BYTES_FMT(name));
}

static int parse_one(const struct opt *opts, size_t n, void *values, int *argc, char ***argv,
		     struct err *err)
{
	const char *word = **argv + (strncmp(**argv, "--", 2) == 0 ? 2 : 1);
	const char *equals = strchr(word, '=');
	struct bytes name = equals ? bytes_of(word, (size_t)(equals - word)) : bytes_str(word);
	const char *value = equals ? equals + 1 : NULL;
	bool negated;
	const struct opt *o = find(opts, n, name, &negated);

	--*argc;
	++*argv;
	if (!o)
		return unknown_option(opts, n, name, err);
	if (o->kind == OPT_FLAG && !value)
		value = negated ? "false" : "true";
	else if (negated)
		return err_set(err, ERR_USAGE, "--no-%s takes no value", o->name);
	if (!value) {
		if (*argc < 1)
			return err_set(err, ERR_USAGE, "--%s needs a value: %s", o->name,
				       o->metavar ? o->metavar : "VALUE");
		value = **argv;
		--*argc;
		++*argv;
	}
	return store(o, values, value, err);
}

int opt_parse(const struct opt *opts, size_t n, void *values, int *argc, char ***argv,
	      struct err *err)
{
	opt_defaults(opts, n, values);
	while (*argc > 0 && (**argv)[0] == '-' && (**argv)[1]) {
		if (strcmp(**argv, "--") == 0) {
			--*argc;
			++*argv;
			return 0;
		}
		if (parse_one(opts, n, values, argc, argv, err) < 0)
			return -1;
	}
	return 0;
}

int opt_parse_mixed(const struct opt *opts, size_t n, void *values, int *argc, char ***argv,
		    struct err *err)
{
	char **words = *argv;
	int count = 0;
	bool only_words = false;

	opt_defaults(opts, n, values);
	while (*argc > 0) {
		char *word = **argv;

		if (!only_words && word[0] == '-' && word[1] && strcmp(word, "--") != 0) {
			if (parse_one(opts, n, values, argc, argv, err) < 0)
				return -1;
			continue;
		}
		if (only_words || strcmp(word, "--") != 0)
			words[count++] = word;
		else
			only_words = true;
		--*argc;
		++*argv;
	}
	*argc = count;
	*argv = words;
	return 0;
}

const struct opt_command *opt_find_command(const struct opt_program *p, const char *name,
					   struct err *err)
{
	const char *best = NULL;
	size_t least = MEANT_MAX + 1;

	for (size_t i = 0; i < p->command_count; i++) {
		size_t d = text_distance(bytes_str(name), bytes_str(p->commands[i].name));

		if (d == 0)
			return &p->commands[i];
		if (d < least && d < strlen(name)) {
			least = d;
			best = p->commands[i].name;
		}
	}
	if (best)
		(void)err_set(err, ERR_USAGE, "unknown command '%s'; did you mean '%s'?", name,
			      best);
	else
		(void)err_set(err, ERR_USAGE, "unknown command '%s'; '%s --help' lists all", name,
			      p->name);
	return NULL;
}
