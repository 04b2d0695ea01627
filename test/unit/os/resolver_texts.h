/* Contents of /etc/resolv.conf as they are found on hosts, for the resolver's tests. */
#pragma once

extern const char text_plain[], text_resolved_stub[], text_resolved_uplink[],
    text_network_manager[], text_nm_with_resolved[], text_debian_resolvconf[], text_openresolv[],
    text_docker[], text_kubernetes[], text_dhclient[];
