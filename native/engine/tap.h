#pragma once

#include <deque>
#include <vector>

#include "engine/loss_marks.h"
#include "engine/timeline.h"
#include "engine/types.h"
#include "ring/packet_ring.h"
#include "traffic/scaled_totals.h"

namespace pcap_ring {

// One recording on the capture thread: decides which packets belong to it and hands them to the writer as spans of the
// log. Its life is a row of boundaries in time: T (the freeze), R (the resolution), the caps; each is crossed at the
// first packet stamped at or after it, or when the source says that no earlier one can come.
//
// The capture thread's alone.
class Tap {
 public:
  // `ring` nullptr: statistics only, nothing is recorded. `totals`: the counters as they stand, read at each boundary.
  Tap(const TapSpec& spec, PacketRing* ring, const ScaledTotals* totals, EngineListener* listener);

  uint32_t handle() const { return spec_.handle; }
  TapKind kind() const { return spec_.kind; }
  bool pending() const { return state_ == State::kPending; }
  bool ended() const { return state_ == State::kEnded; }
  bool backlog() const { return !outbox_.empty(); }
  bool drained() const { return ended() && outbox_.empty(); }
  // Whether packets are recorded live, or will be from a moment that has been taken: not after the cap.
  bool recording() const;
  bool capped() const { return state_ == State::kCapped; }

  // The freeze, when T is crossed, and what is kept from before it.
  struct SectionSpan {
    Section section;
    Span span;
  };
  struct Origin {
    int64_t time_ns = 0;
    std::vector<SectionSpan> spans;  // in file order, not pinned yet
    BeforeFreeze before;
    int64_t last_ns = 0;  // the last packet's time
    LossMarks::Totals loss_at_begin;  // before the first packet
    LossMarks::Totals loss_at_end;  // before the last packet
    Gaps gaps;  // between them, or up to what follows, and what should be there and is not
    TrafficCounters totals;  // as they stood at T
  };
  void Start(Origin origin);
  // How many packets from before the freeze may go into the file, and how many bytes they may take there.
  uint64_t HistoryLimit() const { return spec_.kind == TapKind::kManual ? 0 : AttackLimit(); }
  uint64_t HistoryBytesLimit() const {
    return spec_.cap_bytes <= spec_.cost.file ? 0 : spec_.cap_bytes - spec_.cost.file;
  }
  bool bounded_in_bytes() const { return spec_.cap_bytes != kUnlimited; }
  const FileCost& cost() const { return spec_.cost; }

  // A packet was pushed at `at`. `congested`: the writer lags too far behind.
  void OnPacket(const Packet& packet, Cursor at, bool congested, const LossMarks::Totals& loss) {
    if (state_ == State::kAttack || state_ == State::kResolution) {
      Record(packet, at, congested, loss);
    } else if (state_ == State::kCapped) {
      ++passed_over_;
    }
  }
  // Pins what the open span grows by.
  void OnNewSlab(Slab* slab) {
    if (span_open_) slab->Pin();
  }
  // From here on one of `one_of` packets is kept.
  void OnSampling(uint32_t one_of) {
    if (state_ == State::kAttack || state_ == State::kCapped) summary_.sampling.Add(one_of);
  }
  // A statistics interval ended.
  void OnInterval(int64_t end_ns);

  // R as the caller took it; crossed like any boundary, by packet or by time.
  void RequestResolve(int64_t resolve_ns, bool with_resolution);
  // The next boundary in time, kNever if there is none.
  int64_t boundary_ns() const;
  // Crosses boundary_ns(); not T, which is Start's.
  void Cross();
  // No packet will ever come: what still waits for packets or for time ends at `now_ns`.
  void OnSourceEnded(int64_t now_ns);
  // Ends at once: its writer cannot go on, the host closes, or (`error`) the ring died.
  void Abandon(int64_t now_ns, Code error = Code::kOk);

  // Hands over what has gathered; what finds no room in the queue stays. True: something was pushed.
  bool Flush(TapQueue* queue);

 private:
  enum class State { kPending, kAttack, kCapped, kResolution, kEnded };

  void Record(const Packet& packet, Cursor at, bool congested, const LossMarks::Totals& loss);
  void SeeGap(int64_t time_ns, const LossMarks::Totals& loss);
  uint64_t AttackLimit() const;
  uint64_t PacketLimit() const;
  uint64_t SizeOf(const SectionSpan& part) const;
  void OpenSpan(Cursor at);
  void CloseSpan();
  void SendSpan(Slab* last);
  void Cap(CapReason reason, int64_t time_ns);
  void Resolve(int64_t time_ns);
  void End();
  bool PushOutbox(TapQueue* queue);
  void AddSlot(int64_t end_ns);
  void SeePeak(const TrafficCounters& passed, int64_t start_ns, int64_t length_ns);
  bool RoomForResolution() const;

  TapSpec spec_;
  PacketRing* const ring_;
  const ScaledTotals* const totals_;
  EngineListener* const listener_;
  State state_ = State::kPending;
  int64_t freeze_ns_ = 0;
  int64_t resolve_ns_ = kNever;
  int64_t cap_ns_ = kNever;
  int64_t resolution_ns_ = kNever;
  uint64_t packets_ = 0;
  uint64_t packets_at_resolve_ = 0;
  uint64_t file_bytes_ = 0;

  Section section_ = Section::kAttack;
  bool section_begun_ = false;  // a record of it was handed over
  Span span_;
  bool span_open_ = false;
  std::deque<TapMessage> outbox_;

  uint64_t unplaced_writer_loss_ = 0;  // counted once a later packet is recorded: only then it lies between two
  uint64_t passed_over_ = 0;  // after the cap; told of once a packet of the resolution is recorded
  bool any_packet_ = false;
  int64_t last_ns_ = 0;  // the packet recorded last
  Gaps gaps_;
  LossMarks::Totals loss_first_;
  LossMarks::Totals loss_last_;

  int64_t slot_start_ns_ = 0;
  TrafficCounters slot_totals_;
  TrafficCounters start_totals_;
  Timeline timeline_;
  TapSummary summary_;
};

}  // namespace pcap_ring
