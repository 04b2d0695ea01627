/* engine/policy/policy_say.h - how rules are named to people: section, number, line, text. */
#pragma once

#include "engine/policy/state.h"

/* Keys section, rule, line, column and text of an object that is open. */
void policy_say_rule(struct json_out *o, const struct policy *p, const struct grant *g);
struct bytes policy_excerpt(const struct policy *p, struct where w);
bool policy_user_at(const struct policy *p, struct bytes login, uint32_t *user);
bool policy_proto_number(struct bytes text, int *proto);
