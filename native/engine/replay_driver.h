#pragma once

#include <deque>

#include "engine/context.h"
#include "engine/packet_clock.h"
#include "engine/pipeline.h"
#include "engine/stats_keeper.h"

namespace pcap_ring {

// Drives the pipeline from a recording, in packet time: in lock step, waiting for the host's listeners at each statistics
// boundary, or paced as it was recorded. What was read is before a freeze, what was not is behind it. The capture
// thread's.
class ReplayDriver {
 public:
  explicit ReplayDriver(EngineContext* context);

  Status Open();
  const SourceInfo& info() const { return info_; }
  // Until the host closes.
  void Run();

 private:
  void Replay();
  void Finish();
  // Time passes up to `time_ns`: what it meets happens in its order.
  void Advance(int64_t time_ns);
  void CrossTaps(int64_t time_ns);
  void EndInterval(int64_t time_ns);
  void WaitUntil(int64_t time_ns);
  int64_t PacedNow() const;
  int64_t AskedAt(const Command& command) const;
  void AwaitListeners();
  void Wait(int timeout_ms);
  void HandleCommands();
  void HandleDeferred();
  void CompleteDeferred();
  void Handle(const Command& command);
  int64_t NextTapBoundary() const;

  EngineContext* const context_;
  ReplaySource source_;
  std::unique_ptr<Pipeline> pipeline_;
  StatsKeeper stats_;
  PacketClock clock_;
  SourceInfo info_;
  std::deque<std::unique_ptr<Command>> deferred_;  // asked, not done yet
  int64_t interval_start_ns_ = 0;
  int64_t paced_start_ns_ = 0;  // monotonic, at the clock's start
  int64_t paced_origin_ns_ = 0;
  uint64_t boundary_ = 0;
  bool waiting_ = false;
  bool begun_ = false;
  bool ended_ = false;
  bool closing_ = false;
};

}  // namespace pcap_ring
