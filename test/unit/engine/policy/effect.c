/*
 * Whose answers a change alters, against the plain way: rebuild everything from nothing before and
 * after, print every answer of every node, and see whose print differs. Random policies, random
 * events, fixed seeds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_explain.h"
#include "kit/kit.h"

enum { NODES = 12, SEEDS = 120, EVENTS = 14 };

struct dice {
	uint64_t x;
};

static unsigned roll(struct dice *d, unsigned n)
{
	d->x = d->x * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(d->x >> 33) % n;
}

static struct bytes B(const char *s) {
	return bytes_str(s);
}

/* ---- printing ---- */

struct lines {
	char *v[20000];
	size_t n;
};

static void line(struct lines *l, const char *text)
{
	if (l->n < array_len(l->v))
		l->v[l->n++] = mem_strdup(text);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void flush(struct lines *l, struct buf *out)
{
	qsort(l->v, l->n, sizeof(l->v[0]), by_text);
	for (size_t i = 0; i < l->n; i++) {
		(void)buf_printf(out, "%s\n", l->v[i]);
		mem_free(l->v[i]);
	}
	l->n = 0;
}

static void print_srcs(const struct filter_rule *r, struct buf *b)
{
	for (size_t i = 0; i < r->n_srcs; i++)
		(void)buf_printf(b, "%s ", r->srcs[i]);
}

/* One line per destination entry: order of rules and their merging mean nothing to a filter. */
static void print_filter(struct policy_state *s, uint64_t id, struct lines *l, struct buf *out)
{
	char text[FILTER_TEXT_MAX];
	struct policy_filter f;
	struct buf b;

	CHECK(policy_state_filter(s, id, &f, NULL) == 0);
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < f.n; i++) {
		const struct filter_rule *r = &f.rules[i];

		for (size_t k = 0; k < r->n_dsts; k++) {
			buf_clear(&b);
			print_srcs(r, &b);
			(void)buf_printf(&b, "=> %s %d %u-%u", filter_dst_format(&r->dsts[k], text),
					 r->proto, r->dsts[k].first_port, r->dsts[k].last_port);
			line(l, buf_cstr(&b));
		}
		for (size_t k = 0; k < r->n_grants; k++) {
			struct json_out o;

			buf_clear(&b);
			json_out_init(&o, &b);
			filter_rules_encode(&o,
					    &(struct filter_rule){ .srcs = r->srcs,
								   .n_srcs = r->n_srcs,
								   .proto = -1,
								   .grants = &r->grants[k],
								   .n_grants = 1 },
					    1);
			line(l, buf_cstr(&b));
		}
	}
	buf_fini(&b);
	policy_filter_fini(&f);
	flush(l, out);
}

static void print_prefixes(const char *what, const struct prefix *p, size_t n, struct buf *b)
{
	char text[PREFIX_TEXT_MAX];

	(void)buf_printf(b, " %s", what);
	for (size_t i = 0; i < n; i++)
		(void)buf_printf(b, " %s", prefix_format(p[i], text));
}

static void print_peer(const struct policy_peer *p, struct buf *b)
{
	(void)buf_printf(b, "sees %llu exit %d", (unsigned long long)p->id, p->exit_node);
	print_prefixes("at", p->addresses, p->n_addresses, b);
	print_prefixes("routes", p->routes, p->n_routes, b);
	print_prefixes("primary", p->primary, p->n_primary, b);
	(void)buf_append_u8(b, '\n');
}

static void print_ssh(struct policy_state *s, uint64_t id, struct lines *l, struct buf *out)
{
	char ip[IP_TEXT_MAX], where[ADDRPORT_TEXT_MAX];
	struct policy_ssh ssh;

	CHECK(policy_state_ssh(s, id, &ssh, NULL) == 0);
	for (size_t i = 0; i < ssh.n; i++) {
		const struct ssh_rule *r = &ssh.rules[i];

		(void)buf_printf(out, "ssh %zu check %d recorders %zu:", i, r->check,
				 r->n_recorders);
		for (size_t k = 0; k < r->n_users; k++)
			(void)buf_printf(out, " %.*s=%.*s", BYTES_FMT(r->users[k].login),
					 BYTES_FMT(r->users[k].local));
		(void)buf_append_u8(out, '\n');
		for (size_t k = 0; k < r->n_recorders; k++)
			line(l, addrport_format(r->recorders[k], where));
		flush(l, out);
		for (size_t k = 0; k < r->n_principals; k++)
			line(l, ip_format(r->principals[k], ip));
		flush(l, out);
	}
	policy_ssh_fini(&ssh);
}

static char *print_node(struct policy_state *s, uint64_t id, struct lines *l)
{
	struct policy_peers peers;
	struct policy_caps caps;
	struct buf b;
	char *out;

	buf_init(&b, 1 << 22);
	print_filter(s, id, l, &b);
	CHECK(policy_state_peers(s, id, &peers, NULL) == 0);
	print_peer(&peers.self, &b);
	for (size_t i = 0; i < peers.n; i++)
		print_peer(&peers.v[i], &b);
	policy_peers_fini(&peers);
	print_ssh(s, id, l, &b);
	CHECK(policy_state_caps(s, id, &caps, NULL) == 0);
	for (size_t i = 0; i < caps.n; i++)
		(void)buf_printf(&b, "cap %.*s=%.*s\n", BYTES_FMT(caps.v[i].name),
				 BYTES_FMT(caps.v[i].values));
	policy_caps_fini(&caps);
	out = mem_strdup(buf_cstr(&b));
	buf_fini(&b);
	return out;
}

/* ---- random worlds ---- */

static const char *const sources[] = {
	"*",
	"alice@example.com",
	"bob@example.com",
	"carol@example.com",
	"group:eng",
	"group:all",
	"group:synced@example.com",
	"user:*@example.com",
	"tag:web",
	"tag:db",
	"tag:router",
	"tag:exit",
	"autogroup:member",
	"autogroup:tagged",
	"autogroup:admin",
	"10.20.0.0/16",
	"100.64.0.0/12",
	"lan",
	"100.64.0.3",
	"ipset:some",
	"autogroup:danger-all",
	"fd7a:115c:a1e0::/112",
};

static const char *const targets[] = {
	"*",
	"alice@example.com",
	"group:synced@example.com",
	"group:eng",
	"tag:web",
	"tag:db",
	"tag:router",
	"autogroup:member",
	"autogroup:tagged",
	"autogroup:internet",
	"10.20.8.0/24",
	"10.0.0.0/8",
	"lan",
	"100.64.0.0/12",
	"8.8.8.0/24",
	"ipset:some",
	"100.64.0.5",
	"192.168.7.0/24",
	"svc:site",
};

static const char *const selves[] = { "alice@example.com", "group:eng", "autogroup:member" };

#define PICK(d, list) (list)[roll(d, (unsigned)array_len(list))]

static void put_grant(struct dice *d, struct buf *b)
{
	static const char *const ips[] = { "*", "tcp:443", "udp:53\",\"tcp:22-25", "icmp:*" };
	static const char *const vias[] = { "tag:router", "tag:exit", "tag:router\",\"tag:exit" };
	unsigned kind = roll(d, 10);
	const char *dst = PICK(d, targets);
	bool app = roll(d, 4) == 0 && strcmp(dst, "autogroup:internet") != 0;

	if (kind == 0) {
		(void)buf_printf(b,
				 "{\"src\":[\"%s\"],\"dst\":[\"autogroup:self\"],\"ip\":[\"%s\"],"
				 "\"app\":{%s}},",
				 PICK(d, selves), PICK(d, ips),
				 app ? "\"tailscale.com/cap/drive\":[{\"a\":1}]" : "");
		return;
	}
	(void)buf_printf(b, "{\"src\":[\"%s\"", PICK(d, sources));
	if (roll(d, 3) == 0)
		(void)buf_printf(b, ",\"%s\"", PICK(d, sources));
	(void)buf_printf(b, "],\"dst\":[\"%s\"", dst);
	if (roll(d, 3) == 0 && !app)
		(void)buf_printf(b, ",\"%s\"", PICK(d, targets));
	(void)buf_printf(b, "],\"ip\":[\"%s\"]", PICK(d, ips));
	if (app)
		(void)buf_append_str(b, roll(d, 2) ? ",\"app\":{\"tailscale.com/cap/relay\":[{}]}"
						   : ",\"app\":{\"example.com/cap/x\":[1]}");
	if (kind == 1)
		(void)buf_printf(b, ",\"via\":[\"%s\"]", PICK(d, vias));
	if (kind == 2)
		(void)buf_append_str(b, ",\"srcPosture\":[\"posture:linux\"]");
	(void)buf_append_str(b, "},");
}

static void put_ssh(struct dice *d, struct buf *b)
{
	static const char *const rules[] = {
		"\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:self\"]",
		"\"src\":[\"group:eng\"],\"dst\":[\"tag:web\"]",
		"\"src\":[\"tag:db\",\"tag:web\"],\"dst\":[\"tag:web\"]",
		"\"src\":[\"alice@example.com\"],\"dst\":[\"tag:db\",\"autogroup:tagged\"]",
	};
	static const char *const users[] = { "\"root\"", "\"autogroup:nonroot\"",
					     "\"localpart:*@example.com\",\"deploy\"" };

	(void)buf_printf(b, "{\"action\":\"%s\",%s,\"users\":[%s]%s},",
			 roll(d, 2) ? "accept" : "check", PICK(d, rules), PICK(d, users),
			 roll(d, 4) ? "" : ",\"recorder\":[\"tag:router\"]");
}

/* What a server without a policy has, in the forms it may take. */
static const char *const plain_policies[] = {
	"",
	"{}",
	"{\"grants\":[]}",
	"{\"grants\":[{\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:self\"],\"ip\":[\"*\"],"
	"\"app\":{\"tailscale.com/cap/drive\":[]}}],\"ssh\":[{\"action\":\"check\",\"src\":["
	"\"autogroup:member\"],\"dst\":[\"autogroup:self\"],\"users\":[\"localpart:*@example.com\"]"
	"}]}",
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:admin\"],\"dst\":["
	"\"autogroup:self:*\"]}],\"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],"
	"\"dst\":[\"autogroup:self\"],\"users\":[\"root\"]}]}",
};

static struct policy *random_policy(struct dice *d, const struct policy_directory *dir,
				    unsigned extra)
{
	struct policy_report report;
	struct policy *p;
	struct buf b;

	buf_init(&b, 1 << 20);
	if (roll(d, 8) == 0) {
		policy_report_init(&report);
		p = policy_compile(B(PICK(d, plain_policies)), dir, &report);
		policy_report_fini(&report);
		buf_fini(&b);
		return p;
	}
	(void)buf_append_str(
	    &b, "{\"groups\":{\"group:eng\":[\"alice@example.com\",\"bob@example.com\"],"
		"\"group:all\":[\"alice@example.com\",\"bob@example.com\",\"carol@example.com\"]},"
		"\"hosts\":{\"lan\":\"192.168.0.0/16\"},"
		"\"ipsets\":{\"ipset:some\":[\"add 10.20.0.0/15\",\"add 100.64.0.4\","
		"\"remove 10.21.0.0/16\"]},"
		"\"postures\":{\"posture:linux\":[\"node:os == 'linux'\"]},"
		"\"tagOwners\":{\"tag:web\":[],\"tag:db\":[],\"tag:router\":[],\"tag:exit\":[]},"
		"\"nodeAttrs\":[{\"target\":[\"tag:db\"],\"attr\":[\"disable-ipv4\"]},"
		"{\"target\":[\"group:eng\"],\"attr\":[\"x\"]}],\"grants\":[");
	for (unsigned i = 0, n = 1 + roll(d, 6); i < n; i++)
		put_grant(d, &b);
	for (unsigned i = 0; i < extra; i++)
		put_grant(&(struct dice){ d->x + i }, &b);
	(void)buf_append_str(&b, "],\"ssh\":[");
	for (unsigned i = 0, n = roll(d, 4); i < n; i++)
		put_ssh(d, &b);
	(void)buf_append_str(&b, "]}");
	policy_report_init(&report);
	p = policy_compile(buf_bytes(&b), dir, &report);
	if (!p)
		(void)printf("# %s\n# %s\n", policy_report_message(&report), buf_cstr(&b));
	policy_report_fini(&report);
	buf_fini(&b);
	return p;
}

struct spare {
	struct bytes tags[2], services[1];
	struct prefix routes[4];
	struct policy_posture_attr attrs[1];
};

static const char *const tag_names[] = { "tag:web", "tag:db", "tag:router", "tag:exit" };

static struct prefix P(const char *text) {
	struct prefix p = { 0 };

	CHECK(prefix_parse(&p, B(text)));
	return p;
}

static void
random_node(struct dice *d, uint64_t id, bool wide, struct policy_node *n, struct spare *room)
{
	static const char *const routes[] = { "10.20.0.0/16", "10.0.0.0/8", "192.168.7.0/24",
					      "8.8.8.0/24", "10.20.8.0/24" };

	*n = (struct policy_node){ .id = id,
				   .user = 1 + roll(d, 4),
				   .created = (int64_t)(id * 7 % 5) };
	n->tags = room->tags;
	n->routes = room->routes;
	n->attrs = room->attrs;
	n->services = room->services;
	for (unsigned i = roll(d, 2) ? 0 : 1 + roll(d, 2); i > 0; i--)
		room->tags[n->n_tags++] = B(PICK(d, tag_names));
	if (n->n_tags == 2 && bytes_equal(room->tags[0], room->tags[1]))
		n->n_tags = 1;
	n->v4 = ip_v4(100, 64, 0, (uint8_t)(id + (roll(d, 12) ? 0 : 100)));
	n->v6 = (struct ip){ 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = (uint8_t)id } };
	if (roll(d, 3) == 0)
		room->routes[n->n_routes++] = P(PICK(d, routes));
	if (roll(d, 5) == 0)
		room->routes[n->n_routes++] = P(PICK(d, routes));
	if (roll(d, 5) == 0)
		room->routes[n->n_routes++] = P("0.0.0.0/0");
	if (wide && roll(d, 4) == 0)
		room->routes[n->n_routes++] = P("100.64.0.0/14");
	room->attrs[0] = (struct policy_posture_attr){ .name = B("node:os") };
	room->attrs[0].text = B(roll(d, 2) ? "linux" : "windows");
	n->n_attrs = 1;
	if (n->n_tags && roll(d, 3) == 0)
		room->services[n->n_services++] = B("svc:site");
	n->offline = roll(d, 6) == 0;
}

static bool contains(const struct policy_ids *ids, uint64_t id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (ids->v[i] == id)
			return true;
	return false;
}

static void print_all(struct policy_state *s, char *out[NODES + 1], struct lines *l)
{
	struct policy_state *fresh = policy_state_with(s, policy_state_policy(s));

	for (uint64_t id = 1; id <= NODES; id++) {
		struct policy_peers peers;

		out[id] = NULL;
		if (policy_state_peers(fresh, id, &peers, NULL) < 0)
			continue;
		policy_peers_fini(&peers);
		out[id] = print_node(fresh, id, l);
	}
	policy_state_destroy(fresh);
}

static void free_all(char *prints[NODES + 1])
{
	for (int i = 1; i <= NODES; i++)
		mem_free(prints[i]);
}

/* False when the reported set is not the observed one. */
static bool agrees(const struct policy_ids *affected, char *was[NODES + 1], char *is[NODES + 1],
		   unsigned seed, unsigned event)
{
	bool ok = true;

	for (uint64_t id = 1; id <= NODES; id++) {
		bool changed = is[id] && (!was[id] || strcmp(was[id], is[id]) != 0);

		if (changed == contains(affected, id))
			continue;
		ok = false;
		(void)printf("# seed %u event %u node %llu: %s\n# was:\n%s# is:\n%s", seed, event,
			     (unsigned long long)id,
			     changed ? "changed, not told" : "told, unchanged",
			     was[id] ? was[id] : "(none)\n", is[id] ? is[id] : "(none)\n");
	}
	return ok;
}

static void play(struct dice *d, struct policy_state *s, bool wide, struct policy_ids *affected)
{
	uint64_t id = 1 + roll(d, NODES);
	struct policy_node n;
	struct spare room;

	switch (roll(d, 6)) {
	case 0:
		policy_state_remove(s, id, affected);
		break;
	case 1:
		policy_state_set_online(s, id, roll(d, 2), affected);
		break;
	default:
		random_node(d, id, wide, &n, &room);
		CHECK(policy_state_upsert(s, &n, affected, NULL) == 0);
	}
}

static const struct policy_user users[] = {
	{ .id = 1, .login = { (const uint8_t *)"alice@example.com", 17 }, .role = POLICY_OWNER },
	{ .id = 2, .login = { (const uint8_t *)"bob@example.com", 15 }, .role = POLICY_ADMIN },
	{ .id = 3, .login = { (const uint8_t *)"carol@example.com", 17 } },
	{ .id = 4, .login = { (const uint8_t *)"dave@example.net", 16 } },
};

static struct policy_directory directory(void)
{
	static const struct bytes domain = { (const uint8_t *)"example.com", 11 };
	static struct policy_service service;
	static struct bytes members[1];
	static struct policy_group group;

	members[0] = B("carol@example.com");
	group = (struct policy_group){ B("group:synced@example.com"), members, 1 };
	service = (struct policy_service){ .name = B("svc:site"), .v4 = ip_v4(100, 99, 1, 1) };
	return (struct policy_directory){ .users = users,
					  .n_users = array_len(users),
					  .groups = &group,
					  .n_groups = 1,
					  .domains = &domain,
					  .n_domains = 1,
					  .services = &service,
					  .n_services = 1 };
}

/* The same tailnet after something happened at the identity provider. */
struct shifted {
	struct policy_directory dir;
	struct policy_user users[5];
	struct bytes members[4];
	struct policy_group group;
	struct policy_service service;
};

static void shift(struct dice *d, struct shifted *w)
{
	static const char *const logins[] = { "alice@example.com", "bob@example.com",
					      "carol@example.com", "dave@example.net" };

	w->dir = directory();
	memcpy(w->users, users, sizeof(users));
	w->users[4] = (struct policy_user){ .id = 5, .login = B("erin@example.com") };
	w->group = (struct policy_group){ B("group:synced@example.com"), w->members, 0 };
	for (unsigned i = 0; i < array_len(logins); i++)
		if (roll(d, 3) == 0)
			w->members[w->group.n_members++] = B(logins[i]);
	w->dir.users = w->users;
	w->dir.n_users = 3 + roll(d, 3); /* dave left, nobody did, erin came */
	w->dir.groups = &w->group;
	if (roll(d, 3) == 0)
		w->users[roll(d, 3)].role = roll(d, 2) ? POLICY_ADMIN : POLICY_SHARED;
	if (roll(d, 4) == 0)
		w->users[2].login = B("carol@example.net");
	if (roll(d, 6) == 0) {
		w->service = w->dir.services[0];
		w->service.v4 = ip_v4(100, 99, 1, 2);
		w->dir.services = &w->service;
	}
	w->dir.auto_update = roll(d, 8) == 0;
}

static bool run_seed(unsigned seed, bool wide)
{
	struct dice d = { seed * 2654435761u + 12345 };
	struct policy_directory dir = directory();
	struct policy *p = random_policy(&d, &dir, 0);
	struct policy_state *s;
	struct policy_ids affected;
	struct lines *l = mem_alloc(sizeof(*l));
	char *was[NODES + 1], *is[NODES + 1];
	bool ok = true;

	if (!CHECK(p != NULL))
		return false;
	s = policy_state_create(p);
	policy_ids_init(&affected);
	print_all(s, was, l);
	for (unsigned e = 0; e < EVENTS && ok; e++) {
		play(&d, s, wide, &affected);
		print_all(s, is, l);
		ok = agrees(&affected, was, is, seed, e);
		for (uint64_t id = 1; id <= NODES && ok; id++) { /* nothing rotted on the way */
			char *now = is[id] ? print_node(s, id, l) : NULL;

			ok = !now || strcmp(now, is[id]) == 0;
			if (!ok)
				(void)printf("# seed %u event %u node %u rotted:\n%s# fresh:\n%s",
					     seed, e, (unsigned)id, now, is[id]);
			mem_free(now);
		}
		free_all(was);
		memcpy(was, is, sizeof(was));
	}
	free_all(was);
	policy_ids_fini(&affected);
	policy_state_destroy(s);
	policy_unref(p);
	mem_free(l);
	return ok;
}

TEST(affected_set_is_exact)
{
	unsigned bad = 0;

	for (unsigned seed = 1; seed <= SEEDS && bad < 3; seed++)
		bad += !run_seed(seed, false);
	CHECK_INT(bad, 0);
}

TEST(affected_set_is_exact_with_routers_over_node_addresses)
{
	unsigned bad = 0;

	for (unsigned seed = 1000; seed <= 1000 + SEEDS / 2 && bad < 3; seed++)
		bad += !run_seed(seed, true);
	CHECK_INT(bad, 0);
}

/* A new policy: the differing nodes, and no other. */
TEST(policy_edit_yields_exactly_the_changed_nodes)
{
	struct lines *l = mem_alloc(sizeof(*l));
	struct policy_directory dir = directory();

	for (unsigned seed = 1; seed <= 60; seed++) {
		struct dice d = { seed * 40503u };
		struct dice twin = d;
		struct policy *p = random_policy(&d, &dir, 0);
		/* every other time nearly the same rules: the short way must not miss any */
		struct policy *q = random_policy(seed % 2 ? &d : &twin, &dir, seed % 6);
		struct policy_state *s = policy_state_create(p), *next;
		struct policy_ids affected;
		char *was[NODES + 1], *is[NODES + 1];

		policy_ids_init(&affected);
		for (unsigned i = 0; i < 20; i++)
			play(&d, s, false, NULL);
		next = policy_state_with(s, q);
		policy_state_diff(s, next, &affected);
		print_all(s, was, l);
		print_all(next, is, l);
		CHECK(agrees(&affected, was, is, seed, 0));
		free_all(was);
		free_all(is);
		policy_ids_fini(&affected);
		policy_state_destroy(s);
		policy_state_destroy(next);
		policy_unref(p);
		policy_unref(q);
	}
	mem_free(l);
}

/* The same text, people and groups changed: again the differing nodes and no other. */
TEST(directory_change_yields_exactly_the_changed_nodes)
{
	struct lines *l = mem_alloc(sizeof(*l));
	struct policy_directory dir = directory();

	for (unsigned seed = 1; seed <= 120; seed++) {
		struct dice d = { seed * 69069u }, twin = d;
		struct policy *p = random_policy(&d, &dir, 0), *q;
		struct policy_state *s = policy_state_create(p), *next;
		struct shifted other = { 0 };
		struct policy_ids affected;
		char *was[NODES + 1], *is[NODES + 1];

		shift(&d, &other);
		q = random_policy(&twin, &other.dir, 0);
		policy_ids_init(&affected);
		for (unsigned i = 0; i < 20; i++)
			play(&d, s, seed % 8 == 0, NULL);
		next = policy_state_with(s, q);
		policy_state_diff(s, next, &affected);
		print_all(s, was, l);
		print_all(next, is, l);
		CHECK(agrees(&affected, was, is, seed, 0));
		free_all(was);
		free_all(is);
		policy_ids_fini(&affected);
		policy_state_destroy(s);
		policy_state_destroy(next);
		policy_unref(p);
		policy_unref(q);
	}
	mem_free(l);
}

static bool reaches(struct policy_state *s, uint64_t from, uint64_t to, const char *port)
{
	char src[32], dst[64];
	struct buf b;
	bool yes;

	(void)snprintf(src, sizeof(src), "100.64.0.%u", (unsigned)from);
	(void)snprintf(dst, sizeof(dst), "100.64.0.%u:%s", (unsigned)to, port);
	buf_init(&b, 1 << 20);
	yes = policy_explain(s, B(src), B(dst), &b, NULL) == 0 &&
	      strstr(buf_cstr(&b), "}],\"allowed\":true") != NULL;
	buf_fini(&b);
	return yes;
}

/* Nobody gains or loses by a safe fix. */
TEST(lint_fixes_alter_nothing)
{
	static const char *const ports[] = { "443/tcp", "53/udp", "23/tcp" };
	struct policy_directory dir = directory();

	for (unsigned seed = 1; seed <= 40; seed++) {
		struct dice d = { seed * 7919u };
		struct policy *p = random_policy(&d, &dir, 3), *q;
		struct policy_state *s = policy_state_create(p), *next;
		struct policy_report report;
		struct buf b;

		for (unsigned i = 0; i < 16; i++)
			play(&d, s, false, NULL);
		buf_init(&b, 1 << 20);
		policy_lint_fix(s, &b);
		policy_report_init(&report);
		q = policy_compile(buf_bytes(&b), &dir, &report);
		if (!CHECK(q != NULL))
			(void)printf("# %s\n# %s\n", policy_report_message(&report), buf_cstr(&b));
		next = policy_state_with(s, q);
		for (uint64_t i = 1; i <= NODES; i++)
			for (uint64_t k = 1; k <= NODES; k++) {
				bool ok = policy_state_visible(s, i, k) ==
					  policy_state_visible(next, i, k);

				for (size_t t = 0; t < array_len(ports); t++)
					ok &= reaches(s, i, k, ports[t]) ==
					      reaches(next, i, k, ports[t]);
				if (!CHECK(ok))
					(void)printf("# seed %u\n# %.*s\n# %s\n", seed,
						     BYTES_FMT(policy_text(p)), buf_cstr(&b));
			}
		policy_state_destroy(s);
		policy_state_destroy(next);
		policy_unref(p);
		policy_unref(q);
		policy_report_fini(&report);
		buf_fini(&b);
	}
}
