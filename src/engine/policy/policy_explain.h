/*
 * engine/policy/policy_explain.h - answers for people: why, what if, who gains, what is dead
 * weight. Every function appends one JSON value to out.
 */
#pragma once

#include "engine/policy/policy.h"

/*
 * May src reach dst? src: a selector or an address. dst: the same with an optional ":port" and
 * "/proto" ("tag:web:443", "10.0.0.5:53/udp"). {"allowed": bool, "paths": [{"src", "dst",
 * "allowed", "because": [...], "nearly": [...]}]}: each reason names section, rule, line, the text,
 * the selector that took in the source and the one that took in the destination, posture, router.
 * -1 when src or dst stands for nothing.
 */
int policy_explain(struct policy_state *s, struct bytes src, struct bytes dst, struct buf *out,
		   struct err *err);

/* Everything one node gets: filter, peers, SSH rules, capabilities, and the rules that name it. */
int policy_preview_node(struct policy_state *s, uint64_t id, struct buf *out, struct err *err);
/* {"matches": [{"users", "ports", "lineNumber"}]}: the rules with this user among the sources. */
int policy_preview_user(struct policy_state *s, struct bytes login, struct buf *out,
			struct err *err);

/* [{"node", "gains": [...], "loses": [...]}] for every node that differs: entries as sentences. */
void policy_compare(struct policy_state *old, struct policy_state *next, struct buf *out);

/*
 * [{"kind", "line", "column", "message", "excerpt", "fix": {"start", "end", "text", "safe"}}]:
 * rules nobody can use, rules another covers, definitions nothing refers to, logins nobody has,
 * words said twice, old spellings. A fix is an edit of bytes of the policy's text; safe: whoever
 * may reach what stays the same, now and when nodes and people come.
 */
void policy_lint(struct policy_state *s, struct buf *out);
/* The policy's text with every safe fix made. */
void policy_lint_fix(struct policy_state *s, struct buf *out);
