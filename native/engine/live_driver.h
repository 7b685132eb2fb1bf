#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/wait_set.h"
#include "engine/context.h"
#include "engine/exchange_place.h"
#include "engine/pipeline.h"
#include "engine/sampling_governor.h"
#include "engine/stats_keeper.h"
#include "source/interface_counters.h"
#include "source/live_source.h"

namespace pcap_ring {

// Drives the pipeline from a device. The newest packets sit in the kernel for up to `latency`, so a boundary in time (a
// freeze, a resolution, a cap) is crossed at the first packet stamped at or after it, or once the kernel's buffer was
// found empty so late that no earlier packet can come. The capture thread's.
class LiveDriver : private LiveSource::Sink {
 public:
  explicit LiveDriver(EngineContext* context);

  Status Open();
  const SourceInfo& info() const { return info_; }
  // Until the host closes.
  void Run();

 private:
  // A boundary's time by the clock that never steps, as told by the caller's two clocks at its call.
  struct Clocks {
    uint32_t handle;
    int64_t freeze_ns;
    int64_t real_minus_mono_ns;
  };

  // An exchange of the sampler's. The kernel keeps one of so many from the first packet on that is stamped `place_ns`;
  // those from before it may not have been taken yet.
  struct SamplingStep {
    uint32_t number;
    Sampler::Exchange exchange;
    int64_t place_ns;  // its end, or what the packets say
  };
  static StepCall CallOf(const SamplingStep& step) { return {step.exchange.begin_ns, step.exchange.end_ns}; }

  void OnPacket(const Packet& packet) override;
  void OnBlock(uintptr_t slot, uint32_t packets) override;
  void OnBlockEnd() override;
  size_t HeldBlocks() const override { return pipeline_->held_blocks(); }
  void OnDrops(uint32_t packets, uintptr_t slot, int64_t before_ns) override;
  // Before a packet stamped `time_ns` is taken: losses and boundaries that it shows to be past, and commands.
  void Attend(int64_t time_ns);
  bool Listen();
  void AttachSampler();
  void CloseSource();
  void Steer(int64_t now_ns);
  void Keep(uint32_t one_of);
  void Suspected();
  void KeptAll();
  void TakeExchanges();
  void FindStepsInBlock();
  void PlaceSteps(int64_t time_ns);
  void HandleCommands();
  void Handle(const Command& command);
  void CrossByTime(bool kernel_empty);
  void UpdateAttention();
  int64_t BoundaryOf(const Tap& tap) const;
  int64_t MonotonicOf(const Tap& tap, int64_t boundary_ns) const;
  Clocks* ClocksOf(uint32_t handle);
  const Clocks* ClocksOf(uint32_t handle) const;
  void Cross(Tap* tap);
  void PollAndDispatch();
  int TimeoutMs() const;
  InterfaceCounters::Presence ReadInterface();
  void EndInterval(int64_t now_ns);
  void Die(const Status& status);
  void GoDown();
  void TryUp(int64_t now_ns);
  void MarkOutage();
  bool Reopen();

  EngineContext* const context_;
  LiveSource source_;
  WaitSet wait_set_;
  InterfaceCounters counters_;
  InterfaceCounters::Values interface_;
  uint64_t missed_ = 0;
  std::unique_ptr<Pipeline> pipeline_;
  StatsKeeper stats_;
  SourceInfo info_;
  std::vector<Clocks> clocks_;
  std::optional<SamplingGovernor> governor_;  // nothing: there is no budget
  uint32_t one_of_ = 1;  // packets that the kernel keeps
  std::vector<SamplingStep> steps_;  // that no packet from behind them followed yet
  int64_t stepped_ns_ = 0;  // monotonic: the last of them
  uint32_t exchanges_ = 0;  // of the sampler's, seen
  std::vector<int64_t> stamps_;  // of a block
  uint32_t packets_in_block_ = 0;
  bool stepped_in_block_ = false;
  CameBefore before_;  // the block before
  int64_t next_steering_ns_ = 0;  // monotonic
  bool heeding_ = false;  // the suspicion that there is: every packet is kept
  int64_t next_heeding_ns_ = 0;  // monotonic; a bucket, as in OnsetWatch
  int64_t interval_start_ns_ = 0;  // monotonic
  int64_t next_interval_ns_ = 0;  // monotonic
  bool down_ = false;
  bool outage_ = false;  // that has no place yet
  int64_t outage_ns_ = kNever;  // before the first packet stamped then
  bool died_ = false;
  int64_t down_since_ns_ = 0;  // monotonic
  int64_t next_try_ns_ = 0;
  int64_t back_off_ns_ = 0;
  Code told_ = Code::kOk;  // why the device cannot be opened again
  bool failing_ = false;  // an error of the source was told, and what came before it is to be taken first
  bool more_ = false;  // the kernel's buffer may hold more than was taken
  bool drained_ = false;  // it was found empty when it was last looked at
  bool closing_ = false;
  int64_t closed_ns_ = kNever;  // monotonic: the moment of the close
};

}  // namespace pcap_ring
