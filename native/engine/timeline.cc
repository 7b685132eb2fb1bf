#include "engine/timeline.h"

namespace pcap_ring {

void Timeline::Add(const TimelineSlot& slot) {
  if (in_last_ > 0 && in_last_ < per_slot_) {
    slots_.back().packets += slot.packets;
    slots_.back().bytes += slot.bytes;
    ++in_last_;
    return;
  }
  if (slots_.size() == kMaxSlots) {
    for (size_t i = 0; i < kMaxSlots / 2; ++i) {
      slots_[i] = {slots_[2 * i].at_ns, slots_[2 * i].packets + slots_[2 * i + 1].packets,
                   slots_[2 * i].bytes + slots_[2 * i + 1].bytes};
    }
    slots_.resize(kMaxSlots / 2);
    per_slot_ *= 2;
  }
  slots_.push_back(slot);
  in_last_ = 1;
}

}  // namespace pcap_ring
