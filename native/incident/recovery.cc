#include "incident/recovery.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <vector>

#include "incident/capture_scan.h"
#include "incident/draft.h"
#include "incident/file_traffic.h"
#include "incident/names.h"
#include "incident/report.h"
#include "output/part_file.h"
#include "source/filter.h"
#include "source/recording_reader.h"

namespace pcap_ring {
namespace {

constexpr FileFormat kFormats[] = {FileFormat::kPcap, FileFormat::kPcapng};

Status ReadNames(const std::string& directory, std::vector<std::string>* names) {
  const auto failed = [&](const char* syscall) {
    return Status::Errno(CodeOfWriteError(errno), "cannot look for files to recover in " + directory, syscall, errno);
  };
  DIR* const open = opendir(directory.c_str());
  if (open == nullptr) return failed("opendir");
  Status status;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads from this stream.
  for (errno = 0; const dirent* entry = readdir(open); errno = 0) names->emplace_back(entry->d_name);
  if (errno != 0) status = failed("readdir");
  closedir(open);
  return status;
}

// Of an incident's file that is not under its final name, "" else.
std::string IdOf(const std::string& name) {
  for (const char* end : kUnfinished) {
    if (std::string id = IncidentIdOf(name, end); !id.empty()) return id;
  }
  return "";
}

bool Exists(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0;
}

Status ReadAll(int fd, std::string* text) {
  constexpr size_t kMost = 1024 * 1024;
  std::array<char, 16 * 1024> piece;
  while (text->size() < kMost) {
    const ssize_t size = pread(fd, piece.data(), piece.size(), static_cast<off_t>(text->size()));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Status::Errno(Code::kWrite, "cannot read what is known of an incident", "pread", errno);
    if (size == 0) break;
    text->append(piece.data(), static_cast<size_t>(size));
  }
  return Status::Ok();
}

// What one incident left. Its writer held the locks of its part and of its draft as long as it lived.
class Leftover {
 public:
  Leftover(const RingFacts& facts, const std::string& id, const std::atomic<bool>& stop)
      : facts_(facts), stop_(stop), id_(id), stem_(facts.directory + "/" + IncidentName(id)) {}

  Status Recover();

 private:
  std::string PathOf(FileFormat format) const { return stem_ + "." + FormatName(format); }
  std::string ReportPath() const { return stem_ + ".json"; }
  Status RecoverPart(FileFormat format);
  Status RecoverDraft();
  Status ReportFinal(FileFormat format, bool reported);
  Status ReadDraft();
  void DropReport();
  CaptureScan Scan(int fd, FileFormat format) const;
  Draft DraftFrom(const CaptureScan& scan, FileFormat format) const;
  Status MakeReport(const std::string& path, FileFormat format, const CaptureScan* scan);
  Status TellsOf(const std::string& what) const;
  Status MarkUndelivered() const;
  Status SyncNames() const;

  const RingFacts& facts_;
  const std::atomic<bool>& stop_;
  const std::string id_;
  const std::string stem_;
  PartFile draft_file_;
  std::optional<Draft> draft_;
  bool draft_begun_ = false;
  Status not_believed_;  // a draft that is not as a writer of ours leaves it
};

Status Leftover::Recover() {
  bool any = false;
  for (const FileFormat format : kFormats) {
    FinishRename(PathOf(format));
    if (!Exists(PathOf(format) + PartFile::kSuffix)) continue;
    any = true;
    if (Status status = RecoverPart(format); !status.ok()) return status;
  }
  if (!any) {
    if (Status status = RecoverDraft(); !status.ok()) return status;
  }
  return not_believed_;
}

// Nothing of a report that a dead writer was writing is of use: the draft is there as long as that has no name.
void Leftover::DropReport() {
  FinishRename(ReportPath(), kReportSuffix);
  PartFile report;
  if (report.Adopt(ReportPath(), kReportSuffix).ok()) report.Discard();
}

// Whether or not there is one of ours; not if it has a living writer, or cannot be read now.
Status Leftover::ReadDraft() {
  draft_.reset();
  Status status = draft_file_.Adopt(ReportPath());
  if (!status.ok() && status.error_number == ENOENT) return Status::Ok();
  if (!status.ok() && (status.error_number == ELOOP || status.error_number == 0)) {
    not_believed_ = status;
    return Status::Ok();
  }
  if (!status.ok()) return status;
  std::string text;
  status = ReadAll(draft_file_.fd(), &text);
  if (status.ok()) draft_ = Draft::Decode(text);
  draft_begun_ = status.ok() && Draft::Begins(text);
  return status;
}

CaptureScan Leftover::Scan(int fd, FileFormat format) const {
  ScanSpec spec;
  if (draft_) {
    spec = {.before = draft_->before,
            .onset_ns = draft_->before.OnsetOr(draft_->since_ns),
            .frozen_ns = draft_->frozen_ns};
  }
  return ScanCapture(fd, format, spec, stop_);
}

// Without a draft: what the file itself tells.
Draft Leftover::DraftFrom(const CaptureScan& scan, FileFormat format) const {
  const PcapHandle dead = OpenDead(scan.linktype, RecordingReader::kMaxCaplen);
  RingFacts known = facts_;
  known.precision = scan.precision;
  known.format = format;
  known.filter.clear();
  known.source = {};
  known.source.replay = true;  // no device is known
  known.source.linktype_name = DltName(dead != nullptr ? pcap_datalink(dead.get()) : static_cast<int>(scan.linktype));
  known.source.snaplen = scan.snaplen;
  Draft draft;
  draft.precision = scan.precision;
  draft.frozen_ns = scan.tally.packets() > 0 ? scan.tally.from_ns() : 0;
  draft.head = ReportHead({}, known, draft.frozen_ns);
  return draft;
}

// `scan`: nullptr where there never was a capture; then there is a draft.
Status Leftover::MakeReport(const std::string& path, FileFormat format, const CaptureScan* scan) {
  // cppcheck-suppress nullPointerRedundantCheck ; not looked at where there is a draft
  const Draft draft = draft_ ? *draft_ : DraftFrom(*scan, format);
  RecordingSpec spec;
  spec.id = id_;
  spec.path = path;
  spec.kind = draft.kind;
  spec.since_ns = draft.since_ns;
  Tally tally;
  TapSummary summary;
  summary.resolved_ns = draft.frozen_ns;
  FileOutcome outcome;
  outcome.recovered = true;
  if (scan != nullptr) {
    tally = scan->tally;
    if (tally.packets() > 0) summary.resolved_ns = std::max(draft.frozen_ns, tally.to_ns());
    summary.traffic = scan->after_freeze;
    outcome.bytes = scan->bytes;
    outcome.sha256 = scan->sha256;
    outcome.traffic = scan->traffic.get();
  }
  const std::string text = ReportJson(draft.head, spec, draft.precision, draft.mode, draft.frozen_ns, draft.before,
                                      tally, summary, outcome) +
                           "\n";
  PartFile report;
  Status status = report.Create(ReportPath(), kReportSuffix);
  if (status.ok()) status = report.Write(text.data(), text.size());
  if (status.ok()) status = report.Sync();
  if (status.ok()) status = report.Publish();
  if (!status.ok()) report.Discard();
  return status;
}

// Whether the report under its final name, if it is one of ours, says so. As ReportJson writes it: within a string there would
// be a backslash before each quotation mark.
Status Leftover::TellsOf(const std::string& what) const {
  const UniqueFd fd(::open(ReportPath().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  std::string text;
  if (!fd.valid()) return Status::Errno(Code::kWrite, "cannot read " + ReportPath(), "open", errno);
  if (Status status = ReadAll(fd.get(), &text); !status.ok()) return status;
  if (IsOurs(fd.get()) && text.find(what) != std::string::npos) return Status::Ok();
  return Status::Error(Code::kFileExists, ReportPath() + " is not about what is left of its incident; move it");
}

std::string DigestIn(const CaptureScan& scan) { return "\"sha256\":\"" + scan.sha256 + "\""; }

// Nobody's: whoever finds it may deliver the incident. Most have one from their freeze on, which may name its process.
Status Leftover::MarkUndelivered() const {
  if (!facts_.delivers) return Status::Ok();
  const std::string path = stem_ + kUndelivered;
  const UniqueFd marker(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (marker.valid() || errno == EEXIST) return Status::Ok();
  return Status::Errno(CodeOfWriteError(errno), "cannot create " + path, "open", errno);
}

Status Leftover::SyncNames() const {
  Directory directory;
  Status status = directory.OpenOf(stem_);
  return status.ok() ? directory.Sync() : status;
}

Status Leftover::RecoverPart(FileFormat format) {
  const std::string path = PathOf(format);
  PartFile capture;
  if (Status status = capture.Adopt(path); !status.ok()) {
    return status.code == Code::kFileExists || status.error_number == ENOENT ? Status::Ok() : status;
  }
  if (Exists(path)) {
    return {Code::kFileExists, path + " exists, so its .part cannot be recovered; move one of them", EEXIST, nullptr};
  }
  if (Status status = ReadDraft(); !status.ok()) return status.code == Code::kFileExists ? Status::Ok() : status;
  const CaptureScan scan = Scan(capture.fd(), format);
  if (stop_.load(std::memory_order_relaxed)) return Status::Ok();
  if (!scan.error.ok()) return scan.error;
  if (scan.bytes == 0 && !scan.begun) {
    return Status::Error(Code::kBadFile, path + ".part is no capture of ours and was left alone");
  }
  DropReport();
  if (scan.bytes == 0) {  // nothing was ever recorded
    capture.Discard();
    draft_file_.Discard();
    return Status::Ok();
  }
  if (Status status = capture.Truncate(scan.bytes); !status.ok()) return status;
  if (Status status = capture.Sync(); !status.ok()) return status;
  // A report under its final name is whole: its writer died between the two renames.
  if (Status status = Exists(ReportPath()) ? TellsOf(DigestIn(scan)) : MakeReport(path, format, &scan); !status.ok())
    return status;
  // Before it is a capture: of one that has its name nobody could tell any more whether it was delivered already.
  if (Status status = MarkUndelivered(); !status.ok()) return status;
  if (Status status = capture.Publish(); !status.ok()) return status;
  if (Status status = SyncNames(); !status.ok()) return status;
  draft_file_.Discard();
  return Status::Ok();
}

// A draft, or a part of a report, without a part of a capture.
Status Leftover::RecoverDraft() {
  if (Status status = ReadDraft(); !status.ok()) return status.code == Code::kFileExists ? Status::Ok() : status;
  DropReport();
  if (!draft_file_.open()) return Status::Ok();
  if (!draft_) {
    // Its writer died while it wrote; what else it may be is not ours.
    if (draft_begun_) draft_file_.Discard();
    return Status::Ok();
  }
  const bool reported = Exists(ReportPath());
  if (draft_->mode == Mode::kStatistics) {
    Status status = reported ? TellsOf(draft_->head) : MakeReport("", facts_.format, nullptr);
    if (!status.ok()) return status;
  } else {
    for (const FileFormat format : kFormats) {
      if (Status status = ReportFinal(format, reported); !status.ok()) return status;
    }
  }
  if (stop_.load(std::memory_order_relaxed)) return Status::Ok();
  if (Status status = SyncNames(); !status.ok()) return status;
  draft_file_.Discard();
  return Status::Ok();
}

// Of a capture under its final name: its report could not be written, or was taken away.
Status Leftover::ReportFinal(FileFormat format, bool reported) {
  const std::string path = PathOf(format);
  const UniqueFd capture(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!capture.valid() && errno == ENOENT) return Status::Ok();
  if (!capture.valid()) return Status::Errno(Code::kWrite, "cannot read " + path, "open", errno);
  const CaptureScan scan = Scan(capture.get(), format);
  if (stop_.load(std::memory_order_relaxed)) return Status::Ok();
  if (!scan.error.ok()) return scan.error;
  struct stat held;
  const bool whole = fstat(capture.get(), &held) == 0 && static_cast<uint64_t>(held.st_size) == scan.bytes;
  if (!whole || !IsOurs(capture.get())) {
    return Status::Error(Code::kBadFile, path + " is not as its writer left it, and gets no report");
  }
  return reported ? TellsOf(DigestIn(scan)) : MakeReport(path, format, &scan);
}

}  // namespace

void RecoverDirectory(const RingFacts& facts, const std::atomic<bool>& stop,
                      const std::function<void(const Status&)>& warn) {
  std::vector<std::string> names;
  if (Status status = ReadNames(facts.directory, &names); !status.ok()) warn(status);
  std::set<std::string> ids;
  for (const std::string& name : names) ids.insert(IdOf(name));
  ids.erase("");
  for (const std::string& id : ids) {
    if (stop.load(std::memory_order_relaxed)) return;
    if (Status status = Leftover(facts, id, stop).Recover(); !status.ok()) warn(status);
  }
}

}  // namespace pcap_ring
