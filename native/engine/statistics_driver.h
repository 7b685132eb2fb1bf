#pragma once

#include <memory>
#include <vector>

#include "engine/context.h"
#include "engine/stats_keeper.h"
#include "engine/tap.h"
#include "source/interface_counters.h"

namespace pcap_ring {

// Without the permission to capture: the operating system's counters of the interface, and incidents without packets.
// The capture thread's.
class StatisticsDriver {
 public:
  explicit StatisticsDriver(EngineContext* context);

  Status Open();
  const SourceInfo& info() const { return info_; }
  // Until the host closes.
  void Run();

 private:
  void HandleCommands();
  void Handle(const Command& command);
  void Read();
  void CrossTaps(int64_t now_ns);
  void FlushTaps();
  void EndInterval(int64_t now_ns);

  EngineContext* const context_;
  InterfaceCounters counters_;
  InterfaceCounters::Values last_;
  TrafficCounters totals_;
  ScaledTotals scaled_totals_{&totals_};  // nothing is sampled
  LossMarks::Totals loss_;
  StatsKeeper stats_;
  SourceInfo info_;
  std::vector<std::unique_ptr<Tap>> taps_;
  int64_t interval_start_ns_ = 0;  // monotonic
  int64_t next_interval_ns_ = 0;
  bool up_ = true;
  bool was_gone_ = false;
  bool closing_ = false;
};

}  // namespace pcap_ring
