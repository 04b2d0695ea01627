#include "os/resolver/resolv_conf.h"

#include <stdio.h>

#include "kit/kit.h"
#include "resolver_texts.h"

static struct resolv_conf parse(const char *text)
{
	struct resolv_conf c;

	resolv_conf_parse(&c, kit_copy(bytes_str(text)));
	return c;
}

static struct resolver_want want_all(bool override)
{
	return (struct resolver_want){ .server_count = 1,
				       .search_count = 1,
				       .servers = { ip_v4(100, 100, 100, 100) },
				       .search = { "tail.test" },
				       .override_all = override };
}

TEST(writers_are_told_by_the_comments_at_the_top)
{
	CHECK_INT(parse(text_plain).writer, RESOLV_CONF_UNKNOWN);
	CHECK_INT(parse(text_resolved_stub).writer, RESOLV_CONF_RESOLVED);
	CHECK_INT(parse(text_resolved_uplink).writer, RESOLV_CONF_RESOLVED);
	CHECK_INT(parse(text_network_manager).writer, RESOLV_CONF_NETWORKMANAGER);
	CHECK_INT(parse(text_debian_resolvconf).writer, RESOLV_CONF_RESOLVCONF);
	CHECK_INT(parse(text_openresolv).writer, RESOLV_CONF_RESOLVCONF);
	CHECK_INT(parse(text_docker).writer, RESOLV_CONF_UNKNOWN);
	CHECK_INT(parse("nameserver 1.1.1.1\n# NetworkManager\n").writer, RESOLV_CONF_UNKNOWN);
	CHECK_INT(parse("\n; NetworkManager\n").writer, RESOLV_CONF_NETWORKMANAGER);
}

TEST(servers_and_search_domains_are_read_as_libc_does)
{
	struct resolv_conf c = parse(text_dhclient);
	char text[IP_TEXT_MAX];

	CHECK_INT(c.up.count, 2); /* the third is a repetition */
	CHECK_STR(ip_format(c.up.servers[1], text), "10.0.0.3");
	CHECK_INT(c.up.search_count, 2); /* search after domain wins */
	CHECK_STR(c.up.search[0], "corp.example");
	CHECK(!c.only_stub);
	c = parse(text_resolved_uplink);
	CHECK_INT(c.up.count, 2); /* one with a zone cannot be handed on */
	c = parse(text_resolved_stub);
	CHECK(c.only_stub);
	CHECK_STR(c.options, "edns0 trust-ad");
	c = parse("nameserver\t1.2.3.4 trailing\r\nnameserver 1.2.3\nnameserver\n  nameserver ::1");
	CHECK_INT(c.up.count, 2);
	c = parse("search a # b\noptions x\noptions y\n");
	CHECK_INT(c.up.search_count, 1);
	CHECK_STR(c.options, "x y");
	CHECK(!parse("").only_stub);
	CHECK(!parse("nameserver 127.0.0.53\nnameserver 1.1.1.1\n").only_stub);
}

TEST(too_much_is_cut_off)
{
	char text[4096] = "search";
	size_t n = strlen(text);
	struct resolv_conf c;

	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " d%d.example", i);
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\nnameserver 10.0.0.%d", i);
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\noptions option-%d", i);
	c = parse(text);
	CHECK_INT(c.up.count, RESOLVER_UPSTREAMS_MAX);
	CHECK_INT(c.up.search_count, RESOLVER_UPSTREAM_SEARCH_MAX);
	CHECK(strlen(c.options) < RESOLV_CONF_OPTIONS_MAX);
	for (size_t cut = 0; cut < n; cut += 7) /* truncated anywhere */
		resolv_conf_parse(&c, kit_copy(bytes_of(text, cut)));
}

static void check_goes_back(const char *text)
{
	struct resolver_want want = want_all(false);
	struct buf ours, back;

	buf_init(&ours, 65536);
	buf_init(&back, 65536);
	resolv_conf_render(&ours, &want, bytes_str(text));
	CHECK(resolv_conf_is_ours(buf_bytes(&ours)));
	CHECK(resolv_conf_original(buf_bytes(&ours), &back));
	CHECK_STR(buf_cstr(&back), text);
	CHECK(parse(buf_cstr(&ours)).writer == RESOLV_CONF_OURS);
	CHECK(ip_equal(parse(buf_cstr(&ours)).up.servers[0], want.servers[0]));
	CHECK_INT(parse(buf_cstr(&ours)).up.count, 1);
	buf_fini(&ours);
	buf_fini(&back);
}

TEST(our_file_holds_what_it_replaced)
{
	struct resolver_want want = want_all(false);
	struct buf ours, back;

	check_goes_back(text_plain);
	check_goes_back(text_docker);
	check_goes_back(text_resolved_stub);
	check_goes_back("");
	check_goes_back("a\n\n\nb\n");
	buf_init(&ours, 65536);
	buf_init(&back, 65536);
	resolv_conf_render(&ours, &want, bytes_of(NULL, 0)); /* there was none */
	CHECK(!resolv_conf_original(buf_bytes(&ours), &back));
	buf_fini(&ours);
	buf_fini(&back);
}

TEST(search_and_options_of_the_host_stay_unless_all_names_are_ours)
{
	struct resolver_want some = want_all(false), all = want_all(true);
	struct resolv_conf c;
	struct buf ours;

	buf_init(&ours, 65536);
	resolv_conf_render(&ours, &some, bytes_str(text_kubernetes));
	c = parse(buf_cstr(&ours));
	CHECK_INT(c.up.search_count, 4);
	CHECK_STR(c.up.search[0], "tail.test");
	CHECK_STR(c.up.search[3], "cluster.local");
	CHECK_STR(c.options, "ndots:5");
	buf_clear(&ours);
	resolv_conf_render(&ours, &all, bytes_str(text_kubernetes));
	CHECK_INT(parse(buf_cstr(&ours)).up.search_count, 1);
	buf_fini(&ours);
}

TEST(upstreams_never_name_ourselves)
{
	struct resolver_want want = want_all(false);
	struct resolv_conf c = parse("nameserver 100.100.100.100\nnameserver 127.0.0.53\n"
				     "nameserver 9.9.9.9\nnameserver fd7a:115c:a1e0::53\n"
				     "nameserver 127.0.0.1\nsearch tail.test other.test\n");

	resolver_upstreams_drop(&c.up, &want);
	CHECK_INT(c.up.count, 2); /* a local daemon that is not resolved is an upstream */
	CHECK(ip_equal(c.up.servers[0], ip_v4(9, 9, 9, 9)));
	CHECK_INT(c.up.search_count, 1);
	CHECK_STR(c.up.search[0], "other.test");
}
