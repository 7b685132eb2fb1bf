#include "incident/recovery.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "incident/capture_scan.h"
#include "incident/draft.h"
#include "incident/file_traffic.h"
#include "incident/report.h"
#include "output/part_file.h"
#include "source/filter.h"
#include "source/recording_reader.h"

namespace pcap_ring {
namespace {

constexpr std::string_view kPrefix = "incident_";
constexpr FileFormat kFormats[] = {FileFormat::kPcap, FileFormat::kPcapng};
constexpr std::string_view kReportEnd = ".json.part";

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  if (DIR* open = opendir(directory.c_str())) {
    while (const dirent* entry = readdir(open)) names.emplace_back(entry->d_name);
    closedir(open);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string PartEnd(FileFormat format) { return std::string(".") + FormatName(format) + PartFile::kSuffix; }

std::optional<std::string> IdOf(const std::string& name, std::string_view end) {
  if (!name.starts_with(kPrefix) || !name.ends_with(end) || name.size() <= kPrefix.size() + end.size()) {
    return std::nullopt;
  }
  return name.substr(kPrefix.size(), name.size() - kPrefix.size() - end.size());
}

bool Exists(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0;
}

std::string ReadAll(int fd) {
  constexpr size_t kMost = 1024 * 1024;
  std::string text;
  std::array<char, 16 * 1024> piece;
  while (text.size() < kMost) {
    const ssize_t size = pread(fd, piece.data(), piece.size(), static_cast<off_t>(text.size()));
    if (size <= 0) break;
    text.append(piece.data(), static_cast<size_t>(size));
  }
  return text;
}

// Without a draft: what the file itself tells.
Draft DraftFrom(const RingFacts& facts, const RecordingSpec& spec, FileFormat format, const CaptureScan& scan,
                const std::string& linktype_name) {
  RingFacts known = facts;
  known.precision = scan.precision;
  known.format = format;
  known.filter.clear();
  known.source = {};
  known.source.replay = true;  // no device is known
  known.source.linktype_name = linktype_name;
  known.source.snaplen = scan.snaplen;
  Draft draft;
  draft.precision = scan.precision;
  draft.frozen_ns = scan.tally.packets() > 0 ? scan.tally.from_ns() : 0;
  draft.head = ReportHead(spec, known, draft.frozen_ns);
  return draft;
}

Status RecoverOne(const RingFacts& facts, const std::string& id, FileFormat format, const std::atomic<bool>& stop) {
  const std::string stem = facts.directory + "/" + std::string(kPrefix) + id;
  const std::string path = stem + "." + FormatName(format);
  PartFile capture;
  PartFile report;
  if (Status status = capture.Adopt(path); !status.ok()) {
    return status.code == Code::kFileExists || status.error_number == ENOENT ? Status::Ok() : status;
  }
  if (Exists(path)) {
    return {Code::kFileExists, path + " exists, so its .part cannot be recovered; move one of them", EEXIST, nullptr};
  }
  const bool adopted = report.Adopt(stem + ".json").ok();
  std::optional<Draft> draft;
  if (adopted) draft = Draft::Decode(ReadAll(report.fd()));

  const CaptureScan scan = ScanCapture(capture.fd(), format,
                                 {.before = draft ? draft->before : BeforeFreeze(),
                                  .onset_ns = draft ? draft->before.OnsetOr(draft->since_ns) : kNever,
                                  .frozen_ns = draft ? draft->frozen_ns : kNever},
                                 stop);
  if (stop.load(std::memory_order_relaxed)) return Status::Ok();
  if (scan.bytes == 0) {
    if (!scan.begun) return Status::Error(Code::kBadFile, path + ".part is no capture of ours and was left alone");
    capture.Discard();  // nothing was ever recorded
    report.Discard();
    return Status::Ok();
  }
  if (Status status = capture.Truncate(scan.bytes); !status.ok()) return status;
  if (Status status = capture.Sync(); !status.ok()) return status;

  // A report under its final name is whole: its writer died between the two renames.
  if (!Exists(stem + ".json")) {
    RecordingSpec spec;
    spec.id = id;
    spec.path = path;
    spec.kind = draft ? draft->kind : TapKind::kIncident;
    spec.since_ns = draft ? draft->since_ns : kNever;
    const PcapHandle dead = OpenDead(scan.linktype, RecordingReader::kMaxCaplen);
    if (!draft) {
      draft = DraftFrom(facts, spec, format, scan,
                        DltName(dead != nullptr ? pcap_datalink(dead.get()) : static_cast<int>(scan.linktype)));
    }
    TapSummary summary;
    summary.resolved_ns = scan.tally.packets() > 0 ? std::max(draft->frozen_ns, scan.tally.to_ns()) : draft->frozen_ns;
    summary.traffic = scan.after_freeze;
    FileOutcome outcome;
    outcome.bytes = scan.bytes;
    outcome.sha256 = scan.sha256;
    outcome.recovered = true;
    outcome.traffic = scan.traffic.get();
    const std::string text = ReportJson(draft->head, spec, draft->precision, Mode::kCapture, draft->frozen_ns,
                                        draft->before, scan.tally, summary, outcome) +
                             "\n";
    if (!adopted) {
      if (Status status = report.Create(stem + ".json"); !status.ok()) return status;
    }
    // A crash from here on finds the same capture and, the draft gone, tells a little less.
    Status status = report.Truncate(0);
    if (status.ok()) status = report.Write(text.data(), text.size());
    if (status.ok()) status = report.Sync();
    if (status.ok()) status = report.Publish();
    if (!status.ok()) return status;
  } else {
    report.Discard();
  }
  if (Status status = capture.Publish(); !status.ok()) return status;
  return SyncDirectoryOf(stem);
}

// A report without a capture: its writer died before there was anything to report, or had no capture to begin with. Only
// what can be ours: nothing yet, a draft, a report as it is being written.
void DropReport(const std::string& path) {
  PartFile report;
  if (!report.Adopt(path).ok()) return;
  const std::string text = ReadAll(report.fd());
  if (text.empty() || Draft::Decode(text) || text.starts_with("{\"version\":1,\"id\":")) report.Discard();
}

}  // namespace

void RecoverDirectory(const RingFacts& facts, const std::atomic<bool>& stop,
                      const std::function<void(const Status&)>& warn) {
  for (const std::string& name : Names(facts.directory)) {
    if (stop.load(std::memory_order_relaxed)) return;
    for (const FileFormat format : kFormats) {
      const auto id = IdOf(name, PartEnd(format));
      if (!id) continue;
      if (Status status = RecoverOne(facts, *id, format, stop); !status.ok()) warn(status);
    }
  }
  for (const std::string& name : Names(facts.directory)) {
    const auto id = IdOf(name, kReportEnd);
    if (!id) continue;
    const std::string stem = facts.directory + "/" + std::string(kPrefix) + *id;
    const bool capture = std::any_of(std::begin(kFormats), std::end(kFormats),
                                     [&](FileFormat format) { return Exists(stem + PartEnd(format)); });
    if (!capture) DropReport(stem + ".json");
  }
}

}  // namespace pcap_ring
