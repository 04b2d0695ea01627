/*
 * base/opt.h - command lines as tables. Parsing, help, man page and completion read the same table.
 *
 * A program is a table of options and perhaps of commands; a command is a name, its options and
 * what it does. Values land in fields of a struct that the caller made: zeroed, then filled with
 * the defaults of the table, then with what the person typed. On an error nothing the caller sees
 * changes but the struct.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct err;

enum opt_kind {
	OPT_FLAG,     /* bool; --name, --no-name, --name=true|false */
	OPT_STRING,   /* const char *; points into argv */
	OPT_INT,      /* int64_t */
	OPT_PORT,     /* uint16_t */
	OPT_DURATION, /* int64_t milliseconds: 10s, 5m, 250ms, 1h30m; a bare number is seconds */
	OPT_LIST,     /* struct opt_list; may be given several times */
};

enum { OPT_LIST_MAX = 64 };

struct opt_list {
	const char *items[OPT_LIST_MAX];
	size_t n;
};

struct opt {
	const char *name;
	enum opt_kind kind;
	size_t field;         /* offsetof in the struct */
	const char *fallback; /* as a person would type it; NULL: zero */
	const char *metavar;  /* "FILE"; NULL for flags */
	const char *help;     /* one sentence, lower case, no full stop */
};

struct opt_command {
	const char *name;
	const char *args; /* "PEER [PORT]", or NULL */
	const char *help; /* one sentence */
	const struct opt *opts;
	size_t opt_count;
	int (*run)(void *context, const void *values, int argc, char **argv);
	const char *example; /* lines, or NULL */
};

struct opt_program {
	const char *name;
	const char *help;        /* one sentence, for the top of help and man page */
	const char *description; /* paragraphs, or NULL */
	const struct opt *opts;  /* before the command, or all there is */
	size_t opt_count;
	const struct opt_command *commands; /* NULL: none */
	size_t command_count;
	const char *example; /* lines */
	const char *args;    /* of a program without commands */
};

/*
 * Takes options from the front of argv (after the name) until the first word that is none, or "--".
 * `--name value`, `--name=value` and one dash are the same. Leaves *argc and *argv at the rest. -1
 * with a sentence that names the option and, for a slip, the one that was probably meant.
 */
int opt_parse(const struct opt *opts, size_t n, void *values, int *argc, char ***argv,
	      struct err *err);
/* The same, but options may also stand between and behind the words, up to "--". Leaves the words,
 * moved together at the front of argv. */
int opt_parse_mixed(const struct opt *opts, size_t n, void *values, int *argc, char ***argv,
		    struct err *err);
/* Fills in the defaults only. */
void opt_defaults(const struct opt *opts, size_t n, void *values);

/* NULL when there is none of that name; then err says which was probably meant. */
const struct opt_command *opt_find_command(const struct opt_program *p, const char *name,
					   struct err *err);

void opt_print_help(FILE *out, const struct opt_program *p);
void opt_print_command_help(FILE *out, const struct opt_program *p, const struct opt_command *c);
void opt_print_man(FILE *out, const struct opt_program *p, const char *version); /* roff */
void opt_print_completion(FILE *out, const struct opt_program *p);               /* bash */

/*
 * What every main() does first: answers --help, -h, help [COMMAND], --version, --man and
 * --completion itself. True: done, exit with *status.
 */
bool opt_common(const struct opt_program *p, const char *version, int argc, char **argv,
		int *status);
