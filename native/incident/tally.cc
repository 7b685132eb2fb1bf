#include "incident/tally.h"

#include <algorithm>

namespace pcap_ring {

void Tally::Add(Section section, int64_t time_ns, uint32_t len) {
  time_ns = CutTime(time_ns, precision_);
  if (Begins(section)) {
    sections_.push_back({section, 0, 0, time_ns, time_ns, packets_ + 1});
  }
  SectionTally& tally = sections_.back();
  ++tally.packets;
  tally.bytes += len;
  tally.from_ns = std::min(tally.from_ns, time_ns);
  tally.to_ns = std::max(tally.to_ns, time_ns);
  from_ns_ = std::min(from_ns_, time_ns);
  to_ns_ = std::max(to_ns_, time_ns);
  if (time_ns < since_ns_) ++before_onset_;
  if (packets_ == 0) {
    first_ns_ = time_ns;
  } else if (time_ns < last_ns_) {
    ++back_steps_;
    largest_back_step_ns_ = std::max(largest_back_step_ns_, last_ns_ - time_ns);
  }
  last_ns_ = time_ns;
  ++packets_;
}

}  // namespace pcap_ring
