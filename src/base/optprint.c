/* The printing half of base/opt.h: help for a terminal, roff for man, words for bash. */
#include <string.h>

#include "base/err.h"
#include "base/opt.h"

enum { HELP_COLUMN = 30 };

static void print_opts(FILE *out, const struct opt *opts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct opt *o = &opts[i];
		int width = fprintf(out, "  --%s%s%s", o->name, o->metavar ? " " : "",
				    o->metavar ? o->metavar : "");

		(void)fprintf(out, "%*s%s", width < HELP_COLUMN ? HELP_COLUMN - width : 2, "",
			      o->help);
		if (o->fallback && o->fallback[0])
			(void)fprintf(out, " (default %s)", o->fallback);
		(void)fputc('\n', out);
	}
}

static void print_example(FILE *out, const char *example)
{
	if (example)
		(void)fprintf(out, "\nexamples:\n%s", example);
}

void opt_print_help(FILE *out, const struct opt_program *p)
{
	(void)fprintf(out, "%s: %s\n\nusage: %s%s%s%s\n", p->name, p->help, p->name,
		      p->opt_count ? " [OPTIONS]" : "",
		      p->command_count ? " COMMAND [ARGS]"
		      : p->args        ? " "
				       : "",
		      !p->command_count && p->args ? p->args : "");
	if (p->description)
		(void)fprintf(out, "\n%s\n", p->description);
	if (p->command_count)
		(void)fputs("\ncommands:\n", out);
	for (size_t i = 0; i < p->command_count; i++)
		(void)fprintf(out, "  %-16s %s\n", p->commands[i].name, p->commands[i].help);
	if (p->opt_count)
		(void)fputs("\noptions:\n", out);
	print_opts(out, p->opts, p->opt_count);
	print_example(out, p->example);
	if (p->command_count)
		(void)fprintf(out, "\n'%s COMMAND --help' says more about one.\n", p->name);
}

void opt_print_command_help(FILE *out, const struct opt_program *p, const struct opt_command *c)
{
	(void)fprintf(out, "%s %s: %s\n\nusage: %s %s%s%s%s\n", p->name, c->name, c->help, p->name,
		      c->name, c->opt_count ? " [OPTIONS]" : "", c->args ? " " : "",
		      c->args ? c->args : "");
	if (c->opt_count)
		(void)fputs("\noptions:\n", out);
	print_opts(out, c->opts, c->opt_count);
	print_example(out, c->example);
}

/* ---- man ---- */

/* A dash is a minus, a dot or quote at the start of a line would be a request. */
static void roff(FILE *out, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			(void)fputs("\\&", out);
		if (*text == '-' || *text == '\\')
			(void)fputc('\\', out);
		(void)fputc(*text == '\\' ? 'e' : *text, out);
		start = *text == '\n';
	}
}

static void man_opts(FILE *out, const struct opt *opts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)fputs(".TP\n.B \\-\\-", out);
		roff(out, opts[i].name);
		if (opts[i].metavar)
			(void)fprintf(out, " \\fI%s\\fR", opts[i].metavar);
		(void)fputc('\n', out);
		roff(out, opts[i].help);
		if (opts[i].fallback && opts[i].fallback[0]) {
			(void)fputs(" (default: ", out);
			roff(out, opts[i].fallback);
			(void)fputc(')', out);
		}
		(void)fputs(".\n", out);
	}
}

static void man_example(FILE *out, const char *example)
{
	if (!example)
		return;
	(void)fputs(".nf\n", out);
	roff(out, example);
	(void)fputs(".fi\n", out);
}

void opt_print_man(FILE *out, const struct opt_program *p, const char *version)
{
	(void)fprintf(out, ".TH %s 1 \"\" \"Weft %s\" \"Weft\"\n.SH NAME\n%s \\- ", p->name,
		      version, p->name);
	roff(out, p->help);
	(void)fprintf(out, "\n.SH SYNOPSIS\n.B %s\n", p->name);
	if (p->opt_count)
		(void)fputs("[options]\n", out);
	(void)fputs(p->command_count ? "command [arguments]\n" : "", out);
	if (p->description) {
		(void)fputs(".SH DESCRIPTION\n", out);
		roff(out, p->description);
		(void)fputc('\n', out);
	}
	if (p->opt_count)
		(void)fputs(".SH OPTIONS\n", out);
	man_opts(out, p->opts, p->opt_count);
	if (p->command_count)
		(void)fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; i < p->command_count; i++) {
		const struct opt_command *c = &p->commands[i];

		(void)fputs(".SS ", out);
		roff(out, c->name);
		if (c->args) {
			(void)fputc(' ', out);
			roff(out, c->args);
		}
		(void)fputc('\n', out);
		roff(out, c->help);
		(void)fputs(".\n", out);
		man_opts(out, c->opts, c->opt_count);
		man_example(out, c->example);
	}
	if (p->example) {
		(void)fputs(".SH EXAMPLES\n", out);
		man_example(out, p->example);
	}
}

/* ---- completion ---- */

static void words(FILE *out, const struct opt *opts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)fprintf(out, " --%s", opts[i].name);
}

void opt_print_completion(FILE *out, const struct opt_program *p)
{
	(void)fprintf(out, "_%s() {\n    local cur=${COMP_WORDS[COMP_CWORD]} words=", p->name);
	(void)fputs("\n    case ${COMP_WORDS[1]} in\n", out);
	for (size_t i = 0; i < p->command_count; i++) {
		(void)fprintf(out, "    %s) words=\"--help", p->commands[i].name);
		words(out, p->commands[i].opts, p->commands[i].opt_count);
		(void)fputs("\" ;;\n", out);
	}
	(void)fputs("    *) words=\"--help --version", out);
	words(out, p->opts, p->opt_count);
	for (size_t i = 0; i < p->command_count; i++)
		(void)fprintf(out, " %s", p->commands[i].name);
	(void)fprintf(out,
		      "\" ;;\n    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
		      "complete -F _%s -o default %s\n",
		      p->name, p->name);
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "-help") == 0;
}

static bool help_for(const struct opt_program *p, const char *name, int *status)
{
	const struct opt_command *c;
	struct err err;

	c = opt_find_command(p, name, &err);
	*status = c ? 0 : 2;
	if (c)
		opt_print_command_help(stdout, p, c);
	else
		(void)fprintf(stderr, "%s: %s\n", p->name, err.text);
	return true;
}

bool opt_common(const struct opt_program *p, const char *version, int argc, char **argv,
		int *status)
{
	const char *first = argc > 1 ? argv[1] : "";

	*status = 0;
	if (p->command_count && strcmp(first, "help") == 0 && argc > 2)
		return help_for(p, argv[2], status);
	if (p->command_count && argc > 2 && first[0] != '-' && is_help(argv[2]))
		return help_for(p, first, status);
	if (is_help(first) || (p->command_count && strcmp(first, "help") == 0))
		opt_print_help(stdout, p);
	else if (strcmp(first, "--version") == 0)
		(void)printf("%s %s\n", p->name, version);
	else if (strcmp(first, "--man") == 0)
		opt_print_man(stdout, p, version);
	else if (strcmp(first, "--completion") == 0)
		opt_print_completion(stdout, p);
	else
		return false;
	return true;
}
