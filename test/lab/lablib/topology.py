"""The topology text: what it says, checked, as plain data.

A line is a keyword, a name and words. Things are declared before they are used, so every
error has one line to blame. Addresses are handed out here, in the order of declaration, and
can therefore be predicted by reading the text.
"""
import ipaddress
import os
import re
from dataclasses import asdict, dataclass, field

# The kinds of gateway; lablib/nat.py makes them true.
KINDS = {
    "full-cone": "one public port per inside socket, anyone may send to it",
    "easy": "one public port per inside socket, addresses it has sent to may send back",
    "port-restricted": "one public port per inside socket, only answers come back",
    "hard": "a new random public port per destination, only answers come back",
    "firewall": "no translation, only answers come back",
    "open": "no translation, no filter",
    "udp-blocked": "translation, TCP to ports 80 and 443 only, everything else dropped",
}
TRANSLATING = ("full-cone", "easy", "port-restricted", "hard", "udp-blocked")
FIRST_MEMBER = 10  # members of a network are .10, .11, ...; its gateway is .1
MTU_RANGE = (576, 9000)


class LabError(Exception):
    """One sentence for the person who wrote the topology or the command."""


class UsageError(LabError):
    """The request makes no sense, whatever the lab looks like."""


@dataclass
class Net:
    name: str
    owner: str  # the namespace that is its gateway
    v4: str = ""
    v6: str = ""
    next_member: int = FIRST_MEMBER

    @property
    def is_internet(self):
        return self.name == "internet"

    def prefix(self, family):
        text = self.v4 if family == 4 else self.v6
        return ipaddress.ip_network(text) if text else None

    def gateway(self, family):
        prefix = self.prefix(family)
        return str(prefix[1]) if prefix else ""


@dataclass
class Link:
    """A cable from one interface of a node to a network."""
    node: str
    dev: str
    net: str
    number: int
    port: str  # the interface at the other end, in the namespace of the network's owner
    v4: list = field(default_factory=list)
    v6: list = field(default_factory=list)
    families: tuple = (4, 6)
    count: int = 1
    mtu: int = 1500
    blackhole: bool = False
    offload: bool = False
    up: bool = True
    impair: dict = field(default_factory=dict)
    wire_pid: int = 0  # the user-space wire, where the kernel has no netem

    def addrs(self, family):
        return self.v4 if family == 4 else self.v6


@dataclass
class Node:
    name: str
    role: str  # internet, gateway or host
    kind: str = ""
    lan: str = ""
    hairpin: bool = False
    pmp: bool = False
    blackhole: bool = False
    preserve: bool = False
    timeout: int = 120
    forwards: list = field(default_factory=list)  # [proto, public port, host, port]
    pmp_pid: int = 0


@dataclass
class Topology:
    nodes: dict = field(default_factory=dict)
    nets: dict = field(default_factory=dict)
    links: list = field(default_factory=list)
    dns: str = ""

    # Look-ups -----------------------------------------------------------------------------

    def node(self, name, role=None):
        node = self.nodes.get(name)
        known = [n.name for n in self.nodes.values() if role in (None, n.role)]
        if not node or role not in (None, node.role):
            what = {None: "host or network", "gateway": "nat", "host": "host"}.get(role, role)
            raise UsageError(f"there is no {what} '{name}'; there is {listed(known)}")
        return node

    def net(self, name):
        if name not in self.nets:
            raise UsageError(f"there is no network '{name}'; there is {listed(self.nets)}")
        return self.nets[name]

    def links_of(self, name):
        return [link for link in self.links if link.node == name]

    def link(self, where):
        """'alice' is the first link of alice, 'alice:eth1' a named one."""
        name, _, dev = where.partition(":")
        links = self.links_of(self.node(name).name)
        if not links:
            raise UsageError(f"'{name}' has no link of its own; name one of its members")
        for link in links:
            if dev in ("", link.dev):
                return link
        raise UsageError(f"'{name}' has no '{dev}'; it has {listed(l.dev for l in links)}")

    def members(self, net):
        return [link for link in self.links if link.net == net]

    # Changes ------------------------------------------------------------------------------

    def assign(self, link, net, wanted=()):
        """Gives the link a place in net: addresses, and the name of the port over there."""
        link.net = net.name
        link.v4, link.v6 = [], []
        taken = {a for other in self.members(net.name) if other is not link
                 for a in other.v4 + other.v6}
        for family in link.families:
            prefix, addrs = net.prefix(family), link.addrs(family)
            if not prefix:
                continue
            for text in wanted:
                addr = parse_addr(text)
                if addr.version != family:
                    continue
                if addr not in prefix or str(addr) == net.gateway(family):
                    raise UsageError(f"'{text}' is not a member address of {net.name} ({prefix})")
                if text in taken:
                    raise UsageError(f"'{text}' is already used in {net.name}")
                addrs.append(str(addr))
        for _ in range(link.count):
            number = net.next_member
            for family in link.families:
                prefix = net.prefix(family)
                if not prefix or len(link.addrs(family)) >= link.count:
                    continue
                while str(prefix[number]) in taken:
                    number += 1
                link.addrs(family).append(str(prefix[number]))
            net.next_member = number + 1
        if not link.v4 and not link.v6:
            raise UsageError(f"{net.name} has no prefix of the families {link.node} may use")
        ports = {other.port for other in self.members(net.name) if other is not link}
        link.port = link.node
        if link.port in ports:
            link.port = f"{link.node}.{link.dev[-1]}"

    # Storage ------------------------------------------------------------------------------

    def to_json(self):
        return asdict(self)

    @classmethod
    def from_json(cls, data):
        return cls(nodes={k: Node(**v) for k, v in data["nodes"].items()},
                   nets={k: Net(**v) for k, v in data["nets"].items()},
                   links=[Link(**v) for v in data["links"]], dns=data["dns"])


def listed(names):
    names = list(names)
    return ", ".join(names) if names else "none"


# Values -----------------------------------------------------------------------------------

def parse_addr(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(f"'{text}' is not an IPv4 or IPv6 address") from None


def parse_prefix(text):
    try:
        prefix = ipaddress.ip_network(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a prefix such as 192.168.1.0/24 or 2001:db8:1::/64"
                         " with no host bits set") from None
    if prefix.num_addresses < 64:
        raise UsageError(f"'{text}' is too small, a network needs at least 64 addresses")
    return prefix


def parse_int(text, low, high, what):
    if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
        raise UsageError(f"'{text}' is not {what}, a number from {low} to {high}")
    return int(text)


def parse_time_ms(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s)", text)
    if not found:
        raise UsageError(f"'{text}' is not a time such as 500us, 20ms or 1s")
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def parse_percent(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text)
    if not found or float(found[1]) > 100:
        raise UsageError(f"'{text}' is not a share such as 2% or 0.5%")
    return float(found[1])


def parse_rate(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(kbit|mbit|gbit)", text)
    if not found or float(found[1]) == 0:
        raise UsageError(f"'{text}' is not a rate such as 256kbit, 10mbit or 1gbit")
    return float(found[1]) * {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}[found[2]]


def parse_impair(words):
    """'delay 50ms 10ms loss 2% reorder 1% duplicate 1% rate 10mbit' or 'off'."""
    if words == ["off"]:
        return {}
    if not words:
        raise UsageError("a link needs 'off' or some of: delay TIME [JITTER], loss SHARE,"
                         " reorder SHARE, duplicate SHARE, rate RATE")
    impair, words = {}, list(words)
    while words:
        word = words.pop(0)
        if word not in ("delay", "loss", "reorder", "duplicate", "rate"):
            raise UsageError(f"'{word}' is not a link property;"
                             " accepted: delay, loss, reorder, duplicate, rate, off")
        if not words:
            raise UsageError(f"'{word}' needs a value behind it")
        value = words.pop(0)
        if word == "delay":
            impair["delay"] = parse_time_ms(value)
            if words and words[0][0].isdigit():
                impair["jitter"] = parse_time_ms(words.pop(0))
        elif word == "rate":
            impair["rate"] = parse_rate(value)
        else:
            impair[word] = parse_percent(value)
    if impair.get("reorder") and not impair.get("delay"):
        raise UsageError("'reorder' lets packets overtake delayed ones, so it needs 'delay' too")
    return impair


# Statements -------------------------------------------------------------------------------

class Parser:
    def __init__(self):
        self.topo = Topology()

    def statement(self, words):
        handler = getattr(self, "do_" + words[0].replace("-", "_"), None)
        if not handler:
            names = [n[3:] for n in dir(self) if n.startswith("do_")]
            raise UsageError(f"'{words[0]}' is not a statement; accepted: {listed(names)}")
        handler(words[1:])

    def do_internet(self, words):
        """internet PREFIX [PREFIX]: the one public network; its core routes between members."""
        if "internet" in self.topo.nets:
            raise UsageError("there is one internet already, a second one is not supported")
        self.topo.nodes["internet"] = Node("internet", "internet")
        self.add_net("internet", "internet", words)

    def do_nat(self, words, kind=None):
        """nat NAME [kind KIND] on NET lan PREFIX [PREFIX] [options]"""
        node = Node(self.new_name(words), "gateway", kind or "easy")
        options = dict(kind=1, on=1, lan=(1, 2), public=(1, 2), mtu=1, timeout=1, ports=1,
                       hairpin=0, pmp=0, blackhole=0, offload=0, v4only=0, v6only=0)
        if kind:
            del options["kind"]
        found = self.options(words[1:], options, needed=("on", "lan"))
        if "kind" in found:
            node.kind = check_kind(found["kind"][0])
        node.hairpin, node.pmp = "hairpin" in found, "pmp" in found
        node.blackhole = "blackhole" in found
        if node.pmp and (node.kind not in TRANSLATING or node.kind == "udp-blocked"):
            raise UsageError(f"'pmp' opens ports of a translating NAT, not of kind {node.kind}")
        if "timeout" in found:
            node.timeout = parse_int(found["timeout"][0], 1, 86400, "a timeout in seconds")
        if "ports" in found:
            if found["ports"][0] not in ("preserve", "random"):
                raise UsageError(f"'ports {found['ports'][0]}' is unknown;"
                                 " accepted: preserve, random")
            node.preserve = found["ports"][0] == "preserve"
        self.topo.nodes[node.name] = node
        self.add_link(node.name, "wan", found["on"][0], found, found.get("public", ()))
        node.lan = node.name
        self.add_net(node.name, node.name, found["lan"])

    def do_firewall(self, words):
        """firewall NAME on NET lan PREFIX...: short for a nat of kind firewall"""
        self.do_nat(words, "firewall")

    def do_router(self, words):
        """router NAME on NET lan PREFIX...: short for a nat of kind open"""
        self.do_nat(words, "open")

    def do_host(self, words):
        """host NAME on NET[,NET] [addr ADDR [ADDR]] [addresses N] [mtu N] [v4only|v6only]"""
        name = self.new_name(words)
        found = self.options(words[1:], dict(on=1, addr=(1, 2), addresses=1, mtu=1, blackhole=0,
                                             offload=0, v4only=0, v6only=0), needed=("on",))
        self.topo.nodes[name] = Node(name, "host")
        for i, net in enumerate(found["on"][0].split(",")):
            self.add_link(name, f"eth{i}", net, found, found.get("addr", ()) if i == 0 else ())

    def do_link(self, words):
        """link NAME[:DEV] delay TIME [JITTER] loss SHARE ...: each way, so a ping takes twice it"""
        if not words:
            raise UsageError("'link' needs the name of a host or nat")
        self.topo.link(words[0]).impair = parse_impair(words[1:])

    def do_forward(self, words):
        """forward NAT udp|tcp PORT HOST[:PORT]"""
        add_forward(self.topo, words)

    def do_dns(self, words):
        """dns HOST: the resolver in everybody's resolv.conf"""
        if len(words) != 1:
            raise UsageError("'dns' needs the name of one host")
        self.topo.dns = self.topo.node(words[0], "host").name

    # Parts of statements

    def new_name(self, words):
        if not words:
            raise UsageError("a name is missing behind the keyword")
        name = words[0]
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,11}", name):
            raise UsageError(f"'{name}' is not a name; names have 1 to 12 characters out of"
                             " a-z 0-9 - and begin with a letter")
        if name in self.topo.nodes or name in ("lan", "wan", "lo", "wires"):
            raise UsageError(f"the name '{name}' is already taken")
        return name

    def options(self, words, accepted, needed):
        """Words into {option: values}; accepted says how many values each takes."""
        found, words = {}, list(words)
        while words:
            word = words.pop(0)
            if word not in accepted:
                raise UsageError(f"'{word}' is not understood here; accepted: {listed(accepted)}")
            if word in found:
                raise UsageError(f"'{word}' is given twice")
            low, high = accepted[word] if isinstance(accepted[word], tuple) \
                else (accepted[word], accepted[word])
            found[word] = []
            while words and len(found[word]) < high and words[0] not in accepted:
                found[word].append(words.pop(0))
            if len(found[word]) < low:
                raise UsageError(f"'{word}' needs a value behind it")
        for word in needed:
            if word not in found:
                raise UsageError(f"'{word}' is missing")
        return found

    def add_net(self, name, owner, prefixes):
        net = Net(name, owner)
        for text in prefixes:
            prefix = parse_prefix(text)
            slot = f"v{prefix.version}"
            if getattr(net, slot):
                raise UsageError(f"'{text}' is a second IPv{prefix.version} prefix of {name}")
            for other in self.topo.nets.values():
                if overlap(prefix, other.prefix(prefix.version)) and not \
                        self.may_overlap(net, other, prefix.version):
                    raise UsageError(f"'{text}' overlaps with the network {other.name}")
            setattr(net, slot, str(prefix))
        if not net.v4 and not net.v6:
            raise UsageError(f"{name} needs an IPv4 prefix, an IPv6 prefix or both")
        self.topo.nets[name] = net

    def may_overlap(self, net, other, version):
        """Many homes use 192.168.1.0/24; but nobody can route to the same prefix twice."""
        if version == 6 or other.is_internet or net.is_internet:
            return False
        above = net.name
        while above != "internet":
            if above == other.name:
                return False
            above = self.topo.links_of(above)[0].net
        kinds = {self.topo.nodes[n.owner].kind for n in (net, other)}
        return kinds <= set(TRANSLATING)

    def add_link(self, node, dev, net, found, wanted):
        if "v4only" in found and "v6only" in found:
            raise UsageError("'v4only' and 'v6only' exclude each other")
        families = (4,) if "v4only" in found else (6,) if "v6only" in found else (4, 6)
        link = Link(node, dev, "", len(self.topo.links), "", families=families,
                    blackhole="blackhole" in found, offload="offload" in found)
        if "mtu" in found:
            link.mtu = parse_int(found["mtu"][0], *MTU_RANGE, "an MTU")
            if link.mtu < 1280 and 6 in families and self.topo.net(net).v6:
                raise UsageError(f"mtu {link.mtu} is under 1280, the least that IPv6 works with;"
                                 " add v4only")
        if "addresses" in found:
            link.count = parse_int(found["addresses"][0], 1, 16, "a number of addresses")
        self.topo.assign(link, self.topo.net(net), wanted)
        self.topo.links.append(link)


def overlap(prefix, other):
    return other is not None and prefix.overlaps(other)


def check_kind(kind):
    if kind not in KINDS:
        raise UsageError(f"'{kind}' is not a kind of NAT; accepted: {listed(KINDS)}")
    return kind


def add_forward(topo, words):
    if len(words) != 4:
        raise UsageError("a forward is written: NAT udp|tcp PORT HOST[:PORT]")
    name, proto, port, target = words
    nat = topo.node(name, "gateway")
    if nat.kind not in TRANSLATING:
        raise UsageError(f"{name} translates nothing (kind {nat.kind}), so it forwards no port")
    if proto not in ("udp", "tcp"):
        raise UsageError(f"'{proto}' is not a protocol; accepted: udp, tcp")
    number = parse_int(port, 1, 65535, "a port")
    host, _, inner = target.partition(":")
    if not any(link.node == host and link.v4 for link in topo.members(nat.lan)):
        raise UsageError(f"'{host}' is not an IPv4 member of the network {nat.lan}")
    nat.forwards = [f for f in nat.forwards if f[:2] != [proto, number]]
    nat.forwards.append([proto, number, host,
                         parse_int(inner, 1, 65535, "a port") if inner else number])


def parse(text, name):
    """The whole text into a Topology. Errors carry the file name and the line."""
    parser = Parser()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            parser.statement(words)
        except UsageError as err:
            raise UsageError(f"{os.path.basename(name)}:{number}: {err}") from None
    if not parser.topo.nodes:
        raise UsageError(f"{os.path.basename(name)}: the topology is empty,"
                         " begin with 'internet PREFIX'")
    return parser.topo
