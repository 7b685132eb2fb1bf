#include "incident/recovery.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/sha256.h"
#include "incident/draft.h"
#include "incident/file_traffic.h"
#include "incident/report.h"
#include "output/part_file.h"
#include "output/pcap_format.h"
#include "source/filter.h"
#include "source/recording_reader.h"

namespace pcap_ring {
namespace {

constexpr std::string_view kPrefix = "incident_";
constexpr std::string_view kCaptureEnd = ".pcap.part";
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

// The whole records at the start of a capture of ours.
struct Scan {
  uint64_t bytes = 0;  // 0: not a header of ours
  uint32_t snaplen = 0;
  uint32_t linktype = 0;
  Precision precision = Precision::kMicro;
  Tally tally;
  TrafficCounters after_freeze;
  std::unique_ptr<FileTraffic> traffic;
  std::string sha256;
};

class Scanner {
 public:
  Scanner(int fd, const std::atomic<bool>& stop) : fd_(fd), stop_(stop) {}

  Scan Run(uint64_t history, int64_t since_ns, int64_t frozen_ns) {
    Scan scan;
    scan.tally = Tally(since_ns);
    PcapFileHeader header;
    if (!Read(&header, sizeof header) || (header.magic != kPcapMagicMicro && header.magic != kPcapMagicNano)) {
      return scan;
    }
    scan.precision = header.magic == kPcapMagicNano ? Precision::kNano : Precision::kMicro;
    scan.snaplen = header.snaplen;
    scan.linktype = header.linktype;
    Accept(&scan, &header, sizeof header);
    const PcapHandle dead = OpenDead(header.linktype, RecordingReader::kMaxCaplen);
    scan.traffic = std::make_unique<FileTraffic>(header.linktype, scan.precision, frozen_ns);
    TrafficCounter counter(dead != nullptr ? pcap_datalink(dead.get()) : -1);
    std::vector<uint8_t> record;
    PcapRecordHeader next;
    while (Read(&next, sizeof next) && next.caplen <= RecordingReader::kMaxCaplen && !Blank(next)) {
      record.resize(sizeof next + next.caplen);
      std::memcpy(record.data(), &next, sizeof next);
      if (!Read(record.data() + sizeof next, next.caplen)) break;
      Accept(&scan, record.data(), record.size());
      const int64_t scale = scan.precision == Precision::kNano ? 1 : 1000;
      const Packet packet = {next.sec, next.fraction * scale, next.caplen, next.len, record.data() + sizeof next, false};
      const bool before = scan.tally.packets() < history;
      const Section section = before ? Section::kPreBuffer : Section::kAttack;
      scan.tally.Add(section, packet.time_ns(), packet.len);
      scan.traffic->Add(section, packet);
      if (!before) counter.Count(packet);
    }
    scan.after_freeze = counter.total();
    scan.sha256 = digest_.HexDigest();
    return scan;
  }

 private:
  void Accept(Scan* scan, const void* bytes, size_t size) {
    digest_.Update(bytes, size);
    scan->bytes += size;
  }

  // After a power failure a file may end in zeros that nobody wrote.
  static bool Blank(const PcapRecordHeader& record) {
    return record.sec == 0 && record.fraction == 0 && record.caplen == 0 && record.len == 0;
  }

  bool Read(void* to, size_t size) {
    auto* at = static_cast<uint8_t*>(to);
    while (size > 0) {
      if (begin_ == end_) {
        if (stop_.load(std::memory_order_relaxed)) return false;
        const ssize_t got = pread(fd_, buffer_.data(), buffer_.size(), offset_);
        if (got <= 0) return false;
        offset_ += got;
        begin_ = 0;
        end_ = static_cast<size_t>(got);
      }
      const size_t piece = std::min(size, end_ - begin_);
      std::memcpy(at, buffer_.data() + begin_, piece);
      begin_ += piece;
      at += piece;
      size -= piece;
    }
    return true;
  }

  const int fd_;
  const std::atomic<bool>& stop_;
  off_t offset_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  std::array<uint8_t, 256 * 1024> buffer_;
  Sha256 digest_;
};

// Without a draft: what the file itself tells.
Draft DraftFrom(const RingFacts& facts, const RecordingSpec& spec, const Scan& scan, const std::string& linktype_name) {
  RingFacts known = facts;
  known.precision = scan.precision;
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

Status RecoverOne(const RingFacts& facts, const std::string& id, const std::atomic<bool>& stop) {
  const std::string stem = facts.directory + "/" + std::string(kPrefix) + id;
  PartFile capture;
  PartFile report;
  if (Status status = capture.Adopt(stem + ".pcap"); !status.ok()) {
    return status.code == Code::kFileExists || status.error_number == ENOENT ? Status::Ok() : status;
  }
  if (Exists(stem + ".pcap")) {
    return {Code::kFileExists, stem + ".pcap exists, so its .part cannot be recovered; move one of them", EEXIST, nullptr};
  }
  const bool adopted = report.Adopt(stem + ".json").ok();
  std::optional<Draft> draft;
  if (adopted) draft = Draft::Decode(ReadAll(report.fd()));

  const auto scanner = std::make_unique<Scanner>(capture.fd(), stop);
  const Scan scan = scanner->Run(draft ? draft->history : 0, draft ? draft->since_ns : kNever,
                                 draft ? draft->frozen_ns : kNever);
  if (stop.load(std::memory_order_relaxed)) return Status::Ok();
  if (scan.bytes == 0) {
    struct stat found;
    if (fstat(capture.fd(), &found) != 0 || found.st_size >= static_cast<off_t>(sizeof(PcapFileHeader))) {
      return Status::Error(Code::kBadFile, stem + ".pcap.part is no capture of ours and was left alone");
    }
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
    spec.path = stem + ".pcap";
    spec.kind = draft ? draft->kind : TapKind::kIncident;
    spec.since_ns = draft ? draft->since_ns : kNever;
    const PcapHandle dead = OpenDead(scan.linktype, RecordingReader::kMaxCaplen);
    if (!draft) {
      draft = DraftFrom(facts, spec, scan,
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
                                        scan.tally, summary, outcome) +
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
    if (const auto id = IdOf(name, kCaptureEnd)) {
      if (Status status = RecoverOne(facts, *id, stop); !status.ok()) warn(status);
    }
  }
  for (const std::string& name : Names(facts.directory)) {
    const auto id = IdOf(name, kReportEnd);
    if (!id) continue;
    const std::string stem = facts.directory + "/" + std::string(kPrefix) + *id;
    if (!Exists(stem + std::string(kCaptureEnd))) DropReport(stem + ".json");
  }
}

}  // namespace pcap_ring
