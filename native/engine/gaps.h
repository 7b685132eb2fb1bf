#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pcap_ring {

enum class GapReason { kRing, kKernel, kSampling, kDeviceDown };

// Packets that are missing between two that were recorded.
struct Gap {
  int64_t from_ns = 0;  // the packet before
  int64_t to_ns = 0;    // the packet after
  uint64_t packets = 0;
  bool exact = true;     // false: `packets` is counted, but may have fallen elsewhere
  bool counted = true;   // false: nobody knows how many
  GapReason reason = GapReason::kKernel;
  bool open = false;     // it ends with what follows the packet at `to_ns`
};

// The gaps of a recording, in its order, at most kMost: when they run out, neighbours of the same reason are merged.
class Gaps {
 public:
  static constexpr size_t kMost = 256;

  void Add(const Gap& gap);
  // The next packet that is recorded is here: open ones end with it.
  void Close(int64_t to_ns) {
    if (any_open_) CloseAll(to_ns);
  }
  std::vector<Gap> Take() { return std::move(gaps_); }

 private:
  void CloseAll(int64_t to_ns);
  void Merge(GapReason reason, bool counted);

  std::vector<Gap> gaps_;
  bool any_open_ = false;
};

}  // namespace pcap_ring
