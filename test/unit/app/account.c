/* Who the engine is, and what is given to it. */
#include "app/weftd/account.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "kit/kit.h"

static char at[64], name[128];

static const char *in_folder(const char *file)
{
	(void)snprintf(name, sizeof(name), "%s/%s", at, file);
	return name;
}

static void make_folder(void)
{
	(void)snprintf(at, sizeof(at), "/tmp/weft-account-XXXXXX");
	if (geteuid() != 0)
		kit_skip("needs root");
	if (!mkdtemp(at))
		kit_skip("no folder in /tmp");
}

static void make_file(const char *file)
{
	int fd = open(in_folder(file), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	(void)close(fd);
}

static uid_t owner(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_uid : (uid_t)-1;
}

static mode_t mode(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

TEST(a_number_is_chosen_and_kept)
{
	struct account a, b, c;
	struct err err;

	CHECK(account_choose(&a, NULL, "/nowhere/one", &err) == 0);
	CHECK(account_choose(&b, NULL, "/nowhere/one", &err) == 0);
	CHECK(account_choose(&c, NULL, "/nowhere/two", &err) == 0);
	CHECK(a.uid != 0 && a.gid != 0 && a.uid == b.uid && a.gid == b.gid);
	CHECK(c.uid != 0);
}

TEST(root_is_no_choice)
{
	struct account a;
	struct err err;

	CHECK(account_choose(&a, "root", "/nowhere", &err) == -1 && err.code == ERR_USAGE);
	CHECK(account_choose(&a, "there-is-no-such-user", "/nowhere", &err) == -1);
	CHECK(err.code == ERR_USAGE);
}

TEST(state_of_root_is_taken_over)
{
	const struct account a = { 61200, 61201 };
	struct err err;

	make_folder();
	(void)chmod(at, 0755);
	make_file("weftd.state");
	make_file("netmap.cache");
	CHECK(symlink("/etc/passwd", in_folder("link")) == 0);
	make_file("twice");
	{
		char first[128];

		(void)snprintf(first, sizeof(first), "%s", in_folder("twice"));
		CHECK(link(first, in_folder("again")) == 0);
	}
	CHECK(account_take_folder(&a, at, &err) == 0);
	CHECK_INT(owner(at), 61200);
	CHECK_INT(mode(at), 0700);
	CHECK_INT(owner(in_folder("weftd.state")), 61200);
	CHECK_INT(owner(in_folder("netmap.cache")), 61200);
	CHECK_INT(owner(in_folder("link")), 0);
	CHECK_INT(owner(in_folder("twice")), 0); /* may be somebody else's file, linked to here */
	CHECK_INT(owner("/etc/passwd"), 0);
	CHECK(account_take_folder(&a, at, &err) == 0); /* again: nothing to do */
	(void)unlink(in_folder("weftd.state"));
	(void)unlink(in_folder("netmap.cache"));
	(void)unlink(in_folder("link"));
	(void)unlink(in_folder("twice"));
	(void)unlink(in_folder("again"));
	CHECK(rmdir(at) == 0);
}

TEST(a_folder_of_other_things_is_left_alone)
{
	const struct account a = { 61200, 61200 };
	struct err err;

	make_folder();
	make_file("shadow");
	CHECK(account_take_folder(&a, at, &err) == -1 && err.code == ERR_REFUSED);
	CHECK_INT(owner(at), 0);
	CHECK_INT(owner(in_folder("shadow")), 0);
	(void)unlink(in_folder("shadow"));
	CHECK(rmdir(at) == 0);
}

TEST(a_new_folder_is_made_where_others_may_pass)
{
	const struct account a = { 61200, 61200 };
	char above[128];
	struct err err;

	make_folder();
	(void)snprintf(above, sizeof(above), "%s", in_folder("above"));
	CHECK(account_take_folder(&a, in_folder("above/state"), &err) == 0);
	CHECK_INT(owner(in_folder("above/state")), 61200);
	CHECK_INT(mode(above), 0755);
	CHECK(rmdir(in_folder("above/state")) == 0 && rmdir(above) == 0 && rmdir(at) == 0);
}
