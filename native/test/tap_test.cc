#include "engine/tap.h"

#include <memory>
#include <string>
#include <vector>

#include "engine/pipeline.h"
#include "incident/recording.h"
#include "test/check.h"
#include "test/silent_listener.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::kBase;
using testing::MakeTap;

constexpr uint32_t kSize = 100;
constexpr int64_t kStep = kNsPerMs;

// Hears of freezes and caps.
class Listener : public testing::SilentListener {
 public:
  void OnFreeze(uint32_t, int64_t time_ns) override { freezes.push_back(time_ns); }
  void OnCap(uint32_t, CapReason reason) override { caps.push_back(reason); }

  std::vector<int64_t> freezes;
  std::vector<CapReason> caps;
};

// What came out of one tap: the numbers of the packets by section.
struct Out {
  std::vector<uint64_t> sections[kSections];
  uint64_t history = 0;
  bool started = false;
  std::unique_ptr<TapSummary> summary;

  size_t size(Section section) const { return sections[static_cast<size_t>(section)].size(); }
  size_t packets() const {
    size_t sum = 0;
    for (const auto& section : sections) sum += section.size();
    return sum;
  }
  // All of it is one run of packets, and its sections come in order.
  bool contiguous() const {
    std::vector<uint64_t> all;
    for (const auto& section : sections) all.insert(all.end(), section.begin(), section.end());
    for (size_t i = 1; i < all.size(); ++i) {
      if (all[i] != all[i - 1] + 1) return false;
    }
    return true;
  }
  uint64_t first(Section section) const { return sections[static_cast<size_t>(section)].front(); }
  uint64_t last(Section section) const { return sections[static_cast<size_t>(section)].back(); }
};

// A pipeline with one tap, and packets of 100 bytes a millisecond apart: packet n is stamped n ms. `ring` 20.
class Bench {
 public:
  explicit Bench(size_t ring_packets = 20) : pipeline_(Config(ring_packets), &queue_, &listener) {}

  // Eight blocks of five packets come round.
  static constexpr uint64_t kPerBlock = 5;
  static uintptr_t SlotOf(uint64_t number) { return 0x1000 * (1 + number / kPerBlock % 8); }
  static int64_t TimeOf(uint64_t number) { return kBase + static_cast<int64_t>(number) * kStep; }

  void Push(uint64_t count) {
    for (; count > 0; --count, ++number) {
      const int64_t time_ns = TimeOf(number);
      // As the drivers do: boundaries first.
      if (Tap* tap = pipeline_.Find(1); tap != nullptr && !tap->pending()) {
        while (tap->boundary_ns() <= time_ns) tap->Cross();
      }
      if (number % kPerBlock == 0) pipeline_.loss()->PlaceBySlot(pipeline_.position(), SlotOf(number));
      if (time_ns >= pipeline_.loss()->next_ns()) pipeline_.loss()->PlaceByTime(pipeline_.position(), time_ns);
      const uint8_t data[kSize] = {};
      pipeline_.OnPacket({time_ns / kNsPerSec, time_ns % kNsPerSec, kSize, kSize, data, false});
      if (number % 7 == 0) End();
    }
    End();
  }
  void Freeze(const TapSpec& spec, int64_t time_ns, bool by_stamp = false) {
    CHECK(pipeline_.Open(spec) != nullptr);
    pipeline_.Start(pipeline_.Find(1), time_ns, by_stamp);
  }
  void FreezeNow(const TapSpec& spec) { Freeze(spec, TimeOf(number)); }
  void Resolve() { tap()->RequestResolve(TimeOf(number), true); }
  Tap* tap() { return pipeline_.Find(1); }
  // Packet `before` is the first from behind a loss, as its time tells.
  void Lose(uint64_t packets, uint64_t before) {
    pipeline_.loss()->See({.kernel = packets}, {.time_ns = TimeOf(before)});
  }
  // The same, as the block tells that packet `before` begins.
  void LoseBeforeBlock(uint64_t packets, uint64_t before) {
    pipeline_.loss()->See({.kernel = packets}, {.slot = SlotOf(before)});
  }
  void GoDown() { pipeline_.loss()->See({.outages = 1}, {}); }
  // The kernel's buffer is empty.
  void Drained() { pipeline_.loss()->PlaceAll(pipeline_.position()); }
  uint64_t loss_seen() { return pipeline_.loss()->seen().kernel; }
  // The tap is gone from the capture thread: it ended, and all of it was handed over.
  bool over() {
    End();
    return pipeline_.Find(1) == nullptr && out.summary != nullptr;
  }
  void End() {
    pipeline_.EndBatch();
    TapMessage message;
    while (queue_.messages.Pop(&message)) {
      if (message.kind == TapMessage::Kind::kEnd) out.summary = std::move(message.summary);
      if (message.kind == TapMessage::Kind::kStart) {
        CHECK(!out.started);
        out.started = true;
        out.history = message.before->total();
      }
      Read(message.section, message.span);
    }
  }

  Listener listener;
  Out out;
  uint64_t number = 0;

 private:
  static Pipeline::Config Config(size_t ring_packets) {
    Pipeline::Config config;
    config.ring_packets = ring_packets;
    config.unplaced_losses = 8;
    return config;
  }

  void Read(Section section, const Span& span) {
    if (span.last == nullptr) return;
    const auto unpin = [](Slab* slab) { slab->Unpin(); };
    RecordWalker walker(span.begin);
    for (uint64_t i = 0; i < span.packets; ++i) {
      const RecordHeader header = walker.Header(unpin);
      out.sections[static_cast<size_t>(section)].push_back(static_cast<uint64_t>((header.time_ns() - kBase) / kStep));
      walker.Skip(header, unpin);
    }
    ReleaseSpan({walker.cursor(), 0, span.last});
  }

  TapQueue queue_;
  Pipeline pipeline_;
};

TEST(pre_buffer_attack_and_resolution_in_a_row) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.resolution_packets = 5;
  spec.resolution_ns = kNsPerSec;
  bench.Push(50);
  bench.FreezeNow(spec);
  CHECK_EQ(bench.listener.freezes.size(), 1u);
  bench.Push(30);
  bench.Resolve();
  CHECK(!bench.over());
  bench.Push(20);
  CHECK(bench.over());
  CHECK(bench.out.contiguous());
  CHECK_EQ(bench.out.history, 20u);
  CHECK_EQ(bench.out.first(Section::kPreBuffer), 30u);
  CHECK_EQ(bench.out.first(Section::kAttack), 50u);
  CHECK_EQ(bench.out.size(Section::kAttack), 30u);
  CHECK_EQ(bench.out.size(Section::kResolution), 5u);
  CHECK(bench.out.summary->capped == CapReason::kNone);
  CHECK_EQ(bench.out.summary->resolved_ns, Bench::TimeOf(80));
  CHECK_EQ(bench.out.summary->traffic.packets, 30u);
  CHECK_EQ(spec.progress->load(), 55u);
  CHECK_EQ(bench.listener.caps.size(), 0u);
}

TEST(resolution_ends_by_its_duration) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.resolution_packets = 100;
  spec.resolution_ns = 7 * kStep;
  bench.Push(50);
  bench.FreezeNow(spec);
  bench.Push(10);
  bench.Resolve();
  bench.Push(20);
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kResolution), 7u);  // half-open: stamped before R + 7 ms
}

TEST(without_a_resolution_section_resolve_ends_at_once) {
  for (const bool by_packets : {true, false}) {
    Bench bench;
    TapSpec spec = MakeTap(1);
    spec.resolution_packets = by_packets ? 0 : 10;
    spec.resolution_ns = by_packets ? kNsPerSec : 0;
    bench.FreezeNow(spec);
    bench.Push(10);
    bench.Resolve();
    CHECK_EQ(bench.tap()->boundary_ns(), Bench::TimeOf(10));
    bench.tap()->Cross();
    CHECK(bench.over());
    CHECK_EQ(bench.out.packets(), 10u);
  }
}

TEST(cap_by_packets_counts_the_whole_file) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.cap_packets = 30;
  spec.resolution_packets = 5;
  spec.resolution_ns = kNsPerSec;
  bench.Push(100);
  bench.FreezeNow(spec);
  bench.Push(9);
  CHECK_EQ(bench.listener.caps.size(), 0u);
  bench.Push(1);
  CHECK_EQ(bench.listener.caps.size(), 1u);
  bench.Push(50);
  CHECK(!bench.over());  // stays open until it is resolved
  bench.Resolve();
  bench.Push(1);
  CHECK(bench.over());
  CHECK(bench.out.contiguous());
  CHECK_EQ(bench.out.size(Section::kPreBuffer), 20u);
  CHECK_EQ(bench.out.size(Section::kAttack), 10u);
  CHECK_EQ(bench.out.size(Section::kResolution), 0u);
  CHECK(bench.out.summary->capped == CapReason::kPackets);
  CHECK_EQ(bench.out.summary->traffic.packets, 60u);  // statistics go on after the cap
}

TEST(reserve_keeps_room_for_the_resolution_section) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.cap_packets = 30;
  spec.resolution_packets = 5;
  spec.resolution_ns = kNsPerSec;
  spec.resolution_reserve = true;
  bench.Push(100);
  bench.FreezeNow(spec);
  bench.Push(50);
  CHECK_EQ(bench.listener.caps.size(), 1u);
  bench.Resolve();
  bench.Push(20);
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kPreBuffer), 20u);
  CHECK_EQ(bench.out.size(Section::kAttack), 5u);
  CHECK_EQ(bench.out.size(Section::kResolution), 5u);
  CHECK_EQ(bench.out.first(Section::kResolution), 150u);
  CHECK(bench.out.summary->capped == CapReason::kPackets);
  CHECK_EQ(bench.listener.caps.size(), 1u);
}

TEST(the_cap_also_ends_a_resolution_section_once) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.cap_packets = 33;
  spec.resolution_packets = 5;
  spec.resolution_ns = kNsPerSec;
  bench.Push(100);
  bench.FreezeNow(spec);
  bench.Push(10);
  bench.Resolve();
  bench.Push(50);
  CHECK(bench.over());
  CHECK_EQ(bench.out.packets(), 33u);
  CHECK_EQ(bench.out.size(Section::kResolution), 3u);
  CHECK(bench.out.summary->capped == CapReason::kPackets);
}

TEST(edges_of_the_packet_limit) {
  struct Edge {
    uint64_t cap, resolution;
    bool reserve;
    size_t pre_buffer, attack, resolved;
  };
  const Edge edges[] = {
      {1, 0, false, 1, 0, 0},
      {1, 100, true, 0, 0, 1},
      {5, 5, true, 0, 0, 5},
      {20, 3, false, 20, 0, 0},
      {21, 100, false, 20, 1, 0},
      {25, 5, true, 20, 0, 5},
      {24, 5, true, 19, 0, 5},
      {40, 0, true, 20, 20, 0},
      {50, kUnlimited, false, 20, 30, 0},
      {kUnlimited, kUnlimited, false, 20, 40, 60},
      {kUnlimited, 4, true, 20, 40, 4},
  };
  for (const Edge& edge : edges) {
    Bench bench;
    TapSpec spec = MakeTap(1);
    spec.cap_packets = edge.cap;
    spec.resolution_packets = edge.resolution;
    spec.resolution_ns = 60 * kStep;
    spec.resolution_reserve = edge.reserve;
    bench.Push(100);
    bench.FreezeNow(spec);
    bench.Push(40);
    bench.Resolve();
    bench.Push(100);
    CHECK(bench.over());
    CHECK_EQ(bench.out.size(Section::kPreBuffer), edge.pre_buffer);
    CHECK_EQ(bench.out.size(Section::kAttack), edge.attack);
    CHECK_EQ(bench.out.size(Section::kResolution), edge.resolved);
    // The newest are kept of a history that is larger than the cap.
    if (edge.pre_buffer > 0) CHECK_EQ(bench.out.last(Section::kPreBuffer), 99u);
    CHECK_EQ(spec.progress->load(), bench.out.packets());
  }
}

TEST(cap_by_bytes_is_of_the_file) {
  for (uint64_t extra = 0; extra < kSize + 16; extra += 29) {
    Bench bench;
    TapSpec spec = MakeTap(1);
    spec.cap_bytes = 24 + 25 * (kSize + 16) + extra;
    bench.Push(100);
    bench.FreezeNow(spec);
    bench.Push(10);
    CHECK_EQ(bench.listener.caps.size(), 1u);
    CHECK(bench.listener.caps[0] == CapReason::kBytes);
    bench.Resolve();
    bench.Push(1);
    CHECK(bench.over());
    CHECK_EQ(bench.out.packets(), 25u);
    CHECK(bench.out.contiguous());
  }
  // Smaller than the history, than one record, than the file's own header.
  for (const uint64_t records : {3u, 1u, 0u}) {
    for (const uint64_t cap : {24 + records * (kSize + 16), records * (kSize + 16)}) {
      Bench bench;
      TapSpec spec = MakeTap(1);
      spec.cap_bytes = cap;
      bench.Push(100);
      bench.FreezeNow(spec);
      bench.Push(10);
      bench.Resolve();
      bench.Push(1);
      CHECK(bench.over());
      const uint64_t fit = cap < 24 ? 0 : (cap - 24) / (kSize + 16);
      CHECK_EQ(bench.out.packets(), fit);
      if (fit > 0) CHECK_EQ(bench.out.last(Section::kPreBuffer), 99u);
      CHECK(bench.out.summary->capped == CapReason::kBytes);
    }
  }
}

TEST(cap_by_duration_counts_from_the_freeze) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.cap_duration_ns = 10 * kStep;
  spec.resolution_packets = 5;
  spec.resolution_ns = kNsPerSec;
  bench.Push(100);
  bench.FreezeNow(spec);
  bench.Push(50);
  CHECK_EQ(bench.listener.caps.size(), 1u);
  CHECK(bench.listener.caps[0] == CapReason::kDuration);
  bench.Resolve();
  bench.Push(10);
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kAttack), 10u);
  CHECK_EQ(bench.out.size(Section::kResolution), 0u);
  CHECK(bench.out.summary->capped == CapReason::kDuration);
  CHECK_EQ(bench.out.summary->resolved_ns, Bench::TimeOf(150));
}

TEST(a_duration_cap_cuts_a_resolution_section) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.cap_duration_ns = 12 * kStep;
  spec.resolution_packets = 5;
  spec.resolution_ns = kNsPerSec;
  bench.FreezeNow(spec);
  bench.Push(10);
  bench.Resolve();
  bench.Push(50);
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kAttack), 10u);
  CHECK_EQ(bench.out.size(Section::kResolution), 2u);
  CHECK(bench.out.summary->capped == CapReason::kDuration);
}

TEST(a_manual_capture_has_no_history_and_ends_at_its_cap) {
  for (const bool by_packets : {true, false}) {
    Bench bench;
    TapSpec spec = MakeTap(1, TapKind::kManual);
    if (by_packets) {
      spec.cap_packets = 15;
    } else {
      spec.cap_duration_ns = 15 * kStep;
    }
    spec.resolution_packets = 5;
    spec.resolution_ns = kNsPerSec;
    bench.Push(100);
    bench.FreezeNow(spec);
    bench.Push(100);
    CHECK(bench.over());
    CHECK_EQ(bench.out.size(Section::kPreBuffer), 0u);
    CHECK_EQ(bench.out.size(Section::kAttack), 15u);
    CHECK_EQ(bench.out.first(Section::kAttack), 100u);
    CHECK_EQ(bench.out.size(Section::kResolution), 0u);
    CHECK(bench.out.summary->capped == (by_packets ? CapReason::kPackets : CapReason::kDuration));
  }
}

TEST(a_manual_capture_ends_when_its_source_ends) {
  Bench bench;
  bench.FreezeNow(MakeTap(1, TapKind::kManual));
  bench.Push(5);
  bench.tap()->OnSourceEnded(Bench::TimeOf(5));
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kAttack), 5u);
  CHECK_EQ(bench.out.summary->resolved_ns, Bench::TimeOf(5));
}

TEST(a_dump_is_the_ring_as_it_stands) {
  Bench bench;
  bench.Push(100);
  bench.FreezeNow(MakeTap(1, TapKind::kDump));
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kPreBuffer), 20u);
  CHECK_EQ(bench.out.first(Section::kPreBuffer), 80u);
  CHECK_EQ(bench.out.packets(), 20u);
  CHECK_EQ(bench.listener.freezes.size(), 0u);
}

TEST(an_empty_ring_freezes_and_dumps) {
  for (const TapKind kind : {TapKind::kIncident, TapKind::kManual, TapKind::kDump}) {
    Bench bench;
    bench.FreezeNow(MakeTap(1, kind));
    if (kind != TapKind::kDump) bench.tap()->Abandon(Bench::TimeOf(0));
    CHECK(bench.over());
    CHECK(bench.out.started);
    CHECK_EQ(bench.out.packets(), 0u);
  }
}

// A live freeze: packets stamped at or after T may be in the ring before the command was seen.
TEST(the_boundary_is_the_first_packet_stamped_at_or_after_t) {
  for (uint64_t late = 0; late <= 25; ++late) {
    Bench bench;
    TapSpec spec = MakeTap(1);
    spec.cap_packets = 40;
    bench.Push(100);
    bench.Freeze(spec, Bench::TimeOf(100 - late), true);
    bench.Push(30);
    bench.Resolve();
    bench.Push(1);
    CHECK(bench.over());
    CHECK(bench.out.contiguous());
    const uint64_t in_ring = std::min<uint64_t>(late, 20);
    CHECK_EQ(bench.out.history, 20 - in_ring);
    CHECK_EQ(bench.out.first(Section::kAttack), 100 - in_ring);
    CHECK_EQ(bench.out.packets(), 40u);
    CHECK_EQ(bench.out.summary->traffic.packets, in_ring + 30);
  }
}

TEST(resolve_before_the_freeze_takes_effect_at_the_freeze) {
  Bench bench;
  bench.Push(100);
  bench.FreezeNow(MakeTap(1));
  bench.tap()->RequestResolve(Bench::TimeOf(50), true);
  CHECK_EQ(bench.tap()->boundary_ns(), Bench::TimeOf(100));
  bench.Push(1);
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kAttack), 0u);
  CHECK_EQ(bench.out.summary->resolved_ns, Bench::TimeOf(100));
}

TEST(only_the_first_resolve_counts) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.resolution_packets = 5;
  spec.resolution_ns = kNsPerSec;
  bench.FreezeNow(spec);
  bench.Push(10);
  bench.Resolve();
  bench.tap()->RequestResolve(Bench::TimeOf(12), true);
  bench.Push(3);
  bench.Resolve();
  bench.Push(10);
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kAttack), 10u);
  CHECK_EQ(bench.out.size(Section::kResolution), 5u);
}

// A close in the middle of a resolution section ends it at the moment of the close, by a time that can be reckoned
// with: on a silent device only the clock can tell when it is past.
TEST(a_close_ends_a_resolution_section_at_its_own_time) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.resolution_packets = 100;
  spec.resolution_ns = kNsPerSec;
  bench.FreezeNow(spec);
  bench.Push(10);
  bench.Resolve();
  bench.Push(5);
  bench.tap()->RequestResolve(Bench::TimeOf(15), false);
  CHECK_EQ(bench.tap()->boundary_ns(), Bench::TimeOf(15));
  bench.tap()->Cross();
  CHECK(bench.over());
  CHECK_EQ(bench.out.size(Section::kResolution), 5u);
}

TEST(abandoned_in_every_state_it_ends_at_once) {
  for (int stage = 0; stage < 4; ++stage) {
    Bench bench;
    TapSpec spec = MakeTap(1);
    spec.cap_packets = 30;
    spec.resolution_packets = 5;
    spec.resolution_ns = kNsPerSec;
    bench.Push(100);
    bench.FreezeNow(spec);
    if (stage >= 1) bench.Push(5);
    if (stage == 2) bench.Push(50);
    if (stage == 3) {
      bench.Resolve();
      bench.Push(2);
    }
    bench.tap()->Abandon(Bench::TimeOf(bench.number), Code::kKernel);
    CHECK(bench.over());
    CHECK(bench.out.contiguous());
    CHECK(bench.out.summary->error == Code::kKernel);
    CHECK_EQ(spec.progress->load(), bench.out.packets());
  }
}

struct Loss {
  uint64_t packets;
  uint64_t before;
};

// Packets 40 to 69 in the file, of which 40 to 59 are from before the freeze.
TapSummary LossOfFile(const std::vector<Loss>& losses, void (Bench::*lose)(uint64_t, uint64_t) = &Bench::Lose) {
  Bench bench;
  TapSpec spec = MakeTap(1);
  spec.cap_packets = 30;
  bench.Push(35);
  uint64_t all = 0;
  for (const Loss& loss : losses) {
    (bench.*lose)(loss.packets, loss.before);
    all += loss.packets;
  }
  CHECK_EQ(bench.loss_seen(), all);
  bench.Push(25);
  bench.FreezeNow(spec);
  bench.Push(40);
  bench.Resolve();
  bench.tap()->Cross();
  CHECK(bench.over());
  return std::move(*bench.out.summary);
}

void CheckOneGap(const TapSummary& summary, uint64_t packets, uint64_t before) {
  CHECK_EQ(summary.kernel_loss, packets);
  CHECK_EQ(summary.gaps.size(), 1u);
  const Gap& gap = summary.gaps[0];
  CHECK_EQ(gap.from_ns, Bench::TimeOf(before - 1));
  CHECK_EQ(gap.to_ns, Bench::TimeOf(before));
  CHECK_EQ(gap.packets, packets);
  CHECK(gap.exact && gap.counted && gap.reason == GapReason::kKernel);
}

TEST(a_loss_counts_where_it_fell_not_where_it_was_seen) {
  for (const uint64_t outside : {36u, 40u, 70u}) {  // before the first packet of the file, behind the last
    const TapSummary summary = LossOfFile({{5, outside}});
    CHECK_EQ(summary.kernel_loss, 0u);
    CHECK(summary.gaps.empty());
  }
  for (const uint64_t inside : {41u, 59u, 60u, 61u, 69u}) CheckOneGap(LossOfFile({{5, inside}}), 5, inside);
  const TapSummary summary = LossOfFile({{5, 36}, {2, 41}, {1, 41}, {9, 45}, {1, 62}, {9, 75}});
  CHECK_EQ(summary.kernel_loss, 13u);
  CHECK_EQ(summary.gaps.size(), 3u);
  CHECK_EQ(summary.gaps[0].packets, 3u);
  CHECK_EQ(summary.gaps[1].packets, 9u);
  CHECK_EQ(summary.gaps[1].to_ns, Bench::TimeOf(45));
  CHECK_EQ(summary.gaps[2].packets, 1u);
}

// Eight blocks are 40 packets: a block seen at packet 35 comes again within them.
TEST(a_loss_is_placed_before_the_block_that_was_filled_next) {
  for (const uint64_t outside : {40u, 70u}) {
    const TapSummary summary = LossOfFile({{5, outside}}, &Bench::LoseBeforeBlock);
    CHECK_EQ(summary.kernel_loss, 0u);
    CHECK(summary.gaps.empty());
  }
  for (const uint64_t inside : {45u, 55u, 60u, 65u}) {
    CheckOneGap(LossOfFile({{5, inside}}, &Bench::LoseBeforeBlock), 5, inside);
    CheckOneGap(LossOfFile({{2, inside}, {3, inside}}, &Bench::LoseBeforeBlock), 5, inside);
  }
  CHECK_EQ(LossOfFile({{1, 40}, {2, 45}, {4, 50}, {8, 70}}, &Bench::LoseBeforeBlock).kernel_loss, 6u);
}

TEST(an_outage_is_a_gap_that_nobody_counted) {
  Bench bench;
  bench.Push(30);
  bench.FreezeNow(MakeTap(1));
  bench.Push(10);
  bench.Lose(7, 1'000);  // from before it, placed with it
  bench.GoDown();
  bench.Push(3);  // these were still in the kernel's buffer
  bench.Drained();
  bench.Push(10);
  bench.GoDown();
  bench.Drained();
  bench.Resolve();
  bench.tap()->Cross();
  CHECK(bench.over());
  const TapSummary& summary = *bench.out.summary;
  CHECK_EQ(summary.kernel_loss, 7u);
  CHECK_EQ(summary.gaps.size(), 2u);  // none behind the last packet
  CHECK(summary.gaps[0].reason == GapReason::kKernel);
  CHECK(summary.gaps[1].reason == GapReason::kDeviceDown && !summary.gaps[1].counted && !summary.gaps[1].exact);
  CHECK_EQ(summary.gaps[1].from_ns, Bench::TimeOf(42));
  CHECK_EQ(summary.gaps[1].to_ns, Bench::TimeOf(43));
}

TEST(what_the_interface_lost_is_counted_and_its_place_is_not_exact) {
  Gaps gaps;
  AddLoss(&gaps, 1, 2, {.kernel = 3, .interface = 4});
  AddLoss(&gaps, 1, 2, {.kernel = 5, .interface = 6});
  const std::vector<Gap> taken = gaps.Take();
  uint64_t exact = 0, inexact = 0;
  for (const Gap& gap : taken) (gap.exact ? exact : inexact) += gap.packets;
  CHECK_EQ(exact, 8u);
  CHECK_EQ(inexact, 10u);
}

TEST(more_gaps_than_a_report_has_are_merged_and_their_sum_is_kept) {
  Gaps gaps;
  uint64_t kernel = 0, ring = 0;
  for (uint64_t i = 0; i < 10'000; ++i) {
    const bool is_ring = i % 3 == 0;
    (is_ring ? ring : kernel) += i + 1;
    gaps.Add({Bench::TimeOf(2 * i), Bench::TimeOf(2 * i + 1), i + 1, i != 77, true,
              is_ring ? GapReason::kRing : GapReason::kKernel});
  }
  const std::vector<Gap> taken = gaps.Take();
  CHECK(taken.size() <= Gaps::kMost && taken.size() >= Gaps::kMost / 2);
  size_t inexact = 0;
  int64_t reached[2] = {};
  for (const Gap& gap : taken) {
    const bool is_ring = gap.reason == GapReason::kRing;
    (is_ring ? ring : kernel) -= gap.packets;
    CHECK(gap.from_ns > reached[is_ring] && gap.to_ns > gap.from_ns);
    reached[is_ring] = gap.to_ns;
    if (!gap.exact) ++inexact;
  }
  CHECK_EQ(kernel, 0u);
  CHECK_EQ(ring, 0u);
  CHECK_EQ(inexact, 1u);
}

TEST(more_unplaced_losses_than_there_is_room_for_are_all_counted) {
  std::vector<Loss> losses;
  for (uint64_t i = 0; i < 10; ++i) losses.push_back({1, 60 + i});
  const TapSummary summary = LossOfFile(losses);
  CHECK_EQ(summary.kernel_loss, 10u);
  // There is room for eight: the last three are one, where the last of them was.
  CHECK_EQ(summary.gaps.size(), 8u);
  CHECK_EQ(summary.gaps[7].packets, 3u);
  CHECK_EQ(summary.gaps[7].to_ns, Bench::TimeOf(69));
}

TEST(a_loss_is_placed_when_the_buffer_is_drained_though_the_clock_was_set_back) {
  Bench bench;
  bench.Push(30);
  bench.FreezeNow(MakeTap(1));
  bench.Lose(5, 1'000'000);
  bench.Push(10);
  bench.Drained();
  bench.Push(10);
  bench.Resolve();
  bench.tap()->Cross();
  CHECK(bench.over());
  CHECK_EQ(bench.out.summary->kernel_loss, 5u);
}

TEST(as_many_losses_as_packets_in_rings_of_every_size) {
  for (const size_t ring_packets : {1u, 2u, 3u, 20u}) {
    Bench bench(ring_packets);
    bench.Push(30);
    for (uint64_t i = 0; i < 40; ++i) {
      bench.Lose(1, bench.number);
      bench.Push(1);
    }
    bench.FreezeNow(MakeTap(1));
    bench.Push(1);
    bench.Resolve();
    bench.tap()->Cross();
    CHECK(bench.over());
    CHECK_EQ(bench.out.history, ring_packets);
    CHECK_EQ(bench.out.summary->kernel_loss, ring_packets - 1);  // none before the first
    CHECK_EQ(bench.out.summary->gaps.size(), ring_packets - 1);
  }
}

TEST(of_more_losses_than_can_be_remembered_the_sum_is_kept) {
  LossMarks marks(1, 4);
  for (uint64_t i = 1; i <= 10; ++i) {
    marks.See({.kernel = i}, {});
    marks.PlaceAll({.sequence = 10 * i, .oldest = 0});
  }
  CHECK_EQ(marks.seen().kernel, 55u);
  CHECK_EQ((marks.placed() - marks.Before(9)).kernel, 55u);
  CHECK_EQ((marks.placed() - marks.Before(90)).kernel, 10u);
  // What the ring has left behind goes first.
  for (uint64_t i = 11; i <= 20; ++i) {
    marks.See({.kernel = i}, {});
    marks.PlaceAll({.sequence = 10 * i, .oldest = 10 * (i - 2)});
  }
  uint64_t sum = 0;
  marks.Between(180, 200, [&](uint64_t, const LossMarks::Totals& lost) { sum += lost.kernel; });
  CHECK_EQ(sum, 19u + 20u);
}

// Nothing follows the freeze: a cap that the history fills, a resolution at once, a dump.
TEST(a_loss_within_what_the_ring_held_counts_without_a_packet_behind_it) {
  for (const TapKind kind : {TapKind::kIncident, TapKind::kDump}) {
    for (const uint64_t cap : {uint64_t{5}, kUnlimited}) {
      for (const uint64_t before : {35u, 40u, 44u, 45u, 46u, 49u, 50u}) {
        Bench bench;
        bench.Push(30);
        bench.Lose(5, before);
        bench.Push(20);
        TapSpec spec = MakeTap(1, kind);
        spec.cap_packets = cap;
        bench.FreezeNow(spec);
        if (kind == TapKind::kIncident) {
          bench.Resolve();
          bench.tap()->Cross();
        }
        CHECK(bench.over());
        // The file begins with packet 45 or 30 and ends with 49.
        const bool within = before > (cap == 5 ? 45 : 30) && before < 50;
        CHECK_EQ(bench.out.summary->kernel_loss, within ? 5u : 0u);
      }
    }
  }
}

TEST(a_loss_before_a_packet_that_was_pushed_before_the_freeze_was_seen) {
  Bench bench;
  bench.Push(50);
  bench.Lose(5, 50);
  bench.Push(5);
  bench.Freeze(MakeTap(1), Bench::TimeOf(52), true);
  bench.Resolve();
  bench.tap()->Cross();
  CHECK(bench.over());
  CHECK_EQ(bench.out.first(Section::kPreBuffer), 35u);
  CHECK_EQ(bench.out.last(Section::kAttack), 54u);
  CHECK_EQ(bench.out.summary->kernel_loss, 5u);
}

TEST(a_ring_that_rolled_over_t_before_the_command_came_says_so) {
  for (const TapKind kind : {TapKind::kIncident, TapKind::kManual, TapKind::kDump}) {
    Bench bench;
    bench.Push(100);  // 80 to 99 are left
    TapSpec spec = MakeTap(1);
    spec.kind = kind;
    bench.Freeze(spec, Bench::TimeOf(79), true);
    bench.Push(1);
    if (kind != TapKind::kDump) {
      bench.Resolve();
      bench.tap()->Cross();
    }
    CHECK(bench.over());
    CHECK_EQ(bench.out.summary->gaps.size(), kind == TapKind::kDump ? 0u : 1u);
    if (kind != TapKind::kDump) {
      const Gap& gap = bench.out.summary->gaps.front();
      CHECK(!gap.counted && gap.reason == GapReason::kRing);
      CHECK_EQ(gap.from_ns, Bench::TimeOf(79));
      CHECK_EQ(gap.to_ns, Bench::TimeOf(80));
    }
    CHECK_EQ(bench.out.history, kind == TapKind::kDump ? 20u : 0u);
    if (kind != TapKind::kDump) CHECK_EQ(bench.out.first(Section::kAttack), 80u);
  }
  Bench bench;
  bench.Push(100);
  bench.Freeze(MakeTap(1), Bench::TimeOf(80), true);
  bench.Resolve();
  bench.tap()->Cross();
  CHECK(bench.over());
  CHECK(bench.out.summary->gaps.empty());
}

TEST(statistics_only_records_nothing_and_tells_all) {
  TapQueue queue;
  Listener listener;
  TrafficCounters totals;
  totals.packets = 1000;
  totals.bytes = 100'000;
  TapSpec spec = MakeTap(1);
  spec.cap_packets = 5;
  spec.cap_duration_ns = 2 * kNsPerSec;
  spec.resolution_packets = 10;
  spec.resolution_ns = kNsPerSec;
  const ScaledTotals scaled(&totals);
  Tap tap(spec, nullptr, &scaled, &listener);
  Tap::Origin origin;
  origin.time_ns = kBase;
  origin.totals = totals;
  tap.Start(origin);
  for (int i = 1; i <= 8; ++i) {
    totals.packets += 100 * static_cast<uint64_t>(i);
    totals.bytes += 10'000;
    tap.OnInterval(kBase + i * 250 * kNsPerMs);
  }
  CHECK_EQ(tap.boundary_ns(), kBase + 2 * kNsPerSec);
  tap.Cross();
  tap.RequestResolve(kBase + 3 * kNsPerSec, true);
  tap.Cross();
  CHECK(tap.ended());
  CHECK(tap.Flush(&queue));
  CHECK(tap.drained());
  TapMessage message;
  CHECK(queue.messages.Pop(&message));
  CHECK(message.kind == TapMessage::Kind::kStart);
  CHECK_EQ(message.before->total(), 0u);
  CHECK(queue.messages.Pop(&message));
  CHECK(message.kind == TapMessage::Kind::kFrozen);
  CHECK(queue.messages.Pop(&message));
  CHECK(message.kind == TapMessage::Kind::kEnd);
  CHECK_EQ(message.summary->traffic.packets, 3600u);
  CHECK_EQ(message.summary->timeline.size(), 9u);
  CHECK_EQ(message.summary->peak_pps.value, 3200.0);
  CHECK_EQ(message.summary->peak_pps.at_ns, kBase + 7 * 250 * kNsPerMs);
  CHECK_EQ(message.summary->resolved_ns, kBase + 3 * kNsPerSec);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
