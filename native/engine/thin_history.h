#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/loss_marks.h"
#include "ring/packet_ring.h"

namespace pcap_ring {

// A few packets, evenly in time, of a stretch that is far longer than the ring: copies, bounded in number and in bytes.
// The capture thread's.
class ThinHistory {
 public:
  static constexpr size_t kMost = 128;

  // At most `most` packets and `max_bytes` over `lookback_ns`; a packet that is larger than that is passed over.
  ThinHistory(size_t most, size_t max_bytes, uint32_t largest, int64_t lookback_ns);

  // When the next one is due; kNever: none is to be kept.
  int64_t next_ns() const { return next_ns_; }
  // The clock was set: the next packet is due.
  void OnClockStep();
  // Takes packet `number`, stamped at or after next_ns(), and drops those that are older than the lookback.
  void Take(const Packet& packet, uint64_t number, const LossMarks::Totals& lost_before);

  size_t packets() const { return log_.packets(); }
  uint64_t bytes() const { return log_.bytes(); }
  // Of the i-th, oldest first: its number in the capture, what had been lost before it, and where it is.
  uint64_t NumberOf(size_t i) const { return EntryOf(i).number; }
  const LossMarks::Totals& LostBefore(size_t i) const { return EntryOf(i).lost_before; }
  Cursor Find(size_t i) const { return log_.Find(log_.oldest_number() + i); }
  int64_t TimeOf(size_t i) const { return EntryOf(i).time_ns; }

 private:
  struct Entry {
    uint64_t number = 0;
    int64_t time_ns = 0;
    LossMarks::Totals lost_before;
  };
  const Entry& EntryOf(size_t i) const { return entries_[(log_.oldest_number() + i) % entries_.size()]; }

  const int64_t lookback_ns_;
  const size_t max_bytes_;
  const int64_t every_ns_;
  int64_t next_ns_;
  PacketRing log_;
  std::vector<Entry> entries_;  // by the packet's number in the log
};

}  // namespace pcap_ring
