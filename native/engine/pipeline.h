#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/lookback.h"
#include "engine/loss_marks.h"
#include "engine/tap.h"
#include "engine/types.h"
#include "ring/packet_ring.h"
#include "traffic/counters.h"

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
    // How many losses may have been seen that no packet from behind them followed yet.
    size_t unplaced_losses = 1;
    // A replay waits for a writer that lags; a live capture counts what it cannot take.
    bool wait_for_writer = false;
  };

  Pipeline(const Config& config, TapQueue* queue, EngineListener* listener);

  bool ok() const { return ring_.ok(); }

  void OnPacket(const Packet& packet) {
    counter_.Count(packet);
    const bool kept = taps_.empty() ? ring_.Push(packet) : RecordPacket(packet);
    if (kept && lookback_) lookback_->OnPacket(packet);
  }
  // After each batch: what was recorded goes to the writer.
  void EndBatch();
  // The next packet's position, for losses that are seen or placed before it.
  LossMarks* loss() { return &loss_; }
  const LossMarks& loss() const { return loss_; }
  LossMarks::Position position() const {
    return {ring_.pushed(), lookback_ ? lookback_->oldest_number() : ring_.oldest_number()};
  }
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

  const TrafficCounters& totals() const { return counter_.total(); }
  RingState ring_state() const;
  int64_t newest_ns() const { return ring_.newest_ns(); }

 private:
  void OnNewSlab(Slab* slab) override;
  bool RecordPacket(const Packet& packet);
  void WaitForWriter();
  void FlushTaps();
  TrafficCounters CountFrom(Cursor begin, uint64_t packets) const;

  const Config config_;
  TapQueue* const queue_;
  EngineListener* const listener_;
  TrafficCounter counter_;
  PacketRing ring_;
  LossMarks loss_;
  std::optional<Lookback> lookback_;
  bool congested_ = false;
  std::vector<std::unique_ptr<Tap>> taps_;
  std::vector<TapMessage> refused_;
};

}  // namespace pcap_ring
