#include "traffic/cardinality.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace pcap_ring {
namespace {

constexpr double kM = Cardinality::kRegisters;
constexpr int kMaxRank = 64 - Cardinality::kBits + 1;

// The two series of Ertl's algorithm 6, summed until they stand still.
double Sigma(double x) {
  if (x == 1) return INFINITY;
  double y = 1;
  double z = x;
  for (double before = -1; z != before;) {
    before = z;
    x *= x;
    z += x * y;
    y += y;
  }
  return z;
}

double Tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  for (double before = -1; z != before;) {
    before = z;
    x = std::sqrt(x);
    y /= 2;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

}  // namespace

void Cardinality::Add(uint64_t hash) {
  uint8_t& highest = registers_[hash >> (64 - kBits)];
  // The bit below the last ends the run of zeros, so that a rank never exceeds kMaxRank.
  const int rank = std::countl_zero(hash << kBits | uint64_t{1} << (kBits - 1)) + 1;
  highest = std::max(highest, static_cast<uint8_t>(rank));
}

uint64_t Cardinality::Estimate() const {
  std::array<uint32_t, kMaxRank + 1> with_rank = {};
  for (const uint8_t rank : registers_) ++with_rank[rank];
  double z = kM * Tau(1 - with_rank[kMaxRank] / kM);
  for (int rank = kMaxRank - 1; rank >= 1; --rank) z = (z + with_rank[static_cast<size_t>(rank)]) / 2;
  z += kM * Sigma(with_rank[0] / kM);
  return static_cast<uint64_t>(std::llround(kM * kM / (2 * std::log(2.0) * z)));
}

}  // namespace pcap_ring
