"""A gateway that opens ports on request (NAT-PMP, PCP, UPnP): Debian's miniupnpd, so that the
judge of our client is not written by us. It edits a table of its own next to ours.

miniupnpd grants nothing while its public address is a reserved one, as it then believes in a
second NAT above. Documentation prefixes are reserved too, so a topology that wants open ports
begins with a public one, such as 11.0.0.0/24; nothing ever leaves the namespaces."""
import contextlib
import os
import shutil
import signal
import subprocess
import time

from . import kernel
from .topology import LabError

TABLE = """
table inet lab_pmp {
	chain forward {
		type filter hook forward priority filter - 5;
		jump ports
	}
	chain prerouting {
		type nat hook prerouting priority dstnat - 5;
		jump ports_in
	}
	chain postrouting {
		type nat hook postrouting priority srcnat - 5;
		jump ports_out
	}
	chain ports {
	}
	chain ports_in {
	}
	chain ports_out {
	}
}
"""


def program():
    """MINIUPNPD names another binary than the installed one."""
    return os.environ.get("MINIUPNPD") or shutil.which("miniupnpd", path="/usr/sbin:/usr/bin")


def start(lab, node):
    binary = program()
    if not binary:
        raise LabError(f"'pmp' on {node.name} needs miniupnpd (Debian: miniupnpd-nftables)")
    net, wan = lab.topo.nets[node.lan], lab.topo.links_of(node.name)[0]
    if not net.v4 or not wan.v4:
        raise LabError(f"'pmp' on {node.name} needs IPv4 on both sides")
    folder = lab.host_dir(node.name)
    os.makedirs(folder, exist_ok=True)
    conf = os.path.join(folder, "miniupnpd.conf")
    with open(conf, "w") as file:
        file.write(f"""ext_ifname=wan
listening_ip=lan
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
system_uptime=no
upnp_table_name=lab_pmp
upnp_nat_table_name=lab_pmp
upnp_forward_chain=ports
upnp_nat_chain=ports_in
upnp_nat_postrouting_chain=ports_out
uuid=00000000-0000-4000-8000-{node.name.encode().hex()[:12]:0>12}
allow 1024-65535 {net.v4} 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
""")
    kernel.nft(lab.ns(node.name), TABLE)
    with open(os.path.join(folder, "miniupnpd.log"), "a") as log, \
            kernel.inside(lab.ns(node.name)):
        child = subprocess.Popen([binary, "-d", "-f", conf, "-P", folder + "/miniupnpd.pid"],
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
        wait_until_served(node, child, folder)
    node.pmp_pid = child.pid


def wait_until_served(node, child, folder):
    port = f":{5351:04X} "
    for _ in range(200):
        with open("/proc/self/net/udp") as table:
            if port in table.read():
                return
        if child.poll() is not None:
            break
        time.sleep(0.01)
    raise LabError(f"miniupnpd on {node.name} does not serve, see {folder}/miniupnpd.log")


def stop(lab, node):
    space = [lab.ns(node.name)]
    if node.pmp_pid and node.pmp_pid in kernel.processes_in(space):
        os.kill(node.pmp_pid, signal.SIGKILL)
        for _ in range(200):  # the next one wants its port
            if node.pmp_pid not in kernel.processes_in(space):
                break
            time.sleep(0.01)
        # Killed, it leaves this file; its number may soon be that of another process.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(lab.host_dir(node.name), "miniupnpd.pid"))
    node.pmp_pid = 0
