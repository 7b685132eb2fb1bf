#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "incident/types.h"

namespace pcap_ring {

struct SectionTally {
  Section section = Section::kPreBuffer;
  uint64_t packets = 0;
  uint64_t bytes = 0;  // original lengths
  int64_t from_ns = 0;
  int64_t to_ns = 0;
  uint64_t first_frame = 0;  // counted from 1, as Wireshark does
};

// What is in a file, kept while its packets are written (or scanned), by the times that are in the file. Copyable: a copy is
// what was last safe.
class Tally {
 public:
  explicit Tally(int64_t since_ns = kNever, Precision precision = Precision::kNano)
      : precision_(precision), since_ns_(CutTime(since_ns, precision)) {}

  void Add(Section section, int64_t time_ns, uint32_t len);
  // Whether the next packet, if of this section, is the section's first.
  bool Begins(Section section) const { return sections_.empty() || sections_.back().section != section; }

  uint64_t packets() const { return packets_; }
  const std::vector<SectionTally>& sections() const { return sections_; }
  // Smallest and largest packet time; only while packets() > 0.
  int64_t from_ns() const { return from_ns_; }
  int64_t to_ns() const { return to_ns_; }
  uint64_t before_onset() const { return before_onset_; }
  int64_t before_onset_ns() const {
    return std::max<int64_t>(0, since_ns_ - first_ns_);
  }  // from the first packet in the file
  uint64_t back_steps() const { return back_steps_; }
  int64_t largest_back_step_ns() const { return largest_back_step_ns_; }

 private:
  Precision precision_;
  int64_t since_ns_;
  std::vector<SectionTally> sections_;
  uint64_t packets_ = 0;
  int64_t from_ns_ = INT64_MAX;
  int64_t to_ns_ = INT64_MIN;
  int64_t first_ns_ = 0;
  int64_t last_ns_ = 0;
  uint64_t before_onset_ = 0;
  uint64_t back_steps_ = 0;
  int64_t largest_back_step_ns_ = 0;
};

}  // namespace pcap_ring
