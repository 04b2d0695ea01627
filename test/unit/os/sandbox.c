/* What a sandboxed process can no longer do. Each test is a child that ends with the number of the
 * first thing that was wrong. */
#include "os/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "kit/kit.h"

static char folder[] = "/tmp/weft-sandbox-XXXXXX";

static int enter(struct sandbox_report *report)
{
	const char *const read[] = { "/etc", "/nowhere/at/all", NULL };
	const char *const write[] = { folder, NULL };
	struct sandbox_conf conf = { .read = read, .write = write };
	struct err err;

	return sandbox_enter(&conf, report, &err);
}

/* The exit status, or 1000 and the signal. */
static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static int files_child(void)
{
	struct sandbox_report report;
	char path[64], other[64];

	if (enter(&report) < 0)
		return 1;
	if (!report.files)
		return 77;
	(void)snprintf(path, sizeof(path), "%s/file", folder);
	(void)snprintf(other, sizeof(other), "%s/other", folder);
	if (!opens("/etc/passwd", O_RDONLY))
		return 2;
	if (opens("/etc/passwd", O_WRONLY) || errno != EACCES)
		return 3;
	if (opens("/usr/bin/env", O_RDONLY) || errno != EACCES)
		return 4;
	if (!opens(path, O_RDWR | O_CREAT) || !opens(path, O_WRONLY | O_TRUNC))
		return 5;
	if (rename(path, other) < 0 || unlink(other) < 0)
		return 6;
	if (opens("/tmp/weft-sandbox-outside", O_WRONLY | O_CREAT) || errno != EACCES)
		return 7;
	if (symlink("/etc/passwd", path) == 0)
		return 8;
	return 0;
}

TEST(files_are_those_of_the_list)
{
	int status;

	if (!mkdtemp(folder))
		kit_skip("no folder in /tmp");
	status = in_child(files_child);
	(void)rmdir(folder);
	if (status == 77)
		kit_skip("this kernel has no Landlock");
	CHECK_INT(status, 0);
}

static void *in_thread(void *arg)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM, 0);

	*(int *)arg = fd < 0 ? errno : 0;
	return NULL;
}

static int calls_child(void)
{
	struct sandbox_report report;
	pthread_t thread;
	int error = 0;

	if (enter(&report) < 0 || !report.calls)
		return 1;
	if (socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 ||
	    socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) < 0)
		return 2;
	if (socket(AF_PACKET, SOCK_DGRAM, 0) >= 0 || errno != ENOSYS)
		return 3;
	if (socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) >= 0 || errno != ENOSYS)
		return 4;
	if (syscall(SYS_personality, 0xffffffff) >= 0 && !report.relaxed_for_tests)
		return 5;
	if (pthread_create(&thread, NULL, in_thread, &error) || pthread_join(thread, NULL) ||
	    error != ENOSYS)
		return 6;
	if (syscall(SYS_setuid, 0) >= 0 || errno != ENOSYS)
		return 7;
	if (!report.relaxed_for_tests && mmap(NULL, 4096, PROT_WRITE | PROT_EXEC,
					      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return 8;
	return report.missing[0] && report.files ? 9 : 0;
}

static int exec_child(void)
{
	struct sandbox_report report;

	if (enter(&report) < 0)
		return 1;
	(void)execl("/bin/true", "true", (char *)NULL);
	return 2;
}

static int unshare_child(void)
{
	struct sandbox_report report;
	struct err err;

	if (sandbox_enter(&(struct sandbox_conf){ .helper = true }, &report, &err) < 0)
		return 1;
	if (!opens("/usr/bin/env", O_RDONLY) || socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) < 0)
		return 2;
	(void)syscall(SYS_unshare, 0x10000000);
	return 3;
}

TEST(calls_are_those_of_the_list)
{
	CHECK_INT(in_child(calls_child), 0);
}

TEST(what_only_an_intruder_does_kills)
{
	CHECK_INT(in_child(exec_child), 1000 + SIGSYS);
	CHECK_INT(in_child(unshare_child), 1000 + SIGSYS);
}

static int capabilities_child(void)
{
	struct err err;

	if (sandbox_keep_capabilities(1ULL << CAP_NET_ADMIN, &err) < 0)
		return 1;
	if (sandbox_has_capability(CAP_SYS_ADMIN) || !sandbox_has_capability(CAP_NET_ADMIN))
		return 2;
	if (sandbox_keep_capabilities(0, &err) < 0 || sandbox_has_capability(CAP_NET_ADMIN))
		return 3;
	/* What is gone does not come back. */
	if (sandbox_keep_capabilities(~0ULL, &err) < 0 || sandbox_has_capability(CAP_NET_ADMIN))
		return 4;
	return 0;
}

static int become_child(void)
{
	struct err err;

	if (sandbox_become(61184, 61184, &err) < 0)
		return 1;
	if (getuid() != 61184 || setuid(0) == 0 || sandbox_has_capability(CAP_NET_ADMIN))
		return 2;
	return 0;
}

TEST(capabilities_go_for_good)
{
	if (geteuid() != 0 || !sandbox_has_capability(CAP_NET_ADMIN))
		kit_skip("needs root");
	CHECK_INT(in_child(capabilities_child), 0);
	CHECK_INT(in_child(become_child), 0);
}

static int limits_child(void)
{
	struct sandbox_limits limits = { .open_files = 50 };
	struct rlimit got;
	struct err err;

	if (sandbox_limit(&limits, &err) < 0 || getrlimit(RLIMIT_NOFILE, &got) < 0)
		return 1;
	return got.rlim_cur == 50 && got.rlim_max == 50 ? 0 : 2;
}

TEST(limits_hold)
{
	CHECK_INT(in_child(limits_child), 0);
}
