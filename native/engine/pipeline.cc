#include "engine/pipeline.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

#include "engine/before_freeze.h"

namespace pcap_ring {
namespace {

const auto kIgnoreSlab = [](Slab*) {};
// There may be one before each packet, but there is one a block of the kernel's buffer, at most.
constexpr size_t kMostMarks = 16 * 1024;
// Of what is held around an onset until that is confirmed.
constexpr size_t kFewestMarks = 2048;

}  // namespace

Pipeline::Pipeline(const Config& config, TapQueue* queue, EngineListener* listener)
    : config_(config),
      queue_(queue),
      listener_(listener),
      counter_(config.dlt),
      totals_(&counter_.total()),
      ring_(config.ring_packets, config.ring_bytes, config.largest_packet),
      loss_(config.unplaced_losses, std::clamp(config.ring_packets + 2, kFewestMarks, kMostMarks)) {
  ring_.set_grower(this);
  if (!ring_.ok()) return;
  if (config.lookback_ns > 0) {
    lookback_.emplace(Lookback::Config{config.ring_packets, config.ring_bytes, config.largest_packet,
                                       config.lookback_ns, config.onset, config.on_suspicion},
                      &ring_, &totals_, &loss_, listener);
  }
  if (MostHeld(config) > 0) put_off_.resize(MaxPackets(config));
  held_.reserve(kMostHeld + 1);
}

void Pipeline::OnNewSlab(Slab* slab) {
  for (const auto& tap : taps_) tap->OnNewSlab(slab);
  if (!taps_.empty() && !congested_) congested_ = ring_.Congested();
}

// Whether the ring has the last of them.
bool Pipeline::PushPutOff() {
  const uint64_t kept = std::min<uint64_t>(put_off_count_, ring_.max_packets());
  if (put_off_count_ > kept) ring_.Skip(put_off_count_ - kept, skipped_ns_);
  size_t at = put_off_count_ > kept ? put_off_at_ : 0;
  bool has_last = false;
  for (uint64_t left = kept; left > 0; --left) {
    has_last = ring_.Push(put_off_[at]);
    if (++at == ring_.max_packets()) at = 0;
  }
  put_off_count_ = put_off_at_ = 0;
  held_.clear();
  skipped_ns_ = INT64_MIN;
  return has_last;
}

// A rise that begins here is held from now on.
void Pipeline::LookAtLast(const Packet& packet) {
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): only called where there is one.
  if (PushPutOff()) lookback_->Look(packet);
  putting_off_ = !ring_.MustKeepPushing();
}

// Whether the ring has it.
bool Pipeline::RecordPacket(const Packet& packet) {
  if (congested_ && config_.wait_for_writer) WaitForWriter();
  // Freezes while the writer hangs may pin the last slab: what the ring cannot take, no tap can record.
  const bool kept = ring_.Push(packet);
  // The push itself may have come to the limit. There is room for this packet yet, and a replay waits before the next.
  const bool lost = !kept || (congested_ && !config_.wait_for_writer);
  const Cursor at = ring_.last();
  for (const auto& tap : taps_) tap->OnPacket(packet, at, lost, loss_.placed());
  return kept;
}

// Replay only: there is no kernel buffer that could overflow meanwhile.
void Pipeline::WaitForWriter() {
  for (; ring_.Congested(); ring_.Reclaim()) {
    FlushTaps();
    const timespec pause = {0, 200'000};
    nanosleep(&pause, nullptr);
  }
  congested_ = false;
}

void Pipeline::FlushTaps() {
  bool pushed = false;
  while (!refused_.empty() && queue_->messages.Push(std::move(refused_.back()))) {
    refused_.pop_back();
    pushed = true;
  }
  for (const auto& tap : taps_) pushed |= tap->Flush(queue_);
  if (pushed) queue_->bell.Ring();
}

void Pipeline::EndBatch() {
  if (taps_.empty() && refused_.empty()) return;
  FlushTaps();
  std::erase_if(taps_, [](const auto& tap) { return tap->drained(); });
  if (taps_.empty()) ring_.StopRecording();
  congested_ = !taps_.empty() && ring_.Congested();
}

bool Pipeline::backlog() const {
  return !refused_.empty() || std::any_of(taps_.begin(), taps_.end(), [](const auto& tap) { return tap->backlog(); });
}

Tap* Pipeline::Open(const TapSpec& spec) {
  putting_off_ = false;
  if (taps_.empty() && !ring_.StartRecording()) {
    TapMessage message;
    message.kind = TapMessage::Kind::kEnd;
    message.handle = spec.handle;
    message.summary = std::make_unique<TapSummary>();
    message.summary->error = Code::kKernel;
    refused_.push_back(std::move(message));
    return nullptr;
  }
  taps_.push_back(std::make_unique<Tap>(spec, &ring_, &totals_, listener_));
  return taps_.back().get();
}

Tap* Pipeline::Find(uint32_t handle) {
  for (const auto& tap : taps_) {
    if (tap->handle() == handle) return tap.get();
  }
  return nullptr;
}

Pipeline::Split Pipeline::SplitAt(int64_t time_ns) const {
  if (ring_.packets() == 0 || ring_.newest_ns() < time_ns) return {ring_.tail(), ring_.packets()};
  RecordWalker walker(ring_.oldest());
  for (uint64_t i = 0; i < ring_.packets(); ++i) {
    const RecordHeader header = walker.Header(kIgnoreSlab);
    if (header.time_ns() >= time_ns) return {walker.cursor(), i};
    walker.Skip(header, kIgnoreSlab);
  }
  return {ring_.tail(), ring_.packets()};
}

void Pipeline::Start(Tap* tap, int64_t time_ns, bool by_stamp) {
  if (lookback_ && tap->kind() == TapKind::kIncident) lookback_->Freeze(time_ns);
  auto [split, before] = by_stamp ? SplitAt(time_ns) : Split{ring_.tail(), ring_.packets()};
  const bool overrun = by_stamp && before == 0 && ring_.packets() > 0 && ring_.evicted_ns() >= time_ns;
  if (overrun && tap->kind() == TapKind::kDump) {
    before = ring_.packets();
    split = ring_.tail();
  }
  const uint64_t after = ring_.packets() - before;

  Tap::Origin origin;
  origin.time_ns = time_ns;
  origin.totals = totals_.Now();
  if (after > 0) origin.totals = origin.totals - CountFrom(split, after);  // from T on each counts as one
  GatherBeforeFreeze({ring_, lookback_ ? &*lookback_ : nullptr, loss_, config_.ring_packets}, *tap, time_ns,
                     ring_.pushed() - after, &origin);
  // The caller was held up between T and its command for so long that the ring has rolled over T.
  if (overrun && tap->kind() != TapKind::kDump) {
    const int64_t from_ns = origin.spans.empty() ? time_ns : origin.last_ns;
    origin.gaps.Add({from_ns, ring_.oldest_ns(), 0, false, false, GapReason::kRing});
  }
  tap->Start(std::move(origin));

  // What was stamped after T and had been pushed already.
  RecordWalker behind(split);
  for (uint64_t i = 0; i < after; ++i) {
    const RecordHeader header = behind.Header(kIgnoreSlab);
    const Packet packet = {header.sec, header.nsec, header.caplen, header.len, nullptr, false};
    tap->OnPacket(packet, behind.cursor(), congested_, loss_.Before(ring_.pushed() - after + i));
    behind.Skip(header, kIgnoreSlab);
  }
}

// What was counted already stays as it was counted, so that no figure ever falls: a few packets, between a caller's time and its
// command.
void Pipeline::SampleFrom(uint64_t number, uint32_t n, const StepCall& call) {
  totals_.Step(n);
  loss_.Sample(number, n, position().oldest, call);
  for (const auto& tap : taps_) tap->OnSampling(n);
  if (lookback_) lookback_->Sample(n);
}

bool Pipeline::recording() const {
  return std::any_of(taps_.begin(), taps_.end(), [](const auto& tap) { return tap->recording(); });
}

bool Pipeline::counting() const {
  return std::any_of(taps_.begin(), taps_.end(), [](const auto& tap) { return tap->capped(); });
}

// Counts packets that are in the ring already, by as much of each as headers take.
TrafficCounters Pipeline::CountFrom(Cursor begin, uint64_t packets) const {
  TrafficCounter counter(config_.dlt);
  RecordWalker walker(begin);
  std::array<uint8_t, 512> head;
  for (uint64_t i = 0; i < packets; ++i) {
    const RecordHeader header = walker.Header(kIgnoreSlab);
    uint32_t filled = 0;
    walker.Bytes(
        header,
        [&](const uint8_t* data, uint32_t size) {
          const uint32_t take = std::min<uint32_t>(size, static_cast<uint32_t>(head.size()) - filled);
          std::memcpy(head.data() + filled, data, take);
          filled += take;
        },
        kIgnoreSlab);
    counter.Count({header.sec, header.nsec, filled, header.len, head.data(), false});
  }
  return counter.total();
}

// The ring may hold a little more than it was asked to.
RingState Pipeline::ring_state() const {
  RingState state;
  state.packets = std::min<uint64_t>(ring_.packets(), config_.ring_packets);
  state.bytes = ring_.bytes();
  if (state.packets == 0) return state;
  RecordWalker walker(ring_.oldest());
  for (uint64_t i = state.packets; i < ring_.packets(); ++i) {
    const RecordHeader header = walker.Header(kIgnoreSlab);
    state.bytes -= header.caplen;
    walker.Skip(header, kIgnoreSlab);
  }
  state.oldest_ns = walker.Header(kIgnoreSlab).time_ns();
  state.span_ns = std::max<int64_t>(0, ring_.last_ns() - state.oldest_ns);
  return state;
}

}  // namespace pcap_ring
