/* test/unit/engine/policy/place.h - a small tailnet under a policy, and what its nodes get. */
#pragma once

#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/policy/policy.h"
#include "kit/kit.h"

static inline struct bytes B(const char *s) {
	return bytes_str(s);
}

struct place {
	struct policy_directory dir;
	struct policy_user users[3];
	struct policy_group groups[1];
	struct bytes members[1], domains[1];
	struct policy_service service;
	struct policy_report report;
	struct policy *p;
	struct policy_state *s;
};

static inline void place_init(struct place *w, const char *text)
{
	*w = (struct place){ 0 };
	w->users[0] = (struct policy_user){ .id = 1, .login = B("alice@example.com") };
	w->users[1] = (struct policy_user){ .id = 2, .login = B("bob@example.com") };
	w->users[2] =
	    (struct policy_user){ .id = 3, .login = B("eve@other.net"), .role = POLICY_SHARED };
	w->members[0] = B("bob@example.com");
	w->groups[0] = (struct policy_group){ B("group:sync@example.com"), w->members, 1 };
	w->domains[0] = B("example.com");
	w->service = (struct policy_service){ .name = B("svc:web"), .v4 = ip_v4(100, 99, 0, 1) };
	w->dir = (struct policy_directory){ .users = w->users,
					    .n_users = 3,
					    .groups = w->groups,
					    .n_groups = 1,
					    .domains = w->domains,
					    .n_domains = 1,
					    .services = &w->service,
					    .n_services = 1 };
	policy_report_init(&w->report);
	w->p = policy_compile(B(text), &w->dir, &w->report);
	if (!CHECK(w->p != NULL))
		(void)printf("# %s\n", policy_report_message(&w->report));
	w->s = w->p ? policy_state_create(w->p) : NULL;
}

static inline void place_fini(struct place *w)
{
	policy_state_destroy(w->s);
	policy_unref(w->p);
	policy_report_fini(&w->report);
}

/* Node i has 100.64.0.i and fd7a:115c:a1e0::i; one tag or none, up to two routes. */
static inline void put(struct place *w, uint8_t id, uint64_t user, const char *tag,
		       const char *route, const char *second)
{
	struct policy_node n = { .id = id, .user = user, .created = id };
	struct prefix routes[2] = { 0 };
	struct bytes tags[1];
	struct err err = { 0 };

	n.v4 = ip_v4(100, 64, 0, id);
	n.v6 = (struct ip){ 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = id } };
	n.tags = tags;
	n.routes = routes;
	if (tag)
		tags[n.n_tags++] = B(tag);
	if (route)
		CHECK(prefix_parse(&routes[n.n_routes++], B(route)));
	if (second)
		CHECK(prefix_parse(&routes[n.n_routes++], B(second)));
	if (!CHECK(policy_state_upsert(w->s, &n, NULL, &err) == 0))
		(void)printf("# %s\n", err.text);
}

/* The filter as lines "sources > destination:first-last/protocol". */
static inline void check_filter(struct place *w, uint64_t id, const char *want)
{
	char text[FILTER_TEXT_MAX];
	struct policy_filter f;
	struct buf b;

	buf_init(&b, 1 << 16);
	CHECK(policy_state_filter(w->s, id, &f, NULL) == 0);
	for (size_t i = 0; i < f.n; i++) {
		for (size_t k = 0; k < f.rules[i].n_srcs; k++)
			(void)buf_printf(&b, "%s%s", k ? "," : "", f.rules[i].srcs[k]);
		for (size_t k = 0; k < f.rules[i].n_dsts; k++)
			(void)buf_printf(&b, " > %s:%u-%u/%d",
					 filter_dst_format(&f.rules[i].dsts[k], text),
					 f.rules[i].dsts[k].first_port,
					 f.rules[i].dsts[k].last_port, f.rules[i].proto);
		for (size_t k = 0; k < f.rules[i].n_grants; k++)
			(void)buf_printf(&b, " + %.*s",
					 BYTES_FMT(f.rules[i].grants[k].caps[0].name));
		(void)buf_append_str(&b, "\n");
	}
	CHECK_STR(buf_cstr(&b), want);
	policy_filter_fini(&f);
	buf_fini(&b);
}

static inline void check_peers(struct place *w, uint64_t id, const char *want)
{
	char text[PREFIX_TEXT_MAX];
	struct policy_peers p;
	struct buf b;

	buf_init(&b, 1 << 16);
	CHECK(policy_state_peers(w->s, id, &p, NULL) == 0);
	for (size_t i = 0; i < p.n; i++) {
		(void)buf_printf(&b, "%s%llu", i ? " " : "", (unsigned long long)p.v[i].id);
		for (size_t k = 0; k < p.v[i].n_routes; k++)
			(void)buf_printf(&b, "+%s", prefix_format(p.v[i].routes[k], text));
	}
	CHECK_STR(buf_cstr(&b), want);
	policy_peers_fini(&p);
	buf_fini(&b);
}
