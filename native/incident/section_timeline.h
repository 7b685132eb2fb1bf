#pragma once

#include <cstdint>
#include <vector>

#include "engine/types.h"

namespace pcap_ring {

// The course of a file's packets, section by section, in at most kMaxSlots slots. As in engine/timeline, slots double in
// length when they run out; but packets, unlike intervals, come with gaps, step back, and are damaged to decades away.
// So a slot is a place on a grid that starts at the freeze, and only those are kept that a packet fell into. Their
// length is thereby 1 ms × 2^n with the smallest n that the number of slots allows, in whatever order packets come.
class SectionTimeline {
 public:
  static constexpr size_t kMaxSlots = 600;
  static constexpr int64_t kFirstLengthNs = kNsPerMs;

  struct Slot {
    Section section = Section::kPreBuffer;
    int64_t number = 0;  // on the grid; negative before the freeze
    uint64_t packets = 0;
    uint64_t bytes = 0;
  };

  // kNever: the grid starts at the first packet.
  explicit SectionTimeline(int64_t origin_ns) : origin_ns_(origin_ns) {}

  // Sections in file order; times in any.
  void Add(Section section, int64_t time_ns, uint32_t len);

  // By section, then by time.
  const std::vector<Slot>& slots() const { return slots_; }
  int64_t StartNs(const Slot& slot) const { return origin_ns_ + slot.number * length_ns_; }

 private:
  int64_t NumberOf(int64_t time_ns) const;
  void Halve();

  int64_t origin_ns_;
  int64_t length_ns_ = kFirstLengthNs;
  std::vector<Slot> slots_;
};

}  // namespace pcap_ring
