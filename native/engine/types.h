#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "base/time.h"
#include "engine/gaps.h"
#include "engine/sampling_marks.h"
#include "ring/record.h"
#include "ring/spsc_queue.h"
#include "traffic/counters.h"

namespace pcap_ring {

inline constexpr uint64_t kUnlimited = UINT64_MAX;

enum class Mode { kCapture, kStatistics };
enum class TapKind { kIncident, kManual, kDump };
enum class CapReason { kNone, kPackets, kBytes, kDuration };
enum class Section { kHistory, kPreBuffer, kOnset, kAttack, kResolution };  // in file order
inline constexpr size_t kSections = static_cast<size_t>(Section::kResolution) + 1;
inline constexpr size_t kSectionsBefore = static_cast<size_t>(Section::kAttack);  // from before the freeze

// What the file of a recording takes beside the bytes of its packets: enough to keep a cap in bytes to the byte without
// knowing the format.
struct FileCost {
  uint64_t file = 0;  // before the first record and behind the last
  uint32_t record = 0;  // every record
  uint32_t alignment = 1;  // a packet's bytes are filled up to a multiple of this, a power of two
  std::array<uint32_t, kSections> section = {};  // the first record of a section, on top

  // A record in the file.
  uint64_t Of(uint32_t caplen) const {
    const uint64_t mask = uint64_t{alignment} - 1;
    return record + ((caplen + mask) & ~mask);
  }
  uint32_t Beginning(Section which) const { return section[static_cast<size_t>(which)]; }
};

// What one recording asks of the capture thread. A "tap" is that recording as the capture thread knows it: from when to
// when, and how much. It knows no file.
struct TapSpec {
  uint32_t handle = 0;
  TapKind kind = TapKind::kIncident;
  uint64_t cap_packets = kUnlimited;
  uint64_t cap_bytes = kUnlimited;  // of the file
  int64_t cap_duration_ns = kNever;
  uint64_t resolution_packets = 0;
  int64_t resolution_ns = 0;
  bool resolution_reserve = false;
  int64_t interval_ns = 0;  // of the statistics
  FileCost cost;
  // The packets handed over so far, for whoever asks on another thread. Relaxed: a number, not a signal.
  std::shared_ptr<std::atomic<uint64_t>> progress;
};

struct Peak {
  double value = 0;
  int64_t at_ns = kNever;  // until there is one
};

struct TimelineSlot {
  int64_t at_ns = 0;
  uint64_t packets = 0;
  uint64_t bytes = 0;
};

// What the capture thread knows of a recording when it ends.
struct TapSummary {
  int64_t resolved_ns = 0;
  Code error = Code::kOk;  // why the ring died under it
  CapReason capped = CapReason::kNone;
  TrafficCounters traffic;  // from the freeze to the resolution, whatever was recorded; only sums known in kStatistics
  SamplingRange sampling;  // how `traffic`, the peaks and the timeline were counted
  Peak peak_pps;
  Peak peak_bps;
  std::vector<TimelineSlot> timeline;
  // Packets lost between the first and the last one recorded.
  uint64_t kernel_loss = 0;
  uint64_t interface_loss = 0;
  uint64_t writer_loss = 0;
  std::vector<Gap> gaps;  // where; and before the first one recorded, where more was asked for than was there
};

// What a recording has from before its freeze.
struct BeforeFreeze {
  int64_t onset_ns = kNever;  // of the onset that was kept
  std::array<uint64_t, kSectionsBefore> packets = {};
  std::array<SamplingRange, kSectionsBefore> sampling = {};

  // When the attack began: by the onset that was kept, else by somebody's own idea.
  int64_t OnsetOr(int64_t since_ns) const { return onset_ns != kNever ? onset_ns : since_ns; }
  uint64_t& Of(Section section) { return packets[static_cast<size_t>(section)]; }
  SamplingRange& SamplingOf(Section section) { return sampling[static_cast<size_t>(section)]; }
  uint64_t total() const { return std::accumulate(packets.begin(), packets.end(), uint64_t{0}); }
};

// From the capture thread to the writer. The spans of one recording come in file order; those from before the freeze
// between kStart and kFrozen.
struct TapMessage {
  enum class Kind { kNone, kStart, kSpan, kFrozen, kEnd, kShutdown };
  Kind kind = Kind::kNone;
  uint32_t handle = 0;
  Section section = Section::kPreBuffer;
  Span span;
  int64_t time_ns = 0;  // kStart: T
  std::unique_ptr<BeforeFreeze> before;  // kStart
  std::unique_ptr<TapSummary> summary;  // kEnd
};

// The lock-free queue, and the bell that tells the writer to look.
struct TapQueue {
  TapQueue() : messages(1024) {}
  SpscQueue<TapMessage> messages;
  Doorbell bell;
};

struct RingState {
  uint64_t packets = 0;
  uint64_t bytes = 0;
  int64_t oldest_ns = 0;  // only while packets > 0
  int64_t span_ns = 0;
};

// One completed statistics interval.
struct StatsInterval {
  Mode mode = Mode::kCapture;
  int64_t time_ns = 0;  // its end
  int64_t interval_ns = 0;
  TrafficCounters traffic;
  uint64_t kernel_loss = 0;
  uint64_t interface_loss = 0;
  uint32_t one_of = 1;  // of how many packets one is kept, at its end
  RingState ring;
  uint64_t total_packets = 0;
  uint64_t total_bytes = 0;
  uint64_t total_kernel_loss = 0;
  uint64_t total_interface_loss = 0;
  // Not 0: the capture thread waits until this number is handed back (lock-step replay).
  uint64_t boundary = 0;
};

// What the engine learned of its source when it was opened.
struct SourceInfo {
  Mode mode = Mode::kCapture;
  bool replay = false;
  std::string device;  // "" in a replay
  uint32_t linktype = 1;  // the LINKTYPE_ field for file headers
  std::string linktype_name;  // "EN10MB"
  uint32_t snaplen = 0;
  uint32_t file_snaplen = 0;  // for file headers: no packet is longer, save one that was in its recording
};

// A rise of the rate whose beginning is kept from now on.
struct Onset {
  int64_t at_ns = 0;
  double pps = 0;  // since then
  double bps = 0;
  double baseline_pps = 0;
  double baseline_bps = 0;
};

// Called on the capture thread; must return at once.
class EngineListener {
 public:
  virtual ~EngineListener() = default;
  virtual void OnStarted(const SourceInfo& info) = 0;
  virtual void OnStartFailed(const Status& status) = 0;
  virtual void OnStats(const StatsInterval& stats) = 0;
  virtual void OnOnset(const Onset& onset) = 0;
  virtual void OnFreeze(uint32_t handle, int64_t time_ns) = 0;
  virtual void OnCap(uint32_t handle, CapReason reason) = 0;
  virtual void OnWarning(const Status& status) = 0;
  virtual void OnDown(const Status& status) = 0;
  virtual void OnUp() = 0;
  virtual void OnReplayEnd() = 0;
  virtual void OnDied(const Status& status) = 0;
};

}  // namespace pcap_ring
