/*
 * wire/inetsum.h - the Internet checksum (RFC 1071), fast enough for the datapath.
 *
 * A running sum is a 64-bit number in which carries pile up; fold it once at the end. All pieces
 * but the last must have an even length.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

uint64_t inetsum_add(uint64_t sum, const void *p, size_t n);
/* Adds while copying: one pass over the bytes. out and in do not overlap. */
uint64_t inetsum_copy(uint64_t sum, void *out, const void *in, size_t n);
/* Adds one 16-bit number given in host order. */
uint64_t inetsum_u16(uint64_t sum, uint16_t v);
/* Sum of source and destination of the packet at ip, protocol and transport length. */
uint64_t inetsum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t length);
/* One's complement sum as host-order number; its complement goes into the header. */
uint16_t inetsum_fold(uint64_t sum);
