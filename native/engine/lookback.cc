#include "engine/lookback.h"

#include <algorithm>
#include <cmath>

namespace pcap_ring {
namespace {

using Measure = OnsetWatch::Measure;

constexpr auto kIgnoreSlab = [](Slab*) {};

// What is looked at again on both sides of a suspicion, once the rate of the rise is known, to find its first packet.
constexpr uint64_t kBeforeSuspicion = 320;
constexpr uint64_t kBehindSuspicion = 160;
// How many packets behind the suspicion are held until then, of a small ring, and how many more than are shown of any: the
// first packet may be a later one. And how many before it a slow beginning, or a flood on top, is looked for in.
constexpr uint64_t kFewestHeld = 64;
constexpr uint64_t kSlack = 64;
// How much less likely than the most likely first packet a later one may be, in nats: one to 20.
constexpr double kMargin = 3;
// A slower beginning: for how long, at rates each so many times lower than the one before, what it has to tell, and of how many
// packets of the calm the rate is taken.
constexpr int64_t kSlowBeginningNs = 20 * kNsPerMs;
constexpr double kSlower = 4;
constexpr double kMarginOfSlower = 10;
constexpr size_t kFewestOfCalm = 16;
// What the gaps of less than this share of the mean one of the rise are: within a train.
constexpr double kTrainGap = 1.0 / 4;
// Of the share of gaps that are within trains: what is taken for it without any, and how much a gap tells of it.
constexpr double kTrainPrior = 0.05;
constexpr double kTrainPriorGaps = 2;
constexpr double kLeastShare = 0.02;
// How much a packet's size may tell, in nats.
constexpr double kMostOfSize = 4;
// Shares of ring.bytes: what is held from before the onset, and from it on. At 1514 bytes and the defaults: a ring's worth of
// packets and half a one, with the ring and the history beside them.
constexpr double kShareBefore = 3.0 / 8;
constexpr double kShareBehind = 3.0 / 16;
constexpr double kShareOfHistory = 1.0 / 8;
// And a rise is suspected once it has brought this, or earlier.
constexpr double kShareSuspected = 1.0 / 8;

// An edge: over so many packets, or this time, from the change on the rate is near the threshold. A ramp is still far below it.
constexpr size_t kEdgePackets = 64;
constexpr int64_t kEdgeNs = 5 * kNsPerMs;  // and no less than this, as packets come in bursts
constexpr double kEdgeShare = 0.7;
// And how much a ramp grows until it is confirmed, at least; or it has become so many times what it was right behind its edge.
constexpr double kRampGrowth = 1.25;
constexpr double kSteepGrowth = 4;
// In the first slot behind the suspicion a ramp is at the threshold; what is so many times that began at once, ragged as it may be.
constexpr double kFarAbove = 2;
constexpr int kFewestSlots = 3;  // that tell of growth
// A rate at the threshold is suspected within some 40 packets; an edge that lies further back than this is none.
constexpr size_t kLatestSuspicion = 112;
// A slower ramp: over the packets seen before the change, if they are so many, the rate had come half the way to the threshold
// already; and it did not become kSteepest times that in one slot.
constexpr size_t kFewestBefore = 128;
constexpr double kHalfTheWay = 0.5;
constexpr double kSteepest = 8;  // in one slot: that is no ramp
// On top of what had been suspected: so many packets of the flood have to be held.
constexpr size_t kFewestOfFlood = 16;

double Of(const OnsetWatch::Rates& rates, Measure measure) {
  return measure == Measure::kPackets ? rates.packets : rates.bytes;
}

}  // namespace

Lookback::Lookback(const Config& config, PacketRing* ring, const ScaledTotals* totals, const LossMarks* loss,
                   EngineListener* listener)
    : on_suspicion_(config.on_suspicion),
      ring_packets_(config.ring_packets),
      ring_bytes_(config.ring_bytes),
      ring_(ring),
      totals_(totals),
      loss_(loss),
      listener_(listener),
      watch_(config.onset, config.lookback_ns, static_cast<double>(config.ring_bytes) * kShareSuspected),
      history_(std::min(ThinHistory::kMost, config.ring_packets / 2),
               static_cast<size_t>(static_cast<double>(config.ring_bytes) * kShareOfHistory), config.largest_packet,
               config.lookback_ns),
      onset_loss_(*loss) {
  ring_->SetMaxPackets(PacketsToHold(ring_packets_));
}

OnsetWatch::Counts Lookback::Counts() const { return {totals_->packets(), totals_->bytes(), loss_->placed().kernel}; }

uint64_t Lookback::oldest_number() const {
  if (!ring_->holding()) return ring_->oldest_number();
  if (!kept_) return std::min(ring_->held_first(), ring_->oldest_number());
  // What is held may have grown on since its losses were set aside.
  return ring_->held_end() > loss_until_ ? std::min(loss_until_, ring_->oldest_number()) : ring_->oldest_number();
}

// For a packet that has no room beside it the ring has let go of the onset: the rise lasts, but has none any more.
void Lookback::SeeRelease() {
  if (!kept_ || ring_->holding()) return;
  kept_ = false;
  watch_.ForgetAfterRise();
}

void Lookback::Look(const Packet& packet) {
  SeeRelease();
  const int64_t time_ns = packet.time_ns();
  OnsetWatch::Counts before = Counts();
  before.packets -= totals_->one_of();
  before.bytes -= uint64_t{packet.len} * totals_->one_of();
  const bool stepped = watch_.StepsTo(time_ns);
  for (auto event = watch_.EndSlots(time_ns, before); event != OnsetWatch::Event::kNone;
       event = watch_.EndSlots(time_ns, before)) {
    Act(event);
  }
  if (watch_.Alarmed(time_ns)) Suspect(time_ns, before);
  if (stepped) {
    history_.OnClockStep();  // this packet's time may be damaged
  } else if (time_ns >= history_.next_ns() && !watch_.rising()) {
    TakeSample(packet);
  }
  if (!watch_.rising()) watch_.WakeAt(history_.next_ns());
}

void Lookback::AdvanceTo(int64_t time_ns) {
  SeeRelease();
  if (!watch_.begun() || time_ns <= watch_.slot_start_ns()) return;
  const OnsetWatch::Counts counts = Counts();
  for (auto event = watch_.EndSlots(time_ns, counts); event != OnsetWatch::Event::kNone;
       event = watch_.EndSlots(time_ns, counts)) {
    Act(event);
  }
  // What a suspicion that was dropped just now had held may belong to another.
  if (watch_.Alarmed(time_ns)) Suspect(time_ns, counts);
  if (!watch_.rising()) watch_.WakeAt(history_.next_ns());
}

void Lookback::Act(OnsetWatch::Event event) {
  switch (event) {
    case OnsetWatch::Event::kNone:
      break;
    case OnsetWatch::Event::kConfirmed:
      Confirm();
      break;
    case OnsetWatch::Event::kDropped:
    case OnsetWatch::Event::kOver:
      LetGo();
      break;
  }
}

void Lookback::LetGo() {
  kept_ = false;
  ring_->Release();
}

void Lookback::TakeSample(const Packet& packet) {
  const uint64_t number = ring_->pushed() - 1;
  history_.Take(packet, number, loss_->Before(number));
  ring_->SetMaxBytes(ring_bytes_ - history_.bytes());
}

// Looks at packets `first` up to before `end`, which are in the ring or held.
void Lookback::See(uint64_t first, uint64_t end) {
  seen_count_ = 0;
  seen_first_ = first;
  RecordWalker walker(ring_->Find(first));
  for (uint64_t number = first; number < end; ++number) {
    const RecordHeader header = walker.Header(kIgnoreSlab);
    const int64_t time_ns = header.time_ns();
    Seen& seen = seen_[seen_count_++];
    seen = {time_ns, time_ns, header.len};
    if (number > first) {
      const Seen& last = *(&seen - 1);
      // Packets may be a little out of order; what is more is a clock that was set.
      const bool stepped = OnsetWatch::IsStep(time_ns - last.time_ns) || last.time_ns - time_ns > kNsPerMs;
      const int64_t gap_ns = stepped ? 0 : time_ns - last.time_ns;
      seen.scaled_ns = last.scaled_ns + gap_ns / static_cast<int64_t>(loss_->sampling().OneOf(number - 1));
    }
    walker.Skip(header, kIgnoreSlab);
  }
}

// Which share of the gaps before packets `first` to `end` seen is less than `short_ns`.
double Lookback::ShareOfTrains(size_t first, size_t end, double short_ns) const {
  double within = kTrainPrior * kTrainPriorGaps;
  double gaps = kTrainPriorGaps;
  for (size_t i = std::max<size_t>(first, 1); i < end; ++i) {
    within += static_cast<double>(seen_[i].scaled_ns - seen_[i - 1].scaled_ns) < short_ns;
    ++gaps;
  }
  return std::clamp(within / gaps, kLeastShare, 1 - kLeastShare);
}

// How much a packet tells for a rise that began before it, in nats. The traffic is taken for trains that come at random (a
// compound Poisson process), of geometrically many packets of exponentially distributed sizes, and for one change of all three.
struct Lookback::Change {
  double short_ns;  // a gap of less is within a train
  double within_train;  // what such a gap tells
  double next_train;  // any other, less what it costs
  double cost_per_ns;
  double size;
  double per_byte;

  // `within_before`, `within_after`: the share of gaps of less than `short_gap_ns`.
  Change(double short_gap_ns, double within_before, double within_after, const OnsetWatch::Rates& before,
         const OnsetWatch::Rates& after);
  double OfGap(int64_t gap_ns) const {
    const double gap = static_cast<double>(std::max<int64_t>(0, gap_ns));
    return gap < short_ns ? within_train : next_train - cost_per_ns * gap;
  }
  double OfSize(uint32_t len) const { return std::clamp(size + per_byte * len, -kMostOfSize, kMostOfSize); }
};

Lookback::Change::Change(double short_gap_ns, double within_before, double within_after,
                         const OnsetWatch::Rates& before, const OnsetWatch::Rates& after)
    : short_ns(short_gap_ns) {
  constexpr double kLeastBefore = 0.01;
  const double trains_after = after.packets * (1 - within_after);
  const double trains_before =
      std::clamp(before.packets * (1 - within_before), trains_after * kLeastBefore, trains_after);
  within_train = std::log(within_after / within_before);
  next_train = std::log((1 - within_after) * trains_after / ((1 - within_before) * trains_before));
  cost_per_ns = (trains_after - trains_before) / 1e9;
  const double size_before = std::max(1.0, before.packets > 0 ? before.bytes / before.packets : 0);
  const double size_after = std::max(1.0, after.bytes / after.packets);
  size = std::log(size_before / size_after);
  per_byte = 1 / size_before - 1 / size_after;
}

// By its size, and by the gap to the next one before `end`.
double Lookback::Tells(const Change& change, size_t i, size_t end) const {
  const double gap = i + 1 < end ? change.OfGap(seen_[i + 1].scaled_ns - seen_[i].scaled_ns) : 0;
  return gap + change.OfSize(seen_[i].len);
}

// Of packets `first` to `end` seen, the first one of the rise: the largest sum from it to the last is the most likely. The latest
// of those that are not less likely by more than `margin` is taken, as no packet of the calm is to pass for one of the rise.
size_t Lookback::ChangePoint(const Change& change, size_t first, size_t end, double margin) {
  double best = -HUGE_VAL;
  double score = 0;
  for (size_t i = end; i-- > first;) {
    score += Tells(change, i, end);
    scores_[i] = score;
    best = std::max(best, score);
  }
  size_t latest = end - 1;
  while (latest > first && scores_[latest] < best - margin) --latest;
  return latest;
}

// The most that packets in a row before `end`, which are of the calm, tell for a rise.
double Lookback::MostByChance(const Change& change, size_t end) const {
  double most = 0;
  double score = 0;
  for (size_t i = end; i-- > 0;) {
    score = std::max(0.0, score + Tells(change, i, end));
    most = std::max(most, score);
  }
  return most;
}

// Where the rate became `after`.
size_t Lookback::AtFullRate(size_t suspected, const OnsetWatch::Rates& before, const OnsetWatch::Rates& after) {
  const double short_ns = kTrainGap * 1e9 / after.packets;
  const Change change(short_ns, ShareOfTrains(0, suspected / 2, short_ns),
                      ShareOfTrains(suspected, seen_count_, short_ns), before, after);
  return ChangePoint(change, 0, seen_count_, kMargin);
}

// It may have begun more slowly, as many hosts or one whose caches are cold do: before `full` packets are looked for that tell of
// a lower rate, and a lower one yet, for as long as that lies above the threshold and above what came to half the way to the
// suspicion. They have to tell more than those did.
size_t Lookback::SlowBeginning(size_t suspected, size_t full) {
  const Measure measure = watch_.measure();
  const OnsetWatch::Rates after = watch_.early_rate();
  const size_t calm_end = suspected / 2;
  OnsetWatch::Rates calm = watch_.baseline();
  if (calm_end >= kFewestOfCalm) {
    calm.packets = std::max(calm.packets, RateOf(Measure::kPackets, 0, calm_end));
    calm.bytes = std::max(calm.bytes, RateOf(Measure::kBytes, 0, calm_end));
  }
  size_t first = suspected - std::min<size_t>(suspected, kSlack);
  while (first < full && seen_[full].scaled_ns - seen_[first].scaled_ns > kSlowBeginningNs) ++first;

  size_t at = full;
  double rate = Of(after, measure);
  while (first < at && rate > Of(watch_.threshold(), measure)) {
    rate = std::max(rate / kSlower, Of(watch_.threshold(), measure));
    if (rate <= Of(calm, measure)) break;
    const double share = (rate - Of(calm, measure)) / (Of(after, measure) - Of(calm, measure));
    const OnsetWatch::Rates slower = {calm.packets + (after.packets - calm.packets) * share,
                                      calm.bytes + (after.bytes - calm.bytes) * share};
    const double short_ns = kTrainGap * 1e9 / slower.packets;
    const double within = ShareOfTrains(0, calm_end, short_ns);
    const Change change(short_ns, within, within, calm, slower);
    at = ChangePoint(change, first, at + 1, std::max(kMarginOfSlower, MostByChance(change, calm_end) + kMargin));
  }
  return at;
}

// What was suspected came near the threshold by and by, and then the flood began on top of it: where, if that is held.
std::optional<size_t> Lookback::FloodOnTop() {
  const OnsetWatch::Jump jump = watch_.jump();
  if (jump.growth < kSteepest) return std::nullopt;
  const uint64_t first = std::max(ring_->held_first(), suspected_number_ - std::min(suspected_number_, kSlack));
  See(first, std::min<uint64_t>(ring_->held_end(), first + kMostSeen));
  const size_t at = AtFullRate(suspected_number_ - first, jump.before, jump.after);
  // The rate was another one in the slot before, but for its end.
  if (at + kFewestOfFlood > seen_count_ || seen_[at].time_ns < jump.from_ns - kEdgeNs) return std::nullopt;
  return at;
}

// At no cost, as trains of packets are suspected all the time: the stretch around it is held, and looked at if the rise holds.
void Lookback::Suspect(int64_t time_ns, const OnsetWatch::Counts& before) {
  if (ring_->packets() == 0 || !watch_.Suspect(time_ns, before)) return;
  if (on_suspicion_) on_suspicion_();
  LetGo();
  suspected_number_ = ring_->pushed() - 1;
  // What made the suspicion is of the rise already.
  const double behind = watch_.suspicious_bytes();
  ring_->Hold(static_cast<uint64_t>(static_cast<double>(ring_bytes_) * kShareBefore + behind),
              std::max<uint64_t>(ring_packets_ / 2, kFewestHeld) + kSlack,
              static_cast<uint64_t>(std::max(0.0, static_cast<double>(ring_bytes_) * kShareBehind - behind)));
}

// The rise holds. Now that its rate is known, its first packet is placed again, among those that are held.
void Lookback::Confirm() {
  const uint64_t first =
      std::max(ring_->held_first(), suspected_number_ - std::min(suspected_number_, kBeforeSuspicion));
  const uint64_t end = std::min(ring_->held_end(), suspected_number_ + kBehindSuspicion);
  if (!ring_->holding() || first >= end) {  // there was nothing to hold
    rise_number_ = ring_->pushed();
    watch_.ForgetAfterRise();
    LetGo();
    return;
  }
  See(first, end);
  const size_t suspected = suspected_number_ - first;
  std::optional<size_t> at = AtFullRate(suspected, watch_.baseline(), watch_.early_rate());
  rise_number_ = first + *at;
  at = HasEdge(*at, suspected) ? SlowBeginning(suspected, *at) : FloodOnTop();
  if (!at) {
    watch_.ForgetAfterRise();
    LetGo();
    return;
  }
  rise_number_ = seen_first_ + *at;
  kept_ = true;
  ring_->Trim(rise_number_ - std::min<uint64_t>(rise_number_, ring_packets_),
              rise_number_ + std::max<uint64_t>(ring_packets_ / 2, 1));
  onset_number_ = rise_number_;
  onset_ns_ = seen_[*at].time_ns;
  onset_loss_ = *loss_;
  loss_until_ = ring_->pushed();
  const OnsetWatch::Rates rate = watch_.rate();
  listener_->OnOnset({onset_ns_, rate.packets, rate.bytes * 8, watch_.baseline().packets, watch_.baseline().bytes * 8});
}

// By the packets first seen up to last: what came in the time between them, a second.
double Lookback::RateOf(Measure measure, size_t first, size_t last) const {
  const int64_t time_ns = seen_[last].scaled_ns - seen_[first].scaled_ns;
  if (time_ns <= 0) return INFINITY;
  double sum = 0;
  for (size_t i = first + 1; i <= last; ++i) sum += measure == Measure::kPackets ? 1.0 : seen_[i].len;
  return sum * 1e9 / static_cast<double>(time_ns);
}

// Of the `before` packets seen from before the suspicion the change is the one at `at`.
bool Lookback::HasEdge(size_t at, size_t before) const {
  const Measure measure = watch_.measure();
  const double threshold = Of(watch_.threshold(), measure);
  const double baseline = Of(watch_.baseline(), measure);
  // An edge would have been suspected long before, or the rate had come half the way before it.
  if (at + kLatestSuspicion < before) return false;
  const double rate_before = at >= kFewestBefore ? RateOf(measure, 0, at) : 0;
  if (rate_before >= baseline + (threshold - baseline) * kHalfTheWay &&
      Of(watch_.first_rate(), measure) < rate_before * kSteepest && watch_.steepest() < kSteepest) {
    return false;
  }

  size_t last = std::min(at + kEdgePackets, seen_count_ - 1);
  while (last + 1 < seen_count_ && seen_[last].scaled_ns - seen_[at].scaled_ns < kEdgeNs) ++last;
  const double edge_rate = last == at ? INFINITY : RateOf(measure, at, last);
  const double last_rate = Of(watch_.last_rate(), measure);
  const bool sharp = edge_rate >= threshold * kEdgeShare && edge_rate * kSteepGrowth >= last_rate;
  const bool far_above = Of(watch_.first_rate(), measure) >= threshold * kFarAbove;
  if (sharp || far_above || watch_.steepest() >= kSteepest) return true;
  return watch_.run() >= kFewestSlots &&
         Of(watch_.late_rate(), measure) < Of(watch_.early_rate(), measure) * kRampGrowth;
}

}  // namespace pcap_ring
