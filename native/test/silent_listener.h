#pragma once

#include "engine/types.h"

namespace pcap_ring::testing {

// Hears of everything and does nothing; a test overrides what it wants to know.
class SilentListener : public EngineListener {
 public:
  void OnStarted(const SourceInfo&) override {}
  void OnStartFailed(const Status&) override {}
  void OnStats(const StatsInterval&) override {}
  void OnOnset(const Onset&) override {}
  void OnFreeze(uint32_t, int64_t) override {}
  void OnCap(uint32_t, CapReason) override {}
  void OnWarning(const Status&) override {}
  void OnDown(const Status&) override {}
  void OnUp() override {}
  void OnReplayEnd() override {}
  void OnDied(const Status&) override {}
};

}  // namespace pcap_ring::testing
