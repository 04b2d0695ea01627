/*
 * engine/policy/policy_lint.h - one finding of the lint: printed, and its fix noted.
 */
#pragma once

#include "base/bytes.h"
#include "engine/policy/state.h"

/* An edit of the policy's text. */
struct lint_edit {
	uint32_t start, end;
	const char *text;
	bool safe;
};

struct linter {
	struct policy_state *s;
	struct json_out o;
	unsigned found;
	struct lint_edit *edits;
	size_t n_edits, cap_edits;
};

enum lint_fix {
	LINT_NO_FIX,
	LINT_REMOVE, /* the place, and the comma behind it; to be decided by a person */
	LINT_REMOVE_SAFE,
	LINT_REPLACE_SAFE,
};

/* who what: the sentence; text: replaces the place. */
void lint_finding(struct linter *l, const char *kind, struct where at, struct bytes who,
		  const char *what, enum lint_fix fix, const char *text);
bool lint_has_id(const struct ids *l, uint32_t id);

/* policy_lint_rules.c: rules nobody can use, rules another covers. */
void lint_rules(struct linter *l);
/* policy_lint_text.c: what can be told from the text: doubles, old spellings, words "*" covers. */
void lint_text(struct linter *l);
