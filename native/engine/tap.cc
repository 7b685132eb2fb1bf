#include "engine/tap.h"

#include <algorithm>
#include <utility>

namespace pcap_ring {
namespace {

int64_t AddTime(int64_t time_ns, int64_t duration_ns) {
  return duration_ns >= kNever - time_ns ? kNever : time_ns + duration_ns;
}

void PinSpan(Slab* slab, const Slab* last) {
  for (; slab != last; slab = slab->next) slab->Pin();
  slab->Pin();
}

}  // namespace

Tap::Tap(const TapSpec& spec, PacketRing* ring, const ScaledTotals* totals, EngineListener* listener)
    : spec_(spec), ring_(ring), totals_(totals), listener_(listener), file_bytes_(spec.cost.file) {}

void Tap::Start(Origin origin) {
  freeze_ns_ = origin.time_ns;
  state_ = State::kAttack;
  cap_ns_ = AddTime(freeze_ns_, spec_.cap_duration_ns);
  start_totals_ = slot_totals_ = origin.totals;
  slot_start_ns_ = freeze_ns_;
  OnSampling(totals_->one_of());
  packets_ = origin.before.total();
  loss_first_ = origin.loss_at_begin;
  loss_last_ = origin.loss_at_end;
  last_ns_ = origin.last_ns;
  any_packet_ = packets_ > 0;
  gaps_ = std::move(origin.gaps);
  if (spec_.progress) spec_.progress->store(packets_, std::memory_order_relaxed);

  TapMessage start;
  start.kind = TapMessage::Kind::kStart;
  start.handle = spec_.handle;
  start.time_ns = freeze_ns_;
  start.before = std::make_unique<BeforeFreeze>(origin.before);
  outbox_.push_back(std::move(start));
  Section begun = Section::kAttack;
  for (const SectionSpan& part : origin.spans) {
    section_begun_ = begun == part.section;
    begun = section_ = part.section;
    if (bounded_in_bytes()) file_bytes_ += SizeOf(part);
    span_ = part.span;
    PinSpan(span_.begin.slab, span_.last);
    SendSpan(span_.last);
  }
  section_ = Section::kAttack;
  section_begun_ = false;
  TapMessage frozen;
  frozen.kind = TapMessage::Kind::kFrozen;
  frozen.handle = spec_.handle;
  outbox_.push_back(std::move(frozen));

  if (spec_.kind == TapKind::kDump) {
    summary_.resolved_ns = freeze_ns_;
    End();
    return;
  }
  listener_->OnFreeze(spec_.handle, freeze_ns_);
  if (ring_ != nullptr && packets_ >= PacketLimit()) Cap(CapReason::kPackets, freeze_ns_);
}

uint64_t Tap::AttackLimit() const {
  const uint64_t reserved = spec_.resolution_reserve ? std::min(spec_.resolution_packets, spec_.cap_packets) : 0;
  return spec_.cap_packets - reserved;
}

uint64_t Tap::PacketLimit() const {
  if (state_ != State::kResolution) return AttackLimit();
  if (spec_.resolution_packets >= spec_.cap_packets - packets_at_resolve_) return spec_.cap_packets;
  return packets_at_resolve_ + spec_.resolution_packets;
}

// What its records take in the file.
uint64_t Tap::SizeOf(const SectionSpan& part) const {
  const auto ignore = [](Slab*) {};
  uint64_t size = section_begun_ ? 0 : spec_.cost.Beginning(part.section);
  RecordWalker walker(part.span.begin);
  for (uint64_t i = 0; i < part.span.packets; ++i) {
    const RecordHeader header = walker.Header(ignore);
    size += spec_.cost.Of(header.caplen);
    walker.Skip(header, ignore);
  }
  return size;
}

void Tap::OpenSpan(Cursor at) {
  span_ = {at, 0, nullptr};
  span_open_ = true;
  PinSpan(at.slab, ring_->tail().slab);
}

void Tap::SendSpan(Slab* last) {
  span_.last = last;
  TapMessage message;
  message.kind = TapMessage::Kind::kSpan;
  message.handle = spec_.handle;
  message.section = section_;
  message.span = span_;
  outbox_.push_back(std::move(message));
}

void Tap::CloseSpan() {
  if (!span_open_) return;
  SendSpan(ring_->tail().slab);
  span_open_ = false;
}

void Tap::Record(const Packet& packet, Cursor at, bool congested, const LossMarks::Totals& loss) {
  if (congested) {
    CloseSpan();
    ++unplaced_writer_loss_;
    return;
  }
  const uint64_t size = spec_.cost.Of(std::min(packet.caplen, ring_->largest())) +
                        (section_begun_ ? 0 : spec_.cost.Beginning(section_));
  if (file_bytes_ + size > spec_.cap_bytes) {
    Cap(CapReason::kBytes, packet.time_ns());
    return;
  }
  if (!span_open_) OpenSpan(at);
  ++span_.packets;
  ++packets_;
  file_bytes_ += size;
  section_begun_ = true;
  gaps_.Close(packet.time_ns());
  if (any_packet_) {
    if (passed_over_ > 0 || unplaced_writer_loss_ > 0 || loss != loss_last_) SeeGap(packet.time_ns(), loss);
  } else {
    any_packet_ = true;
    loss_first_ = loss;
    passed_over_ = 0;  // before the file's first packet nothing is missing
  }
  unplaced_writer_loss_ = 0;
  loss_last_ = loss;
  last_ns_ = packet.time_ns();
  if (packets_ < PacketLimit()) return;
  if (state_ == State::kAttack || packets_ >= spec_.cap_packets) {
    Cap(CapReason::kPackets, packet.time_ns());
  } else {
    End();
  }
}

// Between the packet recorded last and one of `time_ns`.
void Tap::SeeGap(int64_t time_ns, const LossMarks::Totals& loss) {
  if (passed_over_ > 0) gaps_.Add({last_ns_, time_ns, std::exchange(passed_over_, 0), true, true, GapReason::kRing});
  summary_.writer_loss += unplaced_writer_loss_;
  if (unplaced_writer_loss_ > 0) {
    gaps_.Add({last_ns_, time_ns, unplaced_writer_loss_, true, true, GapReason::kRing});
  }
  AddLoss(&gaps_, last_ns_, time_ns, loss - loss_last_);
}

void Tap::Cap(CapReason reason, int64_t time_ns) {
  CloseSpan();
  cap_ns_ = kNever;
  if (summary_.capped == CapReason::kNone) {
    summary_.capped = reason;
    if (spec_.progress) spec_.progress->store(packets_, std::memory_order_relaxed);
    listener_->OnCap(spec_.handle, reason);
  }
  if (state_ == State::kResolution) {
    End();
    return;
  }
  state_ = State::kCapped;
  if (spec_.kind == TapKind::kManual) Resolve(std::max(time_ns, freeze_ns_));
}

void Tap::RequestResolve(int64_t resolve_ns, bool with_resolution) {
  if (!with_resolution) spec_.resolution_packets = 0;
  if (state_ == State::kResolution) {
    if (!with_resolution) resolution_ns_ = std::min(resolution_ns_, resolve_ns);
    return;
  }
  resolve_ns_ = std::min(resolve_ns_, std::max(resolve_ns, freeze_ns_));
}

int64_t Tap::boundary_ns() const {
  switch (state_) {
    case State::kAttack:
    case State::kCapped:
      return std::min(resolve_ns_, cap_ns_);
    case State::kResolution:
      return std::min(resolution_ns_, cap_ns_);
    case State::kPending:
    case State::kEnded:
      break;
  }
  return kNever;
}

void Tap::Cross() {
  if (cap_ns_ < (state_ == State::kResolution ? resolution_ns_ : resolve_ns_)) {
    Cap(CapReason::kDuration, cap_ns_);
  } else if (state_ == State::kResolution) {
    End();
  } else {
    Resolve(resolve_ns_);
  }
}

bool Tap::recording() const {
  if (spec_.kind == TapKind::kDump || state_ == State::kEnded) return false;
  return state_ != State::kCapped || (resolve_ns_ != kNever && RoomForResolution());
}

bool Tap::RoomForResolution() const {
  if (ring_ == nullptr || spec_.kind != TapKind::kIncident) return false;
  if (spec_.resolution_packets == 0 || spec_.resolution_ns == 0) return false;
  if (summary_.capped == CapReason::kNone) return true;
  return summary_.capped == CapReason::kPackets && packets_ < spec_.cap_packets;
}

void Tap::Resolve(int64_t time_ns) {
  CloseSpan();
  time_ns = std::max(time_ns, freeze_ns_);  // the clock may have been set back in between
  summary_.resolved_ns = time_ns;
  AddSlot(time_ns);
  summary_.traffic = totals_->Now() - start_totals_;
  if (summary_.peak_pps.at_ns == kNever) SeePeak(summary_.traffic, freeze_ns_, time_ns - freeze_ns_);
  if (!RoomForResolution()) {
    End();
    return;
  }
  state_ = State::kResolution;
  section_ = Section::kResolution;
  section_begun_ = false;
  packets_at_resolve_ = packets_;
  resolution_ns_ = AddTime(time_ns, spec_.resolution_ns);
}

void Tap::OnSourceEnded(int64_t now_ns) {
  if (ended()) return;
  if (state_ != State::kResolution) {
    if (resolve_ns_ == kNever && spec_.kind != TapKind::kManual) return;
    Resolve(std::max(std::min(resolve_ns_, now_ns), freeze_ns_));
  }
  if (!ended()) End();  // no resolution section without packets
}

void Tap::Abandon(int64_t now_ns, Code error) {
  if (ended()) return;
  summary_.error = error;
  resolve_ns_ = std::min(resolve_ns_, now_ns);
  OnSourceEnded(now_ns);
}

// The first and the last slot may be of any length, and a sliver of an interval makes no rate.
void Tap::AddSlot(int64_t end_ns) {
  const int64_t length = end_ns - slot_start_ns_;
  const TrafficCounters totals = totals_->Now();
  const TrafficCounters passed = totals - slot_totals_;
  if (length <= 0 && passed.packets == 0) return;
  timeline_.Add({slot_start_ns_, passed.packets, passed.bytes});
  if (2 * length >= spec_.interval_ns) SeePeak(passed, slot_start_ns_, length);
  slot_start_ns_ = end_ns;
  slot_totals_ = totals;
}

void Tap::SeePeak(const TrafficCounters& passed, int64_t start_ns, int64_t length_ns) {
  if (length_ns <= 0) return;
  const double seconds = static_cast<double>(length_ns) / 1e9;
  const double pps = static_cast<double>(passed.packets) / seconds;
  const double bps = static_cast<double>(passed.bytes) * 8 / seconds;
  if (pps > summary_.peak_pps.value || summary_.peak_pps.at_ns == kNever) summary_.peak_pps = {pps, start_ns};
  if (bps > summary_.peak_bps.value || summary_.peak_bps.at_ns == kNever) summary_.peak_bps = {bps, start_ns};
}

void Tap::OnInterval(int64_t end_ns) {
  if ((state_ == State::kAttack || state_ == State::kCapped) && end_ns <= resolve_ns_) AddSlot(end_ns);
}

void Tap::End() {
  CloseSpan();
  state_ = State::kEnded;
  summary_.kernel_loss = loss_last_.kernel - loss_first_.kernel;
  summary_.interface_loss = loss_last_.interface - loss_first_.interface;
  summary_.gaps = gaps_.Take();
  summary_.timeline = timeline_.Take();
  TapMessage message;
  message.kind = TapMessage::Kind::kEnd;
  message.handle = spec_.handle;
  message.summary = std::make_unique<TapSummary>(std::move(summary_));
  outbox_.push_back(std::move(message));
  if (spec_.progress) spec_.progress->store(packets_, std::memory_order_relaxed);
}

bool Tap::Flush(TapQueue* queue) {
  bool pushed = PushOutbox(queue);
  if (span_open_ && span_.packets > 0 && outbox_.empty()) {
    Slab* const tail = ring_->tail().slab;
    SendSpan(tail);
    tail->Pin();
    span_ = {ring_->tail(), 0, nullptr};
    pushed |= PushOutbox(queue);
    if (spec_.progress) spec_.progress->store(packets_, std::memory_order_relaxed);
  }
  return pushed;
}

bool Tap::PushOutbox(TapQueue* queue) {
  bool pushed = false;
  while (!outbox_.empty() && queue->messages.Push(std::move(outbox_.front()))) {
    outbox_.pop_front();
    pushed = true;
  }
  return pushed;
}

}  // namespace pcap_ring
