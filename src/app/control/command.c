#include "app/control/command_priv.h"

#include "app/control/store.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/text.h"

enum { TABLES = 6 };

struct table {
	const struct verb *verbs;
	size_t n;
};

static size_t tables(struct table out[TABLES])
{
	out[0] = (struct table){ command_people, command_people_n };
	out[1] = (struct table){ command_nodes, command_nodes_n };
	out[2] = (struct table){ command_network, command_network_n };
	out[3] = (struct table){ command_dns, command_dns_n };
	out[4] = (struct table){ command_access, command_access_n };
	out[5] = (struct table){ command_c2n, command_c2n_n };
	return TABLES;
}

static const struct verb *find(struct bytes noun, struct bytes name)
{
	struct table t[TABLES];
	size_t n = tables(t);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < t[i].n; j++)
			if (bytes_equal_str(noun, t[i].verbs[j].noun) &&
			    bytes_equal_str(name, t[i].verbs[j].name))
				return &t[i].verbs[j];
	return NULL;
}

bool command_reads_input(struct bytes noun, struct bytes verb)
{
	const struct verb *v = find(noun, verb);

	return v && v->reads_input;
}

bool command_takes_file(struct bytes noun, struct bytes verb)
{
	const struct verb *v = find(noun, verb);

	return v && v->reads_input && v->min_words == 0;
}

bool command_is_flag(struct bytes option)
{
	static const char *const flags[] = { "reusable", "ephemeral", "preauthorized", "force",
					     "all" };

	for (size_t i = 0; i < array_len(flags); i++)
		if (bytes_equal_str(option, flags[i]))
			return true;
	return false;
}

size_t command_table(struct arena *arena, struct opt_command *out, size_t max)
{
	struct table t[TABLES];
	size_t n = tables(t), count = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < t[i].n && count < max; j++) {
			const struct verb *v = &t[i].verbs[j];

			out[count++] = (struct opt_command){
				.name = arena_printf(arena, "%s %s", v->noun, v->name),
				.args = v->args[0] ? v->args : NULL,
				.help = v->says,
			};
		}
	return count;
}

void command_usage(struct buf *out, struct bytes noun)
{
	struct table t[TABLES];
	size_t n = tables(t);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < t[i].n; j++) {
			const struct verb *v = &t[i].verbs[j];

			if (noun.n && !bytes_equal_str(noun, v->noun))
				continue;
			(void)buf_printf(out, "  %-13s %-10s %-34s %s\n", v->noun, v->name, v->args,
					 v->says);
		}
}

bool command_is_noun(struct bytes noun)
{
	struct table t[TABLES];
	size_t n = tables(t);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < t[i].n; j++)
			if (bytes_equal_str(noun, t[i].verbs[j].noun))
				return true;
	return false;
}

static void no_such(struct command *cmd)
{
	struct table t[TABLES];
	size_t n = tables(t), distance = 4;
	const struct verb *best = NULL;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < t[i].n; j++) {
			const struct verb *v = &t[i].verbs[j];
			size_t d = text_distance(cmd->words[0], bytes_str(v->noun)) +
				   text_distance(cmd->words[1], bytes_str(v->name));

			if (d < distance) {
				distance = d;
				best = v;
			}
		}
	if (best)
		(void)err_set(
		    cmd->err, ERR_USAGE, "there is no command '%.*s %.*s'; did you mean `%s %s`?",
		    BYTES_FMT(cmd->words[0]), BYTES_FMT(cmd->words[1]), best->noun, best->name);
	else
		(void)err_set(cmd->err, ERR_USAGE,
			      "there is no command '%.*s %.*s'; `weft-control --help` lists them",
			      BYTES_FMT(cmd->words[0]), BYTES_FMT(cmd->words[1]));
}

const struct verb *command_verb(struct command *cmd)
{
	const struct verb *v;

	if (cmd->n_words == 1)
		cmd->words[cmd->n_words++] = bytes_str("list");
	if (cmd->n_words < 2) {
		(void)err_set(cmd->err, ERR_USAGE, "say what: `weft-control --help` lists it all");
		return NULL;
	}
	v = find(cmd->words[0], cmd->words[1]);
	if (!v)
		no_such(cmd);
	return v;
}

/* From afar a credential's scopes decide, and its network is the only one. */
static int may_run(struct command *cmd, const struct verb *v)
{
	char scope[48];

	if (!cmd->limits)
		return 0;
	if (v->scope == SCOPE_NONE)
		return err_set(cmd->err, ERR_AUTH, "`%s %s` works on the server itself only",
			       v->noun, v->name);
	if (!scopes_allow(cmd->limits, v->scope, v->write))
		return err_set(cmd->err, ERR_AUTH, "this needs the scope %s",
			       scope_name(v->scope, v->write, scope));
	return 0;
}

static struct tailnet *tailnet_of(const struct command *cmd, struct bytes wish)
{
	struct tailnet *first = list_entry(cmd->c->model.tailnets.next, struct tailnet, link);
	struct tailnet *own = cmd->tailnet ? cmd->tailnet : first;
	struct tailnet *t = wish.n ? model_tailnet(&cmd->c->model, wish) : own;

	return cmd->limits && t != own ? NULL : t;
}

int command_run(struct command *cmd)
{
	struct bytes wish = command_option(cmd, "tailnet");
	const struct verb *v = command_verb(cmd);

	if (!v || command_check(v, cmd) < 0)
		return -1;
	cmd->tailnet = tailnet_of(cmd, wish);
	if (!cmd->tailnet)
		return err_set(cmd->err, ERR_USAGE, "there is no tailnet %.*s", BYTES_FMT(wish));
	if (may_run(cmd, v) < 0)
		return -1;
	/* What fed the pipe has failed; nobody means to replace a policy by nothing. */
	if (v->reads_input && v->min_words == 0 && !text_trim(cmd->input).n)
		return err_set(cmd->err, ERR_USAGE,
			       "`%s %s` reads a file or standard input, and that was empty",
			       v->noun, v->name);
	return v->run(cmd);
}

/* argv: words, --name value, --name=value, --flag. */
int command_take_argv(struct command *cmd, const struct json *argv)
{
	const struct json *it = argv ? argv->first : NULL;

	for (; it; it = it->next) {
		struct command_option *o = &cmd->options[cmd->n_options];
		struct bytes text, name;

		if (!json_string(it, &text))
			return err_set(cmd->err, ERR_USAGE, "argv holds texts");
		if (!bytes_has_prefix(text, "--")) {
			if (cmd->n_words == COMMAND_WORDS_MAX)
				return err_set(cmd->err, ERR_USAGE, "too many words");
			cmd->words[cmd->n_words++] = text;
			continue;
		}
		if (cmd->n_options == COMMAND_OPTIONS_MAX)
			return err_set(cmd->err, ERR_USAGE, "too many options");
		name = bytes_from(text, 2);
		o->value = bytes_str("yes");
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] == '=') {
				o->value = bytes_from(name, i + 1);
				name.n = i;
			}
		o->name = name;
		if (text.n == name.n + 2 && !command_is_flag(name)) {
			it = it->next;
			if (!it || !json_string(it, &o->value))
				return err_set(cmd->err, ERR_USAGE, "--%.*s needs a value",
					       BYTES_FMT(name));
		}
		cmd->n_options++;
	}
	return 0;
}

struct bytes command_option(const struct command *cmd, const char *name)
{
	for (size_t i = 0; i < cmd->n_options; i++)
		if (bytes_equal_str(cmd->options[i].name, name))
			return cmd->options[i].value;
	return (struct bytes){ 0 };
}

bool command_has(const struct command *cmd, const char *name)
{
	for (size_t i = 0; i < cmd->n_options; i++)
		if (bytes_equal_str(cmd->options[i].name, name))
			return true;
	return false;
}

int command_user(struct command *cmd, struct bytes which, struct tn_user **out)
{
	*out = model_user(cmd->tailnet, which);
	return *out ? 0 : err_set(cmd->err, ERR_USAGE, "there is no user %.*s", BYTES_FMT(which));
}

int command_node(struct command *cmd, struct bytes which, struct tn_node **out)
{
	*out = model_node(cmd->tailnet, which);
	return *out ? 0 : err_set(cmd->err, ERR_USAGE, "there is no node %.*s", BYTES_FMT(which));
}

int command_duration(struct command *cmd, struct bytes text, int64_t *s)
{
	static const struct {
		uint8_t unit;
		int64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	uint64_t n;

	for (size_t i = 0; text.n && i < array_len(units); i++)
		if (text.p[text.n - 1] == units[i].unit &&
		    text_u64(bytes_of(text.p, text.n - 1), 1000000, &n)) {
			*s = (int64_t)n * units[i].s;
			return 0;
		}
	return err_set(cmd->err, ERR_USAGE, "%.*s is no duration such as 90d, 24h or 15m",
		       BYTES_FMT(text));
}

size_t command_list(struct bytes text, struct bytes *out, size_t max)
{
	size_t n = 0;

	while (n < max && text_split(&text, ',', &out[n])) {
		out[n] = text_trim(out[n]);
		n += out[n].n > 0;
	}
	return n;
}

int command_done(struct command *cmd, const char *action, const char *target, const char *detail)
{
	core_audit(cmd->c, cmd->tailnet, cmd->actor, action, target, detail);
	return core_commit_now(cmd->c, cmd->err);
}

void command_put(struct json_out *o, const char *name, const char *value)
{
	json_key(o, name);
	json_put_cstr(o, value);
}

void command_put_i64(struct json_out *o, const char *name, int64_t value)
{
	json_key(o, name);
	json_put_i64(o, value);
}

void command_put_bool(struct json_out *o, const char *name, bool value)
{
	json_key(o, name);
	json_put_bool(o, value);
}

void command_put_time(struct json_out *o, const char *name, struct wall at)
{
	char text[WALL_TEXT_MAX];

	command_put(o, name, at.ns ? wall_format(wall_from_s(wall_s(at)), text) : "");
}

void command_put_tags(struct json_out *o, const char *name, const struct text_set *tags)
{
	json_key(o, name);
	json_open_array(o);
	for (size_t i = 0; i < tags->n; i++)
		json_put_cstr(o, tags->v[i]);
	json_close_array(o);
}
