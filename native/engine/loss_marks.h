#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pcap_ring {

// Where in the sequence of captured packets the loss counters were seen to rise, so that the loss behind a packet that
// is still in the ring can be told. Outside the ring, so that no marker ever takes the place of evidence.
class LossMarks {
 public:
  struct Totals {
    uint64_t kernel = 0;
    uint64_t interface = 0;
  };

  // `sequence`: packets captured when these totals were read.
  void Update(uint64_t sequence, Totals totals) {
    if (totals.kernel == totals_.kernel && totals.interface == totals_.interface) return;
    marks_[count_++ % kMarks] = {sequence, totals_};
    totals_ = totals;
  }
  const Totals& totals() const { return totals_; }

  // The totals as they were when packet number `sequence` was captured.
  Totals At(uint64_t sequence) const {
    Totals totals = totals_;
    for (size_t i = count_; i > 0 && count_ - i < kMarks; --i) {
      const Mark& mark = marks_[(i - 1) % kMarks];
      if (mark.sequence <= sequence) break;
      totals = mark.before;
    }
    return totals;
  }

 private:
  static constexpr size_t kMarks = 256;
  struct Mark {
    uint64_t sequence = 0;
    Totals before;
  };

  std::array<Mark, kMarks> marks_;
  size_t count_ = 0;
  Totals totals_;
};

}  // namespace pcap_ring
