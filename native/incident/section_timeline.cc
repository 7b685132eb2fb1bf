#include "incident/section_timeline.h"

#include <algorithm>
#include <tuple>

namespace pcap_ring {
namespace {

// Towards the past, also of what is before the origin.
int64_t DivideDown(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

}  // namespace

// Timestamps are unsigned 32-bit seconds, so no difference of two overflows.
int64_t SectionTimeline::NumberOf(int64_t time_ns) const { return DivideDown(time_ns - origin_ns_, length_ns_); }

void SectionTimeline::Add(Section section, int64_t time_ns, uint32_t len) {
  if (origin_ns_ == kNever) origin_ns_ = time_ns;
  Slot fresh = {section, NumberOf(time_ns), 1, len};
  const auto earlier = [](const Slot& left, const Slot& right) {
    return std::tie(left.section, left.number) < std::tie(right.section, right.number);
  };
  // Nearly always the last, or one behind it.
  auto place = slots_.end();
  if (!slots_.empty() && !earlier(slots_.back(), fresh)) {
    place = std::lower_bound(slots_.begin(), slots_.end(), fresh, earlier);
    if (!earlier(fresh, *place)) {
      ++place->packets;
      place->bytes += len;
      return;
    }
  }
  slots_.insert(place, fresh);
  while (slots_.size() > kMaxSlots) Halve();
}

// Neighbours on the grid become one, sections stay apart. Slots far from each other may need several rounds.
void SectionTimeline::Halve() {
  length_ns_ *= 2;
  size_t kept = 0;
  for (Slot slot : slots_) {
    slot.number = DivideDown(slot.number, 2);
    if (kept > 0 && slots_[kept - 1].section == slot.section && slots_[kept - 1].number == slot.number) {
      slots_[kept - 1].packets += slot.packets;
      slots_[kept - 1].bytes += slot.bytes;
    } else {
      slots_[kept++] = slot;
    }
  }
  slots_.resize(kept);
}

}  // namespace pcap_ring
