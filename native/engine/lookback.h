#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "engine/loss_marks.h"
#include "engine/thin_history.h"
#include "engine/types.h"
#include "ring/packet_ring.h"
#include "traffic/onset_watch.h"
#include "traffic/scaled_totals.h"

namespace pcap_ring {

// What a ring of the newest packets cannot show once a flood has rolled over it: how the rise began, and what was before.
// While a rise is suspected, and when it is confirmed, the stretch of the log around its first packet is held. A rise
// without an edge has no first packet; for that a thin history is kept of the calm. The capture thread's.
class Lookback {
 public:
  struct Config {
    size_t ring_packets = 500;
    size_t ring_bytes = 0;
    uint32_t largest_packet = 0;
    int64_t lookback_ns = 0;
    OnsetThresholds onset;
    std::function<void()> on_suspicion;  // before anything else: what comes from now on should all be kept
  };

  // How many packets the ring is given, to show `ring_packets`: the first of a rise are behind when it is suspected, and of
  // a small ring more is needed to tell whether it has an edge.
  static constexpr size_t PacketsToHold(size_t ring_packets) {
    constexpr size_t kBeyondRing = 64;
    constexpr size_t kFewest = 320;
    return std::max(ring_packets + kBeyondRing, kFewest);
  }

  Lookback(const Config& config, PacketRing* ring, const ScaledTotals* totals, const LossMarks* loss,
           EngineListener* listener);

  // For every packet, once it was counted. True: to be shown to Look, once it was pushed.
  bool Passes(const Packet& packet) { return watch_.Passes(packet.time_ns(), packet.len); }
  void Look(const Packet& packet);
  // From here on the kernel keeps one of `n` packets.
  void Sample(uint32_t n) { watch_.Sample(n); }
  // A rise is suspected, or what it began with is not all there.
  bool suspects() const { return watch_.suspected() || ring_->growing(); }
  // No packet will come that is stamped before this.
  void AdvanceTo(int64_t time_ns);
  // The oldest packet whose losses may still be asked of the ring's marks.
  uint64_t oldest_number() const;

  // T of an incident's freeze has come.
  void Freeze(int64_t time_ns) {
    AdvanceTo(time_ns);
    if (watch_.ConfirmEarly(time_ns, Counts())) Confirm();
  }
  // For one at this time, with packet number `split` the first behind it.
  bool KeepsOnset(int64_t time_ns, uint64_t split) const {
    return Kept() && onset_number_ < split && (watch_.rising() || time_ns <= watch_.remembered_until_ns());
  }
  uint64_t onset_number() const { return onset_number_; }
  int64_t onset_ns() const { return onset_ns_; }
  // The rate rose without an edge, and it is still raised; the rise began about packet rise_number().
  bool RisesWithoutOnset() const { return watch_.rising() && !Kept(); }
  uint64_t rise_number() const { return rise_number_; }
  const ThinHistory& history() const { return history_; }
  // What was lost around the onset: in force up to packet number loss_until().
  const LossMarks& onset_loss() const { return onset_loss_; }
  uint64_t loss_until() const { return Kept() ? loss_until_ : 0; }

 private:
  // A packet as far as it tells where a rise began.
  struct Seen {
    int64_t time_ns;
    int64_t scaled_ns;  // the same, but that the gap behind one of N packets is an Nth: as if no others had been
    uint32_t len;
  };

  // A ring in which a huge packet had no room beside what was held has let go of it.
  bool Kept() const { return kept_ && ring_->holding(); }
  void Act(OnsetWatch::Event event);
  void Suspect(int64_t time_ns, const OnsetWatch::Counts& before);
  void Confirm();
  void LetGo();
  void SeeRelease();
  OnsetWatch::Counts Counts() const;
  void TakeSample(const Packet& packet);
  void See(uint64_t first, uint64_t end);
  double ShareOfTrains(size_t first, size_t end, double short_ns) const;
  struct Change;
  double Tells(const Change& change, size_t i, size_t end) const;
  size_t ChangePoint(const Change& change, size_t first, size_t end, double margin);
  double MostByChance(const Change& change, size_t end) const;
  size_t AtFullRate(size_t suspected, const OnsetWatch::Rates& before, const OnsetWatch::Rates& after);
  size_t SlowBeginning(size_t suspected, size_t full);
  std::optional<size_t> FloodOnTop();
  bool HasEdge(size_t at, size_t before) const;
  double RateOf(OnsetWatch::Measure measure, size_t first, size_t last) const;

  const std::function<void()> on_suspicion_;
  const size_t ring_packets_;
  const size_t ring_bytes_;
  PacketRing* const ring_;
  const ScaledTotals* const totals_;
  const LossMarks* const loss_;
  EngineListener* const listener_;
  OnsetWatch watch_;
  ThinHistory history_;

  bool kept_ = false;  // a confirmed onset; else what the ring holds, if anything, is a suspicion
  uint64_t suspected_number_ = 0;  // the packet that made the suspicion
  uint64_t onset_number_ = 0;  // of the one that is kept
  int64_t onset_ns_ = 0;
  uint64_t rise_number_ = 0;
  LossMarks onset_loss_;
  uint64_t loss_until_ = 0;

  // Packets looked at again to place a change.
  static constexpr size_t kMostSeen = 512;
  std::array<Seen, kMostSeen> seen_;
  std::array<double, kMostSeen> scores_;  // of each as the first of the rise
  size_t seen_count_ = 0;
  uint64_t seen_first_ = 0;  // the number of the first of them
};

}  // namespace pcap_ring
