/* app/control/command_priv.h - what the files with commands share. */
#pragma once

#include <stdint.h>

#include "app/control/command.h"
#include "app/control/core.h"
#include "app/control/scope.h"
#include "base/err.h"
#include "base/json.h"
#include "base/wall.h"

struct verb {
	const char *noun, *name, *args, *says;
	size_t min_words; /* behind noun and verb */
	bool reads_input;
	int (*run)(struct command *cmd);
	enum scope scope; /* what a credential needs from afar; SCOPE_NONE: only on the server */
	bool write;
};
extern const struct verb command_c2n[], command_people[], command_nodes[], command_network[],
    command_dns[], command_access[];
extern const size_t command_c2n_n, command_people_n, command_nodes_n, command_network_n,
    command_dns_n, command_access_n;

static inline struct bytes command_word(const struct command *cmd, size_t i)
{
	return i + 2 < cmd->n_words ? cmd->words[i + 2] : (struct bytes){ 0 };
}
static inline size_t command_args(const struct command *cmd)
{
	return cmd->n_words - 2;
}
/* The entry of the table; a lone noun means its list. NULL with a sentence. */
const struct verb *command_verb(struct command *cmd);
/* Options and number of words against args and says of the table. */
int command_check(const struct verb *v, const struct command *cmd);
/* {NULL, 0} when it was not given. */
struct bytes command_option(const struct command *cmd, const char *name);
bool command_has(const struct command *cmd, const char *name);
int command_user(struct command *cmd, struct bytes which, struct tn_user **out);
int command_node(struct command *cmd, struct bytes which, struct tn_node **out);
/* "90d", "24h", "15m", "30s". */
int command_duration(struct command *cmd, struct bytes text, int64_t *s);
size_t command_list(struct bytes text, struct bytes *out, size_t max); /* a,b,c */
/* The store has it and the disk has it; the audit log too. */
int command_done(struct command *cmd, const char *action, const char *target, const char *detail);

void command_put(struct json_out *o, const char *name, const char *value);
void command_put_i64(struct json_out *o, const char *name, int64_t value);
void command_put_bool(struct json_out *o, const char *name, bool value);
void command_put_time(struct json_out *o, const char *name, struct wall at); /* "" for 0 */
void command_put_tags(struct json_out *o, const char *name, const struct text_set *tags);
