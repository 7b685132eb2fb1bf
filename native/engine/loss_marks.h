#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "engine/gaps.h"

namespace pcap_ring {

// Where in the sequence of captured packets how much was lost, so that the loss between any two packets that are still in
// the ring can be told. Outside the ring, so that no marker ever takes the place of evidence.
//
// A loss is seen when a counter is read, while packets from before it still wait in the kernel's buffer. It is placed
// when the first packet comes that was stamped after it. The capture thread's.
class LossMarks {
 public:
  struct Totals {
    uint64_t kernel = 0;
    uint64_t interface = 0;
    bool operator==(const Totals&) const = default;
    Totals operator-(const Totals& earlier) const { return {kernel - earlier.kernel, interface - earlier.interface}; }
  };

  // `unplaced`: readings that may wait for their place; `marks`: places that are remembered. Of more than these, the
  // newest unplaced become one, and the oldest places are forgotten.
  LossMarks(size_t unplaced, size_t marks) : unplaced_(unplaced), marks_(marks) {}

  // The counters were read. No packet stamped at or after `before_ns` was taken before what they tell was lost.
  void See(Totals totals, int64_t before_ns) {
    if (totals == seen_) return;
    seen_ = totals;
    if (unplaced_count_ < unplaced_.size()) ++unplaced_count_;
    unplaced_[(unplaced_first_ + unplaced_count_ - 1) % unplaced_.size()] = {before_ns, totals};
  }
  const Totals& seen() const { return seen_; }

  // The next packet stamped at or after this needs a call of Place first; kNever if all is placed.
  int64_t next_ns() const { return unplaced_count_ == 0 ? kNever : unplaced_[unplaced_first_].before_ns; }
  // Packet number `sequence` is the next, stamped `time_ns`; kNever: whatever its time.
  void Place(uint64_t sequence, int64_t time_ns) {
    while (unplaced_count_ > 0 && (time_ns == kNever || unplaced_[unplaced_first_].before_ns <= time_ns)) {
      marks_[count_++ % marks_.size()] = {sequence, placed_};
      placed_ = unplaced_[unplaced_first_].totals;
      unplaced_first_ = (unplaced_first_ + 1) % unplaced_.size();
      --unplaced_count_;
    }
  }
  // What was lost before the packet captured last.
  const Totals& placed() const { return placed_; }

  // Calls fn(sequence, lost) for every loss right before packet number `sequence`, of those behind number `first` up to
  // number `last`, in order.
  template <typename Fn>
  void Between(uint64_t first, uint64_t last, Fn fn) const {
    const size_t kept = count_ < marks_.size() ? count_ : marks_.size();
    for (size_t i = count_ - kept; i < count_; ++i) {
      const Mark& mark = marks_[i % marks_.size()];
      if (mark.sequence <= first || mark.sequence > last) continue;
      const Totals& after = i + 1 < count_ ? marks_[(i + 1) % marks_.size()].before : placed_;
      fn(mark.sequence, after - mark.before);
    }
  }
  // What was lost before packet number `sequence`.
  Totals At(uint64_t sequence) const {
    Totals totals = placed_;
    for (size_t i = count_; i > 0 && count_ - i < marks_.size(); --i) {
      const Mark& mark = marks_[(i - 1) % marks_.size()];
      if (mark.sequence <= sequence) break;
      totals = mark.before;
    }
    return totals;
  }

 private:
  struct Reading {
    int64_t before_ns = 0;
    Totals totals;
  };
  struct Mark {
    uint64_t sequence = 0;
    Totals before;
  };

  std::vector<Reading> unplaced_;  // a ring
  size_t unplaced_first_ = 0;
  size_t unplaced_count_ = 0;
  std::vector<Mark> marks_;  // a ring
  size_t count_ = 0;
  Totals seen_;
  Totals placed_;
};

// The interface's counters are read once an interval, so where in it its losses fell is not known.
inline Gap LossGap(int64_t from_ns, int64_t to_ns, const LossMarks::Totals& lost) {
  return {from_ns, to_ns, lost.kernel + lost.interface, lost.interface == 0, true, GapReason::kKernel};
}

}  // namespace pcap_ring
