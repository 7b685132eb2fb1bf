#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "incident/draft.h"
#include "incident/report.h"
#include "incident/tally.h"
#include "incident/traffic_feed.h"
#include "incident/types.h"
#include "output/part_file.h"

namespace pcap_ring {

// One recording as the writer knows it: its file, its report, and what went wrong with them. The writer's thread.
class Recording {
 public:
  Recording(RecordingSpec spec, const RingFacts& facts);

  const RecordingSpec& spec() const { return spec_; }
  bool failed() const { return !failure_.ok(); }
  const Status& failure() const { return failure_; }

  // T: the files are made. `before` will follow, section by section.
  Status Begin(int64_t frozen_ns, const BeforeFreeze& before);
  // Writes the packets of a span and lets go of its slabs, whatever becomes of it.
  void Append(Section section, const Span& span);
  // What gathered in memory goes to the file.
  Status Flush();
  // All of it, and what is in the file to the disk.
  Status Sync();
  bool NeedsSync(int64_t now_ns) const;
  int64_t sync_due_ns() const { return dirty_ && !failed() ? last_sync_ns_ + kSyncEveryNs : kNever; }

  std::string SectionsText() const;
  // Data, report, renames, directory. The report as it stands in the file. Not ok: no file was kept.
  Status Finish(const TapSummary& summary, std::string* report);

 private:
  static constexpr size_t kBufferSize = 64 * 1024;
  static constexpr size_t kAroundPacket = 128;  // more than any format puts around a packet's bytes
  static constexpr uint64_t kSyncEveryBytes = 1024 * 1024;
  static constexpr int64_t kSyncEveryNs = kNsPerSec;

  void AppendRecord(Section section, const RecordHeader& header, RecordWalker* walker, bool keep);
  Status BeginFile();
  void AppendEnd(const TapSummary& summary);
  std::string ReportText(const TapSummary& summary);
  Status PublishReport(const std::string& report);
  void Fail(Status status);
  bool WantsFile() const { return facts_.source.mode == Mode::kCapture; }
  bool WantsReport() const { return !spec_.report_path.empty(); }

  const RecordingSpec spec_;
  const RingFacts& facts_;
  PartFile file_;
  PartFile draft_;   // where there will be a report; goes once that and the file have their names
  PartFile report_;
  Directory directory_;
  std::string head_;
  int64_t frozen_ns_ = 0;
  BeforeFreeze before_;
  std::vector<uint8_t> buffer_;
  // What is in the file and the buffer, and what was in the file when the buffer was last empty.
  Tally tally_;
  Tally safe_tally_;
  std::unique_ptr<TrafficFeed> traffic_;  // none for a dump and in statistics-only mode
  Sha256 digest_;
  uint64_t safe_bytes_ = 0;
  bool dirty_ = false;
  bool name_synced_ = false;
  uint64_t unsynced_ = 0;
  int64_t last_sync_ns_ = 0;
  Status failure_;
};

// Lets go of a span that nobody reads.
void ReleaseSpan(const Span& span);

}  // namespace pcap_ring
