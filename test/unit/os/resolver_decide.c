#include "os/resolver/resolver_decide.h"

#include <stdio.h>

#include "kit/kit.h"
#include "resolver_texts.h"

static struct resolver_facts host(const char *text)
{
	struct resolver_facts f = { .exists = text != NULL,
				    .file_writable = true,
				    .folder_writable = true };

	if (text)
		resolv_conf_parse(&f.file, bytes_str(text));
	return f;
}

static struct resolver_decision decide(struct resolver_facts f)
{
	struct resolver_decision d;

	resolver_decide(&d, &f);
	CHECK(d.why[0] && d.why[strlen(d.why) - 1] == '.'); /* sentences */
	CHECK(d.can_split == (d.manager == RESOLVER_RESOLVED));
	return d;
}

static bool says(const struct resolver_decision *d, const char *part)
{
	return strstr(d->why, part) != NULL;
}

TEST(resolved_is_chosen_where_programs_ask_it)
{
	struct resolver_facts f = host(text_resolved_stub);

	f.resolved = true;
	CHECK_INT(decide(f).manager, RESOLVER_RESOLVED);
	f = host(text_nm_with_resolved);
	f.resolved = true;
	CHECK_INT(decide(f).manager, RESOLVER_RESOLVED);
	f = host(text_resolved_uplink);
	f.resolved = f.nss_resolve = true;
	CHECK_INT(decide(f).manager, RESOLVER_RESOLVED);
}

TEST(resolved_that_nobody_asks_is_not_chosen)
{
	struct resolver_facts f = host(text_resolved_uplink);
	struct resolver_decision d;

	f.resolved = true;
	d = decide(f);
	CHECK_INT(d.manager, RESOLVER_FILE);
	CHECK(says(&d, "programs do not ask it"));
	f = host(text_plain); /* it runs, but the file is somebody else's */
	f.resolved = f.nss_resolve = true;
	CHECK_INT(decide(f).manager, RESOLVER_FILE);
	f = host("nameserver 127.0.0.53\nnameserver 9.9.9.9\n");
	f.resolved = true;
	CHECK_INT(decide(f).manager, RESOLVER_FILE);
}

TEST(resolved_is_waited_for_at_boot)
{
	struct resolver_facts f = host(NULL);
	struct resolver_decision d;

	(void)snprintf(f.link, sizeof(f.link), "../run/systemd/resolve/stub-resolv.conf");
	d = decide(f);
	CHECK(d.wait);
	CHECK_INT(d.manager, RESOLVER_NONE);
	f.waited = true;
	d = decide(f);
	CHECK(!d.wait);
	CHECK_INT(d.manager, RESOLVER_FILE);
	CHECK(says(&d, "not on D-Bus"));
	(void)snprintf(f.link, sizeof(f.link), "/usr/lib/systemd/resolv.conf");
	f.waited = false;
	CHECK(decide(f).wait);
}

TEST(network_manager_1_26_resets_links)
{
	static const struct {
		const char *version;
		enum resolver_manager want;
	} cases[] = {
		{ "1.26.0", RESOLVER_FILE },        { "1.26.5", RESOLVER_FILE },
		{ "1.26.6", RESOLVER_RESOLVED },    { "1.26.10", RESOLVER_RESOLVED },
		{ "1.26.50", RESOLVER_RESOLVED },   { "1.42.4", RESOLVER_RESOLVED },
		{ "1.26.2-1.fc33", RESOLVER_FILE }, { "1.26.", RESOLVER_RESOLVED },
		{ "", RESOLVER_RESOLVED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct resolver_facts f = host(text_nm_with_resolved);

		f.resolved = true;
		(void)snprintf(f.nm_version, sizeof(f.nm_version), "%s", cases[i].version);
		CHECK_INT(decide(f).manager, cases[i].want);
	}
}

TEST(network_manager_alone_means_the_file)
{
	struct resolver_facts f = host(text_network_manager);
	struct resolver_decision d;

	(void)snprintf(f.nm_version, sizeof(f.nm_version), "1.42.4");
	d = decide(f);
	CHECK_INT(d.manager, RESOLVER_FILE);
	CHECK(says(&d, "NetworkManager"));
}

TEST(both_programs_named_resolvconf_are_told_apart)
{
	struct resolver_facts f = host(text_debian_resolvconf);

	f.resolvconf = RESOLVCONF_DEBIAN;
	CHECK_INT(decide(f).manager, RESOLVER_RESOLVCONF);
	f = host(text_openresolv);
	f.resolvconf = RESOLVCONF_OPENRESOLV;
	CHECK_INT(decide(f).manager, RESOLVER_OPENRESOLV);
	f.resolvconf = RESOLVCONF_RESOLVECTL;
	CHECK_INT(decide(f).manager, RESOLVER_FILE);
	f.resolvconf = RESOLVCONF_BROKEN;
	CHECK_INT(decide(f).manager, RESOLVER_FILE);
	f.resolvconf = RESOLVCONF_ABSENT; /* removed, its file stayed */
	CHECK_INT(decide(f).manager, RESOLVER_FILE);
	f = host("nameserver 192.0.2.1\n"); /* no comment, but the link tells */
	(void)snprintf(f.link, sizeof(f.link), "/run/resolvconf/resolv.conf");
	f.resolvconf = RESOLVCONF_DEBIAN;
	CHECK_INT(decide(f).manager, RESOLVER_RESOLVCONF);
	f = host(text_plain); /* installed, but not in charge */
	f.resolvconf = RESOLVCONF_DEBIAN;
	CHECK_INT(decide(f).manager, RESOLVER_FILE);

	CHECK_INT(resolvconf_kind_of(99, bytes_str("")), RESOLVCONF_DEBIAN);
	CHECK_INT(resolvconf_kind_of(0, bytes_str("Debian resolvconf 1.91+nmu1\nCopyright: x")),
		  RESOLVCONF_DEBIAN);
	CHECK_INT(resolvconf_kind_of(0, bytes_str("openresolv 3.12.0\nCopyright (c) 2007-2020")),
		  RESOLVCONF_OPENRESOLV);
	CHECK_INT(resolvconf_kind_of(0, bytes_str("systemd 252 (252.39-1~deb12u2)\n+PAM")),
		  RESOLVCONF_RESOLVECTL);
	CHECK_INT(resolvconf_kind_of(1, bytes_str("")), RESOLVCONF_BROKEN);
	CHECK_INT(resolvconf_kind_of(-1, bytes_str("")), RESOLVCONF_BROKEN);
}

TEST(a_file_is_written_the_way_that_is_possible)
{
	struct resolver_facts f = host(text_plain);
	struct resolver_decision d;

	CHECK_INT(decide(f).manager, RESOLVER_FILE);
	f = host(NULL);
	d = decide(f);
	CHECK_INT(d.manager, RESOLVER_FILE);
	CHECK(says(&d, "There is no /etc/resolv.conf."));
	(void)snprintf(f.link, sizeof(f.link), "/nowhere");
	d = decide(f);
	CHECK(says(&d, "leads to /nowhere"));

	f = host(text_docker);
	f.mount_point = true;
	CHECK_INT(decide(f).manager, RESOLVER_IN_PLACE);
	f.file_writable = false; /* mounted read-only */
	CHECK_INT(decide(f).manager, RESOLVER_NONE);
	f.can_mount = true;
	CHECK_INT(decide(f).manager, RESOLVER_MOUNT);

	f = host(text_plain);
	f.folder_writable = false;
	d = decide(f);
	CHECK_INT(d.manager, RESOLVER_NONE);
	CHECK(says(&d, "read-only") && says(&d, "the tunnel works"));
	f.can_mount = true;
	CHECK_INT(decide(f).manager, RESOLVER_MOUNT);
	f.immutable = true; /* a person wants it so */
	d = decide(f);
	CHECK_INT(d.manager, RESOLVER_NONE);
	CHECK(says(&d, "immutable"));
	f = host(NULL); /* nothing to mount over */
	f.folder_writable = false;
	f.can_mount = true;
	CHECK_INT(decide(f).manager, RESOLVER_NONE);
}

TEST(nsswitch_tells_who_is_asked_first)
{
	CHECK(nsswitch_has_resolve(
	    bytes_str("passwd: files\nhosts:  files resolve [!UNAVAIL=return] dns\n")));
	CHECK(!nsswitch_has_resolve(bytes_str("hosts: files dns resolve\n")));
	CHECK(!nsswitch_has_resolve(bytes_str("hosts: files dns # resolve\n")));
	CHECK(!nsswitch_has_resolve(bytes_str("#hosts: resolve\nhosts: files mymachines dns")));
	CHECK(nsswitch_has_resolve(bytes_str("hosts:\tmymachines\tresolve\tdns")));
	CHECK(!nsswitch_has_resolve(bytes_str("hosts: files myresolve dns\n")));
	CHECK(!nsswitch_has_resolve(bytes_str("")));
}
