#include "engine/before_freeze.h"

#include <algorithm>

namespace pcap_ring {
namespace {

constexpr auto kIgnoreSlab = [](Slab*) {};

// Packets that follow one on another: by number in the capture, or (kHistory) by place in the thin history.
struct Stretch {
  Section section;
  uint64_t first;
  uint64_t packets;

  uint64_t end() const { return first + packets; }
};

class Gatherer {
 public:
  Gatherer(const Evidence& evidence, const Tap& tap) : evidence_(evidence), tap_(tap) {}

  void Choose(int64_t time_ns, uint64_t split);
  void KeepToCaps();
  void Describe(Tap::Origin* origin) const;

 private:
  void Add(Section section, uint64_t first, uint64_t end) {
    if (first < end) stretches_.push_back({section, first, end - first});
  }
  void ChooseAroundOnset(uint64_t split);
  void ChooseHistory(uint64_t split);

  Cursor Find(const Stretch& stretch, uint64_t number) const {
    return stretch.section == Section::kHistory ? evidence_.lookback->history().Find(number)
                                                : evidence_.ring.Find(number);
  }
  int64_t TimeOf(const Stretch& stretch, uint64_t number) const {
    return RecordWalker(Find(stretch, number)).Header(kIgnoreSlab).time_ns();
  }
  // The number in the capture.
  uint64_t NumberOf(const Stretch& stretch, uint64_t number) const {
    return stretch.section == Section::kHistory ? evidence_.lookback->history().NumberOf(number) : number;
  }
  bool MarkedAroundOnset(uint64_t number) const {
    return evidence_.lookback != nullptr && number < evidence_.lookback->loss_until();
  }
  LossMarks::Totals LostBefore(const Stretch& stretch, uint64_t number) const {
    if (stretch.section == Section::kHistory) return evidence_.lookback->history().LostBefore(number);
    return MarksOf(number).Before(number);
  }
  const LossMarks& MarksOf(uint64_t number) const {
    return MarkedAroundOnset(number) ? evidence_.lookback->onset_loss() : evidence_.loss;
  }
  void SeeGaps(size_t at_stretch, Gaps* gaps) const;
  // Calls fn(SampledRow) for each row of its packets; not of the history.
  template <typename Fn>
  void Rows(const Stretch& stretch, Fn fn) const {
    const uint64_t around_onset =
        MarkedAroundOnset(stretch.first) ? std::min(stretch.end(), evidence_.lookback->loss_until()) : stretch.first;
    MarksOf(stretch.first).sampling().Rows(stretch.first, around_onset, fn);
    evidence_.loss.sampling().Rows(around_onset, stretch.end(), fn);
  }
  // A gap that a row leaves, from packet number `from` up to `to`, or (its end) to what follows the stretch.
  struct RowGap {
    uint64_t from;
    uint64_t to;
    Gap gap;
  };
  std::vector<RowGap> SamplingGaps(const Stretch& stretch) const;
  void SeeSamplingOfHistory(size_t at, Tap::Origin* origin) const;
  void SeeGapBetween(const Stretch& stretch, uint64_t number, const Stretch& next, Gaps* gaps) const;

  const Evidence evidence_;
  const Tap& tap_;
  std::vector<Stretch> stretches_;
};

void Gatherer::Choose(int64_t time_ns, uint64_t split) {
  if (tap_.kind() == TapKind::kManual) return;
  const Lookback* const lookback = evidence_.lookback;
  if (tap_.kind() == TapKind::kIncident && lookback != nullptr) {
    if (lookback->KeepsOnset(time_ns, split)) return ChooseAroundOnset(split);
    const uint64_t newest = split - std::min<uint64_t>(split, evidence_.ring_packets);
    if (lookback->RisesWithoutOnset() && std::max(newest, evidence_.ring.oldest_number()) > lookback->rise_number()) {
      return ChooseHistory(split);
    }
  }
  const uint64_t most = evidence_.ring_packets;
  // What is held is older than the ring, but where none of that is from before the freeze, nobody knows how much is.
  const PacketRing& ring = evidence_.ring;
  const uint64_t oldest = ring.evicted_ns() < time_ns ? ring.first_of_row() : ring.oldest_number();
  Add(Section::kPreBuffer, std::max(oldest, split - std::min(split, most)), split);
}

// Where more lies between onset and freeze than there may be: the first half of that from the onset on, and the newest.
void Gatherer::ChooseAroundOnset(uint64_t split) {
  const PacketRing& ring = evidence_.ring;
  const uint64_t most = evidence_.ring_packets;
  const uint64_t onset = evidence_.lookback->onset_number();
  const uint64_t held_end = std::min(ring.held_end(), split);
  Add(Section::kPreBuffer, std::max(ring.held_first(), onset - std::min(onset, most)), onset);
  const bool all = split - onset <= most;
  const uint64_t first_end = all ? held_end : std::min(held_end, onset + most / 2);
  const uint64_t newest = all ? first_end : std::max(first_end, split - (most - (first_end - onset)));
  const uint64_t oldest = std::max(newest, ring.oldest_number());
  if (oldest > first_end) {
    Add(Section::kOnset, onset, first_end);
    Add(Section::kOnset, oldest, split);
  } else {
    Add(Section::kOnset, onset, split);
  }
}

// Each packet of the history takes the place of one in the pre-buffer.
void Gatherer::ChooseHistory(uint64_t split) {
  const ThinHistory& history = evidence_.lookback->history();
  const uint64_t oldest = evidence_.ring.oldest_number();
  const auto begin_with = [&](uint64_t samples) {
    const uint64_t most = evidence_.ring_packets - samples;
    return std::max(oldest, split - std::min(split, most));
  };
  uint64_t samples = history.packets();
  while (samples > 0 && history.NumberOf(samples - 1) >= begin_with(samples)) --samples;
  Add(Section::kHistory, 0, samples);
  Add(Section::kPreBuffer, begin_with(samples), split);
}

// The oldest go until the rest fits.
void Gatherer::KeepToCaps() {
  uint64_t packets = 0;
  for (const Stretch& stretch : stretches_) packets += stretch.packets;
  const auto drop = [&](uint64_t count) {
    for (Stretch& stretch : stretches_) {
      const uint64_t dropped = std::min(count, stretch.packets);
      stretch.first += dropped;
      stretch.packets -= dropped;
      count -= dropped;
    }
    std::erase_if(stretches_, [](const Stretch& stretch) { return stretch.packets == 0; });
  };
  if (packets > tap_.HistoryLimit()) drop(packets - tap_.HistoryLimit());
  if (!tap_.bounded_in_bytes()) return;

  // From the newest on, as many as there is room for.
  const FileCost& cost = tap_.cost();
  std::vector<uint64_t> sizes;  // oldest first
  for (const Stretch& stretch : stretches_) {
    RecordWalker walker(Find(stretch, stretch.first));
    for (uint64_t i = 0; i < stretch.packets; ++i) {
      const RecordHeader header = walker.Header(kIgnoreSlab);
      sizes.push_back(cost.Of(header.caplen));
      walker.Skip(header, kIgnoreSlab);
    }
  }
  uint64_t room = tap_.HistoryBytesLimit();
  size_t at = sizes.size();
  bool begun[kSections] = {};
  for (auto stretch = stretches_.rbegin(); stretch != stretches_.rend(); ++stretch) {
    bool& section_begun = begun[static_cast<size_t>(stretch->section)];
    for (uint64_t i = 0; i < stretch->packets; ++i) {
      const uint64_t size = sizes[at - 1] + (section_begun ? 0 : cost.Beginning(stretch->section));
      if (size > room) return drop(at);
      room -= size;
      section_begun = true;
      --at;
    }
  }
}

// Each row of packets that the kernel kept one of N of is one gap, from the packet before it to the one behind it; and over
// those that may have been of the row, as they passed within the call that began it or ended it.
std::vector<Gatherer::RowGap> Gatherer::SamplingGaps(const Stretch& stretch) const {
  std::vector<RowGap> gaps;
  const uint64_t last = stretch.end() - 1;
  Rows(stretch, [&](const SampledRow& row) {
    uint64_t from = row.first > stretch.first ? row.first - 1 : row.first;
    uint64_t to = std::min(row.end, last);
    const uint64_t unseen = from < row.first ? row.left_out_before : 0;
    const uint64_t left_out = (to - row.first) * (row.one_of - 1) + unseen;
    if (left_out == 0) return;
    if (row.one_of == 1) to = row.first;
    while (from > stretch.first && row.begins.Holds(TimeOf(stretch, from))) --from;
    const StepCall& ends = row.one_of == 1 ? row.begins : row.ends;
    while (to <= last && ends.Holds(TimeOf(stretch, to))) ++to;
    const int64_t to_ns = TimeOf(stretch, std::min(to, last));
    gaps.push_back({from, to, {TimeOf(stretch, from), to_ns, left_out, false, true, GapReason::kSampling}});
  });
  return gaps;
}

void Gatherer::SeeGaps(size_t at_stretch, Gaps* gaps) const {
  const Stretch& stretch = stretches_[at_stretch];
  const Stretch* const following = at_stretch + 1 < stretches_.size() ? &stretches_[at_stretch + 1] : nullptr;
  if (stretch.section == Section::kHistory) {
    for (uint64_t i = stretch.first; i + 1 < stretch.end(); ++i)
      SeeGapBetween(stretch, i, {stretch.section, i + 1, 1}, gaps);
    return;
  }
  const std::vector<RowGap> sampled = SamplingGaps(stretch);
  auto next = sampled.begin();
  const auto see_sampled_up_to = [&](uint64_t number) {
    for (; next != sampled.end() && next->from <= number; ++next) {
      Gap gap = next->gap;
      gap.open = next->to == stretch.end() && following == nullptr;
      if (next->to == stretch.end() && following != nullptr) gap.to_ns = TimeOf(*following, following->first);
      gaps->Add(gap);
    }
  };
  RecordWalker walker(Find(stretch, stretch.first));
  uint64_t at = stretch.first;
  int64_t before_ns = 0;
  const auto see = [&](uint64_t number, const LossMarks::Totals& lost) {
    for (; at < number; ++at) {
      const RecordHeader header = walker.Header(kIgnoreSlab);
      before_ns = header.time_ns();
      walker.Skip(header, kIgnoreSlab);
    }
    see_sampled_up_to(number - 1);
    RecordWalker behind(walker.cursor());
    AddLoss(gaps, before_ns, behind.Header(kIgnoreSlab).time_ns(), lost);
  };
  const uint64_t last = stretch.end() - 1;
  uint64_t first = stretch.first;
  if (MarkedAroundOnset(first)) {
    const uint64_t until = std::min(last, evidence_.lookback->loss_until() - 1);
    evidence_.lookback->onset_loss().Between(first, until, see);
    first = until;
  }
  evidence_.loss.Between(first, last, see);
  see_sampled_up_to(last);
}

// Between packet `number` of a stretch and the first of the next.
void Gatherer::SeeGapBetween(const Stretch& stretch, uint64_t number, const Stretch& next, Gaps* gaps) const {
  const uint64_t missing = NumberOf(next, next.first) - NumberOf(stretch, number) - 1;
  const LossMarks::Totals lost = LostBefore(next, next.first) - LostBefore(stretch, number);
  if (missing == 0 && lost == LossMarks::Totals()) return;
  const int64_t from_ns = TimeOf(stretch, number);
  const int64_t to_ns = TimeOf(next, next.first);
  const GapReason reason = stretch.section == Section::kHistory ? GapReason::kSampling : GapReason::kRing;
  if (missing > 0) gaps->Add({from_ns, to_ns, missing, true, true, reason});
  AddLoss(gaps, from_ns, to_ns, lost);
}

void Gatherer::Describe(Tap::Origin* origin) const {
  if (stretches_.empty()) return;
  const Stretch& first = stretches_.front();
  const Stretch& last = stretches_.back();
  origin->loss_at_begin = LostBefore(first, first.first);
  origin->loss_at_end = LostBefore(last, last.end() - 1);
  origin->last_ns = TimeOf(last, last.end() - 1);
  for (size_t i = 0; i < stretches_.size(); ++i) {
    const Stretch& stretch = stretches_[i];
    // The slab in which the last record ends.
    RecordWalker walker(Find(stretch, stretch.end() - 1));
    walker.Skip(walker.Header(kIgnoreSlab), kIgnoreSlab);
    origin->spans.push_back({stretch.section, {Find(stretch, stretch.first), stretch.packets, walker.cursor().slab}});
    origin->before.Of(stretch.section) += stretch.packets;
    if (stretch.section == Section::kHistory) {
      SeeSamplingOfHistory(i, origin);
    } else {
      Rows(stretch, [&](const SampledRow& row) { origin->before.SamplingOf(stretch.section).Add(row.one_of); });
    }
    SeeGaps(i, &origin->gaps);
    if (i + 1 < stretches_.size()) SeeGapBetween(stretch, stretch.end() - 1, stretches_[i + 1], &origin->gaps);
  }
}

// Each packet of the history stands for those up to the next packet in the file.
void Gatherer::SeeSamplingOfHistory(size_t at, Tap::Origin* origin) const {
  const Stretch& stretch = stretches_[at];
  for (uint64_t i = stretch.first; i < stretch.end(); ++i) {
    const bool inside = i + 1 < stretch.end();
    if (!inside && at + 1 == stretches_.size()) break;
    const Stretch& next = inside ? stretch : stretches_[at + 1];
    const uint64_t next_one = inside ? i + 1 : next.first;
    const uint64_t left_out = (LostBefore(next, next_one) - LostBefore(stretch, i)).left_out;
    origin->before.SamplingOf(Section::kHistory).Add(NumberOf(next, next_one) - NumberOf(stretch, i) + left_out);
  }
}

}  // namespace

void GatherBeforeFreeze(const Evidence& evidence, const Tap& tap, int64_t time_ns, uint64_t split,
                        Tap::Origin* origin) {
  Gatherer gatherer(evidence, tap);
  gatherer.Choose(time_ns, split);
  gatherer.KeepToCaps();
  gatherer.Describe(origin);
  const bool onset = tap.kind() == TapKind::kIncident && evidence.lookback != nullptr &&
                     evidence.lookback->KeepsOnset(time_ns, split);
  if (onset) origin->before.onset_ns = evidence.lookback->onset_ns();
}

}  // namespace pcap_ring
