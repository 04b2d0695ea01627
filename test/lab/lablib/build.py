"""From a topology to namespaces, and the changes a script makes while it runs."""
import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys

from . import kernel, nat, pmp, wire
from .topology import TRANSLATING, LabError, Topology, UsageError, parse_addr

HOST_DEFAULTS = {
    # Addresses are usable at once and nothing is sent that the test did not ask for.
    "net__ipv6__conf__all__accept_dad": 0,
    "net__ipv6__conf__default__accept_dad": 0,
    "net__ipv6__conf__default__dad_transmits": 0,
    "net__ipv6__conf__default__accept_ra": 0,
    "net__ipv6__conf__default__router_solicitations": 0,
    # A link that comes up again must not lose its static IPv6 address.
    "net__ipv6__conf__all__keep_addr_on_down": 1,
    "net__ipv6__conf__default__keep_addr_on_down": 1,
}
GATEWAY_DEFAULTS = {
    "net__ipv4__ip_forward": 1,
    "net__ipv6__conf__all__forwarding": 1,
    "net__ipv6__conf__default__forwarding": 1,
    "net__ipv4__conf__all__send_redirects": 0,
    "net__ipv4__conf__default__send_redirects": 0,
    # Errors come promptly, so that a test may count them.
    "net__ipv4__icmp_ratelimit": 0,
    "net__ipv6__icmp__ratelimit": 0,
    "net__ipv4__icmp_msgs_per_sec": 100000,
    "net__ipv4__icmp_msgs_burst": 100000,
    # Members of a bridge are neighbours; their packets are none of the NAT's business.
    "net__bridge__bridge-nf-call-iptables": 0,
    "net__bridge__bridge-nf-call-ip6tables": 0,
    "net__bridge__bridge-nf-call-arptables": 0,
}


class Lab:
    """A running lab: the topology as it is now, and the namespaces that carry it."""

    def __init__(self, ident, folder, topo):
        self.ident, self.dir, self.topo = ident, folder, topo
        self.netem = False
        self.holders = {}  # host: the process that keeps its mounts

    def ns(self, name):
        return f"weftlab-{self.ident}-{name}"

    # Storage ------------------------------------------------------------------------------

    def save(self):
        path = os.path.join(self.dir, "state.json")
        with open(path + ".new", "w") as file:
            json.dump({"id": self.ident, "netem": self.netem, "holders": self.holders,
                       "topology": self.topo.to_json()}, file, indent=1)
        os.rename(path + ".new", path)

    @classmethod
    def load(cls, folder):
        with open(os.path.join(folder, "state.json")) as file:
            data = json.load(file)
        lab = cls(data["id"], folder, Topology.from_json(data["topology"]))
        lab.netem, lab.holders = data["netem"], data["holders"]
        return lab

    # Building -----------------------------------------------------------------------------

    def build(self):
        names = list(self.topo.nodes) + ["wires"]
        for name in names:
            kernel.run(["ip", "netns", "add", self.ns(name)])
            kernel.sysctl(self.ns(name), **HOST_DEFAULTS)
            kernel.ip(self.ns(name), "link set dev lo up")
        kernel.sysctl(self.ns("wires"), net__ipv6__conf__default__disable_ipv6=1)
        self.netem = kernel.has_netem(self.ns("wires"))
        for node in self.topo.nodes.values():
            if node.role != "host":
                kernel.sysctl(self.ns(node.name), **GATEWAY_DEFAULTS)
            if node.role == "gateway":
                self.build_lan(node)
        for link in self.topo.links:
            self.plug(link)
        for node in self.topo.nodes.values():
            if node.role == "gateway":
                self.route_lan(node, "replace")
                self.load_rules(node)
            if node.role == "host":
                self.holders[node.name] = self.hold(node)
        self.write_names()
        for link in self.topo.links:
            if link.impair:
                self.impair(link, link.impair)
        self.save()

    def build_lan(self, node):
        net = self.topo.nets[node.lan]
        commands = ["link add name lan type bridge forward_delay 0 mcast_snooping 0",
                    "link set dev lan mtu 1500 up"]
        for family in (4, 6):
            prefix = net.prefix(family)
            if prefix:
                commands.append(f"addr add {net.gateway(family)}/{prefix.prefixlen} dev lan")
        kernel.ip(self.ns(node.name), *commands)

    # Cables -------------------------------------------------------------------------------

    def plug(self, link):
        """A new cable: both veth pairs, then the addresses."""
        owner = self.topo.nets[link.net].owner
        self.veth(link.node, link.dev, f"a{link.number}", link)
        self.veth(owner, link.port, f"b{link.number}", link)
        kernel.nft(self.ns("wires"), wire.rules(link.number, True))
        self.connect(link)

    def veth(self, node, dev, end, link):
        kernel.ip(self.ns("wires"),
                  f"link add name {end} type veth peer name {dev} netns {self.ns(node)}",
                  f"link set dev {end} mtu 9100 up")
        # Every packet on a cable is a real one, so that MTU, loss and rate act on packets.
        segments = "" if link.offload else " gso_max_segs 1"
        kernel.ip(self.ns(node), f"link set dev {dev} mtu {link.mtu}{segments} up")

    def connect(self, link):
        """Addresses and routes at both ends of a cable that lies where it should."""
        net, node = self.topo.nets[link.net], self.topo.nodes[link.node]
        near, far = [], []
        if link.families == (4,):
            kernel.sysctl(self.ns(node.name),
                          **{f"net__ipv6__conf__{link.dev}__disable_ipv6": 1})
        default = link is self.topo.links_of(node.name)[0]
        if not net.is_internet:
            far += [f"link set dev {link.port} master lan"]
        for family, addrs in ((4, link.v4), (6, link.v6)):
            length, nodad = (32, "") if family == 4 else (128, " nodad")
            for addr in addrs:
                if net.is_internet:  # the core is a router, members are not neighbours
                    near.append(f"addr replace {addr}/{length} dev {link.dev}{nodad}")
                    far.append(f"route replace {addr}/{length} dev {link.port}")
                else:
                    near.append(f"addr replace {addr}/{net.prefix(family).prefixlen} dev {link.dev}{nodad}")
            if not addrs:
                continue
            gateway = net.gateway(family)
            if net.is_internet:
                far.append(f"addr replace {gateway}/{length} dev {link.port}{nodad}")
                near.append(f"route replace {gateway} dev {link.dev} src {addrs[0]}")
            if default:
                near.append(f"route replace default via {gateway} dev {link.dev}"
                            f" src {addrs[0]}")
        kernel.ip(self.ns(net.owner), *far)
        kernel.ip(self.ns(node.name), *near)
        if net.is_internet:
            self.blackhole_rules()

    def disconnect(self, link):
        """Takes addresses and routes away; the cable itself stays."""
        owner = self.topo.nets[link.net].owner
        self.flush_addrs(link, 4)
        self.flush_addrs(link, 6)
        kernel.ip(self.ns(owner), f"link del dev {link.port}")

    def flush_addrs(self, link, family):
        with kernel.inside(self.ns(link.node)):
            kernel.run(["ip", f"-{family}", "addr", "flush", "dev", link.dev, "scope", "global"])

    def blackhole_rules(self):
        """The core of the internet is silent about packets too big for a blackhole link."""
        drops = []
        for link in self.topo.members("internet"):
            if not link.blackhole and not self.topo.nodes[link.node].blackhole:
                continue
            # The destination of the packet an ICMP error quotes: 8 bytes of ICMP, then IP.
            behind = [p for p in self.prefixes_behind(link)]
            for prefix in [p for p in behind if p.version == 4]:
                drops.append(f"icmp code frag-needed @th,192,32 & {int(prefix.netmask):#x} =="
                             f" {int(prefix[0]):#x} drop")
            for prefix in [p for p in behind if p.version == 6]:
                drops.append(f"icmpv6 type packet-too-big @th,256,128 & {int(prefix.netmask):#x}"
                             f" == {int(prefix[0]):#x} drop")
        lines = "\n\t\t".join(drops)
        kernel.nft(self.ns("internet"), f"""flush ruleset
table inet lab_core {{
	chain output {{
		type filter hook output priority filter; policy accept;
		{lines}
	}}
}}
""")

    # Routes -------------------------------------------------------------------------------

    def routed_prefixes(self, node):
        """What the networks above must have a route for: all that is not translated."""
        net = self.topo.nets[node.lan]
        families = (6,) if node.kind in TRANSLATING else (4, 6)
        return [net.prefix(f) for f in families if net.prefix(f)]

    def prefixes_behind(self, link):
        found = [ipaddress.ip_network(a) for a in link.v4 + link.v6]
        node = self.topo.nodes[link.node]
        if node.role == "gateway":
            found += self.routed_prefixes(node)
            for member in self.topo.members(node.lan):
                found += [p for p in self.prefixes_behind(member) if p.version == 6]
        return found

    def route_lan(self, node, verb):
        """Routes to the LAN of this gateway in all gateways above it."""
        for prefix in self.routed_prefixes(node):
            child = node
            while True:
                link = self.topo.links_of(child.name)[0]
                net = self.topo.nets[link.net]
                hop = link.addrs(prefix.version)
                if not hop:
                    break  # no way up in this family: the LAN is an island
                via = f"via {hop[0]} dev " + (link.port if net.is_internet else "lan")
                with contextlib.suppress(*([LabError] if verb == "del" else [])):
                    kernel.ip(self.ns(net.owner), f"route {verb} {prefix} {via}")
                child = self.topo.nodes[net.owner]
                if child.role == "internet":
                    break
                if prefix.version == 4 and child.kind in TRANSLATING:
                    break

    def load_rules(self, node):
        kernel.sysctl(self.ns(node.name), net__netfilter__nf_conntrack_udp_timeout=node.timeout,
                      net__netfilter__nf_conntrack_udp_timeout_stream=node.timeout)
        pmp.stop(self, node)
        kernel.nft(self.ns(node.name), nat.rules(self.topo, node))
        kernel.flush_conntrack(self.ns(node.name))
        if node.pmp:
            pmp.start(self, node)

    # Hosts --------------------------------------------------------------------------------

    def hold(self, node):
        """A process that keeps what a host owns besides its network: /etc, /run, its name."""
        folder = self.host_dir(node.name)
        os.makedirs(folder, exist_ok=True)
        ready, done = os.pipe()
        pid = os.fork()
        if pid:
            os.close(done)
            said = os.read(ready, 300).decode()
            os.close(ready)
            if said != "ok":
                os.waitpid(pid, 0)
                raise LabError(f"host {node.name}: {said or 'did not start'}")
            return pid
        try:
            kernel.die_with_parent()
            for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(sig, signal.SIG_IGN)
            kernel.setns(kernel.netns_path(self.ns(node.name)), kernel.CLONE_NEWNET)
            kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
            kernel.libc.sethostname(node.name.encode(), len(node.name))
            kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
            kernel.mount("sysfs", "/sys", "sysfs")
            kernel.mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
            os.makedirs("/run/lab/upper")
            os.makedirs("/run/lab/work")
            os.makedirs("/run/lock")
            kernel.mount("overlay", "/etc", "overlay", 0,
                         "lowerdir=/etc,upperdir=/run/lab/upper,workdir=/run/lab/work")
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.write(done, b"ok")
            # A lock held by the parent must not live on here.
            os.closerange(3, 1024)
            os.execv("/bin/sleep", ["lab-host-" + node.name, "infinity"])
        except BaseException as err:  # the child must never return into the parent's code
            os.write(done, str(err).encode()[:300])
        os._exit(1)

    def host_dir(self, name):
        return os.path.join(self.dir, name)

    def write_names(self):
        """Names of all members of the lab, and the resolver, into each host's own /etc."""
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
        for link in self.topo.links:
            lines += [f"{addr} {link.node}" for addr in link.v4[:1] + link.v6[:1]]
        hosts = "\n".join(lines) + "\n"
        servers = []
        if self.topo.dns:
            first = self.topo.links_of(self.topo.dns)[0]
            servers = first.v4[:1] + first.v6[:1]
        resolv = "".join(f"nameserver {addr}\n" for addr in servers)
        for name, pid in self.holders.items():
            etc = f"/proc/{pid}/root/etc/"
            replace(etc + "hosts", hosts)
            replace(etc + "hostname", name + "\n")
            if not os.path.exists(f"/proc/{pid}/root/run/lab/resolv"):
                # Once: later it belongs to the programs under test.
                replace(etc + "resolv.conf", resolv)
                replace(f"/proc/{pid}/root/run/lab/resolv", resolv)

    def enter(self, name):
        """Moves this process into a host or gateway, for good."""
        pid = self.holders.get(name)
        kernel.setns(kernel.netns_path(self.ns(name)), kernel.CLONE_NEWNET)
        if pid:
            cwd = os.getcwd()
            kernel.setns(f"/proc/{pid}/ns/uts", kernel.CLONE_NEWUTS)
            kernel.setns(f"/proc/{pid}/ns/mnt", kernel.CLONE_NEWNS)
            with contextlib.suppress(OSError):
                os.chdir(cwd)

    # Changes ------------------------------------------------------------------------------

    def move(self, link, net, wanted=()):
        """Pulls the plug here and puts it in there: same interface, new address."""
        node = self.topo.nodes[link.node]
        above = net.owner
        while above != "internet":
            if above == node.name:
                raise UsageError(f"{node.name} cannot be plugged in behind itself")
            above = self.topo.links_of(above)[0].net
        if node.role == "gateway":
            self.route_lan(node, "del")
        self.carrier(link, False)
        self.disconnect(link)
        self.topo.assign(link, net, wanted)
        self.veth(net.owner, link.port, f"b{link.number}", link)
        kernel.nft(self.ns("wires"), wire.rules(link.number, True))
        self.carrier(link, True)
        self.connect(link)
        if link.impair:
            self.impair(link, link.impair)
        if node.role == "gateway":
            self.route_lan(node, "replace")
            self.load_rules(node)
        self.write_names()

    def public(self, node, addr):
        """The provider hands out another address: all that hung on the old one is gone."""
        link = self.topo.links_of(node.name)[0]
        if not link.v4:
            raise UsageError(f"{node.name} has no public IPv4 address")
        net, old = self.topo.nets[link.net], link.v4[0]
        taken = [a for other in self.topo.members(net.name) for a in other.v4]
        if parse_addr(addr).version != 4 or parse_addr(addr) not in net.prefix(4) \
                or addr == net.gateway(4) or addr in taken:
            raise UsageError(f"'{addr}' is not a free address of {net.name} ({net.v4})")
        self.route_lan(node, "del")
        self.flush_addrs(link, 4)
        if net.is_internet:
            kernel.ip(self.ns("internet"), f"route del {old}/32 dev {link.port}")
        link.v4 = [addr]
        six, link.v6 = link.v6, []
        self.connect(link)
        link.v6 = six
        if net.is_internet:
            self.blackhole_rules()
        self.route_lan(node, "replace")
        self.load_rules(node)
        self.write_names()

    def carrier(self, link, up):
        """The cable is pulled at both ends: interfaces see 'no carrier'."""
        state = "up" if up else "down"
        kernel.ip(self.ns("wires"), f"link set dev a{link.number} {state}",
                  f"link set dev b{link.number} {state}")
        link.up = up

    def impair(self, link, impair):
        self.stop_wire(link)
        link.impair = impair
        if self.netem:
            for end in (f"a{link.number}", f"b{link.number}"):
                with kernel.inside(self.ns("wires")):
                    if impair:
                        kernel.run(["tc", "qdisc", "replace", "dev", end, "root", "netem"]
                                   + wire.netem_words(impair))
                    else:
                        subprocess.run(["tc", "qdisc", "del", "dev", end, "root"],
                                       capture_output=True, check=False)
            return
        kernel.nft(self.ns("wires"), wire.rules(link.number, not impair))
        if impair:
            link.wire_pid = self.start_wire(link.number, impair)

    def start_wire(self, number, impair):
        ready, done = os.pipe()
        os.set_inheritable(done, True)
        with open(os.path.join(self.dir, "wires.log"), "a") as log, \
                kernel.inside(self.ns("wires")):
            child = subprocess.Popen([sys.executable, "-ISu", wire.__file__, str(number),
                                      json.dumps(impair), str(done)], pass_fds=(done,),
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)
        os.close(done)
        said = os.read(ready, 1)
        os.close(ready)
        if not said:
            raise LabError(f"the user-space wire did not start, see {self.dir}/wires.log")
        return child.pid

    def stop_wire(self, link):
        # An id is only worth something while it still names a process among the wires.
        if link.wire_pid and link.wire_pid in kernel.processes_in([self.ns("wires")]):
            os.kill(link.wire_pid, signal.SIGKILL)
        link.wire_pid = 0


def replace(path, text):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with open(path, "w") as file:
        file.write(text)
