#include "engine/thin_history.h"

#include <algorithm>

namespace pcap_ring {

ThinHistory::ThinHistory(size_t most, size_t max_bytes, uint32_t largest, int64_t lookback_ns)
    : lookback_ns_(lookback_ns),
      max_bytes_(max_bytes),
      every_ns_(most == 0 ? kNever : std::max<int64_t>(1, lookback_ns / static_cast<int64_t>(most))),
      next_ns_(most == 0 ? kNever : 0),
      log_(std::max<size_t>(most, 1), max_bytes, largest),
      entries_(std::max<size_t>(most, 1)) {}

void ThinHistory::OnClockStep() {
  if (next_ns_ != kNever) next_ns_ = 0;
}

void ThinHistory::Take(const Packet& packet, uint64_t number, const LossMarks::Totals& lost_before) {
  const int64_t time_ns = packet.time_ns();
  while (log_.packets() > 0 && time_ns - TimeOf(0) > lookback_ns_) log_.EvictOldest();
  // A writer may still hold all of its slabs, for a moment.
  if (packet.caplen <= max_bytes_ && log_.Push(packet))
    entries_[(log_.pushed() - 1) % entries_.size()] = {number, time_ns, lost_before};
  // On a grid, so that a packet that comes late does not make all that follow late. Large ones are fewer: each takes a
  // share of the lookback like its share of the bytes.
  const bool on_grid = time_ns - next_ns_ < every_ns_;
  next_ns_ = (on_grid ? next_ns_ : time_ns) + every_ns_;
  const double share = std::min(1.0, static_cast<double>(packet.caplen) / static_cast<double>(max_bytes_));
  next_ns_ = std::max(next_ns_, time_ns + static_cast<int64_t>(share * static_cast<double>(lookback_ns_)));
}

}  // namespace pcap_ring
