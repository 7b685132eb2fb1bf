#include "engine/gaps.h"

#include <algorithm>

namespace pcap_ring {

void Gaps::Add(const Gap& gap) {
  if (!gaps_.empty()) {
    Gap& last = gaps_.back();
    // Seen at two readings of a counter.
    if (last.reason == gap.reason && last.to_ns == gap.to_ns && last.counted && gap.counted) {
      last.packets += gap.packets;
      last.exact = last.exact && gap.exact;
      return;
    }
  }
  if (gaps_.size() == kMost) {
    for (const GapReason reason : {GapReason::kRing, GapReason::kKernel}) Merge(reason);
  }
  gaps_.push_back(gap);
}

// Every other one of that reason is added to the one before it.
void Gaps::Merge(GapReason reason) {
  Gap* open = nullptr;
  for (Gap& gap : gaps_) {
    if (gap.reason != reason || !gap.counted) continue;
    if (open == nullptr) {
      open = &gap;
      continue;
    }
    open->to_ns = gap.to_ns;
    open->packets += gap.packets;
    open->exact = open->exact && gap.exact;
    gap.packets = 0;
    open = nullptr;
  }
  std::erase_if(gaps_, [](const Gap& gap) { return gap.counted && gap.packets == 0; });
}

}  // namespace pcap_ring
