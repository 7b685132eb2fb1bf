#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/time.h"
#include "traffic/onset_thresholds.h"

namespace pcap_ring {

// Watches the rate of packets and of bytes for the beginning of a rise, in packet time.
//
// A suspicion is Page's CUSUM ("Continuous Inspection Schemes", Biometrika 1954) for a Poisson rate that changes from the
// baseline to the threshold: each packet counts one, less k a second, with k = (threshold - baseline) / ln(threshold /
// baseline). It is kept as a leaky bucket in time (GCRA: the moment at which the bucket will be empty), which takes an
// addition and two comparisons a packet. From the suspicion on, slots of 25 ms decide: six of eight near the threshold,
// and their mean at or above it, confirm it; the third that is not drops it, and the eighth. So what is shorter than 125 ms
// is never confirmed, but by a freeze: three raised slots up to it, and what is shorter may raise the first and the last in part.
//
// The capture thread's. Knows no packets, only when they came and how large they were.
class OnsetWatch {
 public:
  static constexpr int64_t kSlotNs = 25 * kNsPerMs;
  static constexpr int kWindow = 8;  // slots
  static constexpr int kConfirming = 6;  // of them, that are raised
  static constexpr int kConfirmingAtFreeze = 3;

  // What has passed since the beginning; lost packets too, as they were there.
  struct Counts {
    uint64_t packets = 0;
    uint64_t bytes = 0;
    uint64_t lost = 0;
  };
  struct Rates {  // a second
    double packets = 0;
    double bytes = 0;
  };
  enum class Event { kNone, kConfirmed, kDropped, kOver };
  enum class Measure { kPackets, kBytes };

  // `keep_ns`: for how long after the raised rate a confirmed rise is still remembered. `burst_bytes`: no more than these have
  // passed, of packets at their mean size, when a rise is suspected.
  OnsetWatch(const OnsetThresholds& thresholds, int64_t keep_ns, double burst_bytes);

  // For every packet. True: it has to be looked at, by EndSlots and then Alarmed.
  bool Passes(int64_t time_ns, uint32_t len) {
    bool over = false;
    if (filling_) {
      over = packets_.Add(time_ns, packets_.increment);
      over |= bytes_.Add(time_ns, (len * bytes_.increment) >> kFraction);
    }
    return over | (static_cast<uint64_t>(time_ns - slot_start_ns_) >= look_after_ns_);
  }

  // Each packet from here on stands for `n`, in Passes; not in the counts, where it counts as so many.
  void Sample(uint32_t n);

  // Time has come to `time_ns`; `counts` is what passed before. Ends at most one slot with consequences: to be called
  // again until it returns kNone.
  Event EndSlots(int64_t time_ns, const Counts& counts);
  // Wakes Passes once no later than this.
  void WakeAt(int64_t time_ns);

  // The packet just passed fills a bucket that was empty before the suspicion there may be already.
  bool Alarmed(int64_t time_ns) const { return packets_.Over(time_ns) || bytes_.Over(time_ns); }
  // What a suspicion takes, of packets at the baseline's mean size.
  double suspicious_bytes() const { return suspicious_bytes_; }
  // From here on slots decide. False: the suspicion that there is stays, as it has more for it than against it.
  bool Suspect(int64_t time_ns, const Counts& counts);
  // At a freeze at `time_ns`, with `counts` before it: a suspicion whose last slots up to there are raised, three at least, is
  // taken for confirmed, at their rate.
  bool ConfirmEarly(int64_t time_ns, const Counts& counts);
  // There was no edge: the rise lasts, but is not remembered behind its end.
  void ForgetAfterRise() { keep_ns_of_rise_ = 0; }

  bool begun() const { return begun_; }
  bool suspected() const { return state_ == State::kSuspected; }
  int64_t slot_start_ns() const { return slot_start_ns_; }
  // From what was seen before to here is no passing of time.
  bool StepsTo(int64_t time_ns) const {
    if (!begun_) return false;
    const int64_t forward_ns = time_ns - slot_start_ns_;
    // And back to where it was before a step back: one damaged timestamp, or a clock that was set by mistake.
    const bool returns = forward_ns > kStepBackNs && stepped_from_ns_ != kNever &&
                         time_ns >= stepped_from_ns_ - kStepBackNs && time_ns - stepped_from_ns_ <= kStepBackNs;
    return IsStep(forward_ns) || returns;
  }
  static bool IsStep(int64_t forward_ns) { return forward_ns < -kStepBackNs || forward_ns > kStepForwardNs; }
  // A confirmed rise lasts: the rate is still raised.
  bool rising() const { return state_ == State::kRisen && raised_; }
  // Until when a confirmed rise is remembered, if nothing more comes.
  int64_t remembered_until_ns() const { return last_raised_ns_ + keep_ns_of_rise_; }

  // In force at the suspicion, and during the rise.
  const Rates& baseline() const { return baseline_; }
  const Rates& threshold() const { return threshold_; }
  Measure measure() const { return measure_; }  // which of them rose further
  // Since the suspicion: in the raised slots on the whole; in the first and the second half of those that no calm one
  // follows, of which there are run(); in the first of these, and in the last of all.
  const Rates& rate() const { return raised_mean_; }
  int run() const { return slot_count_ - first_of_run_; }
  Rates early_rate() const { return MeanOf(first_of_run_, first_of_run_ + HalfOfRun()); }
  Rates late_rate() const { return MeanOf(slot_count_ - HalfOfRun(), slot_count_); }
  const Rates& first_rate() const { return slots_[std::min(first_of_run_, slot_count_ - 1)]; }
  double steepest() const;  // how many times what it was the rate became from one slot to the next
  // Where it became the most times what it had been, on the mean: in the slot that begins at `from_ns`, of which neither
  // rate takes what passed, as it may have begun anywhere in there; but for the last, behind which there is none. Nor do they
  // take the first, if there are others before it, as it has what made the suspicion.
  struct Jump {
    int64_t from_ns = 0;
    double growth = 1;
    Rates before;
    Rates after;
  };
  Jump jump() const;
  const Rates& last_rate() const { return slots_[slot_count_ - 1]; }

 private:
  static constexpr int64_t kStepBackNs = kNsPerSec;
  static constexpr int64_t kStepForwardNs = 86'400 * kNsPerSec;

  enum class State { kCalm, kSuspected, kRisen };

  static constexpr int kFraction = 16;
  static constexpr int64_t kLongAgo = INT64_MIN / 4;  // no difference to a packet's time overflows
  // The bucket of a rate: `empty_at_ns` is when it will be empty again.
  struct Bucket {
    int64_t empty_at_ns = kLongAgo;
    int64_t depth_ns = INT64_MAX;
    uint64_t increment = 0;  // ns a packet, or 2^-16 ns a byte
    bool armed = true;  // has been empty since the last suspicion

    // Of a suspicion that was dropped: what lies over the depth may be the beginning of another.
    void Rearm(int64_t time_ns) {
      armed = true;
      empty_at_ns = std::min(empty_at_ns, time_ns + std::min(2 * depth_ns, kNsPerSec));
    }
    bool Over(int64_t time_ns) const { return armed & (empty_at_ns - time_ns > depth_ns); }
    bool Add(int64_t time_ns, uint64_t ns) {
      if (empty_at_ns <= time_ns) {
        empty_at_ns = time_ns;
        armed = true;
      }
      empty_at_ns += static_cast<int64_t>(ns);
      return Over(time_ns);
    }
  };

  void Begin(int64_t time_ns, const Counts& counts);
  void Step(int64_t time_ns);
  Event SeeSlot(const Rates& rates, int64_t end_ns, int64_t length_ns);
  Event SeeSuspectedSlot(const Rates& rates, int64_t end_ns, int64_t length_ns);
  Event SeeRisenSlot(const Rates& rates, int64_t end_ns, int64_t length_ns);
  void Confirm(int64_t time_ns);
  bool AtLeast(const Rates& rates, double share) const;
  void SeeCalm(const Rates& rates, int64_t length_ns);
  void Learn(const Rates& rates, int64_t length_ns, int64_t memory_ns);
  Rates MeanOf(int first, int end) const;
  double Of(const Rates& rates) const { return measure_ == Measure::kPackets ? rates.packets : rates.bytes; }
  int HalfOfRun() const { return (run() + 1) / 2; }
  void SetThresholds();
  void Arm();
  void Disarm();

  const OnsetThresholds thresholds_;
  const int64_t keep_ns_;
  const double burst_bytes_;
  State state_ = State::kCalm;
  bool begun_ = false;

  Bucket packets_;
  Bucket bytes_;
  bool filling_ = false;  // there is a baseline, and no rise that was confirmed
  uint32_t one_of_ = 1;
  double suspicious_bytes_ = 0;
  int64_t slot_start_ns_ = 0;
  int64_t stepped_from_ns_ = kNever;  // where the clock last stepped back
  uint64_t look_after_ns_ = 0;  // from the slot's start
  Counts slot_counts_;  // at its start

  Rates baseline_;
  Rates threshold_;
  int64_t seen_ns_ = 0;  // time that made the baseline
  int64_t learned_ns_ = 0;  // the weight of what it is made of
  int64_t lesson_left_ns_ = 0;  // until the next packet
  // Seen and not learned yet, as it may be how a rise begins: a queue.
  struct Lesson {
    Rates rates;
    int64_t length_ns = 0;
  };
  std::array<Lesson, 4> lessons_;
  size_t newest_lesson_ = 0;

  // Of a suspicion.
  std::array<Rates, kWindow> slots_;
  std::array<int64_t, kWindow> slots_from_ns_;
  int64_t slots_to_ns_ = 0;  // the last one's end
  int slot_count_ = 0;
  int raised_count_ = 0;
  Rates raised_mean_;
  int first_of_run_ = 0;
  Rates unlearned_;  // sums over time, for the baseline if it is dropped
  int64_t unlearned_ns_ = 0;
  Measure measure_ = Measure::kPackets;

  // Of a confirmed rise.
  Rates calm_baseline_;  // from before it; the other follows what stays raised
  Rates calm_threshold_;
  bool caught_up_ = false;  // the rate fell no more than the baseline rose
  uint32_t recent_ = 0;  // the last slots, a bit each: raised
  bool raised_ = false;
  int64_t last_raised_ns_ = 0;
  int64_t keep_ns_of_rise_ = 0;
};

}  // namespace pcap_ring
