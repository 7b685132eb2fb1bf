#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace pcap_ring {

// SHA-256 (FIPS 180-4), streaming. Our own because the core links neither Node nor OpenSSL and the digest must be taken
// on the writer's thread, while the bytes are still in its cache.
class Sha256 {
 public:
  Sha256();
  void Update(const void* data, size_t size);
  // Ends the stream; 64 lower-case hexadecimal digits.
  std::string HexDigest();

 private:
  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> pending_;
  size_t pending_size_ = 0;
  uint64_t total_ = 0;
};

}  // namespace pcap_ring
