#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "engine/gaps.h"
#include "engine/sampling_marks.h"

namespace pcap_ring {

// Where in the sequence of captured packets how much is missing, so that what is missing between any two packets that are
// still in the ring can be told: what was lost, and what the kernel left out as it kept 1 of N. Outside the ring, so that no
// marker ever takes the place of evidence.
//
// A loss is seen when a counter is read, while packets from before it still wait in the kernel's buffer. It is placed
// when the first packet from behind it comes. The capture thread's.
class LossMarks {
 public:
  struct Totals {
    uint64_t kernel = 0;
    uint64_t interface = 0;
    uint64_t outages = 0;  // how often the device was away, with nobody to count what passed
    uint64_t left_out = 0;  // by sampling: an estimate
    bool operator==(const Totals&) const = default;
    Totals operator+(const Totals& more) const {
      return {kernel + more.kernel, interface + more.interface, outages + more.outages, left_out + more.left_out};
    }
    Totals operator-(const Totals& earlier) const {
      return {kernel - earlier.kernel, interface - earlier.interface, outages - earlier.outages,
              left_out > earlier.left_out ? left_out - earlier.left_out : 0};
    }
  };

  // By what the first packet from behind a loss is known: it begins the next block in this place of the kernel's buffer;
  // or (0) it is stamped at or after this time; or (kNever) it comes after the buffer was found empty.
  struct Due {
    uintptr_t slot = 0;
    int64_t time_ns = kNever;
    bool operator==(const Due&) const = default;
  };

  // `unplaced`: losses that may wait for their place; `marks`: places that are remembered. Of more than these, neighbours
  // are merged.
  LossMarks(size_t unplaced, size_t marks) : unplaced_(unplaced), marks_(marks) {}

  void See(const Totals& lost, Due due) {
    seen_ = seen_ + lost;
    const bool new_one = unplaced_count_ == 0 || !(Unplaced(unplaced_count_ - 1).due == due);
    if (new_one && unplaced_count_ < unplaced_.size()) {
      Unplaced(unplaced_count_++) = {due, lost};
    } else {
      Seen& last = Unplaced(unplaced_count_ - 1);
      last = {due, last.lost + lost};
    }
  }
  // All that was lost up to now.
  const Totals& seen() const { return seen_; }

  bool any_unplaced() const { return unplaced_count_ > 0; }
  // The next packet stamped at or after this is to be told of (PlaceByTime); kNever for none.
  int64_t next_ns() const { return unplaced_count_ == 0 ? kNever : unplaced_[unplaced_first_].due.time_ns; }

  // The next packet is number `sequence`, and of those captured number `oldest` and later are still asked for.
  struct Position {
    uint64_t sequence = 0;
    uint64_t oldest = 0;
  };
  void PlaceBySlot(Position at, uintptr_t slot) {
    while (unplaced_count_ > 0 && Unplaced(0).due.slot == slot) PlaceFirst(at);
  }
  void PlaceByTime(Position at, int64_t time_ns) {
    while (unplaced_count_ > 0 && Unplaced(0).due.slot == 0 && Unplaced(0).due.time_ns <= time_ns) PlaceFirst(at);
  }
  void PlaceAll(Position at) {
    while (unplaced_count_ > 0) PlaceFirst(at);
  }
  // At once, before all that is not placed yet.
  void SeeHere(const Totals& lost, Position at) {
    seen_ = seen_ + lost;
    Mark(at, lost);
  }

  // Packet `number`, a captured one or the next, and all behind it are 1 of `n`.
  void Sample(uint64_t number, uint32_t n, uint64_t oldest, const StepCall& call) {
    sampling_.Step(number, n, oldest, call);
    placed_.left_out = sampling_.LeftOutBefore(number);
  }
  const SamplingMarks& sampling() const { return sampling_; }

  // What is missing before the packet captured last, if that one is 1 of 1.
  const Totals& placed() const { return placed_; }

  // Calls fn(sequence, lost) for every loss right before packet number `sequence`, of those behind number `first` up to
  // number `last`, in order.
  template <typename Fn>
  void Between(uint64_t first, uint64_t last, Fn fn) const {
    for (size_t i = 0; i < count_; ++i) {
      const Placed& mark = At(i);
      if (mark.sequence <= first || mark.sequence > last) continue;
      Totals lost = (i + 1 < count_ ? At(i + 1).before : placed_) - mark.before;
      lost.left_out = 0;
      fn(mark.sequence, lost);
    }
  }
  // What is missing before packet number `sequence`.
  Totals Before(uint64_t sequence) const {
    Totals totals = placed_;
    for (size_t i = count_; i > 0 && At(i - 1).sequence > sequence; --i) totals = At(i - 1).before;
    totals.left_out = sampling_.LeftOutBefore(sequence);
    return totals;
  }

 private:
  struct Seen {
    Due due;
    Totals lost;
  };
  struct Placed {
    uint64_t sequence = 0;
    Totals before;
  };

  Seen& Unplaced(size_t i) { return unplaced_[(unplaced_first_ + i) % unplaced_.size()]; }
  Placed& At(size_t i) { return marks_[(first_ + i) % marks_.size()]; }
  const Placed& At(size_t i) const { return marks_[(first_ + i) % marks_.size()]; }

  void PlaceFirst(Position at) {
    const Totals lost = Unplaced(0).lost;
    unplaced_first_ = (unplaced_first_ + 1) % unplaced_.size();
    --unplaced_count_;
    Mark(at, lost);
  }

  void Mark(Position at, const Totals& lost) {
    if (count_ == 0 || At(count_ - 1).sequence != at.sequence) {
      if (count_ == marks_.size()) Forget(at.oldest);
      At(count_++) = {at.sequence, placed_};
    }
    placed_ = placed_ + lost;
  }

  // What nobody asks for any more; else the two oldest become one, in the place of the older, which is still asked for.
  void Forget(uint64_t oldest) {
    if (count_ > 1 && At(0).sequence > oldest) At(1) = At(0);
    first_ = (first_ + 1) % marks_.size();
    --count_;
  }

  std::vector<Seen> unplaced_;  // a ring
  size_t unplaced_first_ = 0;
  size_t unplaced_count_ = 0;
  std::vector<Placed> marks_;  // a ring
  size_t first_ = 0;
  size_t count_ = 0;
  SamplingMarks sampling_;
  Totals seen_;
  Totals placed_;
};

// Tells `gaps` of what is missing between two packets. The interface's counters are read once an interval, so where in it its
// losses fell is not known.
inline void AddLoss(Gaps* gaps, int64_t from_ns, int64_t to_ns, const LossMarks::Totals& lost) {
  if (lost.kernel > 0) gaps->Add({from_ns, to_ns, lost.kernel, true, true, GapReason::kKernel});
  if (lost.interface > 0) gaps->Add({from_ns, to_ns, lost.interface, false, true, GapReason::kKernel});
  if (lost.outages > 0) gaps->Add({from_ns, to_ns, 0, false, false, GapReason::kDeviceDown});
  if (lost.left_out > 0) gaps->Add({from_ns, to_ns, lost.left_out, false, true, GapReason::kSampling});
}

}  // namespace pcap_ring
