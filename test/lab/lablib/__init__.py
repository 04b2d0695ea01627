"""The network lab: hosts, routers and NATs out of network namespaces. See doc/design/lab.md."""
