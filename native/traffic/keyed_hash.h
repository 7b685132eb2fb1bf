#pragma once

#include <cstddef>
#include <cstdint>

namespace pcap_ring {

// SipHash-1-3 (Aumasson, Bernstein 2012) under a key that this process drew at random. Whoever floods us picks the
// addresses, so a hash that he can compute would let him pick collisions, too. Other in every process.
uint64_t KeyedHash(const uint8_t* bytes, size_t size);

// The same under a given key; apart, so that it can be held against published vectors.
uint64_t SipHash13(uint64_t key0, uint64_t key1, const uint8_t* bytes, size_t size);

}  // namespace pcap_ring
