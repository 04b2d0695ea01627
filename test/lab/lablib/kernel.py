"""The kernel's objects: namespaces, devices, rules. Everything happens inside a namespace;
nothing here ever changes the one the lab was started in."""
import contextlib
import ctypes
import os
import socket
import struct
import subprocess

from .topology import LabError

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWNET = 0x20000, 0x4000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
NETNS_DIR = "/run/netns"

libc = ctypes.CDLL(None, use_errno=True)


def check(ret, what):
    if ret < 0:
        code = ctypes.get_errno()
        raise LabError(f"{what}: {os.strerror(code)}")


def setns(path, flag):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        check(libc.setns(fd, flag), f"enter {path}")
    finally:
        os.close(fd)


def unshare(flags):
    check(libc.unshare(flags), "unshare")


def mount(source, target, fstype, flags=0, data=""):
    check(libc.mount(source.encode(), target.encode(), fstype.encode() if fstype else None,
                     flags, data.encode() if data else None), f"mount {target}")


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)


def adopt_orphans():
    """Daemons that a script leaves behind become our children, so that we can bury them."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def netns_path(name):
    return f"{NETNS_DIR}/{name}"


@contextlib.contextmanager
def inside(name):
    """The calling (only) thread visits a network namespace."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    setns(netns_path(name), CLONE_NEWNET)
    try:
        yield
    finally:
        check(libc.setns(home, CLONE_NEWNET), "return from a namespace")
        os.close(home)


def run(argv, text=None, where=""):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise LabError(f"{where or ' '.join(argv)}: {said[0] if said else 'failed'}")
    return done.stdout


def ip(name, *commands):
    """Runs ip commands in one namespace, in one process."""
    with inside(name):
        run(["ip", "-batch", "-"], "\n".join(commands) + "\n", f"ip in {name}")


def nft(name, rules):
    with inside(name):
        run(["nft", "-f", "-"], rules, f"nft in {name}")


def sysctl(name, **values):
    """sysctl(ns, net__ipv4__ip_forward=1): two underscores stand for a slash."""
    with inside(name):
        for key, value in values.items():
            write_sysctl(key.replace("__", "/"), value)


def write_sysctl(key, value):
    try:
        with open("/proc/sys/" + key, "w") as file:
            file.write(str(value))
    except FileNotFoundError:
        pass  # a module that is not there, e.g. br_netfilter, needs no setting
    except OSError as err:
        raise LabError(f"sysctl {key}={value}: {err.strerror}") from None


def netns_list(prefix):
    try:
        return sorted(n for n in os.listdir(NETNS_DIR) if n.startswith(prefix))
    except FileNotFoundError:
        return []


def has_netem(name):
    """Whether this kernel can delay packets by itself."""
    if os.environ.get("LAB_WIRE") == "user":
        return False
    with inside(name):
        tc = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
        if subprocess.run(tc, capture_output=True, check=False).returncode:
            return False
        run(["tc", "qdisc", "del", "dev", "lo", "root"])
    return True


def flush_conntrack(name):
    """Forgets every connection in a namespace: one netlink message, so no tool is needed."""
    nfnl_ct_delete = (1 << 8) | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
    request_ack = 0x1 | 0x4
    with inside(name):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as nl:  # NETLINK_NETFILTER
            nl.settimeout(5)
            nl.sendto(struct.pack("=LHHLLBBH", 20, nfnl_ct_delete, request_ack, 1, 0, 0, 0, 0),
                      (0, 0))
            answer = nl.recv(4096)
    code = -struct.unpack_from("=i", answer, 16)[0]
    if code:
        raise LabError(f"forget connections in {name}: {os.strerror(code)}")


def processes_in(names):
    """Ids of the processes whose network namespace is one of these."""
    wanted = set()
    for name in names:
        with contextlib.suppress(OSError):
            stat = os.stat(netns_path(name))
            wanted.add(f"net:[{stat.st_ino}]")
    return [pid for pid in all_pids() if read_ns(pid) in wanted]


def processes_with_env(entry):
    """Ids of the processes that carry this NAME=value in their environment."""
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb") as file:
                if entry.encode() in file.read().split(b"\0"):
                    found.append(pid)
    return found


def all_pids():
    return [int(n) for n in os.listdir("/proc") if n.isdigit()]


def read_ns(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None
