#include "incident/writer.h"

#include <poll.h>

#include <algorithm>

#include "base/json.h"
#include "engine/engine.h"
#include "incident/recovery.h"
#include "output/part_file.h"

namespace pcap_ring {
namespace {

constexpr int kMostBeforeLook = 64;
const std::atomic<bool> kGoOn{false};

}  // namespace

Writer::Writer(TapQueue* queue, const RingFacts* facts, Hooks hooks)
    : queue_(queue),
      facts_(facts),
      hooks_(std::move(hooks)),
      keeper_(facts->directory, facts->keep,
              {
                  .removed =
                      [this](const std::string& path) {
                        JsonWriter json;
                        json.String(path);
                        Emit("expire", 0, json.Take());
                      },
                  .failed = [this](const Status& status) { Emit("warning", 0, ErrorJson(status)); },
              }) {}

Writer::~Writer() { Join(); }

Status Writer::Start() {
  return thread_.Start([this] { Run(); });
}

void Writer::Register(RecordingSpec spec) {
  const uint32_t handle = spec.handle;
  auto recording = std::make_unique<Recording>(std::move(spec), *facts_);
  const std::lock_guard<std::mutex> lock(registered_mutex_);
  registered_.emplace(handle, std::move(recording));
}

std::unique_ptr<Recording> Writer::TakeRegistered(uint32_t handle) {
  const std::lock_guard<std::mutex> lock(registered_mutex_);
  const auto it = registered_.find(handle);
  if (it == registered_.end()) return nullptr;
  std::unique_ptr<Recording> recording = std::move(it->second);
  registered_.erase(it);
  return recording;
}

void Writer::Emit(const char* name, uint32_t handle, std::string json) {
  hooks_.sink({name, handle, 0, std::move(json)});
}

bool Writer::Prepare() {
  if (const Status status = PrepareDirectory(facts_->directory); !status.ok()) {
    Emit("startFailed", 0, ErrorJson(status));
    return false;
  }
  RecoverDirectory(*facts_, stop_recovery_, [this](const Status& status) { Emit("warning", 0, ErrorJson(status)); });
  Sweep(stop_recovery_);
  const Status status = hooks_.on_ready();
  if (!status.ok()) Emit("startFailed", 0, ErrorJson(status));
  return status.ok();
}

void Writer::Run() {
  PrepareThread("pcap-ring-write");
  if (Prepare()) {
    for (bool running = true; running;) {
      TapMessage message;
      for (int handled = 1; running && queue_->messages.Pop(&message); ++handled) {
        running = message.kind != TapMessage::Kind::kShutdown;
        Handle(&message);
        // While one records all the time, others are due, too.
        if (handled % kMostBeforeLook == 0) SyncDue();
      }
      for (auto& [handle, open] : open_) {
        open.recording->Flush();
        CheckFailure(open.recording.get());
      }
      SyncDue();
      if (MonotonicNs() >= keeper_.due_ns()) Sweep(kGoOn);
      if (!running) break;
      pollfd bell = {queue_->bell.fd(), POLLIN, 0};
      if (poll(&bell, 1, TimeoutMs()) > 0) queue_->bell.Clear();
    }
    EndUnfinished();
  }
  Emit("closed", 0, "");
}

void Writer::Sweep(const std::atomic<bool>& stop) {
  if (facts_->keep.any()) keeper_.Sweep(RealtimeNs(), stop);
}

int Writer::TimeoutMs() const {
  int64_t next_ns = keeper_.due_ns();
  for (const auto& [handle, open] : open_) next_ns = std::min(next_ns, open.recording->sync_due_ns());
  if (next_ns == kNever) return -1;
  return static_cast<int>(std::max<int64_t>(0, (next_ns - MonotonicNs() + kNsPerMs - 1) / kNsPerMs));
}

void Writer::SyncDue() {
  const int64_t now_ns = MonotonicNs();
  for (auto& [handle, open] : open_) {
    if (open.recording->NeedsSync(now_ns)) open.recording->Sync();
    CheckFailure(open.recording.get());
  }
}

void Writer::Handle(TapMessage* message) {
  switch (message->kind) {
    case TapMessage::Kind::kStart:
      Begin(*message);
      break;
    case TapMessage::Kind::kSpan: {
      const auto it = open_.find(message->handle);
      if (it == open_.end()) {
        ReleaseSpan(message->span);
        break;
      }
      Recording* recording = it->second.recording.get();
      recording->Append(message->section, message->span);
      // What is from before the freeze is synced as a whole.
      if (it->second.history_done && recording->NeedsSync(MonotonicNs())) recording->Sync();
      CheckFailure(recording);
      break;
    }
    case TapMessage::Kind::kFrozen:
      EndHistory(message->handle);
      break;
    case TapMessage::Kind::kEnd:
      Finish(message->handle, *message->summary);
      break;
    case TapMessage::Kind::kNone:
    case TapMessage::Kind::kShutdown:
      break;
  }
}

void Writer::Begin(const TapMessage& message) {
  Open& open = open_[message.handle];
  open.recording = TakeRegistered(message.handle);
  Recording* recording = open.recording.get();
  recording->Begin(message.time_ns, *message.before);
  CheckFailure(recording);
}

// All from before the freeze is there.
void Writer::EndHistory(uint32_t handle) {
  Open& open = open_[handle];
  Recording* recording = open.recording.get();
  recording->Sync();
  if (!recording->failed()) {
    open.history_done = true;
    if (recording->spec().kind != TapKind::kDump) Emit("flush", handle, recording->SectionsText());
  }
  CheckFailure(recording);
}

// Tells of a failure once, and asks the capture thread to end the recording.
void Writer::CheckFailure(Recording* recording) {
  Open& open = open_[recording->spec().handle];
  if (!recording->failed() || open.failure_told) return;
  open.failure_told = true;
  const uint32_t handle = recording->spec().handle;
  const std::string error = ErrorJson(recording->failure());
  if (recording->spec().kind != TapKind::kDump) {
    if (!open.history_done) Emit("flushFailed", handle, error);
    Emit("warning", handle, error);
  }
  hooks_.on_failed(handle);
}

void Writer::Finish(uint32_t handle, const TapSummary& summary) {
  const auto it = open_.find(handle);
  if (it == open_.end()) {  // the capture thread had no memory for it
    const auto recording = TakeRegistered(handle);
    Refuse(handle, recording->spec().kind, Status::Error(summary.error, "there is no memory to record it"));
    return;
  }
  Recording* recording = it->second.recording.get();
  std::string report;
  const bool dump = recording->spec().kind == TapKind::kDump;
  const Status status = recording->Finish(summary, &report);
  CheckFailure(recording);
  if (status.ok() && !(dump && recording->failed())) {
    Emit("finished", handle, std::move(report));
  } else {
    Emit("failed", handle, ErrorJson(status.ok() ? recording->failure() : status));
  }
  open_.erase(it);
  if (!dump) Sweep(kGoOn);
}

void Writer::Refuse(uint32_t handle, TapKind kind, const Status& status) {
  const std::string error = ErrorJson(status);
  if (kind != TapKind::kDump) Emit("warning", handle, error);
  Emit("failed", handle, error);
}

// What was asked for when the capture thread had already stopped.
void Writer::EndUnfinished() {
  const std::lock_guard<std::mutex> lock(registered_mutex_);
  for (const auto& [handle, recording] : registered_) {
    Refuse(handle, recording->spec().kind, Status::Error(Code::kClosed, "the ring was closed before this began"));
  }
  registered_.clear();
}

}  // namespace pcap_ring
