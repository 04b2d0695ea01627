/*
 * app/control/command.h - what an admin can do: a table of noun, verb and function. The command
 * line reaches it by the unix socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct arena;
struct control;
struct err;
struct http_exchange;
struct json_out;
struct opt_command;
struct json;
struct scopes;
struct tailnet;

enum { COMMAND_WORDS_MAX = 32, COMMAND_OPTIONS_MAX = 16 };

struct command_option {
	struct bytes name, value; /* without the dashes */
};

struct command {
	struct control *c;
	struct tailnet *tailnet; /* as set before: from afar; then --tailnet, or the first */
	struct bytes words[COMMAND_WORDS_MAX]; /* noun and verb first */
	size_t n_words;
	struct command_option options[COMMAND_OPTIONS_MAX];
	size_t n_options;
	struct bytes input; /* standard input, for verbs that read one */
	const char *actor;
	const struct scopes *limits; /* of a credential from afar; NULL: whoever has the socket */
	struct json_out *out;        /* exactly one value */
	struct err *err;
	/* Where an answer goes that comes later; NULL: there is no later.  */
	struct http_exchange *exchange;
	bool later; /* the answer comes by what was the exchange */
};

/* Sorts a list of texts into words and options. */
int command_take_argv(struct command *cmd, const struct json *argv);
/* -1 with a sentence for the person; ERR_AUTH: the limits say no. */
int command_run(struct command *cmd);
/* Is argv a command, with options and words it takes? -1 with a sentence; nothing is done. */
int command_check_argv(int argc, char **argv, struct err *err);
/* The table as usage text: of one noun, or with {0} all of it. */
void command_usage(struct buf *out, struct bytes noun);
bool command_is_noun(struct bytes noun);
/* The table for man page and completion; names in the arena. Returns how many. */
size_t command_table(struct arena *arena, struct opt_command *out, size_t max);
/* Does this verb read standard input? */
bool command_reads_input(struct bytes noun, struct bytes verb);
/* What it reads may be named by its last word instead of coming from standard input. */
bool command_takes_file(struct bytes noun, struct bytes verb);
/* Options that stand alone, without a value. */
bool command_is_flag(struct bytes option);
