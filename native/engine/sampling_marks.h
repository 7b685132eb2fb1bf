#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pcap_ring {

// Of how many packets that passed each one kept is one: the fewest and the most.
struct SamplingRange {
  uint64_t min = 0;
  uint64_t max = 0;  // 0: of no packet

  bool sampled() const { return max > 1; }
  void Add(uint64_t one_of) {
    min = max == 0 ? one_of : std::min(min, one_of);
    max = std::max(max, one_of);
  }
};

// The call that a step was made in, as packets are stamped: which of those from within it passed before the step, and which
// behind it, is a guess. By default there was none.
struct StepCall {
  int64_t begin_ns = INT64_MAX;
  int64_t end_ns = INT64_MIN;

  bool Holds(int64_t time_ns) const { return begin_ns <= time_ns && time_ns < end_ns; }
};

// Packets in a row that are 1 of the same `one_of`: from number `first` up to before `end`.
struct SampledRow {
  uint64_t first = 0;
  uint64_t end = 0;
  uint64_t one_of = 1;
  uint64_t left_out_before = 0;  // behind the packet before it, which is no part of what that one stands for
  StepCall begins;  // the steps at its two ends
  StepCall ends;
};

// Where in the sequence of captured packets the kernel began to keep 1 of N. A packet that is 1 of N stands for itself and
// for N - 1 behind it, which nobody counted: an estimate. The capture thread's.
class SamplingMarks {
 public:
  // Of more than these steps the oldest are merged.
  static constexpr size_t kMost = 256;

  SamplingMarks() : steps_(kMost) {}

  // Packet `number` and those behind it are 1 of `n`. Of those before `oldest` nobody asks any more. If none was kept since the
  // step before, which began to keep 1 of N, there were N - 1 on the mean (how many passed being anybody's guess).
  void Step(uint64_t number, uint32_t n, uint64_t oldest, StepCall call = {}) {
    uint64_t left_out = LeftOutBefore(number);
    uint64_t unseen = 0;
    for (; count_ > 0 && At(count_ - 1).number >= number; --count_) {
      const Mark& taken = At(count_ - 1);
      if (taken.number > number) continue;
      unseen = taken.unseen + taken.one_of - 1;
      left_out += taken.one_of - 1;
      if (unseen > 0) call.begin_ns = std::min(call.begin_ns, taken.call.begin_ns);
    }
    if (count_ == kMost) Forget(oldest);
    At(count_++) = {number, n, left_out, unseen, call};
  }

  // How many were left out before packet `number`.
  uint64_t LeftOutBefore(uint64_t number) const {
    for (size_t i = count_; i-- > 0;) {
      const Mark& mark = At(i);
      if (mark.number > number) continue;
      const uint64_t left_out = mark.left_out + (number - mark.number) * (mark.one_of - 1);
      return i + 1 < count_ ? std::min(left_out, At(i + 1).left_out - At(i + 1).unseen) : left_out;
    }
    return count_ > 0 ? At(0).left_out - At(0).unseen : 0;
  }

  uint64_t OneOf(uint64_t number) const {
    for (size_t i = count_; i-- > 0;) {
      if (At(i).number <= number) return At(i).one_of;
    }
    return 1;
  }

  // Calls fn(SampledRow) for each row among the packets from `first` up to before `end`.
  template <typename Fn>
  void Rows(uint64_t first, uint64_t end, Fn fn) const {
    for (size_t i = 0; first < end; ++i) {
      const uint64_t next = i < count_ ? At(i).number : UINT64_MAX;
      if (next <= first) continue;
      SampledRow row = {first, std::min(next, end), i == 0 ? 1 : At(i - 1).one_of, 0, {}, {}};
      if (i > 0 && At(i - 1).number == first) {
        row.left_out_before = At(i - 1).unseen;
        row.begins = At(i - 1).call;
      }
      if (next == row.end) row.ends = At(i).call;
      first = row.end;
      fn(row);
    }
  }

 private:
  struct Mark {
    uint64_t number = 0;
    uint64_t one_of = 1;
    uint64_t left_out = 0;  // before it
    uint64_t unseen = 0;  // of these, by steps behind which no packet was kept
    StepCall call;
  };

  Mark& At(size_t i) { return steps_[(first_ + i) % steps_.size()]; }
  const Mark& At(size_t i) const { return steps_[(first_ + i) % steps_.size()]; }

  // What nobody asks for any more; else the two oldest become one, which says the more of the two.
  void Forget(uint64_t oldest) {
    if (At(1).number > oldest) {
      const Mark merged = {At(0).number, std::max(At(0).one_of, At(1).one_of), At(0).left_out, 0, At(0).call};
      At(1) = merged;
    }
    first_ = (first_ + 1) % steps_.size();
    --count_;
  }

  std::vector<Mark> steps_;  // a ring
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace pcap_ring
