/* os/sandbox/sandbox.c - see sandbox.h. */
#include "os/sandbox/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "os/sandbox/sandbox_impl.h"

int sandbox_enter(const struct sandbox_conf *conf, struct sandbox_report *report, struct err *err)
{
	int files = 0, calls;

	*report = (struct sandbox_report){ .relaxed_for_tests = SANDBOX_SANITIZED };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "give up new privileges");
	if (!conf->helper) {
		files = sandbox_files_on(conf, err);
		if (files < 0)
			return -1;
	}
	calls = sandbox_calls_on(conf->helper, err);
	if (calls < 0)
		return -1;
	report->files = files;
	report->calls = calls;
	if (!calls || (!files && !conf->helper))
		(void)snprintf(
		    report->missing, sizeof(report->missing),
		    "this kernel has no %s%s%s: the process is fenced in less than it could be",
		    calls ? "" : "seccomp filters",
		    !calls && !files && !conf->helper ? " and no " : "",
		    files || conf->helper ? "" : "Landlock");
	return 0;
}

/* ---- capabilities ---- */

static struct __user_cap_header_struct cap_header(void)
{
	return (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
}

bool sandbox_has_capability(unsigned capability)
{
	struct __user_cap_header_struct header = cap_header();
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[capability / 32].effective >> (capability % 32) & 1;
}

int sandbox_bound_capabilities(uint64_t keep, struct err *err)
{
	/* Who may not shrink the set has no new privileges to fear from it: see sandbox_enter(). */
	for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (!(keep >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EPERM)
			return err_sys(err, "drop capability %u", c);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_sys(err, "drop ambient capabilities");
	return 0;
}

int sandbox_keep_capabilities(uint64_t keep, struct err *err)
{
	struct __user_cap_header_struct header = cap_header();
	struct __user_cap_data_struct data[2] = { 0 };
	bool too_many = false;

	if (sandbox_bound_capabilities(keep, err) < 0)
		return -1;
	if (syscall(SYS_capget, &header, data) < 0)
		return err_sys(err, "read capabilities");
	for (unsigned i = 0; i < 2; i++) {
		uint32_t wanted = data[i].permitted & (uint32_t)(keep >> (32 * i));

		too_many |= data[i].permitted != wanted || (data[i].effective & ~wanted);
		data[i].permitted = data[i].effective = wanted;
		data[i].inheritable = 0;
	}
	/* A service manager may forbid the call; what is inheritable gives nobody anything by
	 * itself. */
	if (syscall(SYS_capset, &header, data) < 0 && too_many)
		return err_sys(err, "drop capabilities");
	return 0;
}

/* ---- the rest ---- */

static int set_limit(__rlimit_resource_t what, uint64_t value, struct err *err)
{
	struct rlimit limit;

	if (!value || getrlimit(what, &limit) < 0)
		return 0;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(what, &limit) < 0 ? err_sys(err, "limit resource %d", (int)what) : 0;
}

int sandbox_limit(const struct sandbox_limits *limits, struct err *err)
{
	uint64_t memory = SANDBOX_SANITIZED ? 0 : limits->memory_bytes; /* shadow memory is huge */

	if (set_limit(RLIMIT_NOFILE, limits->open_files, err) < 0 ||
	    set_limit(RLIMIT_AS, memory, err) < 0 ||
	    set_limit(RLIMIT_FSIZE, limits->file_bytes, err) < 0)
		return -1;
	return 0;
}

int sandbox_become(uid_t uid, gid_t gid, struct err *err)
{
	uid_t u[3];
	gid_t g[3];

	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_sys(err, "become user %u", uid);
	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
		return err_sys(err, "look who we are");
	for (int i = 0; i < 3; i++)
		if (u[i] != uid || g[i] != gid)
			return err_set(err, ERR_SYSTEM, "still not user %u alone", uid);
	return 0;
}
