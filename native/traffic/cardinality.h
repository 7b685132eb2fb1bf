#pragma once

#include <array>
#include <cstdint>

namespace pcap_ring {

// HyperLogLog (Flajolet et al. 2007): how many different hashes there were, in 16 KiB however many. The estimate is that
// of Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), which needs no table of biases.
// Standard error 1.04 / sqrt(16384) = 0.81 %.
class Cardinality {
 public:
  static constexpr int kBits = 14;
  static constexpr uint32_t kRegisters = 1u << kBits;

  // A hash of 64 good bits.
  void Add(uint64_t hash);
  uint64_t Estimate() const;

 private:
  std::array<uint8_t, kRegisters> registers_ = {};
};

}  // namespace pcap_ring
