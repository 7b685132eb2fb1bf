#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/lookback.h"
#include "engine/loss_marks.h"
#include "engine/tap.h"
#include "engine/types.h"
#include "ring/packet_ring.h"
#include "traffic/counters.h"
#include "traffic/scaled_totals.h"

namespace pcap_ring {

// What every packet passes on the capture thread, wherever it comes from: count, keep in the ring, offer to the open
// taps. The drivers know time; the pipeline knows order.
class Pipeline : private PacketRing::Grower {
 public:
  struct Config {
    int dlt = 1;
    size_t ring_packets = 500;
    size_t ring_bytes = 2 * 1024 * 1024;
    uint32_t largest_packet = 2048;
    int64_t lookback_ns = 0;  // 0: neither onset nor history is kept
    OnsetThresholds onset;
    std::function<void()> on_suspicion;  // of a rise: what comes from now on should all be kept
    // How many losses may have been seen that no packet from behind them followed yet.
    size_t unplaced_losses = 1;
    // A replay waits for a writer that lags; a live capture counts what it cannot take.
    bool wait_for_writer = false;
  };

  // Blocks that a device is to hold for it at most: as many as the newest packets are in, where they are not small. None for a
  // ring that is so large that a block would overwrite next to none of it.
  static size_t MostHeld(const Config& config) { return MaxPackets(config) < kLargestCircle ? kMostHeld : 0; }

  Pipeline(const Config& config, TapQueue* queue, EngineListener* listener);

  bool ok() const { return ring_.ok(); }

  void OnPacket(const Packet& packet) {
    counter_.Count(packet);
    if (putting_off_) {
      PutOff(packet);
      if (lookback_ && lookback_->Passes(packet)) LookAtLast(packet);
      return;
    }
    const bool kept = taps_.empty() ? ring_.Push(packet) : RecordPacket(packet);
    if (lookback_ && lookback_->Passes(packet) && kept) lookback_->Look(packet);
  }
  // What the next packets point to stays until EndBlock(), and for as long as the block is held. Of more than the ring holds only
  // the last ones are ever copied, unless somebody wants to see the ring before: that takes a Settle().
  void BeginBlock() {
    putting_off_ = !put_off_.empty() && taps_.empty() && !ring_.MustKeepPushing();
    if (!putting_off_) Settle();
  }
  void EndBlock() {
    putting_off_ = false;
    if (put_off_count_ == 0) return;
    held_.push_back(put_off_count_);
    const auto has_packets = [this](uint64_t end) { return put_off_count_ - end < ring_.max_packets(); };
    held_.erase(held_.begin(), std::find_if(held_.begin(), held_.end(), has_packets));
    if (held_.size() > most_held_) Settle();
  }
  // As many as the device can spare.
  void SetMostHeld(size_t blocks) { most_held_ = std::min(blocks, kMostHeld); }
  // The newest blocks, whose packets are not in the ring yet.
  size_t held_blocks() const { return held_.size(); }
  // Before anything else than packets is looked at, or the source is closed.
  void Settle() {
    if (put_off_count_ > 0) PushPutOff();
  }
  // After each batch: what was recorded goes to the writer.
  void EndBatch();
  // The next packet's position, for losses that are seen or placed before it.
  LossMarks* loss() { return &loss_; }
  const LossMarks& loss() const { return loss_; }
  LossMarks::Position position() {
    Settle();
    return {ring_.pushed(), lookback_ ? lookback_->oldest_number() : ring_.oldest_number()};
  }
  // From here on the kernel keeps one of `n` packets; or (`since_ns`) from the first in the ring on that is stamped then.
  void Sample(uint32_t n, const StepCall& call = {}) { SampleFrom(position().sequence, n, call); }
  void Sample(uint32_t n, int64_t since_ns, const StepCall& call = {}) {
    Settle();
    SampleFrom(ring_.pushed() - ring_.packets() + SplitAt(since_ns).before, n, call);
  }
  bool recording() const;
  // A recording has reached its cap, and waits for its resolution: packets are counted for it.
  bool counting() const;
  // A rise is suspected, or what it began with is not all there.
  bool suspects() const { return lookback_ && lookback_->suspects(); }
  // Now and then, also while no packet comes, none of which will be stamped before `time_ns`: what the writer is done with
  // goes back to the system, and what was kept of a rise goes in its time.
  void EndInterval(int64_t time_ns) {
    if (taps_.empty()) ring_.Reclaim();
    if (lookback_) lookback_->AdvanceTo(time_ns);
  }

  // A new tap, pending. nullptr: no memory for the queue; the writer is told.
  Tap* Open(const TapSpec& spec);
  // T of a pending tap is here: what was pushed so far is from before it, save (`by_stamp`) that the first packet in the
  // ring stamped at or after T, and all behind it, are not.
  void Start(Tap* tap, int64_t time_ns, bool by_stamp);
  Tap* Find(uint32_t handle);
  const std::vector<std::unique_ptr<Tap>>& taps() const { return taps_; }
  // Something waits for room in the queue to the writer.
  bool backlog() const;

  const ScaledTotals& totals() const { return totals_; }
  uint64_t kept() const { return counter_.total().packets; }
  RingState ring_state() const;
  // But for what is put off and not in order.
  int64_t newest_ns() const {
    const int64_t newest_ns = std::max(ring_.newest_ns(), skipped_ns_);
    if (put_off_count_ == 0) return newest_ns;
    return std::max(newest_ns, put_off_[(put_off_at_ == 0 ? ring_.max_packets() : put_off_at_) - 1].time_ns());
  }

 private:
  static constexpr size_t kMostHeld = 4;
  // As many packets of 64 bytes as a block has.
  static constexpr size_t kLargestCircle = 1'700;
  static size_t MaxPackets(const Config& config) {
    return config.lookback_ns > 0 ? Lookback::PacketsToHold(config.ring_packets) : config.ring_packets;
  }
  void OnNewSlab(Slab* slab) override;
  // In the ring, the first packet stamped at or after a time, and how many are before it.
  struct Split {
    Cursor at;
    uint64_t before;
  };
  Split SplitAt(int64_t time_ns) const;
  void SampleFrom(uint64_t number, uint32_t n, const StepCall& call);
  // In the place of the one that it will overwrite in the ring.
  void PutOff(const Packet& packet) {
    Packet& place = put_off_[put_off_at_];
    if (put_off_count_ >= ring_.max_packets()) skipped_ns_ = std::max(skipped_ns_, place.time_ns());
    place = packet;
    ++put_off_count_;
    if (++put_off_at_ == ring_.max_packets()) put_off_at_ = 0;
  }
  bool PushPutOff();
  void LookAtLast(const Packet& packet);
  bool RecordPacket(const Packet& packet);
  void WaitForWriter();
  void FlushTaps();
  TrafficCounters CountFrom(Cursor begin, uint64_t packets) const;

  const Config config_;
  TapQueue* const queue_;
  EngineListener* const listener_;
  TrafficCounter counter_;
  ScaledTotals totals_;
  PacketRing ring_;
  LossMarks loss_;
  std::optional<Lookback> lookback_;
  bool congested_ = false;
  std::vector<std::unique_ptr<Tap>> taps_;

  // Of blocks, and not pushed yet: so many, the last ones of which are here, in a circle.
  bool putting_off_ = false;
  std::vector<Packet> put_off_;
  uint64_t put_off_count_ = 0;
  size_t put_off_at_ = 0;
  int64_t skipped_ns_ = INT64_MIN;  // the latest of the others
  size_t most_held_ = kMostHeld;
  std::vector<uint64_t> held_;  // blocks: how many were put off at the end of each
  std::vector<TapMessage> refused_;
};

}  // namespace pcap_ring
