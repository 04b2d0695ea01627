"""The life of one lab: a name nobody else uses, a script inside, and nothing left behind.

The folder /tmp/weftlab-ID holds a lock for as long as the lab lives. A kill -9 releases the
lock, so the next lab to start finds the folder without an owner and takes it all away.
"""
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

from . import kernel
from .build import Lab
from .topology import LabError

ROOT = "/tmp"
PREFIX = "weftlab-"


class Stopped(BaseException):
    """A signal asked the lab to end."""


def begin(topo):
    """A new instance with its folder and its lock; everything else is still to be built."""
    ident = f"{os.getpid()}-{secrets.token_hex(2)}"
    fresh = os.path.join(ROOT, f".new-{PREFIX}{ident}")
    os.mkdir(fresh, 0o755)
    lock = open(os.path.join(fresh, "lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = os.path.join(ROOT, PREFIX + ident)
    os.rename(fresh, folder)  # appears locked: nobody can mistake it for a dead one
    lab = Lab(ident, folder, topo)
    lab.lock = lock
    return lab


def is_dead(ident):
    folder = os.path.join(ROOT, PREFIX + ident)
    try:
        with open(os.path.join(folder, "lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no folder any more: the process that is tidying up may still be there
        return not os.path.exists(f"/proc/{ident.partition('-')[0]}")
    return True


def reap():
    """Removes what dead labs left. Returns their ids."""
    idents = set()
    for name in kernel.netns_list(PREFIX):
        idents.add("-".join(name.split("-")[1:3]))
    for name in os.listdir(ROOT):
        path = os.path.join(ROOT, name)
        if name.startswith(PREFIX) and os.path.isdir(path) and os.lstat(path).st_uid == 0:
            idents.add(name[len(PREFIX):])
    dead = [ident for ident in sorted(idents) if is_dead(ident)]
    for ident in dead:
        remove(ident)
    return dead


def remove(ident):
    """Processes first, then namespaces (with all devices in them), then the folder."""
    # "ID-" would match more than this instance when ids grow, hence the exact split.
    names = [n for n in kernel.netns_list(PREFIX + ident + "-")
             if n[len(PREFIX):].startswith(ident + "-")]
    for attempt in range(20):
        pids = [pid for pid in kernel.processes_in(names) + kernel.processes_with_env(f"LAB={ident}")
                if pid != os.getpid()]
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01 * (attempt + 1))
    for name in names:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    shutil.rmtree(os.path.join(ROOT, PREFIX + ident), ignore_errors=True)


def run(topo, argv):
    """Builds, runs argv inside, takes everything away. Returns the exit status of argv."""
    def stop(number, _):
        raise Stopped(number)
    kernel.adopt_orphans()
    reap()
    lab = begin(topo)
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
        lab.build()
        status = script(lab, argv)
    except Stopped as why:
        status = 128 + why.args[0]
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        keep_logs(lab, status)
        remove(lab.ident)
    return status


def script(lab, argv):
    here = os.path.dirname(os.path.realpath(sys.argv[0]))
    env = dict(os.environ, LAB=lab.ident, LAB_DIR=lab.dir,
               PATH=here + ":" + os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    try:
        child = subprocess.Popen(argv, env=env)
    except OSError as err:
        raise LabError(f"cannot run {argv[0]}: {err.strerror}") from None
    try:
        status = child.wait()
    except Stopped:
        # The script may want to say good-bye, but not for long.
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(2)
        raise
    return status if status >= 0 else 128 - status


def keep_logs(lab, status):
    """After a failure, LAB_LOGS=FOLDER keeps a copy of what was in LAB_DIR."""
    target = os.environ.get("LAB_LOGS")
    if target and status not in (0, 77):
        with contextlib.suppress(OSError):
            shutil.copytree(lab.dir, os.path.join(target, PREFIX + lab.ident),
                            ignore=shutil.ignore_patterns("lock", "*.sock"))


def current():
    """The lab this command was called in."""
    ident = os.environ.get("LAB")
    if not ident:
        raise LabError("this command works inside a script that 'lab run' started"
                       " (LAB is not set)")
    folder = os.path.join(ROOT, PREFIX + ident)
    if not os.path.exists(os.path.join(folder, "state.json")):
        raise LabError(f"the lab {ident} is not running any more")
    return Lab.load(folder)


@contextlib.contextmanager
def changing():
    """Load, change, store, one command at a time."""
    lab = current()
    with open(os.path.join(lab.dir, "state.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lab = current()
        yield lab
        lab.save()
