#pragma once

#include <atomic>

#include "engine/mailbox.h"
#include "engine/types.h"
#include "source/live_source.h"
#include "source/replay_source.h"
#include "source/sampler.h"
#include "traffic/onset_thresholds.h"

namespace pcap_ring {

struct EngineConfig {
  bool replay = false;
  LiveSource::Options live;
  ReplaySource::Options recording;
  bool paced = false;              // replay in the time that passed when it was recorded
  bool fall_back = true;           // to statistics only, without the permission to capture
  size_t ring_packets = 500;
  size_t ring_bytes = 2 * 1024 * 1024;
  int64_t lookback_ns = 10 * kNsPerSec;  // 0: neither onset nor history is kept
  OnsetThresholds onset;
  double cpu_budget = 0;  // of the capture thread while nothing is recorded live, as a share of one core; 0: none
  int64_t stats_interval_ns = 250 * kNsPerMs;
};

// What the drivers share with whoever posts commands.
struct EngineContext {
  EngineConfig config;  // the capture thread's, once it runs
  TapQueue* const queue;
  EngineListener* const listener;
  Mailbox mailbox;
  Doorbell bell;
  Sampler sampler;  // live capture
  // Live capture: a packet stamped at or after this needs a look at the mailbox or at the taps first. One relaxed load a
  // packet; raised to INT64_MIN by whoever posts, lowered by the capture thread.
  std::atomic<int64_t> attention{INT64_MIN};
  // Replay: set with a kClose, for the long stretches between two looks at the mailbox.
  std::atomic<bool> closing{false};

  void Post(Command* command) {
    if (command->kind == Command::Kind::kClose) closing.store(true, std::memory_order_relaxed);
    mailbox.Post(command);
    attention.store(INT64_MIN, std::memory_order_seq_cst);
    bell.Ring();
  }
};

}  // namespace pcap_ring
