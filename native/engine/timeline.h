#pragma once

#include <vector>

#include "engine/types.h"

namespace pcap_ring {

// The course of an incident in at most kMaxSlots slots: when they run out, neighbours are merged.
class Timeline {
 public:
  static constexpr size_t kMaxSlots = 600;

  void Add(const TimelineSlot& slot);
  std::vector<TimelineSlot> Take() { return std::move(slots_); }

 private:
  std::vector<TimelineSlot> slots_;
  size_t per_slot_ = 1;  // how many additions make a slot
  size_t in_last_ = 0;
};

}  // namespace pcap_ring
