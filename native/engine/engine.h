#pragma once

#include <memory>

#include "base/thread.h"
#include "engine/context.h"

namespace pcap_ring {

class LiveDriver;
class ReplayDriver;
class StatisticsDriver;

// The capture thread (nice 10): opens the source, runs its driver until the host closes, and tells the writer last. The
// log that the writer reads lives as long as the engine, not as long as the thread.
class Engine {
 public:
  // Copies nothing later: `queue` and `listener` outlive the engine.
  Engine(EngineConfig config, TapQueue* queue, EngineListener* listener);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Starts the thread; OnStarted or OnStartFailed follows. After OnStartFailed the thread ends by itself. Not ok: there is
  // no thread, and nothing follows.
  Status Start();
  const Doorbell& bell() const { return context_.bell; }
  // Any thread. What is stamped from now on is all captured, until a command that says so (keeps_all) has been seen. False:
  // the kernel refuses.
  [[nodiscard]] bool KeepAll() { return context_.sampler.KeepAll(); }
  // Any thread.
  void Post(Command* command) { context_.Post(command); }
  void Join() { thread_.Join(); }

 private:
  void Run();
  Status ResolveDevice();
  Status RunDriver();
  template <typename Driver>
  Status Drive(std::unique_ptr<Driver>* driver);

  EngineContext context_;
  std::unique_ptr<LiveDriver> live_;
  std::unique_ptr<ReplayDriver> replay_;
  std::unique_ptr<StatisticsDriver> statistics_;
  Thread thread_;
};

// For each thread of ours at its start: nice 10, as a flood must not take the host's own time; a name for whoever looks
// with top -H; and no signals, which are the host's (a write beyond a limit is then an error, not the end of the process),
// but for its own faults: blocked, these would end the process past any handler, the sanitizers' too.
void PrepareThread(const char* name);

}  // namespace pcap_ring
