/*
 * What was typed against the table of commands, before anything is done or sent: the options and
 * the number of words that a command takes are read from the very text that its help shows.
 */
#include "app/control/command_priv.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* Is --name one of the options that this text speaks of? */
static bool speaks_of(const char *text, struct bytes name)
{
	for (const char *at = strstr(text, "--"); at; at = strstr(at, "--")) {
		size_t n = strspn(at += 2, "abcdefghijklmnopqrstuvwxyz-");

		if (n && bytes_equal(name, bytes_of(at, n)))
			return true;
	}
	return false;
}

/* "NODE PREFIX,...|exit" takes two words, "[--name N]" none, "DOMAIN...|none" any number. */
static size_t most_words(const char *args)
{
	struct bytes rest = bytes_str(args), word;
	size_t n = 0;

	while (text_split(&rest, ' ', &word)) {
		const char *dots;
		char text[64] = "";

		(void)bytes_to_cstr(word, text, sizeof(text));
		dots = strstr(text, "...");
		if (strcmp(text, "<") == 0)
			break;
		if (strncmp(text, "--", 2) == 0 || strncmp(text, "[--", 3) == 0)
			(void)text_split(&rest, ' ', &word); /* its value */
		else if (dots && (dots == text || dots[-1] != ','))
			return COMMAND_WORDS_MAX;
		else if (text[0] && strcmp(text, "|") != 0)
			n++;
	}
	return n;
}

static int check_options(const struct verb *v, const struct command *cmd)
{
	for (size_t i = 0; i < cmd->n_options; i++) {
		struct bytes name = cmd->options[i].name;

		if (!bytes_equal_str(name, "tailnet") && !speaks_of(v->args, name) &&
		    !speaks_of(v->says, name))
			return err_set(
			    cmd->err, ERR_USAGE,
			    "`%s %s` has no option --%.*s; `weft-control %s --help` says more",
			    v->noun, v->name, BYTES_FMT(name), v->noun);
	}
	return 0;
}

int command_check(const struct verb *v, const struct command *cmd)
{
	size_t most = most_words(v->args);

	if (check_options(v, cmd) < 0)
		return -1;
	for (size_t i = 0; i < cmd->n_words; i++)
		if (cmd->words[i].n > 1 && cmd->words[i].p[0] == '-')
			return err_set(
			    cmd->err, ERR_USAGE,
			    "there is no option %.*s; `weft-control %s --help` says more",
			    BYTES_FMT(cmd->words[i]), v->noun);
	if (command_args(cmd) < v->min_words)
		return err_set(cmd->err, ERR_USAGE, "usage: weft-control %s %s %s", v->noun,
			       v->name, v->args);
	if (command_args(cmd) > most)
		return err_set(cmd->err, ERR_USAGE,
			       "'%.*s' is one word too many: weft-control %s %s%s%s",
			       BYTES_FMT(command_word(cmd, most)), v->noun, v->name,
			       v->args[0] ? " " : "", v->args);
	return 0;
}

/* Fills in words and options; the values of options do not matter here, only that they are there.
 */
static int take_argv(struct command *cmd, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		struct bytes text = bytes_str(argv[i]), name;

		if (!bytes_has_prefix(text, "--")) {
			if (cmd->n_words == COMMAND_WORDS_MAX)
				return err_set(cmd->err, ERR_USAGE, "too many words");
			cmd->words[cmd->n_words++] = text;
			continue;
		}
		if (cmd->n_options == COMMAND_OPTIONS_MAX)
			return err_set(cmd->err, ERR_USAGE, "too many options");
		name = bytes_of(text.p + 2, strcspn(argv[i] + 2, "="));
		cmd->options[cmd->n_options++].name = name;
		if (text.n == name.n + 2 && !command_is_flag(name) && ++i == argc)
			return err_set(cmd->err, ERR_USAGE, "--%.*s needs a value",
				       BYTES_FMT(name));
	}
	return 0;
}

int command_check_argv(int argc, char **argv, struct err *err)
{
	struct command cmd = { .err = err };
	const struct verb *v;

	if (take_argv(&cmd, argc, argv) < 0)
		return -1;
	v = command_verb(&cmd);
	return v ? command_check(v, &cmd) : -1;
}
