/*
 * app/tunnel/tunnel.h - `weftd tunnel`: a plain WireGuard interface from a wg-quick file.
 *
 * No network map, no relays: peers and endpoints as configured, roaming as WireGuard roams, `wg` to
 * look at it and to change it.
 */
#pragma once

int tunnel_main(int argc, char **argv); /* argv[0] is "tunnel"; the exit status */
