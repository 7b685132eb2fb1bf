#include "engine/pipeline.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

namespace pcap_ring {
namespace {

const auto kIgnoreSlab = [](Slab*) {};
// There may be one before each packet, but there is one a block of the kernel's buffer, at most.
constexpr size_t kMostMarks = 16 * 1024;

}  // namespace

Pipeline::Pipeline(const Config& config, TapQueue* queue, EngineListener* listener)
    : config_(config),
      queue_(queue),
      listener_(listener),
      counter_(config.dlt),
      ring_(config.ring_packets, config.ring_bytes, config.largest_packet),
      loss_(config.unplaced_losses, std::min(config.ring_packets + 2, kMostMarks)) {
  ring_.set_grower(this);
}

void Pipeline::OnNewSlab(Slab* slab) {
  for (const auto& tap : taps_) tap->OnNewSlab(slab);
  if (!taps_.empty() && !congested_) congested_ = ring_.Congested();
}

void Pipeline::RecordPacket(const Packet& packet) {
  if (congested_ && config_.wait_for_writer) WaitForWriter();
  // Freezes while the writer hangs may pin the last slab: what the ring cannot take, no tap can record.
  const bool kept = ring_.Push(packet);
  if (kept) ++sequence_;
  // The push itself may have come to the limit. There is room for this packet yet, and a replay waits before the next.
  const bool lost = !kept || (congested_ && !config_.wait_for_writer);
  const Cursor at = ring_.last();
  for (const auto& tap : taps_) tap->OnPacket(packet, at, lost, loss_.placed());
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
  if (taps_.empty() && !ring_.StartRecording()) {
    TapMessage message;
    message.kind = TapMessage::Kind::kEnd;
    message.handle = spec.handle;
    message.summary = std::make_unique<TapSummary>();
    message.summary->error = Code::kKernel;
    refused_.push_back(std::move(message));
    return nullptr;
  }
  taps_.push_back(std::make_unique<Tap>(spec, &ring_, &counter_.total(), listener_));
  return taps_.back().get();
}

Tap* Pipeline::Find(uint32_t handle) {
  for (const auto& tap : taps_) {
    if (tap->handle() == handle) return tap.get();
  }
  return nullptr;
}

void Pipeline::Start(Tap* tap, int64_t time_ns, bool by_stamp) {
  uint64_t before = ring_.packets();
  Cursor split = ring_.tail();
  int64_t last_ns = ring_.last_ns();
  if (by_stamp && before > 0 && ring_.newest_ns() >= time_ns) {
    RecordWalker walker(ring_.oldest());
    for (uint64_t i = 0; i < before; ++i) {
      const RecordHeader header = walker.Header(kIgnoreSlab);
      if (header.time_ns() >= time_ns) {
        before = i;
        split = walker.cursor();
        break;
      }
      last_ns = header.time_ns();
      walker.Skip(header, kIgnoreSlab);
    }
  }
  const bool overrun = by_stamp && before == 0 && ring_.packets() > 0 && ring_.evicted_ns() >= time_ns;
  if (overrun && tap->kind() == TapKind::kDump) {
    before = ring_.packets();
    split = ring_.tail();
    last_ns = ring_.last_ns();
  }
  const uint64_t after = ring_.packets() - before;

  Tap::Origin origin;
  origin.time_ns = time_ns;
  origin.begin = ring_.oldest();
  origin.history = before;
  if (tap->HistoryLimit() == 0) origin.history = 0;
  const bool bounded = tap->bounded_in_bytes() && origin.history > 0;
  uint64_t size = bounded ? SizeInFile(tap->cost(), before, split) : 0;
  // The oldest go until the rest fits into the caps.
  RecordWalker walker(ring_.oldest());
  while (origin.history > tap->HistoryLimit() ||
         (bounded && origin.history > 0 && size > tap->HistoryBytesLimit())) {
    const RecordHeader header = walker.Header(kIgnoreSlab);
    if (bounded) size -= tap->cost().Of(header.caplen);
    walker.Skip(header, kIgnoreSlab);
    --origin.history;
    origin.begin = walker.cursor();
  }
  origin.history_size = size;
  origin.totals = totals();
  if (after > 0) origin.totals = origin.totals - CountFrom(split, after);
  // The caller was held up between T and its command for so long that the ring has rolled over T.
  if (overrun && tap->kind() != TapKind::kDump) {
    origin.gaps.Add({time_ns, ring_.oldest_ns(), 0, false, false, GapReason::kRing});
  }
  if (origin.history > 0) {
    const uint64_t last = sequence_ - after - 1;
    const uint64_t first = last - (origin.history - 1);
    origin.history_end_ns = last_ns;
    origin.loss_at_begin = loss_.Before(first);
    origin.loss_at_end = loss_.Before(last);
    SeeGaps(origin.begin, first, last, &origin.gaps);
  }
  tap->Start(std::move(origin));

  // What was stamped after T and had been pushed already.
  RecordWalker behind(split);
  for (uint64_t i = 0; i < after; ++i) {
    const RecordHeader header = behind.Header(kIgnoreSlab);
    const Packet packet = {header.sec, header.nsec, header.caplen, header.len, nullptr, false};
    tap->OnPacket(packet, behind.cursor(), congested_, loss_.Before(sequence_ - after + i));
    behind.Skip(header, kIgnoreSlab);
  }
}

// The losses between packets number `first`, which is at `begin`, and `last`.
void Pipeline::SeeGaps(Cursor begin, uint64_t first, uint64_t last, Gaps* gaps) const {
  RecordWalker walker(begin);
  uint64_t at = first;
  int64_t before_ns = 0;
  loss_.Between(first, last, [&](uint64_t sequence, const LossMarks::Totals& lost) {
    for (; at < sequence; ++at) {
      const RecordHeader header = walker.Header(kIgnoreSlab);
      before_ns = header.time_ns();
      walker.Skip(header, kIgnoreSlab);
    }
    RecordWalker behind(walker.cursor());
    AddLoss(gaps, before_ns, behind.Header(kIgnoreSlab).time_ns(), lost);
  });
}

// What the first `before` packets of the ring take in a file; `split` is where they end. The ring knows the sum of their
// bytes, so only what is filled up to a boundary takes a walk over them, and else a walk over those behind.
uint64_t Pipeline::SizeInFile(const FileCost& cost, uint64_t before, Cursor split) const {
  const bool aligned = cost.alignment > 1;
  RecordWalker walker(aligned ? ring_.oldest() : split);
  const uint64_t packets = aligned ? before : ring_.packets() - before;
  uint64_t walked = 0;
  for (uint64_t i = 0; i < packets; ++i) {
    const RecordHeader header = walker.Header(kIgnoreSlab);
    walked += cost.Of(header.caplen);
    walker.Skip(header, kIgnoreSlab);
  }
  return aligned ? walked : ring_.bytes() + ring_.packets() * cost.record - walked;
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

RingState Pipeline::ring_state() const {
  RingState state;
  state.packets = ring_.packets();
  state.bytes = ring_.bytes();
  if (state.packets == 0) return state;
  state.oldest_ns = ring_.oldest_ns();
  state.span_ns = std::max<int64_t>(0, ring_.last_ns() - state.oldest_ns);
  return state;
}

}  // namespace pcap_ring
