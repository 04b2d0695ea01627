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
    lan = topo.nets[node.lan].v4
    ours = "{ " + ", ".join(topo.links_of(node.name)[0].v4) + " }"
    timeout = f"flags dynamic,timeout; timeout {node.timeout}s; size 65535;"
    pre, post = [], []
    maps = learn = ""

    forwards = ", ".join(f"{proto} . {port} : {topo.link(host).v4[0]} . {to}"
                         for proto, port, host, to in node.forwards)
    if forwards:
        maps += f"""	map forwards {{
		type inet_proto . inet_service : ipv4_addr . inet_service
		elements = {{ {forwards} }}
	}}
"""
        pre.append(f"ip daddr {ours} dnat ip to meta l4proto . th dport map @forwards")

    if node.kind in MAPPING:
        maps += f"""	map outside {{
		type ipv4_addr . inet_service : ipv4_addr . inet_service; {timeout}
	}}
	map inside {{
		type inet_service : ipv4_addr . inet_service; {timeout}
	}}
	set talked {{
		type inet_service . ipv4_addr; {timeout}
	}}
	set taken {{
		type inet_service; {timeout}
	}}
"""
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
        learn = f"""	chain learn {{
		type filter hook postrouting priority srcnat + 10;
		ip saddr != {public} return
		meta l4proto udp ct direction original update @outside {{ ct original ip saddr . ct original proto-src : ip saddr . udp sport }} update @inside {{ udp sport : ct original ip saddr . ct original proto-src }} update @talked {{ udp sport . ip daddr }} update @taken {{ udp sport }}
		meta l4proto udp ct direction reply update @outside {{ ct reply ip saddr . ct reply proto-src : ip saddr . udp sport }} update @inside {{ udp sport : ct reply ip saddr . ct reply proto-src }} update @talked {{ udp sport . ip daddr }} update @taken {{ udp sport }}
	}}
"""
    if node.preserve and node.kind != "hard":
        post.append(f"snat ip to {public}")
    else:
        post.append(f"meta l4proto {{ tcp, udp }} snat ip to {public}:1024-65535 fully-random")
        post.append(f"snat ip to {public}")

    # A gateway that does not hairpin takes packets for its public address as its own, and
    # those of its members are refused in silence.
    hairpin_drop = "" if node.hairpin else f"iifname lan ip daddr {ours} drop"
    if not node.hairpin:
        pre = [("" if rule.startswith("iifname") else "iifname wan ") + rule for rule in pre]
    out = "\n\t\t".join(f"{where} {rule}" for rule in post for where in
                        ["oifname wan"] +
                        ([f"ip saddr {lan} oifname lan ct status dnat"] if node.hairpin else []))
    pre_text = "\n\t\t".join(pre)
    return f"""
table ip lab_nat {{
{maps}	chain prerouting {{
		type nat hook prerouting priority dstnat;
		{pre_text}
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat;
		{out}
	}}
{learn}	chain refuse {{
		type filter hook prerouting priority dstnat - 10;
		{hairpin_drop}
	}}
}}
"""
