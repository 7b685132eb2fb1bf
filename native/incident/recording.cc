#include "incident/recording.h"

#include <sys/stat.h>

#include <utility>

#include "incident/file_format.h"

namespace pcap_ring {
namespace {

const auto kUnpin = [](Slab* slab) { slab->Unpin(); };

// The slabs that a reader has not left behind, up to the span's last.
void ReleaseFrom(Slab* slab, const Slab* last) {
  while (slab != last) {
    Slab* const following = slab->next;  // read before the slab may be used again
    slab->Unpin();
    slab = following;
  }
  slab->Unpin();  // its `next` is still the capture thread's
}

}  // namespace

void ReleaseSpan(const Span& span) {
  if (span.last != nullptr) ReleaseFrom(span.begin.slab, span.last);
}

Recording::Recording(RecordingSpec spec, const RingFacts& facts) : spec_(std::move(spec)), facts_(facts) {}

void Recording::Fail(Status status) {
  if (failure_.ok()) failure_ = std::move(status);
}

Status Recording::Begin(int64_t frozen_ns, const BeforeFreeze& before) {
  frozen_ns_ = frozen_ns;
  before_ = before;
  tally_ = safe_tally_ = Tally(before_.OnsetOr(spec_.since_ns), facts_.precision);
  last_sync_ns_ = MonotonicNs();
  Fail(directory_.OpenOf(spec_.path));
  if (WantsReport() && failure_.ok()) Fail(directory_.CheckFree(facts_.min_free));
  if (WantsReport() && failure_.ok()) {
    head_ = ReportHead(spec_, facts_, frozen_ns);
    Fail(draft_.Create(spec_.report_path));
    const std::string draft =
        Draft{head_, spec_.kind, facts_.source.mode, facts_.precision, frozen_ns, spec_.since_ns, before_}.Encode();
    if (failure_.ok()) Fail(draft_.Write(draft.data(), draft.size()));
  }
  if (failure_.ok() && WantsFile()) Fail(BeginFile());
  if (!WantsFile()) dirty_ = true;  // the draft is all that there is of it until its end
  if (!failure_.ok()) {
    file_.Discard();
    draft_.Discard();
  }
  return failure_;
}

Status Recording::BeginFile() {
  if (Status status = file_.Create(spec_.path); !status.ok()) return status;
  if (WantsReport()) {
    traffic_ = std::make_unique<TrafficFeed>(facts_.source.linktype, facts_.precision, frozen_ns_);
  }
  buffer_.reserve(kBufferSize);
  buffer_.clear();
  spec_.format->AppendHead(&buffer_);
  return Flush();
}

void Recording::Append(Section section, const Span& span) {
  if (span.last == nullptr) return;
  RecordWalker walker(span.begin);
  for (uint64_t i = 0; i < span.packets; ++i) {
    const RecordHeader header = walker.Header(kUnpin);
    AppendRecord(section, header, &walker, !failed());
  }
  ReleaseFrom(walker.cursor().slab, span.last);
}

void Recording::AppendRecord(Section section, const RecordHeader& header, RecordWalker* walker, bool keep) {
  if (!keep) {
    walker->Skip(header, kUnpin);
    return;
  }
  if (buffer_.size() + kAroundPacket + header.caplen > kBufferSize && !Flush().ok()) {
    walker->Skip(header, kUnpin);
    return;
  }
  const std::string_view comment = tally_.Begins(section) ? CommentOf(section, spec_.kind) : "";
  spec_.format->AppendBefore(header, comment, &buffer_);
  if (traffic_ != nullptr) traffic_->Note(section, header, buffer_.size());
  walker->Bytes(
      header, [this](const uint8_t* data, uint32_t size) { buffer_.insert(buffer_.end(), data, data + size); }, kUnpin);
  spec_.format->AppendBehind(header, comment, &buffer_);
  tally_.Add(section, header.time_ns(), header.len);
}

// The buffer holds whole records only, so what is in the file after each flush is whole, too. What a failed flush left
// is cut off again.
Status Recording::Flush() {
  if (buffer_.empty() || !failure_.ok() || !file_.open()) return failure_;
  Status status = WantsReport() ? directory_.CheckFree(facts_.min_free) : Status::Ok();
  if (status.ok()) status = file_.Write(buffer_.data(), buffer_.size());
  if (!status.ok()) {
    Fail(std::move(status));
    file_.Truncate(safe_bytes_);
    tally_ = safe_tally_;
    if (traffic_ != nullptr) traffic_->Drop();
  } else {
    digest_.Update(buffer_.data(), buffer_.size());
    safe_bytes_ = file_.offset();
    safe_tally_ = tally_;
    if (traffic_ != nullptr) traffic_->Commit(buffer_.data());
    unsynced_ += buffer_.size();
    dirty_ = true;
  }
  buffer_.clear();
  return unsynced_ >= kSyncEveryBytes ? Sync() : failure_;
}

Status Recording::Sync() {
  if (!Flush().ok() || !dirty_) return failure_;
  Status status = WantsFile() ? file_.Sync() : Status::Ok();
  // Once: a file whose name is not on the disk is not, either; and what the packets do not say of it.
  if (status.ok() && !std::exchange(name_synced_, true)) {
    if (draft_.open()) status = draft_.Sync();
    if (status.ok()) status = directory_.Sync();
  }
  if (!status.ok()) Fail(std::move(status));
  dirty_ = false;
  unsynced_ = 0;
  last_sync_ns_ = MonotonicNs();
  return failure_;
}

bool Recording::NeedsSync(int64_t now_ns) const {
  return dirty_ && (unsynced_ >= kSyncEveryBytes || now_ns - last_sync_ns_ >= kSyncEveryNs);
}

std::string Recording::SectionsText() const {
  return SectionsJson(tally_, before_, spec_.kind == TapKind::kManual, facts_.precision);
}

std::string Recording::ReportText(const TapSummary& summary) {
  FileOutcome outcome;
  outcome.bytes = safe_bytes_;
  if (WantsFile()) outcome.sha256 = Sha256(digest_).HexDigest();
  outcome.error = failure_.ok() ? summary.error : failure_.code;
  if (traffic_ != nullptr) outcome.traffic = &traffic_->traffic();
  return ReportJson(head_, spec_, facts_.precision, facts_.source.mode, frozen_ns_, before_, tally_, summary, outcome);
}

Status Recording::PublishReport(const std::string& report) {
  const std::string text = report + "\n";
  Status status = report_.Create(spec_.report_path, kReportSuffix);
  if (!status.ok()) return status;
  status = report_.Write(text.data(), text.size());
  if (status.ok()) status = report_.Sync();
  // Before the capture: whoever finds that under its final name finds its report, too.
  if (status.ok()) status = report_.Publish();
  if (!status.ok()) report_.Discard();
  return status;
}

// Not behind what a failure cut short: its figures would be about more than the file.
void Recording::AppendEnd(const TapSummary& summary) {
  if (failed() || !file_.open()) return;
  const bool any = tally_.packets() > 0;
  spec_.format->AppendEnd({any ? tally_.from_ns() : frozen_ns_, any ? tally_.to_ns() : summary.resolved_ns,
                           summary.kernel_loss, summary.interface_loss},
                          &buffer_);
}

Status Recording::Finish(const TapSummary& summary, std::string* report) {
  AppendEnd(summary);
  Sync();
  if (!(WantsFile() ? file_ : draft_).open()) return failure_;  // it never began
  if (WantsFile() && file_.offset() != safe_bytes_) return failure_;  // what could not be cut stays a part
  if (failed() && !WantsReport()) {  // nothing would tell that a dump is not all of it
    file_.Discard();
    return failure_;
  }
  if (failed()) file_.Sync();  // what was kept of it, as well as it goes

  if (!WantsReport()) {
    *report = DumpJson(spec_, facts_, tally_, safe_bytes_);
  } else {
    *report = ReportText(summary);
    if (Status status = PublishReport(*report); !status.ok()) {
      Fail(std::move(status));
      if (!WantsFile()) return failure_;
      *report = ReportText(summary);
    }
  }
  if (WantsFile()) {
    if (Status status = file_.Publish(); !status.ok()) {
      // Its capture and its draft stay parts, for a recovery; a report would speak of somebody else's file.
      report_.Retract();
      Fail(status);
      return status;
    }
  }
  if (Status status = directory_.Sync(); !status.ok()) {
    Fail(std::move(status));
    if (WantsReport()) *report = ReportText(summary);
  } else if (report_.open()) {
    // Not before the names are on the disk. Of a report that could not be written a recovery will make another.
    draft_.Discard();
  }
  file_.Close();
  draft_.Close();
  report_.Close();
  return Status::Ok();
}

}  // namespace pcap_ring
