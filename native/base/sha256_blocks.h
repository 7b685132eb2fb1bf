#pragma once

#include <cstddef>
#include <cstdint>

namespace pcap_ring {

// The round constants of FIPS 180-4, 4.2.2.
extern const uint32_t kSha256Rounds[64];

// What a hash's state becomes by so many blocks of 64 bytes.
using Sha256Blocks = void (*)(uint32_t state[8], const uint8_t* bytes, size_t blocks);

void Sha256BlocksPortable(uint32_t state[8], const uint8_t* bytes, size_t blocks);
// By the processor's own instructions, some five times as fast; nullptr where it has none.
Sha256Blocks Sha256BlocksOfProcessor();

}  // namespace pcap_ring
