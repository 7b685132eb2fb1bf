#include "engine/replay_driver.h"

#include <poll.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace pcap_ring {
namespace {

constexpr int kForever = -1;
constexpr int kBatch = 512;

}  // namespace

ReplayDriver::ReplayDriver(EngineContext* context) : context_(context) {}

Status ReplayDriver::Open() {
  if (Status status = source_.Open(std::move(context_->config.recording)); !status.ok()) return status;
  Pipeline::Config config;
  config.dlt = source_.dlt();
  config.ring_packets = context_->config.ring_packets;
  config.ring_bytes = context_->config.ring_bytes;
  config.lookback_ns = context_->config.lookback_ns;
  config.onset = context_->config.onset;
  // Records may be longer than the recording's own snaplen, and are kept whole.
  config.largest_packet = RecordingReader::kMaxCaplen;
  config.wait_for_writer = true;
  pipeline_ = std::make_unique<Pipeline>(config, context_->queue, context_->listener);
  if (!pipeline_->ok()) return Status::Errno(Code::kKernel, "no memory for the ring", "mmap");
  info_.replay = true;
  info_.linktype = source_.linktype();
  info_.linktype_name = DltName(source_.dlt());
  info_.snaplen = source_.snaplen();
  info_.file_snaplen = source_.file_snaplen();
  return Status::Ok();
}

void ReplayDriver::Run() {
  while (!begun_ && !closing_) Wait(kForever);
  if (!closing_) Replay();
  if (!closing_) Finish();
  // A host may still freeze, resolve and dump what it has; then every recording is ended.
  while (!closing_ || !pipeline_->taps().empty() || pipeline_->backlog()) Wait(kForever);
}

void ReplayDriver::Replay() {
  ReplaySource::Item item;
  int batch = 0;
  while (!closing_ && source_.Read(&item)) {
    const bool moves = PacketClock::Moves(item);
    const int64_t time_ns = item.packet.time_ns();
    if (!clock_.started()) {
      // A first timestamp that is damage takes its time from the second.
      const int64_t start_ns = moves || !item.next_ns ? time_ns : *item.next_ns;
      clock_.Start(start_ns);
      interval_start_ns_ = paced_origin_ns_ = start_ns;
      paced_start_ns_ = MonotonicNs();
      HandleDeferred();
    }
    if (moves) {
      if (context_->config.paced) WaitUntil(time_ns);
      Advance(time_ns);
    }
    if (closing_) break;
    if (item.wanted) pipeline_->OnPacket(item.packet);
    if (++batch == kBatch) {
      batch = 0;
      pipeline_->EndBatch();
      if (context_->config.paced || context_->closing.load(std::memory_order_relaxed)) HandleCommands();
    }
  }
  pipeline_->EndBatch();
}

void ReplayDriver::Finish() {
  ended_ = true;
  HandleDeferred();
  const int64_t now_ns = clock_.now_ns();
  if (clock_.started() && (now_ns > interval_start_ns_ || stats_.Any(pipeline_->totals()))) EndInterval(now_ns);
  if (!source_.error().ok()) context_->listener->OnWarning(source_.error());
  for (const auto& tap : pipeline_->taps()) tap->OnSourceEnded(now_ns);
  pipeline_->EndBatch();
  context_->listener->OnReplayEnd();
}

void ReplayDriver::Advance(int64_t time_ns) {
  const int64_t interval_ns = context_->config.stats_interval_ns;
  if (time_ns - interval_start_ns_ >= interval_ns) {
    const int64_t end_ns = interval_start_ns_ + (time_ns - interval_start_ns_) / interval_ns * interval_ns;
    CrossTaps(end_ns);
    clock_.Advance(end_ns);
    EndInterval(end_ns);
  }
  CrossTaps(time_ns);
  clock_.Advance(time_ns);
}

void ReplayDriver::CrossTaps(int64_t time_ns) {
  for (const auto& tap : pipeline_->taps()) {
    while (tap->boundary_ns() <= time_ns) tap->Cross();
  }
}

void ReplayDriver::EndInterval(int64_t time_ns) {
  StatsInterval stats =
      stats_.End(Mode::kCapture, time_ns, time_ns - interval_start_ns_, pipeline_->totals(), pipeline_->loss()->seen());
  interval_start_ns_ = time_ns;
  for (const auto& tap : pipeline_->taps()) tap->OnInterval(time_ns);
  pipeline_->EndInterval(time_ns);
  pipeline_->EndBatch();
  stats.ring = pipeline_->ring_state();
  if (!context_->config.paced) stats.boundary = ++boundary_;
  context_->listener->OnStats(stats);
  if (!context_->config.paced) AwaitListeners();
}

void ReplayDriver::AwaitListeners() {
  waiting_ = true;
  while (waiting_ && !closing_) Wait(kForever);
  // A close is carried out wherever it meets us.
  waiting_ = false;
}

int64_t ReplayDriver::PacedNow() const { return paced_origin_ns_ + (MonotonicNs() - paced_start_ns_); }

// Paced: sleeps until packet time has come to `time_ns`; intervals end, taps are crossed and what was asked is done on
// the way, in the order of their times.
void ReplayDriver::WaitUntil(int64_t time_ns) {
  while (!closing_) {
    if (!context_->mailbox.empty()) HandleCommands();
    const int64_t asked_ns = deferred_.empty() ? kNever : AskedAt(*deferred_.front());
    const int64_t next_ns =
        std::min({time_ns, interval_start_ns_ + context_->config.stats_interval_ns, NextTapBoundary(), asked_ns});
    const int64_t left_ns = next_ns - PacedNow();
    if (left_ns > 0) {
      pipeline_->EndBatch();
      const int64_t longest_ns = 60 * kNsPerSec;
      Wait(static_cast<int>((std::min(left_ns, longest_ns) + kNsPerMs - 1) / kNsPerMs));
      continue;
    }
    if (next_ns == asked_ns) {
      Advance(asked_ns);
      const std::unique_ptr<Command> command = std::move(deferred_.front());
      deferred_.pop_front();
      if (!closing_) Handle(*command);
      continue;
    }
    if (next_ns >= time_ns) return;
    Advance(next_ns);
  }
}

// Paced: the packet time at which a command was asked.
int64_t ReplayDriver::AskedAt(const Command& command) const {
  return paced_origin_ns_ + (command.monotonic_ns - paced_start_ns_);
}

int64_t ReplayDriver::NextTapBoundary() const {
  int64_t next_ns = kNever;
  for (const auto& tap : pipeline_->taps()) next_ns = std::min(next_ns, tap->boundary_ns());
  return next_ns;
}

void ReplayDriver::Wait(int timeout_ms) {
  pollfd bell = {context_->bell.fd(), POLLIN, 0};
  // The writer does not ring when the queue has room again.
  if (pipeline_->backlog()) timeout_ms = 1;
  if (poll(&bell, 1, timeout_ms) > 0) context_->bell.Clear();
  HandleCommands();
  pipeline_->EndBatch();
}

void ReplayDriver::HandleCommands() {
  for (Command* command = context_->mailbox.TakeAll(); command != nullptr;) {
    std::unique_ptr<Command> owned(command);
    command = owned->next;
    // Paced: whatever was due when it was asked comes first.
    const bool early = (!clock_.started() || context_->config.paced) && !ended_ && !closing_;
    if (early && (owned->kind == Command::Kind::kOpen || owned->kind == Command::Kind::kResolve)) {
      deferred_.push_back(std::move(owned));
    } else {
      Handle(*owned);
    }
  }
}

// What was asked before there was a time takes effect at the first packet's.
void ReplayDriver::HandleDeferred() {
  for (const auto& command : std::exchange(deferred_, {})) Handle(*command);
}

// Closed before its time came: what was asked for is still completed, before the first packet with nothing in it.
void ReplayDriver::CompleteDeferred() {
  if (deferred_.empty()) return;
  if (const auto first_ns = source_.next_ns(); first_ns && !clock_.started()) clock_.Start(*first_ns);
  HandleDeferred();
}

void ReplayDriver::Handle(const Command& command) {
  const int64_t now_ns = clock_.now_ns();
  switch (command.kind) {
    case Command::Kind::kBegin:
      begun_ = true;
      break;
    case Command::Kind::kContinue:
      if (command.boundary == boundary_) waiting_ = false;
      break;
    case Command::Kind::kOpen: {
      if (closing_) break;  // the writer tells of it
      Tap* tap = pipeline_->Open(command.tap);
      if (tap == nullptr) break;
      // Paced: packets stamped after the call may have been read already.
      const int64_t asked_ns = context_->config.paced && !ended_ ? AskedAt(command) : kNever;
      const bool late = asked_ns <= now_ns && asked_ns >= interval_start_ns_;
      pipeline_->Start(tap, late ? asked_ns : now_ns, late);
      if (ended_) tap->OnSourceEnded(now_ns);
      break;
    }
    case Command::Kind::kResolve:
      if (Tap* tap = pipeline_->Find(command.handle); tap != nullptr) {
        tap->RequestResolve(now_ns, command.with_resolution);
        CrossTaps(now_ns);
        if (ended_) tap->OnSourceEnded(now_ns);
      }
      break;
    case Command::Kind::kAbandon:
      if (Tap* tap = pipeline_->Find(command.handle); tap != nullptr) tap->Abandon(now_ns);
      break;
    case Command::Kind::kClose:
      CompleteDeferred();
      closing_ = true;
      for (const auto& tap : pipeline_->taps()) tap->Abandon(clock_.now_ns());
      break;
  }
}

}  // namespace pcap_ring
