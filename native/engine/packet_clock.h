#pragma once

#include <algorithm>
#include <cstdint>

#include "source/replay_source.h"

namespace pcap_ring {

// A replay's time: the running maximum of the timestamps. A timestamp more than a day ahead of its neighbours on both
// sides (at the ends of a recording: of its one neighbour) is damage and does not move it.
class PacketClock {
 public:
  static bool Moves(const ReplaySource::Item& item) {
    if (!item.previous_ns && !item.next_ns) return true;
    return !(FarAhead(item.packet.time_ns(), item.previous_ns) && FarAhead(item.packet.time_ns(), item.next_ns));
  }

  bool started() const { return started_; }
  int64_t now_ns() const { return now_ns_; }
  void Start(int64_t time_ns) {
    started_ = true;
    now_ns_ = time_ns;
  }
  void Advance(int64_t time_ns) { now_ns_ = std::max(now_ns_, time_ns); }

 private:
  static bool FarAhead(int64_t time_ns, const std::optional<int64_t>& neighbour_ns) {
    return !neighbour_ns || time_ns - *neighbour_ns > kDayNs;
  }
  static constexpr int64_t kDayNs = 86'400 * kNsPerSec;

  bool started_ = false;
  int64_t now_ns_ = 0;
};

}  // namespace pcap_ring
