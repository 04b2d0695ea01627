/* The thread, against a folder that stands for the host and scripts that stand for resolvconf. */
#include "os/resolver/resolver.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mono.h"
#include "io/file.h"
#include "kit/kit.h"
#include "os/resolver/resolv_conf.h"
#include "resolver_texts.h"

enum { LONG_MS = 30000 };

struct fake {
	char root[64], conf[96], backup[128], script[96];
	struct resolver_conf how;
	struct resolver *r;
	struct resolver_status s;
};

static void put(const char *path, const char *text, mode_t mode)
{
	struct err err;

	CHECK(file_write(path, bytes_str(text), mode, &err) == 0);
}

static bool holds(const char *path, const char *text)
{
	struct buf got;
	struct err err;
	bool same =
	    file_read(path, 65536, &got, &err) == 0 && bytes_equal_str(buf_bytes(&got), text);

	buf_fini(&got);
	return same;
}

static bool is_ours(const char *path)
{
	struct buf got;
	struct err err;
	bool ours = file_read(path, 65536, &got, &err) == 0 && resolv_conf_is_ours(buf_bytes(&got));

	buf_fini(&got);
	return ours;
}

static void fake_init(struct fake *f, const char *resolv_conf)
{
	char path[128];
	struct err err;

	*f = (struct fake){ 0 };
	(void)snprintf(f->root, sizeof(f->root), "/tmp/weft-resolver-XXXXXX");
	CHECK(mkdtemp(f->root) != NULL);
	(void)snprintf(f->conf, sizeof(f->conf), "%s/etc/resolv.conf", f->root);
	(void)snprintf(f->backup, sizeof(f->backup), "%s/etc/resolv.pre-weft-backup.conf", f->root);
	(void)snprintf(f->script, sizeof(f->script), "%s/resolvconf", f->root);
	(void)snprintf(path, sizeof(path), "%s/etc", f->root);
	CHECK(file_mkdirs(path, 0755, &err) == 0);
	if (resolv_conf)
		put(f->conf, resolv_conf, 0644);
	f->how = (struct resolver_conf){ .root = f->root, .ignore_bus = true };
}

static void fake_fini(struct fake *f)
{
	static const char *const names[] = {
		"etc/resolv.conf",
		"etc/resolv.pre-weft-backup.conf",
		"etc/real",
		"etc/resolvconf/update-libc.d/weft",
		"etc/resolvconf/update-libc.d",
		"etc/resolvconf",
		"etc",
		"run/weft/resolver.state",
		"run/weft/resolver.lock",
		"run/weft",
		"run/resolvconf/interface/eth0",
		"run/resolvconf/interface",
		"run/resolvconf",
		"run",
		"resolvconf",
		"said",
		"fast",
		"",
	};
	char path[160];

	resolver_destroy(f->r);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->root, names[i]);
		(void)remove(path);
	}
	CHECK(access(f->root, F_OK) < 0); /* nothing else was left there */
}

static void begin(struct fake *f)
{
	struct err err;

	f->r = resolver_create(&f->how, &err);
	CHECK(f->r != NULL);
}

static void want(struct fake *f, bool on)
{
	struct resolver_want w = { .index = 1,
				   .server_count = on,
				   .search_count = on,
				   .servers = { ip_v4(100, 100, 100, 100) },
				   .search = { "tail.test" } };

	resolver_set(f->r, &w);
}

/* Until the status says so; the eventfd tells when to look. */
static bool reaches(struct fake *f, enum resolver_state state, unsigned foreign)
{
	struct mono end = mono_add_ms(mono_now(), LONG_MS);
	struct pollfd p = { .fd = resolver_fd(f->r), .events = POLLIN };
	uint64_t n;

	while (!mono_reached(mono_now(), end)) {
		resolver_get_status(f->r, &f->s);
		if (f->s.serial && f->s.state == state && f->s.foreign >= foreign)
			return true;
		if (poll(&p, 1, 1000) > 0)
			(void)!read(p.fd, &n, sizeof(n));
	}
	return false;
}

TEST(a_file_is_replaced_and_put_back)
{
	struct fake f;
	struct stat before, after;

	fake_init(&f, text_dhclient);
	CHECK(stat(f.conf, &before) == 0);
	begin(&f);
	CHECK(reaches(&f, RESOLVER_OFF, 0));
	CHECK_INT(f.s.manager, RESOLVER_FILE); /* known before anything is set */
	CHECK_INT(f.s.upstreams.count, 2);
	CHECK(holds(f.conf, text_dhclient));
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	CHECK(is_ours(f.conf) && holds(f.backup, text_dhclient));
	CHECK(f.s.in_effect);
	CHECK_INT(f.s.upstreams.count, 2); /* still the host's own */
	want(&f, false);
	CHECK(reaches(&f, RESOLVER_OFF, 0));
	CHECK(f.s.in_effect);
	CHECK(holds(f.conf, text_dhclient));
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(holds(f.conf, text_dhclient) && access(f.backup, F_OK) < 0);
	CHECK(stat(f.conf, &after) == 0 && after.st_ino == before.st_ino);
	fake_fini(&f);
}

TEST(a_link_comes_back_as_a_link)
{
	struct fake f;
	char path[160], target[64] = { 0 };

	fake_init(&f, NULL);
	(void)snprintf(path, sizeof(path), "%s/etc/real", f.root);
	put(path, text_plain, 0644);
	CHECK(symlink("real", f.conf) == 0);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	CHECK(is_ours(f.conf) && holds(path, text_plain));
	CHECK_INT(f.s.upstreams.count, 1);
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(readlink(f.conf, target, sizeof(target) - 1) == 4);
	CHECK_STR(target, "real");
	fake_fini(&f);
}

TEST(where_there_was_no_file_there_is_none_afterwards)
{
	struct fake f;

	fake_init(&f, NULL);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	CHECK(is_ours(f.conf));
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(access(f.conf, F_OK) < 0);
	fake_fini(&f);
}

TEST(what_a_killed_process_left_is_taken_back)
{
	struct fake f;
	struct err err;
	char copy[160];

	fake_init(&f, text_docker);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	/* As after a kill: ours with its backup, and, in place, ours without one. */
	(void)snprintf(copy, sizeof(copy), "%s/etc/real", f.root);
	CHECK(link(f.conf, copy) == 0);
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(rename(f.conf, f.backup) == 0 && rename(copy, f.conf) == 0);
	CHECK(is_ours(f.conf));
	CHECK(resolver_recover(&f.how, &err));
	CHECK(holds(f.conf, text_docker) && access(f.backup, F_OK) < 0);

	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	CHECK(link(f.conf, copy) == 0);
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(rename(copy, f.conf) == 0);
	begin(&f); /* a start does it, too */
	CHECK(reaches(&f, RESOLVER_OFF, 0));
	CHECK(holds(f.conf, text_docker));
	CHECK(resolver_recover(&f.how, &err)); /* nothing to do */
	CHECK(holds(f.conf, text_docker));
	fake_fini(&f);
}

TEST(a_kill_between_two_steps_loses_nothing)
{
	struct fake f;
	struct err err;
	char copy[160], fresh[160];

	fake_init(&f, text_docker);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	(void)snprintf(copy, sizeof(copy), "%s/etc/real", f.root);
	(void)snprintf(fresh, sizeof(fresh), "%s/etc/.resolv.weft-new.conf", f.root);
	CHECK(link(f.conf, copy) == 0);
	resolver_destroy(f.r);
	f.r = NULL;
	/* Ours is in its place, what it replaced is not yet the backup. */
	CHECK(rename(f.conf, fresh) == 0 && rename(copy, f.conf) == 0);
	CHECK(resolver_recover(&f.how, &err));
	CHECK(holds(f.conf, text_docker));
	/* Ours was written, and has not replaced anything yet. */
	put(fresh, "# Written by weft while it runs; what was here is put back when it stops.\n",
	    0644);
	CHECK(resolver_recover(&f.how, &err));
	CHECK(holds(f.conf, text_docker));
	fake_fini(&f); /* which checks that nothing else is left */
}

TEST(what_another_program_writes_becomes_the_hosts)
{
	struct fake f;

	fake_init(&f, text_plain);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	put(f.conf, "nameserver 192.0.2.77\n", 0644);
	CHECK(reaches(&f, RESOLVER_SET, 1));
	CHECK(is_ours(f.conf) && holds(f.backup, "nameserver 192.0.2.77\n"));
	CHECK(ip_equal(f.s.upstreams.servers[0], ip_v4(192, 0, 2, 77)));
	CHECK(strstr(f.s.trouble, "192.0.2.77") != NULL);
	/* In the last moment: nobody's but theirs. */
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(holds(f.conf, "nameserver 192.0.2.77\n"));
	fake_fini(&f);
}

TEST(a_war_is_not_fought)
{
	struct fake f;
	char text[64];

	fake_init(&f, text_plain);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	for (unsigned i = 1; i < 5; i++) {
		(void)snprintf(text, sizeof(text), "nameserver 192.0.2.%u\n", i);
		put(f.conf, text, 0644);
		CHECK(reaches(&f, RESOLVER_SET, i));
	}
	put(f.conf, "nameserver 192.0.2.99\n", 0644);
	CHECK(reaches(&f, RESOLVER_YIELDED, 5));
	CHECK(holds(f.conf, "nameserver 192.0.2.99\n"));
	CHECK(!f.s.in_effect);
	CHECK(strstr(f.s.trouble, "is left") != NULL);
	want(&f, true); /* somebody asks again: a new chance */
	CHECK(reaches(&f, RESOLVER_SET, 5));
	CHECK(is_ours(f.conf));
	fake_fini(&f);
}

TEST(a_file_that_is_too_long_is_kept_all_the_same)
{
	struct fake f;
	char *text = malloc(100001);

	memset(text, '#', 100000);
	text[100000] = '\0';
	fake_init(&f, text);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	CHECK(is_ours(f.conf));
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(!is_ours(f.conf) && access(f.conf, F_OK) == 0);
	fake_fini(&f);
	free(text);
}

TEST(two_daemons_do_not_undo_each_other)
{
	struct fake f, other;
	struct err err;

	fake_init(&f, text_plain);
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	other = f;
	CHECK(resolver_recover(&f.how, &err)); /* is not what a dead one left */
	CHECK(is_ours(f.conf));
	begin(&other);
	want(&other, true);
	CHECK(reaches(&other, RESOLVER_FAILED, 0));
	CHECK_STR(other.s.trouble, "another daemon of ours tells this host's resolver");
	resolver_destroy(other.r);
	CHECK(is_ours(f.conf));
	fake_fini(&f);
}

static void fake_resolvconf(struct fake *f, const char *version, const char *text)
{
	char body[1024], path[160];
	struct err err;

	(void)snprintf(body, sizeof(body),
		       "#!/bin/sh\n"
		       "[ \"$1\" = --version ] && { echo '%s'; exit 0; }\n"
		       "cd %s || exit 1\n"
		       "echo \"$*\" >>said\n"
		       "case \" $*\" in\n"
		       "*' -a '*) { echo '# Generated by resolvconf'; cat; } >etc/resolv.conf ;;\n"
		       "*) printf '%s' >etc/resolv.conf ;;\n"
		       "esac\n",
		       version, f->root, text);
	put(f->script, body, 0755);
	f->how.resolvconf = f->script;
	(void)snprintf(path, sizeof(path), "%s/run/resolvconf/interface", f->root);
	CHECK(file_mkdirs(path, 0755, &err) == 0);
	(void)snprintf(path, sizeof(path), "%s/run/resolvconf/interface/eth0", f->root);
	put(path, "nameserver 192.0.2.5\nsearch lan.test\n", 0644);
}

TEST(openresolv_is_told_exclusively)
{
	struct fake f;
	char said[96];

	fake_init(&f, text_openresolv);
	(void)snprintf(said, sizeof(said), "%s/said", f.root);
	fake_resolvconf(&f, "openresolv 3.12.0", "# Generated by resolvconf\\n");
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	CHECK_INT(f.s.manager, RESOLVER_OPENRESOLV);
	CHECK(ip_equal(f.s.upstreams.servers[0], ip_v4(192, 0, 2, 5)));
	CHECK_STR(f.s.upstreams.search[0], "lan.test");
	CHECK(holds(f.conf, "# Generated by resolvconf\nnameserver 100.100.100.100\n"
			    "search tail.test\n"));
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(holds(said, "-m 0 -x -a weft\n-f -d weft\n"));
	CHECK(holds(f.conf, "# Generated by resolvconf\n"));
	fake_fini(&f);
}

TEST(debians_resolvconf_gets_a_hook_and_loses_it)
{
	struct fake f;
	char said[96], hook[128];

	fake_init(&f, text_debian_resolvconf);
	(void)snprintf(said, sizeof(said), "%s/said", f.root);
	(void)snprintf(hook, sizeof(hook), "%s/etc/resolvconf/update-libc.d/weft", f.root);
	fake_resolvconf(&f, "Debian resolvconf 1.91+nmu1", "# Generated by resolvconf\\n");
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	CHECK_INT(f.s.manager, RESOLVER_RESOLVCONF);
	CHECK(access(hook, X_OK) == 0);
	resolver_destroy(f.r);
	f.r = NULL;
	CHECK(access(hook, F_OK) < 0);
	CHECK(holds(said, "-a tun-weft.inet\n-d tun-weft.inet\n"));
	fake_fini(&f);
}

TEST(a_resolvconf_that_does_nothing_is_a_failure_in_words)
{
	struct fake f;

	fake_init(&f, text_openresolv);
	put(f.script, "#!/bin/sh\n[ \"$1\" = --version ] && echo openresolv 3\nexit 0\n", 0755);
	f.how.resolvconf = f.script;
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_FAILED, 0));
	CHECK_STR(f.s.trouble,
		  "openresolv took our record, but /etc/resolv.conf does not name us first");
	fake_fini(&f);
}

TEST(a_resolvconf_that_refuses_is_quoted)
{
	struct fake f;

	fake_init(&f, text_openresolv);
	put(f.script,
	    "#!/bin/sh\n[ \"$1\" = --version ] && { echo openresolv 3; exit 0; }\n"
	    "echo 'no lock' >&2; exit 3\n",
	    0755);
	f.how.resolvconf = f.script;
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_FAILED, 0));
	CHECK(strstr(f.s.trouble, "ended with status 3: no lock") != NULL);
	fake_fini(&f);
}

TEST(a_resolvconf_whose_hooks_fail_is_judged_by_the_file)
{
	struct fake f;

	fake_init(&f, text_openresolv);
	put(f.script,
	    "#!/bin/sh\n[ \"$1\" = --version ] && { echo openresolv 3; exit 0; }\n"
	    "cat >\"${0%/*}/etc/resolv.conf\"; exit 1\n",
	    0755);
	f.how.resolvconf = f.script;
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_SET, 0));
	fake_fini(&f);
}

TEST(a_bus_that_is_silent_holds_nobody)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char address[160];
	struct fake f;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fake_init(&f, text_resolved_stub);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/said", f.root);
	(void)snprintf(address, sizeof(address), "unix:path=%s", at.sun_path);
	CHECK(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 8) == 0);
	CHECK(setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1) == 0);
	f.how.ignore_bus = false;
	begin(&f);
	want(&f, true);
	CHECK(reaches(&f, RESOLVER_WAITING, 0));
	CHECK_INT(f.s.manager, RESOLVER_NONE);
	CHECK(strstr(f.s.why, "not on D-Bus yet") != NULL);
	fake_fini(&f);
	CHECK(unsetenv("DBUS_SYSTEM_BUS_ADDRESS") == 0);
	(void)close(fd);
}

TEST(a_path_that_is_too_long_is_refused)
{
	char root[300];
	struct resolver_conf how = { .root = root };
	struct err err;

	memset(root, 'a', sizeof(root) - 1);
	root[sizeof(root) - 1] = '\0';
	CHECK(resolver_create(&how, &err) == NULL && err.code == ERR_USAGE);
	CHECK(!resolver_recover(&how, &err));
	CHECK(sizeof(struct resolver_status) < 4096); /* travels in one message */
}
