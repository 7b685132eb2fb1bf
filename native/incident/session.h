#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "incident/types.h"
#include "incident/writer.h"

namespace pcap_ring {

// A ring from start to close: the capture thread, the writer thread and the queue between them. The whole core behind one
// door; the binding and the core's own tests both use it. What happens comes through `sink`, on either thread.
//
// Events: started {mode, device, linkType, snaplen} · startFailed {error} · stats · warning {error} · onset · freeze {time} ·
// flush [sections] · flushFailed {error} · cap {reason} · finished {report} · failed {error} · down {error} · up · end ·
// died {error} · closed. After `closed` there are none.
class Session : private EngineListener {
 public:
  struct Config {
    EngineConfig engine;
    RingFacts facts;
  };

  Session(Config config, HostSink sink);
  ~Session() override;

  // All of these on any one thread.
  void Start();  // what prevents it comes as `startFailed`, too
  void Open(RecordingSpec recording, TapSpec tap);  // after `started`, which knows what the file will say of its source
  void Resolve(uint32_t handle, bool with_resolution = true);
  void Continue(uint64_t boundary);  // lock step: the listeners of a statistics event are done
  void Begin();  // replay: read the first packet
  void Close();
  // After Close, or after `startFailed`: waits for both threads.
  void Join();

 private:
  void OnStarted(const SourceInfo& info) override;
  void OnStartFailed(const Status& status) override;
  void OnStats(const StatsInterval& stats) override;
  void OnOnset(const Onset& onset) override;
  void OnFreeze(uint32_t handle, int64_t time_ns) override;
  void OnCap(uint32_t handle, CapReason reason) override;
  void OnWarning(const Status& status) override;
  void OnDown(const Status& status) override;
  void OnUp() override;
  void OnReplayEnd() override;
  void OnDied(const Status& status) override;

  static std::unique_ptr<Command> NewCommand(Command::Kind kind, uint32_t handle = 0);
  void Emit(const char* name, uint32_t handle = 0, std::string json = "", uint64_t boundary = 0);

  // `source` is written by the capture thread before it hands anything to the writer, or tells the host of its start.
  RingFacts facts_;
  const HostSink sink_;
  TapQueue queue_;
  // Members are destroyed last to first: the writer reads the log that the engine owns.
  Engine engine_;
  Writer writer_;
};

// The JSON of a Stats event.
std::string StatsJson(const StatsInterval& stats, Precision precision);

}  // namespace pcap_ring
