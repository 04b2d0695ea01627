"""What a gateway does to packets, as nftables rules.

Linux by itself offers a hard NAT (masquerade fully-random) and something in between. A NAT
with endpoint-independent mapping needs a memory of its own, which packets fill as they leave:

    outside  inside address . port     -> public address . port   reuse it for all destinations
    inside   public port               -> inside address . port   where to send what comes in
    talked   public port . remote      the filter of kind 'easy': has this address been sent to?
    taken    public port               in use, do not hand it out again

The first packet of a flow looks up 'outside' before it is translated and is written to all
four after it; all entries expire like a connection does. TCP is always translated per flow.
"""
from .topology import TRANSLATING

MAPPING = ("full-cone", "easy", "port-restricted")  # kinds with endpoint-independent mapping
TOO_BIG = """
		icmp type destination-unreachable icmp code frag-needed drop
		icmpv6 type packet-too-big drop"""


def rules(topo, node):
    """The complete ruleset of one gateway; loading it forgets all mappings."""
    text = "flush ruleset\n" + filter_table(topo, node)
    public = topo.links_of(node.name)[0].v4
    if node.kind in TRANSLATING and public and topo.nets[node.lan].v4:
        text += nat_table(topo, node, public[0])
    return text


def filter_table(topo, node):
    blackhole = TOO_BIG if node.blackhole else ""
    if node.kind == "open":
        inbound = outbound = "accept"
        known = refuse = ""
    else:
        known = "ct state established,related accept"
        refuse = "iifname wan meta l4proto != { icmp, ipv6-icmp } drop"
        # What was let in by name: a forwarded port, an open mapping, a hairpin.
        inbound = "ct status dnat accept"
        outbound = "tcp dport { 80, 443 } accept" if node.kind == "udp-blocked" else "accept"
    return f"""
table inet lab_filter {{
	chain input {{
		type filter hook input priority filter; policy accept;
		{known}
		{refuse}
	}}
	chain forward {{
		type filter hook forward priority filter; policy drop;{blackhole}
		{known}
		iifname lan oifname wan {outbound}
		{inbound}
	}}
	chain output {{
		type filter hook output priority filter; policy accept;{blackhole}
	}}
}}
"""


def nat_table(topo, node, public):
    ours = "{ " + ", ".join(topo.links_of(node.name)[0].v4) + " }"
    # A gateway without hairpin takes no packet of its members for its public address.
    from_wan = "" if node.hairpin else "iifname wan "
    maps = learn = ""
    pre, post = [], []

    if node.forwards:
        maps += forward_map(topo, node)
        pre.append(f"{from_wan}ip daddr {ours} dnat ip to meta l4proto . th dport map @forwards")
    if node.kind in MAPPING:
        maps += mapping_maps(node.timeout)
        learn = learn_chain(public)
        let_in = f"ip daddr {public} dnat ip to udp dport map @inside"
        if node.kind == "full-cone":
            pre.append("iifname wan " + let_in)
        elif node.kind == "easy":
            pre.append("iifname wan udp dport . ip saddr @talked " + let_in)
        if node.hairpin:
            pre.append("iifname lan " + let_in)
        post.append("meta l4proto udp snat ip to ip saddr . udp sport map @outside")
        if node.preserve:
            post.append(f"udp sport != @taken snat ip to {public}")
            post.append(f"meta l4proto udp snat ip to {public}:1024-65535 fully-random")
    if not node.preserve or node.kind == "hard":
        post.append(f"meta l4proto {{ tcp, udp }} snat ip to {public}:1024-65535 fully-random")
    post.append(f"snat ip to {public}")

    # Members that meet at the public address appear to each other under it as well.
    leaving = ["oifname wan"]
    if node.hairpin:
        leaving.append(f"ip saddr {topo.nets[node.lan].v4} oifname lan ct status dnat")
    post = [f"{where} {rule}" for rule in post for where in leaving]
    refused = "" if node.hairpin else f"iifname lan ip daddr {ours} drop"
    return f"""
table ip lab_nat {{
{maps}	chain prerouting {{
		type nat hook prerouting priority dstnat;
		{lines(pre)}
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat;
		{lines(post)}
	}}
{learn}	chain refuse {{
		type filter hook prerouting priority dstnat - 10;
		{refused}
	}}
}}
"""


def lines(rules_):
    return "\n\t\t".join(rules_)


def forward_map(topo, node):
    # A forward to a host that has moved away leads nowhere, until it is back.
    inside = {link.node: link.v4[0] for link in topo.members(node.lan) if link.v4}
    entries = ", ".join(f"{proto} . {port} : {inside[host]} . {to}"
                        for proto, port, host, to in node.forwards if host in inside)
    elements = f"elements = {{ {entries} }}" if entries else ""
    return f"""	map forwards {{
		type inet_proto . inet_service : ipv4_addr . inet_service
		{elements}
	}}
"""


def mapping_maps(timeout):
    flags = f"flags dynamic,timeout; timeout {timeout}s; size 65535;"
    return f"""	map outside {{
		type ipv4_addr . inet_service : ipv4_addr . inet_service; {flags}
	}}
	map inside {{
		type inet_service : ipv4_addr . inet_service; {flags}
	}}
	set talked {{
		type inet_service . ipv4_addr; {flags}
	}}
	set taken {{
		type inet_service; {flags}
	}}
"""


def learn_chain(public):
    """After translation the packet has its public source; conntrack still knows the inside one,
    which is the source of the flow or, if somebody outside began it, that of the answers."""
    rule = """meta l4proto udp ct direction {0} \
			update @outside {{ ct {0} ip saddr . ct {0} proto-src : ip saddr . udp sport }} \
			update @inside {{ udp sport : ct {0} ip saddr . ct {0} proto-src }} \
			update @talked {{ udp sport . ip daddr }} \
			update @taken {{ udp sport }}"""
    return f"""	chain learn {{
		type filter hook postrouting priority srcnat + 10;
		ip saddr != {public} return
		{rule.format("original")}
		{rule.format("reply")}
	}}
"""
