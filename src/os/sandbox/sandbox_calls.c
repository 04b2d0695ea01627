/*
 * os/sandbox/sandbox_calls.c - which system calls a daemon of ours may make.
 *
 * Three answers. What is listed passes. What only an intruder asks for kills the process, so that
 * it shows. Anything else gets ENOSYS, so that a newer libc falls back to what it did before; an
 * answer of EPERM has broken more than one program in a container.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "os/sandbox/sandbox_impl.h"

#define CALL(name) SCMP_SYS(name)

static const int allowed[] = {
	/* memory and threads */
	CALL(brk),
	CALL(munmap),
	CALL(mremap),
	CALL(madvise),
	CALL(futex),
	CALL(futex_waitv),
	CALL(set_robust_list),
	CALL(get_robust_list),
	CALL(rseq),
	CALL(membarrier),
	CALL(set_tid_address),
	CALL(sched_yield),
	CALL(sched_getaffinity),
	CALL(getcpu),
	CALL(exit),
	CALL(exit_group),
	CALL(restart_syscall),
	CALL(arch_prctl),
	/* signals, to ourselves */
	CALL(rt_sigaction),
	CALL(rt_sigprocmask),
	CALL(rt_sigreturn),
	CALL(rt_sigpending),
	CALL(rt_sigtimedwait),
	CALL(sigaltstack),
	CALL(signalfd4),
	CALL(tgkill),
	CALL(sigreturn),
	/* time and waiting */
	CALL(clock_gettime),
	CALL(clock_getres),
	CALL(clock_nanosleep),
	CALL(nanosleep),
	CALL(gettimeofday),
	CALL(time),
	CALL(clock_gettime64),
	CALL(clock_nanosleep_time64),
	CALL(futex_time64),
	CALL(timerfd_create),
	CALL(timerfd_settime),
	CALL(timerfd_gettime),
	CALL(eventfd2),
	CALL(pipe2),
	CALL(epoll_create1),
	CALL(epoll_ctl),
	CALL(epoll_wait),
	CALL(epoll_pwait),
	CALL(epoll_pwait2),
	CALL(poll),
	CALL(ppoll),
	CALL(select),
	CALL(pselect6),
	CALL(_newselect),
	/* descriptors */
	CALL(read),
	CALL(readv),
	CALL(pread64),
	CALL(preadv),
	CALL(write),
	CALL(writev),
	CALL(pwrite64),
	CALL(pwritev),
	CALL(close),
	CALL(close_range),
	CALL(dup),
	CALL(dup2),
	CALL(dup3),
	CALL(fcntl),
	CALL(fcntl64),
	CALL(lseek),
	CALL(_llseek),
	CALL(sendfile),
	CALL(sendfile64),
	/* files: where, Landlock says */
	CALL(open),
	CALL(openat),
	CALL(openat2),
	CALL(stat),
	CALL(lstat),
	CALL(fstat),
	CALL(newfstatat),
	CALL(statx),
	CALL(stat64),
	CALL(lstat64),
	CALL(fstat64),
	CALL(fstatat64),
	CALL(statfs),
	CALL(fstatfs),
	CALL(statfs64),
	CALL(fstatfs64),
	CALL(access),
	CALL(faccessat),
	CALL(faccessat2),
	CALL(readlink),
	CALL(readlinkat),
	CALL(getcwd),
	CALL(getdents64),
	CALL(rename),
	CALL(renameat),
	CALL(renameat2),
	CALL(unlink),
	CALL(unlinkat),
	CALL(mkdir),
	CALL(mkdirat),
	CALL(rmdir),
	CALL(ftruncate),
	CALL(ftruncate64),
	CALL(fallocate),
	CALL(fsync),
	CALL(fdatasync),
	CALL(flock),
	CALL(fchmod),
	CALL(chmod),
	CALL(fchmodat),
	CALL(umask),
	CALL(utimensat),
	CALL(fadvise64),
	CALL(link),
	CALL(linkat),
	/* sockets that exist; new ones: see below */
	CALL(bind),
	CALL(listen),
	CALL(accept),
	CALL(accept4),
	CALL(connect),
	CALL(shutdown),
	CALL(getsockname),
	CALL(getpeername),
	CALL(getsockopt),
	CALL(setsockopt),
	CALL(sendto),
	CALL(recvfrom),
	CALL(sendmsg),
	CALL(recvmsg),
	CALL(sendmmsg),
	CALL(recvmmsg),
	CALL(recvmmsg_time64),
	CALL(socketpair),
	/* who we are, what there is */
	CALL(getpid),
	CALL(getppid),
	CALL(gettid),
	CALL(getuid),
	CALL(geteuid),
	CALL(getgid),
	CALL(getegid),
	CALL(getresuid),
	CALL(getresgid),
	CALL(getpgrp),
	CALL(uname),
	CALL(sysinfo),
	CALL(getrandom),
	CALL(getrlimit),
	CALL(getrusage),
	CALL(ugetrlimit),
	CALL(capget),
	CALL(capset),
	CALL(getgroups),
};

/* In a sanitizer build: leak detection stops and reads its own process from a clone of itself. */
static const int allowed_for_tests[] = {
	CALL(clone),
	CALL(ptrace),
	CALL(prctl),
	CALL(wait4),
	CALL(mprotect),
	CALL(mmap),
	CALL(mmap2),
	CALL(ioctl),
	CALL(kill),
	CALL(prlimit64),
	CALL(setrlimit),
	CALL(getdents),
	CALL(process_vm_readv),
	CALL(personality),
};

/* Deadly for every daemon, also for the privileged helper. */
static const int deadly[] = {
	CALL(process_vm_readv), CALL(process_vm_writev),
	CALL(ptrace),           CALL(bpf),
	CALL(perf_event_open),  CALL(userfaultfd),
	CALL(io_uring_setup),   CALL(keyctl),
	CALL(add_key),          CALL(request_key),
	CALL(pivot_root),       CALL(chroot),
	CALL(fsopen),           CALL(open_tree),
	CALL(move_mount),       CALL(setns),
	CALL(unshare),          CALL(init_module),
	CALL(finit_module),     CALL(delete_module),
	CALL(kexec_load),       CALL(kexec_file_load),
	CALL(reboot),           CALL(swapon),
	CALL(swapoff),          CALL(acct),
	CALL(quotactl),         CALL(iopl),
	CALL(ioperm),           CALL(open_by_handle_at),
	CALL(pidfd_getfd),      CALL(mknod),
	CALL(mknodat),
};

/* The helper may have to run the host's resolver manager, or to cover a resolv.conf. */
static const int deadly_but_for_helper[] = {
	CALL(execve),
	CALL(execveat),
	CALL(mount),
	CALL(umount2),
};

static const unsigned long ioctls[] = {
	FIONREAD,        FIONBIO,        FIOCLEX,       TCGETS,          SIOCGIFINDEX,
	SIOCGIFNAME,     SIOCGIFFLAGS,   SIOCGIFMTU,    TUNGETIFF,       TUNSETIFF,
	TUNSETVNETHDRSZ, TUNGETFEATURES, TUNSETOFFLOAD, TUNGETVNETHDRSZ,
};

static const int prctls[] = { PR_SET_NAME,         PR_GET_NAME,     PR_SET_DUMPABLE,
			      PR_GET_DUMPABLE,     PR_SET_VMA,      PR_SET_NO_NEW_PRIVS,
			      PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ, PR_CAPBSET_DROP,
			      PR_CAP_AMBIENT,      PR_SET_PDEATHSIG };

struct filter {
	scmp_filter_ctx ctx;
	int bad; /* the first error, negative */
};

/* A call that this architecture does not have is no error. */
static void rule(struct filter *f, uint32_t action, int call, const struct scmp_arg_cmp *cmp,
		 unsigned n)
{
	int ret = seccomp_rule_add_array(f->ctx, action, call, n, cmp);

	if (ret < 0 && ret != -EDOM && !f->bad)
		f->bad = ret;
}

static void pass(struct filter *f, int call)
{
	rule(f, SCMP_ACT_ALLOW, call, NULL, 0);
}

static void pass_if(struct filter *f, int call, struct scmp_arg_cmp a)
{
	rule(f, SCMP_ACT_ALLOW, call, &a, 1);
}

/* Nothing is writable and executable at once, and nothing becomes executable later. */
static void memory_rules(struct filter *f)
{
	const int maps[] = { CALL(mmap), CALL(mmap2) };

	for (unsigned i = 0; i < array_len(maps); i++) {
		pass_if(f, maps[i], SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		pass_if(f, maps[i], SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC));
	}
	pass_if(f, CALL(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* Threads, not processes. clone3 hides its flags behind a pointer: libc falls back to clone. */
static void process_rules(struct filter *f)
{
	pass_if(f, CALL(clone),
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWUSER, CLONE_THREAD));
	for (unsigned i = 0; i < array_len(prctls); i++)
		pass_if(f, CALL(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)prctls[i]));
	for (unsigned i = 0; i < array_len(ioctls); i++)
		/* Only the lower half of the number reaches the driver. */
		pass_if(f, CALL(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, ioctls[i]));
	/* Limits may be read, and lowered for good by ourselves only. */
	pass_if(f, CALL(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0));
}

static void socket_rules(struct filter *f)
{
	const int families[] = { AF_UNIX, AF_INET, AF_INET6 };

	for (unsigned i = 0; i < array_len(families); i++)
		pass_if(f, CALL(socket), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	/* Addresses and routes may be read; other kinds of netlink are large and old attack
	 * surface. */
	rule(f, SCMP_ACT_ALLOW, CALL(socket),
	     (struct scmp_arg_cmp[]){ SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
				      SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE) },
	     2);
}

static bool is_for_tests(int call)
{
	for (unsigned i = 0; SANDBOX_SANITIZED && i < array_len(allowed_for_tests); i++)
		if (allowed_for_tests[i] == call)
			return true;
	return false;
}

static void daemon_rules(struct filter *f)
{
	for (unsigned i = 0; i < array_len(allowed); i++)
		pass(f, allowed[i]);
	for (unsigned i = 0; SANDBOX_SANITIZED && i < array_len(allowed_for_tests); i++)
		pass(f, allowed_for_tests[i]);
	if (!SANDBOX_SANITIZED) {
		memory_rules(f);
		process_rules(f);
	}
	socket_rules(f);
}

static int load(struct filter *f, struct err *err)
{
	int ret = f->bad;

	/* Every thread, and no new privileges: the latter is on already. */
	if (ret == 0)
		ret = seccomp_attr_set(f->ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (ret == 0)
		ret = seccomp_load(f->ctx);
	if (ret == -EINVAL || ret == -EOPNOTSUPP || ret == -ENOSYS)
		return 0;
	if (ret < 0) {
		errno = -ret;
		return err_sys(err, "filter system calls");
	}
	return 1;
}

int sandbox_calls_on(bool helper, struct err *err)
{
	struct filter f = { .ctx = seccomp_init(helper ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS)) };
	int ret;

	if (!f.ctx)
		return err_set(err, ERR_SYSTEM, "cannot make a filter for system calls");
	for (unsigned i = 0; i < array_len(deadly); i++)
		if (!is_for_tests(deadly[i]))
			rule(&f, SCMP_ACT_KILL_PROCESS, deadly[i], NULL, 0);
	for (unsigned i = 0; !helper && i < array_len(deadly_but_for_helper); i++)
		rule(&f, SCMP_ACT_KILL_PROCESS, deadly_but_for_helper[i], NULL, 0);
	if (!helper)
		daemon_rules(&f);
	ret = load(&f, err);
	seccomp_release(f.ctx);
	return ret;
}
