#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "base/thread.h"
#include "incident/recording.h"
#include "incident/types.h"

namespace pcap_ring {

// The writer thread (nice 10): the only one that touches files. Prepares the directory and recovers what dead writers left
// there, then writes what the capture thread hands over.
class Writer {
 public:
  struct Hooks {
    HostSink sink;
    std::function<Status()> on_ready;  // the directory is ready; not ok: there will be nothing to write
    std::function<void(uint32_t handle)> on_failed;  // a recording cannot go on
  };

  Writer(TapQueue* queue, const RingFacts* facts, Hooks hooks);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Not ok: there is no thread, and no event follows.
  Status Start();
  // Any thread, before the tap of the same handle is asked for.
  void Register(RecordingSpec spec);
  // Any thread: a recovery under way leaves the file that it is at as it found it, and the removal of old incidents before the start ends.
  void StopRecovery() { stop_recovery_.store(true, std::memory_order_relaxed); }
  void Join() { thread_.Join(); }

 private:
  void Run();
  bool Prepare();
  void Handle(TapMessage* message);
  void Begin(const TapMessage& message);
  void EndHistory(uint32_t handle);
  void Finish(uint32_t handle, const TapSummary& summary);
  void CheckFailure(Recording* recording);
  void SyncDue();
  void Sweep(const std::atomic<bool>& stop);
  int TimeoutMs() const;
  void EndUnfinished();
  // What was asked for and never began.
  void Refuse(uint32_t handle, TapKind kind, const Status& status);
  void Emit(const char* name, uint32_t handle, std::string json);
  std::unique_ptr<Recording> TakeRegistered(uint32_t handle);

  TapQueue* const queue_;
  const RingFacts* const facts_;
  const Hooks hooks_;
  Thread thread_;
  std::atomic<bool> stop_recovery_{false};  // relaxed: it only says "soon"
  struct Open {
    std::unique_ptr<Recording> recording;
    bool history_done = false;
    bool failure_told = false;
  };
  std::map<uint32_t, Open> open_;
  Keeper keeper_;

  std::mutex registered_mutex_;  // between callers and this thread; the capture thread never sees it
  std::map<uint32_t, std::unique_ptr<Recording>> registered_;
};

}  // namespace pcap_ring
