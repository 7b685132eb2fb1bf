#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/time.h"

namespace pcap_ring {

// How long, and how much of them, finished incidents are kept.
struct KeepLimits {
  std::optional<int64_t> age_ns;    // since they were finished
  std::optional<uint64_t> bytes;  // of captures and reports together

  bool any() const { return age_ns.has_value() || bytes.has_value(); }
};

// Removes finished incidents that are beyond the limits, the oldest first: the capture, then its report. Of the files in the
// directory only those that a report of ours names, this user's own; never one that somebody has locked (a writer, a reader
// with flock), or whose incident has a part yet or waits for the host's archive. Of several processes with one directory
// one does so at a time. When an incident was finished is the report's time of modification: what a report says of its time is the packets' own, in a replay
// of years ago. The writer's thread.
class Keeper {
 public:
  struct Hooks {
    // An incident was removed: the path of its capture; of its report where there was no capture.
    std::function<void(const std::string& path)> removed;
    // One that should go cannot be removed, for another reason than that it is held. Told of once.
    std::function<void(const Status& status)> failed;
  };

  Keeper(std::string directory, KeepLimits limits, Hooks hooks);

  // Ends early once `stop` is set.
  void Sweep(int64_t now_ns, const std::atomic<bool>& stop);
  // Monotonic: when to look again although nothing was finished; kNever where nothing grows old.
  int64_t due_ns() const { return due_ns_; }

 private:
  // A file as it was when it was looked at.
  struct Seen {
    dev_t device = 0;
    ino_t inode = 0;
    int64_t modified_ns = 0;
    uint64_t size = 0;
    bool operator==(const Seen&) const = default;
  };
  struct Incident {
    Seen report;
    bool ours = false;  // the report is one of ours, about this incident
    std::string capture;  // the path; "": it has none
    uint64_t capture_bytes = 0;  // by its report
    bool told = false;  // that it cannot be removed
  };
  enum class Outcome { kRemoved, kHeld, kFailed };

  static std::optional<Seen> Look(int fd);
  static Seen SeenAs(const struct stat& found);
  void LookAround(const std::atomic<bool>& stop);
  Incident Read(const std::string& id, const std::string& path) const;
  uint64_t BytesOf(const Incident& incident) const;
  Outcome Remove(const std::string& id, const Incident& incident) const;

  const std::string directory_;
  const KeepLimits limits_;
  const Hooks hooks_;
  std::map<std::string, Incident> incidents_;  // by id, so that a report is read once
  int64_t due_ns_ = kNever;
};

}  // namespace pcap_ring
