"""The commands of 'lab'. Exit status: 0 done, 1 failed, 2 the request makes no sense."""
import os
import sys

from . import instance, pmp, topology, wire
from .topology import LabError, UsageError, listed

HELP = """\
lab - networks out of namespaces: hosts, routers and NATs on one machine

  lab run TOPOLOGY [-- SCRIPT [ARG...]]   build it, run SCRIPT (or a shell) in it, remove it
  lab check TOPOLOGY                      read a topology and draw it, build nothing
  lab clean                               remove what dead labs left behind
  lab has pmp                             is there a miniupnpd for the option 'pmp'?

inside SCRIPT (LAB, LAB_DIR and PATH are set):
  lab exec NODE CMD [ARG...]              run in a host (own /etc, /run, hostname) or a nat
  lab ip [-4|-6] NODE [NET|all]           print its address; of a nat: the public one, or 'lan'
  lab dir HOST                            print its private folder (LAB_HOST_DIR in exec)
  lab ns NODE                             print the name of its network namespace
  lab move NODE[:DEV] NET [ADDR...]       pull the plug and put it into another network
  lab nat NAT public ADDR                 the provider hands out another address
  lab nat NAT restart                     all mappings are lost
  lab nat NAT kind KIND                   {kinds}
  lab nat NAT hairpin on|off
  lab nat NAT forward udp|tcp PORT HOST[:PORT]
  lab link NODE[:DEV] up|down             both ends lose their carrier
  lab link NODE[:DEV] netem WORDS|off     delay 50ms 10ms loss 2% reorder 1% rate 10mbit
  lab show                                draw the lab as it is now

topology, one statement a line, # begins a comment, things before those who use them:
  internet 203.0.113.0/24 2001:db8:ffff::/64
  nat  home on internet lan 192.168.1.0/24 kind easy hairpin
  nat  office on internet lan 10.9.0.0/24 2001:db8:9::/64 kind hard mtu 1300 blackhole
  host server on internet addresses 2
  host alice on home
  host bob on office v4only
  link alice delay 20ms loss 1%
  forward home udp 41641 alice
  dns server
other words: firewall NAME, router NAME (a nat that does not translate); nat: public ADDR,
pmp, timeout SECONDS, ports preserve|random; host: addr ADDR, mtu N, blackhole, v6only,
offload (keep big segments: fast, but not packet by packet); on NET,NET for two interfaces.
TOPOLOGY may be '-' for standard input.

examples:
  lab run two-homes.lab                       a shell to look around in
  lab run two-homes.lab -- ./script.sh        exit status is that of the script
  printf 'internet 203.0.113.0/24\\nhost a on internet\\n' | lab run - -- lab exec a ip addr
"""


def main(argv):
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(HELP.format(kinds=", ".join(topology.KINDS)), end="")
        return 0 if argv else 2
    command = COMMANDS.get(argv[0])
    try:
        if not command:
            raise UsageError(f"'{argv[0]}' is not a command; accepted: {listed(COMMANDS)}")
        if os.geteuid() != 0 and argv[0] not in ("check", "has"):
            raise LabError("the lab needs root")
        return command(argv[1:]) or 0
    except UsageError as err:
        print(f"lab: {err}", file=sys.stderr)
        return 2
    except LabError as err:
        print(f"lab: {err}", file=sys.stderr)
        return 1


def need(args, low, high, usage):
    if not low <= len(args) <= high:
        raise UsageError(f"usage: lab {usage}")


def read_topology(path):
    try:
        if path == "-":
            return topology.parse(sys.stdin.read(), "topology")
        with open(path) as file:
            return topology.parse(file.read(), path)
    except OSError as err:
        raise UsageError(f"{path}: {err.strerror}") from None


def cmd_run(args):
    if not args or (len(args) > 1 and args[1] != "--") or len(args) == 2:
        raise UsageError("usage: lab run TOPOLOGY [-- SCRIPT [ARG...]]")
    argv = args[2:] or [os.environ.get("SHELL", "/bin/sh")]
    return instance.run(read_topology(args[0]), argv)


def cmd_check(args):
    need(args, 1, 1, "check TOPOLOGY")
    print(draw(read_topology(args[0])))


def cmd_clean(args):
    need(args, 0, 0, "clean")
    for ident in instance.reap():
        print(f"removed {ident}")


def cmd_has(args):
    need(args, 1, 1, "has pmp")
    if args != ["pmp"]:
        raise UsageError(f"'{args[0]}' is not an option that may be missing; accepted: pmp")
    return 0 if pmp.program() else 1


def cmd_exec(args):
    if len(args) < 2:
        raise UsageError("usage: lab exec NODE CMD [ARG...]")
    lab = instance.current()
    name = lab.topo.node(args[0]).name
    os.environ["LAB_HOST"], os.environ["LAB_HOST_DIR"] = name, lab.host_dir(name)
    lab.enter(name)
    try:
        os.execvp(args[1], args[1:])
    except OSError as err:
        print(f"lab: cannot run {args[1]} in {name}: {err.strerror}", file=sys.stderr)
        return 127 if isinstance(err, FileNotFoundError) else 126


def cmd_ip(args):
    families = {"-4": (4,), "-6": (6,)}.get(args[0] if args else "", (4, 6))
    args = args[1:] if len(families) == 1 else args
    need(args, 1, 2, "ip [-4|-6] NODE [NET|all]")
    topo = instance.current().topo
    node, where = topo.node(args[0]), args[1] if len(args) > 1 else ""
    if node.role == "internet" or (where == "lan" and node.lan):
        net = topo.nets[node.lan or node.name]
        found = [net.gateway(f) for f in families if net.gateway(f)]
    else:
        found = [addr for link in topo.links_of(node.name) if where in ("", "all", link.net, link.dev)
                 for f in families for addr in link.addrs(f)]
    if not found:
        raise LabError(f"{node.name} has no such address")
    print("\n".join(found if where == "all" else found[:1]))


def cmd_dir(args):
    need(args, 1, 1, "dir HOST")
    lab = instance.current()
    print(lab.host_dir(lab.topo.node(args[0], "host").name))


def cmd_ns(args):
    need(args, 1, 1, "ns NODE")
    lab = instance.current()
    print(lab.ns(lab.topo.node(args[0]).name))


def cmd_move(args):
    need(args, 2, 4, "move NODE[:DEV] NET [ADDR...]")
    with instance.changing() as lab:
        lab.move(lab.topo.link(args[0]), lab.topo.net(args[1]), args[2:])


def cmd_nat(args):
    usage = "nat NAT public ADDR | restart | kind KIND | hairpin on|off | forward PROTO PORT HOST[:PORT]"
    need(args, 2, 5, usage)
    verb, rest = args[1], args[2:]
    with instance.changing() as lab:
        node = lab.topo.node(args[0], "gateway")
        if verb == "public" and len(rest) == 1:
            lab.public(node, rest[0])
        elif verb == "restart" and not rest:
            lab.load_rules(node)
        elif verb == "kind" and len(rest) == 1:
            kind = topology.check_kind(rest[0])
            if (kind in topology.TRANSLATING) != (node.kind in topology.TRANSLATING):
                raise UsageError(f"{node.name} cannot become {kind}: its network would need"
                                 " other addresses")
            node.kind = kind
            lab.load_rules(node)
        elif verb == "hairpin" and rest in (["on"], ["off"]):
            node.hairpin = rest == ["on"]
            lab.load_rules(node)
        elif verb == "forward" and len(rest) == 3:
            topology.add_forward(lab.topo, [node.name] + rest)
            lab.load_rules(node)
        else:
            raise UsageError("usage: lab " + usage)


def cmd_link(args):
    if len(args) < 2:
        raise UsageError("usage: lab link NODE[:DEV] up | down | netem WORDS")
    with instance.changing() as lab:
        link = lab.topo.link(args[0])
        if args[1:] in (["up"], ["down"]):
            lab.carrier(link, args[1] == "up")
            if link.up:
                lab.connect(link)  # the kernel drops routes of an interface without carrier
        elif args[1] == "netem":
            lab.impair(link, topology.parse_impair(args[2:]))
        else:
            raise UsageError(f"'{args[1]}' is not understood; accepted: up, down, netem WORDS")


def cmd_show(args):
    need(args, 0, 0, "show")
    print(draw(instance.current().topo))


def draw(topo):
    """The networks as a tree, everybody under the network they are plugged into."""
    lines = []

    def about(link):
        node = topo.nodes[link.node]
        words = [link.node + ("" if link.dev in ("eth0", "wan") else ":" + link.dev)]
        if node.kind:
            words.append(f"({node.kind}{', hairpin' if node.hairpin else ''}"
                         f"{', pmp' if node.pmp else ''})")
        words += link.v4 + link.v6
        if link.mtu != 1500:
            words.append(f"mtu {link.mtu}")
        if link.blackhole:
            words.append("blackhole")
        words.append(wire.describe(link.impair))
        if not link.up:
            words.append("down")
        return " ".join(word for word in words if word)

    def under(net, indent):
        for link in topo.members(net):
            lines.append(indent + "|-- " + about(link))
            node = topo.nodes[link.node]
            if node.lan:
                lan = topo.nets[node.lan]
                lines.append(f"{indent}|   lan {lan.v4} {lan.v6}".rstrip())
                under(node.lan, indent + "|   ")

    for net in topo.nets.values():
        if net.is_internet:
            lines.append(f"{net.name} {net.v4} {net.v6}".rstrip())
            under(net.name, "")
    return "\n".join(lines)


COMMANDS = {name[4:]: function for name, function in list(globals().items())
            if name.startswith("cmd_")}
