#include "traffic/onset_watch.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace pcap_ring {
namespace {

constexpr int64_t kWarmUpNs = kNsPerSec;                // of traffic, before which there is no baseline
constexpr int64_t kBaselineMemoryNs = 60 * kNsPerSec;
constexpr int64_t kRiseMemoryNs = 3'600 * kNsPerSec;    // what stays raised becomes the baseline in the end
constexpr int64_t kLessonNs = 250 * kNsPerMs;
constexpr int64_t kLongestLessonNs = 10 * kNsPerSec;    // of a silence, which may be a clock that was set
constexpr int64_t kPauseNs = 10 * OnsetWatch::kSlotNs;  // a raised rate that pauses for so long has ended
constexpr int64_t kLeastTellingNs = 2 * kNsPerMs;  // of a slot that a freeze falls into
constexpr int kMostSlots = 64;  // that are judged one by one after a silence
// Of the threshold: in a single slot of a rise, as there is chance in it; and while it lasts (hysteresis).
constexpr double kShareOfSlot = 0.75;
constexpr double kShareThatLasts = 0.5;
// A jump, from the slot before to the one behind: a ramp that nearly doubles in every slot comes to less than four times.
constexpr double kJump = 5;

// A suspicion is worth so many packets more than the reference rate explains. By Lorden's bound a Poisson stream at the
// baseline comes to it by chance once in factor^24 packets; traffic in bursts does so all the time, and it costs nothing.
constexpr double kBurst = 24;
constexpr double kLeastBurst = 2;
constexpr double kLeastMeanSize = 128;
// A baseline near silence counts as this share of the threshold, or no single packet could be explained.
constexpr double kLeastBaseline = 0.01;
constexpr double kLongestIncrementNs = 1e9;

double ReferenceRate(double baseline, double threshold) {
  baseline = std::max(baseline, threshold * kLeastBaseline);
  return (threshold - baseline) / std::log(threshold / baseline);
}

}  // namespace

OnsetWatch::OnsetWatch(const OnsetThresholds& thresholds, int64_t keep_ns, double burst_bytes)
    : thresholds_(thresholds), keep_ns_(keep_ns), burst_bytes_(burst_bytes) {}

void OnsetWatch::Begin(int64_t time_ns, const Counts& counts) {
  begun_ = true;
  slot_start_ns_ = time_ns;
  slot_counts_ = counts;
  look_after_ns_ = kSlotNs;
}

// The clock was set, or this one timestamp is damaged and the next steps back: what is due moves along.
void OnsetWatch::Step(int64_t time_ns) {
  stepped_from_ns_ = time_ns < slot_start_ns_ ? slot_start_ns_ : kNever;
  last_raised_ns_ += time_ns - slot_start_ns_;
  packets_.empty_at_ns = bytes_.empty_at_ns = kLongAgo;
}

void OnsetWatch::WakeAt(int64_t time_ns) {
  if (time_ns == kNever) return;
  look_after_ns_ =
      std::min(look_after_ns_, time_ns <= slot_start_ns_ ? 0 : static_cast<uint64_t>(time_ns - slot_start_ns_));
}

OnsetWatch::Event OnsetWatch::EndSlots(int64_t time_ns, const Counts& counts) {
  if (!begun_) {
    Begin(time_ns, counts);
    return Event::kNone;
  }
  look_after_ns_ = kSlotNs;
  lesson_left_ns_ = kLongestLessonNs;
  if (StepsTo(time_ns)) {
    Step(time_ns);
    Begin(time_ns, counts);
    return Event::kNone;
  }
  while (time_ns - slot_start_ns_ >= kSlotNs) {
    const int64_t slots = (time_ns - slot_start_ns_) / kSlotNs;
    const int64_t lost = static_cast<int64_t>(counts.lost - slot_counts_.lost);
    // What was lost fell somewhere in the silence, and not into its first slot alone. Of a very long one slots are longer.
    const int64_t shared = lost > 0 ? slots : 1;
    const int64_t length_ns = (lost > 0 ? slots : slots > kMostSlots ? slots / kMostSlots : 1) * kSlotNs;
    const double packets = static_cast<double>(counts.packets - slot_counts_.packets);
    const double bytes = static_cast<double>(counts.bytes - slot_counts_.bytes);
    const double scale = packets > 0 ? 1 + static_cast<double>(lost) / packets : 1;
    const double seconds = static_cast<double>(length_ns) / 1e9;
    const Rates rates = {packets > 0 ? packets * scale / seconds : static_cast<double>(lost) / seconds,
                         bytes * scale / seconds};
    slot_counts_ = counts;
    slot_start_ns_ += length_ns;
    Event event = Event::kNone;
    // A slot's consequences, for each of those that share what was lost.
    for (int64_t i = 0; i < std::min<int64_t>(shared, kMostSlots) && event == Event::kNone; ++i) {
      event = SeeSlot(rates, slot_start_ns_, length_ns / std::min<int64_t>(shared, kMostSlots));
    }
    if (event != Event::kNone) return event;
  }
  return Event::kNone;
}

bool OnsetWatch::AtLeast(const Rates& rates, double share) const {
  return rates.packets >= threshold_.packets * share || rates.bytes >= threshold_.bytes * share;
}

OnsetWatch::Event OnsetWatch::SeeSlot(const Rates& rates, int64_t end_ns, int64_t length_ns) {
  switch (state_) {
    case State::kCalm:
      SeeCalm(rates, length_ns);
      return Event::kNone;
    case State::kSuspected:
      return SeeSuspectedSlot(rates, end_ns, length_ns);
    case State::kRisen:
      return SeeRisenSlot(rates, end_ns, length_ns);
  }
  return Event::kNone;
}

OnsetWatch::Event OnsetWatch::SeeSuspectedSlot(const Rates& rates, int64_t end_ns, int64_t length_ns) {
  const bool raised = AtLeast(rates, kShareOfSlot);
  slots_from_ns_[slot_count_] = slots_to_ns_;
  slots_to_ns_ += length_ns;
  slots_[slot_count_++] = rates;
  if (raised) {
    ++raised_count_;
    raised_mean_.packets += (rates.packets - raised_mean_.packets) / raised_count_;
    raised_mean_.bytes += (rates.bytes - raised_mean_.bytes) / raised_count_;
  } else {
    first_of_run_ = slot_count_;
  }
  const double seconds = static_cast<double>(length_ns) / 1e9;
  unlearned_.packets += rates.packets * seconds;
  unlearned_.bytes += rates.bytes * seconds;
  unlearned_ns_ += length_ns;
  if (raised_count_ >= kConfirming && AtLeast(raised_mean_, 1)) {
    Confirm(end_ns);
    return Event::kConfirmed;
  }
  if (slot_count_ < kWindow && slot_count_ - raised_count_ <= kWindow - kConfirming) return Event::kNone;
  state_ = State::kCalm;
  const double unlearned_seconds = static_cast<double>(unlearned_ns_) / 1e9;
  SeeCalm({unlearned_.packets / unlearned_seconds, unlearned_.bytes / unlearned_seconds}, unlearned_ns_);
  unlearned_ = {};
  unlearned_ns_ = 0;
  packets_.Rearm(end_ns);
  bytes_.Rearm(end_ns);
  return Event::kDropped;
}

OnsetWatch::Event OnsetWatch::SeeRisenSlot(const Rates& rates, int64_t end_ns, int64_t length_ns) {
  recent_ = (recent_ << 1 | (AtLeast(rates, raised_ ? kShareThatLasts : 1) ? 1 : 0)) & ((1u << kWindow) - 1);
  if (std::popcount(recent_) >= kConfirming) {
    if (!raised_) lessons_ = {};  // the rate came back
    raised_ = true;
    last_raised_ns_ = end_ns;
  } else if (raised_ && end_ns - last_raised_ns_ > kPauseNs) {
    raised_ = false;
    caught_up_ = rates.packets >= calm_threshold_.packets * kShareThatLasts ||
                 rates.bytes >= calm_threshold_.bytes * kShareThatLasts;
  }
  if (raised_) {
    Learn(rates, std::min(length_ns, kLongestLessonNs), kRiseMemoryNs);
  } else {
    SeeCalm(rates, length_ns);
  }
  if (raised_ || end_ns <= remembered_until_ns()) return Event::kNone;
  state_ = State::kCalm;
  // However large it was, a rise that ended leaves the calm what it was.
  if (!caught_up_) {
    baseline_ = calm_baseline_;
    SetThresholds();
  }
  Arm();
  return Event::kOver;
}

void OnsetWatch::Confirm(int64_t time_ns) {
  measure_ = raised_mean_.packets / threshold_.packets >= raised_mean_.bytes / threshold_.bytes ? Measure::kPackets
                                                                                                : Measure::kBytes;
  state_ = State::kRisen;
  raised_ = true;
  recent_ = (1u << kWindow) - 1;
  last_raised_ns_ = time_ns;
  keep_ns_of_rise_ = keep_ns_;
  calm_baseline_ = baseline_;
  calm_threshold_ = threshold_;
  caught_up_ = false;
  lessons_ = {};
  unlearned_ = {};
  unlearned_ns_ = 0;
  Disarm();
}

bool OnsetWatch::ConfirmEarly(int64_t time_ns, const Counts& counts) {
  // Slots before the run are of a burst that was suspected shortly before it.
  if (state_ != State::kSuspected || run() < kConfirmingAtFreeze) return false;
  const Rates mean = MeanOf(first_of_run_, slot_count_);
  if (!AtLeast(mean, 1)) return false;
  // The slot that has not ended, if it tells anything: else a burst that is over would be taken for a rise.
  if (const int64_t length_ns = time_ns - slot_start_ns_; length_ns >= kLeastTellingNs) {
    const double seconds = static_cast<double>(length_ns) / 1e9;
    const double packets = static_cast<double>(counts.packets - slot_counts_.packets + counts.lost - slot_counts_.lost);
    const double bytes = static_cast<double>(counts.bytes - slot_counts_.bytes);
    if (!AtLeast({packets / seconds, bytes / seconds}, 1)) return false;
  }
  raised_mean_ = mean;
  Confirm(slot_start_ns_);
  return true;
}

bool OnsetWatch::Suspect(int64_t time_ns, const Counts& counts) {
  const bool packets = packets_.Over(time_ns);
  const bool bytes = bytes_.Over(time_ns);
  // A bucket that has not been empty since it gave the suspicion goes on giving it.
  const bool goes_on = (!packets && !packets_.armed) || (!bytes && !bytes_.armed);
  const bool stays = state_ == State::kSuspected && (goes_on || raised_count_ > slot_count_ - raised_count_);
  packets_.armed &= !packets;
  bytes_.armed &= !bytes;
  if (stays) return false;
  if (time_ns > slot_start_ns_) {
    unlearned_.packets += static_cast<double>(counts.packets - slot_counts_.packets);
    unlearned_.bytes += static_cast<double>(counts.bytes - slot_counts_.bytes);
    unlearned_ns_ += time_ns - slot_start_ns_;
  }
  state_ = State::kSuspected;
  slot_count_ = raised_count_ = first_of_run_ = 0;
  raised_mean_ = {};
  Begin(time_ns, counts);
  slots_to_ns_ = time_ns;
  return true;
}

OnsetWatch::Rates OnsetWatch::MeanOf(int first, int end) const {
  Rates mean;
  for (int i = first; i < end; ++i) {
    mean.packets += slots_[i].packets / (end - first);
    mean.bytes += slots_[i].bytes / (end - first);
  }
  return mean;
}

double OnsetWatch::steepest() const {
  double most = 1;
  for (int i = first_of_run_ + 1; i < slot_count_; ++i) {
    const double before = Of(slots_[i - 1]);
    if (before > 0) most = std::max(most, Of(slots_[i]) / before);
  }
  return most;
}

OnsetWatch::Jump OnsetWatch::jump() const {
  Jump jump;
  for (int i = 1; i < slot_count_; ++i) {
    const int behind = std::min(i + 1, slot_count_ - 1);
    if (Of(slots_[behind]) < Of(slots_[i - 1]) * kJump) continue;
    const Rates before = MeanOf(i > 1 ? 1 : 0, i);
    const Rates after = MeanOf(behind, slot_count_);
    const double growth = Of(before) > 0 ? Of(after) / Of(before) : 1;
    if (growth > jump.growth) jump = {slots_from_ns_[i], growth, before, after};
  }
  return jump;
}

// Learned a second late, once there is a baseline: else a rise that takes seconds would lift what it is measured by.
void OnsetWatch::SeeCalm(const Rates& rates, int64_t length_ns) {
  const int64_t lesson_ns = std::min(length_ns, lesson_left_ns_);
  lesson_left_ns_ -= lesson_ns;
  if (lesson_ns == 0) return;
  if (seen_ns_ < kWarmUpNs) {
    Learn(rates, lesson_ns, kBaselineMemoryNs);
    return;
  }
  Lesson* lesson = &lessons_[newest_lesson_];
  lesson->length_ns += lesson_ns;
  const double share = static_cast<double>(lesson_ns) / static_cast<double>(lesson->length_ns);
  lesson->rates.packets += (rates.packets - lesson->rates.packets) * share;
  lesson->rates.bytes += (rates.bytes - lesson->rates.bytes) * share;
  if (lesson->length_ns < kLessonNs) return;
  newest_lesson_ = (newest_lesson_ + 1) % lessons_.size();
  lesson = &lessons_[newest_lesson_];
  if (lesson->length_ns > 0) Learn(lesson->rates, lesson->length_ns, kBaselineMemoryNs);
  *lesson = {};
}

// A running mean at first, later an exponential one.
void OnsetWatch::Learn(const Rates& rates, int64_t length_ns, int64_t memory_ns) {
  seen_ns_ = std::min(seen_ns_ + length_ns, kWarmUpNs);
  learned_ns_ = std::min(learned_ns_ + length_ns, kBaselineMemoryNs);
  const int64_t among_ns = memory_ns == kRiseMemoryNs ? memory_ns : learned_ns_;
  const double weight = static_cast<double>(length_ns) / static_cast<double>(among_ns);
  baseline_.packets += (rates.packets - baseline_.packets) * weight;
  baseline_.bytes += (rates.bytes - baseline_.bytes) * weight;
  if (seen_ns_ < kWarmUpNs) return;
  SetThresholds();
  if (state_ != State::kRisen) Arm();
}

void OnsetWatch::SetThresholds() {
  threshold_.packets = std::max({baseline_.packets * thresholds_.factor, thresholds_.min_pps, 1.0});
  threshold_.bytes = std::max({baseline_.bytes * thresholds_.factor, thresholds_.min_bps / 8, 1.0});
}

void OnsetWatch::Arm() {
  filling_ = true;
  const double packet_ns =
      std::min(one_of_ * 1e9 / ReferenceRate(baseline_.packets, threshold_.packets), kLongestIncrementNs);
  const double byte_ns =
      std::min(one_of_ * 1e9 / ReferenceRate(baseline_.bytes, threshold_.bytes), kLongestIncrementNs / 1'000);
  const double mean_size = std::max(kLeastMeanSize, baseline_.packets > 0 ? baseline_.bytes / baseline_.packets : 0);
  packets_.increment = static_cast<uint64_t>(packet_ns);
  const double burst = std::clamp(burst_bytes_ / mean_size, kLeastBurst, kBurst);
  suspicious_bytes_ = burst * mean_size;
  packets_.depth_ns = static_cast<int64_t>(burst * packet_ns);
  bytes_.increment = static_cast<uint64_t>(byte_ns * (1 << kFraction));
  bytes_.depth_ns = static_cast<int64_t>(suspicious_bytes_ * byte_ns);
}

// A suspicion takes as many packets as ever, of those that are kept: fewer would tell less.
void OnsetWatch::Sample(uint32_t n) {
  // What fills a bucket was worth as many of the packets before: of fewer it would be more than a suspicion takes.
  if (n < one_of_ && state_ != State::kSuspected) packets_.empty_at_ns = bytes_.empty_at_ns = kLongAgo;
  one_of_ = n;
  if (state_ != State::kRisen && seen_ns_ >= kWarmUpNs) Arm();
}

void OnsetWatch::Disarm() {
  filling_ = false;
  packets_ = Bucket();
  bytes_ = Bucket();
}

}  // namespace pcap_ring
