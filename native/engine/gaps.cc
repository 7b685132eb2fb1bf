#include "engine/gaps.h"

namespace pcap_ring {

void Gaps::Add(const Gap& gap) {
  any_open_ |= gap.open;
  if (!gaps_.empty()) {
    Gap& last = gaps_.back();
    // Seen at two readings of a counter.
    if (last.reason == gap.reason && last.to_ns == gap.to_ns && last.counted == gap.counted &&
        last.exact == gap.exact && last.open == gap.open) {
      last.packets += gap.packets;
      return;
    }
  }
  if (gaps_.size() == kMost) {
    for (const GapReason reason :
         {GapReason::kRing, GapReason::kKernel, GapReason::kSampling, GapReason::kDeviceDown}) {
      for (const bool counted : {true, false}) Merge(reason, counted);
    }
  }
  gaps_.push_back(gap);
}

void Gaps::CloseAll(int64_t to_ns) {
  any_open_ = false;
  for (Gap& gap : gaps_) {
    if (gap.open) gap.to_ns = to_ns;
    gap.open = false;
  }
}

// Every other one of these is added to the one before it.
void Gaps::Merge(GapReason reason, bool counted) {
  size_t kept = 0;
  Gap* open = nullptr;
  for (const Gap& gap : gaps_) {
    const bool matches = gap.reason == reason && gap.counted == counted;
    if (matches && open != nullptr) {
      open->to_ns = gap.to_ns;
      open->open = gap.open;
      open->packets += gap.packets;
      open->exact = open->exact && gap.exact;
      open = nullptr;
      continue;
    }
    gaps_[kept] = gap;
    if (matches) open = &gaps_[kept];
    ++kept;
  }
  gaps_.resize(kept);
}

}  // namespace pcap_ring
