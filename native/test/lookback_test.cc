#include "engine/lookback.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "engine/pipeline.h"
#include "incident/recording.h"
#include "test/check.h"
#include "test/silent_listener.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;
using testing::kBase;
using testing::MakeTap;

constexpr int64_t kLookbackNs = 10 * kNsPerSec;
constexpr uint32_t kSeed = 20261122;

struct Listener : testing::SilentListener {
  void OnOnset(const Onset& onset) override { onsets.push_back(onset); }
  void OnCap(uint32_t, CapReason reason) override { caps.push_back(reason); }

  std::vector<Onset> onsets;
  std::vector<CapReason> caps;
};

// What came of one tap: the numbers of its packets, in file order.
struct Out {
  std::vector<uint64_t> sections[kSections];
  std::vector<Section> order;
  int64_t freeze_ns = 0;
  std::unique_ptr<BeforeFreeze> before;
  std::unique_ptr<TapSummary> summary;

  const std::vector<uint64_t>& Of(Section section) const { return sections[static_cast<size_t>(section)]; }
  std::vector<uint64_t> All() const {
    std::vector<uint64_t> all;
    for (const auto& section : sections) all.insert(all.end(), section.begin(), section.end());
    return all;
  }
  uint64_t Gap(GapReason reason) const {
    uint64_t sum = 0;
    for (const pcap_ring::Gap& gap : summary->gaps) sum += gap.reason == reason ? gap.packets : 0;
    return sum;
  }
  size_t Gaps(GapReason reason) const {
    return static_cast<size_t>(std::count_if(summary->gaps.begin(), summary->gaps.end(),
                                             [=](const pcap_ring::Gap& gap) { return gap.reason == reason; }));
  }
};

struct Setup {
  size_t ring_packets = 500;
  size_t ring_bytes = 2 * 1024 * 1024;
  int64_t lookback_ns = kLookbackNs;
  uint32_t largest = 2048;
  uint32_t block = 0;  // packets that come in a block of the kernel's buffer; 0: one by one
};

// A pipeline, packets that carry their number, and a writer that keeps what it is given until it reads.
class Bench {
 public:
  explicit Bench(const Setup& setup = {}) : setup_(setup), pipeline_(Config(setup), &queue_, &listener) {}
  ~Bench() { Read(); }

  // As the drivers do: boundaries first, then what was lost.
  void Packet(int64_t time_ns, uint32_t size) {
    for (const auto& tap : pipeline_.taps()) {
      while (!tap->pending() && tap->boundary_ns() <= time_ns) tap->Cross();
    }
    const uint64_t number = times.size();
    times.push_back(time_ns);
    sizes.push_back(size);
    if (slots_ && number % kPerBlock == 0) loss().PlaceBySlot(pipeline_.position(), SlotOf(number));
    if (time_ns >= loss().next_ns()) loss().PlaceByTime(pipeline_.position(), time_ns);
    lost_before_.push_back(loss().placed().kernel);
    if (setup_.block > 0 && number % setup_.block == 0) {
      pipeline_.EndBlock();
      for (; blocks_.size() > pipeline_.held_blocks(); blocks_.pop_front()) {
        for (Bytes& data : blocks_.front())
          std::fill(data.begin(), data.end(), uint8_t{0xee});  // it is the kernel's again
      }
      blocks_.emplace_back();
      pipeline_.BeginBlock();
    }
    if (setup_.block == 0) blocks_ = {{}};
    Bytes& data = blocks_.back().emplace_back(size);
    testing::Fill(data.data(), size, number);
    pipeline_.OnPacket({time_ns / kNsPerSec, time_ns % kNsPerSec, size, size + 4, data.data(), false});
    if (number % 64 == 0) pipeline_.EndBatch();
    if (reading && number % 64 == 0) Read();
  }
  // `pps` packets, evenly, for so long.
  void Run(double pps, int64_t length_ns, uint32_t size = 100) {
    const int64_t end_ns = now_ns + length_ns;
    const auto step_ns = static_cast<int64_t>(1e9 / pps);
    for (now_ns += step_ns; now_ns < end_ns; now_ns += step_ns) Packet(now_ns, size);
    now_ns = end_ns;
  }
  void Calm(double pps = 1'000, int64_t length_ns = 3 * kNsPerSec, uint32_t size = 100) { Run(pps, length_ns, size); }

  void Freeze(TapSpec spec, int64_t time_ns, bool by_stamp = false) {
    pipeline_.Settle();
    specs_[spec.handle] = spec;
    CHECK(pipeline_.Open(spec) != nullptr);
    pipeline_.Start(pipeline_.Find(spec.handle), time_ns, by_stamp);
    pipeline_.EndBatch();
  }
  // And ends at once.
  Out& Evidence(const TapSpec& spec = MakeTap(1)) {
    Freeze(spec, now_ns);
    return Resolve(spec.handle);
  }
  Out& Resolve(uint32_t handle = 1) {
    if (Tap* tap = pipeline_.Find(handle); tap != nullptr && !tap->ended()) {
      tap->RequestResolve(now_ns, false);
      while (!tap->ended() && tap->boundary_ns() != kNever) tap->Cross();
    }
    Read();
    Out& out = outs[handle];
    CHECK(out.summary != nullptr);
    if (out.summary != nullptr) Verify(out, specs_[handle]);
    return out;
  }
  Pipeline& pipeline() { return pipeline_; }
  LossMarks& loss() { return *pipeline_.loss(); }
  uint64_t next() const { return times.size(); }

  // Blocks of five packets, eight of which come round.
  static constexpr uint64_t kPerBlock = 5;
  static uintptr_t SlotOf(uint64_t number) { return 0x1000 * (1 + number / kPerBlock % 8); }
  void LoseBeforeBlock(uint64_t packets, uint64_t before) {
    slots_ = true;
    loss().See({.kernel = packets}, {.slot = SlotOf(before)});
  }
  void LoseHere(uint64_t packets) {
    ++losses_;
    pipeline_.Settle();
    loss().SeeHere({.kernel = packets}, pipeline_.position());
  }

  // Takes what was handed over, and gives the pins back.
  void Read() {
    pipeline_.EndBatch();
    do {
      TapMessage message;
      while (queue_.messages.Pop(&message)) Take(message);
      pipeline_.EndBatch();
    } while (pipeline_.backlog());
  }

  Listener listener;
  std::map<uint32_t, Out> outs;
  std::vector<int64_t> times;  // of every packet pushed
  std::vector<uint32_t> sizes;
  int64_t now_ns = kBase;
  bool reading = true;

 private:
  static Pipeline::Config Config(const Setup& setup) {
    Pipeline::Config config;
    config.ring_packets = setup.ring_packets;
    config.ring_bytes = setup.ring_bytes;
    config.largest_packet = setup.largest;
    config.lookback_ns = setup.lookback_ns;
    config.unplaced_losses = 8;
    return config;
  }

  void Take(TapMessage& message) {
    Out& out = outs[message.handle];
    if (message.kind == TapMessage::Kind::kEnd) out.summary = std::move(message.summary);
    if (message.kind == TapMessage::Kind::kStart) {
      out.before = std::move(message.before);
      out.freeze_ns = message.time_ns;
    }
    if (message.kind != TapMessage::Kind::kSpan) return;
    const auto unpin = [](Slab* slab) { slab->Unpin(); };
    RecordWalker walker(message.span.begin);
    for (uint64_t i = 0; i < message.span.packets; ++i) {
      const RecordHeader header = walker.Header(unpin);
      Bytes data;
      walker.Bytes(
          header, [&](const uint8_t* piece, uint32_t size) { data.insert(data.end(), piece, piece + size); }, unpin);
      const uint64_t number = NumberOf(header.time_ns(), out);
      CHECK(number < times.size());
      Bytes expected(sizes[number]);
      testing::Fill(expected.data(), sizes[number], number);
      CHECK(data == expected && header.len == sizes[number] + 4);
      out.sections[static_cast<size_t>(message.section)].push_back(number);
      out.order.push_back(message.section);
    }
    ReleaseSpan({walker.cursor(), 0, message.span.last});
  }
  // Times are unique in these tests.
  uint64_t NumberOf(int64_t time_ns, const Out&) const {
    const auto found = std::find(times.rbegin(), times.rend(), time_ns);
    return found == times.rend() ? UINT64_MAX : static_cast<uint64_t>(times.rend() - found) - 1;
  }

  // What holds of every file from before a freeze and on.
  void Verify(const Out& out, const TapSpec& spec) const {
    CHECK(std::is_sorted(out.order.begin(), out.order.end()));
    const std::vector<uint64_t> all = out.All();
    CHECK(std::is_sorted(all.begin(), all.end()) && std::adjacent_find(all.begin(), all.end()) == all.end());
    CHECK_EQ(out.before->total(),
             out.Of(Section::kHistory).size() + out.Of(Section::kPreBuffer).size() + out.Of(Section::kOnset).size());
    CHECK(out.Of(Section::kHistory).size() <= 128);
    CHECK(out.Of(Section::kHistory).size() + out.Of(Section::kPreBuffer).size() <= setup_.ring_packets);
    CHECK(out.Of(Section::kOnset).size() <= setup_.ring_packets);
    CHECK(out.before->total() <= spec.cap_packets);
    CHECK(all.size() <= spec.cap_packets);
    uint64_t bytes = spec.cost.file;
    for (const uint64_t number : all) bytes += spec.cost.Of(sizes[number]);
    CHECK(all.empty() || bytes <= spec.cap_bytes);
    if (all.empty()) return;
    // The gaps' sum is what is missing in the numbering, and what was lost.
    uint64_t missing = 0, lost = 0;
    for (size_t i = 1; i < all.size(); ++i) {
      missing += all[i] - all[i - 1] - 1;
      lost += lost_before_[all[i]] - lost_before_[all[i - 1]];
    }
    if (spec.kind == TapKind::kIncident) CHECK_EQ(out.Gap(GapReason::kRing) + out.Gap(GapReason::kSampling), missing);
    CHECK_EQ(out.Gap(GapReason::kKernel), lost);
    CHECK_EQ(out.summary->kernel_loss, lost);
    if (out.summary->gaps.size() < Gaps::kMost / 2 && losses_ < kMostLosses) {
      // Each lies between two neighbours, but for one that begins with T as nothing from before it is there.
      for (const Gap& gap : out.summary->gaps) {
        if (!gap.counted) {
          CHECK(gap.from_ns == out.freeze_ns && gap.to_ns == times[all.front()]);
          continue;
        }
        bool found = false;
        for (size_t i = 1; i < all.size() && !found; ++i) {
          found = times[all[i - 1]] == gap.from_ns && times[all[i]] == gap.to_ns;
          if (!found) continue;
          if (gap.reason == GapReason::kKernel) CHECK_EQ(gap.packets, lost_before_[all[i]] - lost_before_[all[i - 1]]);
          if (gap.reason != GapReason::kKernel) CHECK_EQ(gap.packets, all[i] - all[i - 1] - 1);
        }
        CHECK(found);
      }
    }
    uint64_t fewest = 0, most = 0;
    for (size_t i = 0; i < out.Of(Section::kHistory).size() && i + 1 < all.size(); ++i) {
      if (i + 1 >= out.before->total()) break;
      const uint64_t stands_for = all[i + 1] - all[i];
      fewest = fewest == 0 ? stands_for : std::min(fewest, stands_for);
      most = std::max(most, stands_for);
    }
    CHECK_EQ(out.before->SamplingOf(Section::kHistory).min, fewest);
    CHECK_EQ(out.before->SamplingOf(Section::kHistory).max, most);
  }

  const Setup setup_;
  TapQueue queue_;
  Pipeline pipeline_;
  std::vector<uint64_t> lost_before_;
  std::deque<std::deque<Bytes>> blocks_;
  bool slots_ = false;
  // Of more than these some are told in the place of others.
  static constexpr size_t kMostLosses = 500;
  size_t losses_ = 0;
  std::map<uint32_t, TapSpec> specs_;
};

bool InARow(const std::vector<uint64_t>& numbers) {
  for (size_t i = 1; i < numbers.size(); ++i) {
    if (numbers[i] != numbers[i - 1] + 1) return false;
  }
  return true;
}

// Of 1514 bytes, too, all fit in.
TEST(a_step_is_kept_with_what_was_before_it_in_rings_of_every_size) {
  for (const size_t packets : {1u, 2u, 3u, 64u, 500u, 5'000u}) {
    for (const int64_t wait_ms : {80, 150, 200, 1'000, 5'000}) {
#ifdef __SANITIZE_ADDRESS__
      if (wait_ms > 1'000) continue;  // a minute
#endif
      for (const auto& [flood, size] : {std::pair{10'000.0, 100u}, {100'000.0, 100u}, {10'000.0, 1514u}}) {
        Bench bench({.ring_packets = packets, .ring_bytes = 4096 * std::max<size_t>(packets, 512)});
        bench.Calm(1'000, 3 * kNsPerSec, size);
        const uint64_t first = bench.next();
        bench.Run(flood, wait_ms * kNsPerMs, size);
        const Out& out = bench.Evidence();
        CHECK_EQ(bench.listener.onsets.size(), 1u);
        const auto& pre = out.Of(Section::kPreBuffer);
        const auto& onset = out.Of(Section::kOnset);
        CHECK(!pre.empty() && !onset.empty());
        if (pre.empty() || onset.empty()) continue;
        // The step is placed within a few packets.
        const uint64_t placed = pre.back() + 1;
        CHECK(placed + 3 >= first && placed <= first + 3);
        CHECK(InARow(pre));
        CHECK(pre.size() + 3 >= std::min<size_t>(packets, first));
        CHECK_EQ(out.before->onset_ns, bench.times[placed]);
        CHECK_EQ(out.before->onset_ns, bench.listener.onsets[0].at_ns);
        CHECK_EQ(onset.back(), bench.next() - 1);
        const uint64_t between = bench.next() - placed;
        if (between <= packets) {
          CHECK(InARow(onset) && onset.size() == between && onset.front() == placed);
        } else {
          CHECK_EQ(onset.size(), packets);
          const size_t half = packets / 2;
          if (half > 0) CHECK_EQ(onset.front(), placed);
          for (size_t i = 0; i < onset.size(); ++i) {
            CHECK_EQ(onset[i], i < half ? placed + i : bench.next() - (packets - i));
          }
          CHECK_EQ(out.Gaps(GapReason::kRing), between == packets ? 0u : 1u);
        }
      }
    }
  }
}

#ifdef __SANITIZE_ADDRESS__
constexpr int64_t kApartMs = 49;
#else
constexpr int64_t kApartMs = 7;
#endif

// At 0.6 and 0.8 of the threshold a rate is suspected and dropped, again and again. The flood begins at any moment of the second
// suspicion and the third, and has its onset there or none: of few times the rate, it is not seen to be one where it begins at the end of what confirms it.
TEST(a_flood_on_top_of_what_is_suspected_begins_where_it_does) {
  for (const double raised : {600.0, 800.0}) {
    for (const double times : {10, 20, 60}) {
      int floods = 0, kept = 0;
      for (int64_t since_ms = 300; since_ms < 600; since_ms += kApartMs) {
        Bench bench;
        bench.Calm(10);
        bench.Run(raised, since_ms * kNsPerMs);
        const uint64_t first = bench.next();
        bench.Run(raised * times, 250 * kNsPerMs);
        ++floods;
        if (bench.listener.onsets.empty()) continue;
        ++kept;
        CHECK_EQ(bench.listener.onsets.size(), 1u);
        CHECK(std::abs(bench.listener.onsets[0].at_ns - bench.times[first]) < 2 * kNsPerMs);
      }
      CHECK(kept * 3 > floods * 2);
    }
  }
}

// What is suspected may come in trains, and the host be held up in the flood, so that the kernel loses some of it.
TEST(a_flood_on_top_of_trains_and_with_losses_begins_where_it_does) {
  for (const bool trains : {false, true}) {
    for (const bool losses : {false, true}) {
      int floods = 0, kept = 0;
      for (int64_t since_ms = 300; since_ms < 600; since_ms += kApartMs) {
        Bench bench;
        bench.Calm(10);
        for (int64_t ms = 0; ms < since_ms; ms += trains ? 25 : since_ms) {
          if (trains) bench.Run(1e6, 20'000);
          bench.Run(trains ? 100 : 800, (trains ? std::min<int64_t>(25, since_ms - ms) : since_ms) * kNsPerMs);
        }
        const uint64_t first = bench.next();
        bench.Run(50'000, 60 * kNsPerMs);
        if (losses) {
          bench.now_ns += 100 * kNsPerMs;
          bench.LoseHere(5'000);
        }
        bench.Run(50'000, 250 * kNsPerMs);
        ++floods;
        if (bench.listener.onsets.empty()) continue;
        ++kept;
        CHECK_EQ(bench.listener.onsets.size(), 1u);
        CHECK(std::abs(bench.listener.onsets[0].at_ns - bench.times[first]) < 2 * kNsPerMs);
      }
      CHECK(kept * 3 > floods * 2);
    }
  }
}

TEST(a_steep_ramp_has_no_onset_on_its_way) {
  for (const double growth : {1.3, 1.4, 1.5, 1.6, 1.7}) {
    Bench bench;
    bench.Calm(100);
    const int64_t begin_ns = bench.now_ns;
    const auto slots = [&] { return static_cast<double>(bench.now_ns - begin_ns) / (25e6); };
    while (slots() < 10 / std::log2(growth)) {
      bench.now_ns += static_cast<int64_t>(1e9 / (150 * std::pow(growth, slots())));
      bench.Packet(bench.now_ns, 100);
    }
    CHECK(bench.listener.onsets.empty());
    CHECK(!bench.Evidence().Of(Section::kHistory).empty());
  }
}

// A burst may make a rise of what was short of one. Then that begins with it, or nothing does.
TEST(where_nothing_changes_no_rise_begins) {
  for (const double burst : {4'000.0, 6'500.0, 10'000.0, 50'000.0}) {
    for (int64_t since_ms = 300; since_ms < 600; since_ms += kApartMs) {
      Bench bench;
      bench.Calm(10);
      bench.Run(800, since_ms * kNsPerMs);
      const uint64_t first = bench.next();
      bench.Run(burst, 25 * kNsPerMs);
      bench.Run(800, 250 * kNsPerMs);
      for (const Onset& onset : bench.listener.onsets) {
        CHECK(std::abs(onset.at_ns - bench.times[first]) < 2 * kNsPerMs);
      }
    }
  }
}

// As one was seen: slow in its first ms, and not at its height before 100 ms.
TEST(a_ragged_beginning_is_no_ramp) {
  for (const double slow : {42'000.0, 50'000.0, 65'000.0}) {
    Bench bench;
    bench.Calm(5'000);
    const uint64_t first = bench.next();
    bench.Run(slow, 6 * kNsPerMs);
    for (const double pps : {144'760.0, 71'320.0, 242'880.0, 188'160.0, 304'880.0, 318'320.0, 327'440.0, 282'680.0}) {
      bench.Run(pps, 25 * kNsPerMs);
    }
    const Out& out = bench.Evidence();
    CHECK_EQ(bench.listener.onsets.size(), 1u);
    if (out.Of(Section::kOnset).empty()) continue;
    const uint64_t placed = out.Of(Section::kOnset).front();
    CHECK(placed + 3 >= first && placed < first + 100);
  }
}

TEST(without_lookback_it_is_the_ring_as_it_stands) {
  for (const size_t packets : {1u, 3u, 500u}) {
    Bench bench({.ring_packets = packets, .lookback_ns = 0});
    bench.Calm();
    bench.Run(100'000, kNsPerSec);
    const Out& out = bench.Evidence();
    CHECK(bench.listener.onsets.empty());
    CHECK_EQ(out.before->onset_ns, kNever);
    CHECK_EQ(out.All().size(), packets);
    CHECK_EQ(out.Of(Section::kPreBuffer).front(), bench.next() - packets);
    CHECK(InARow(out.All()));
  }
}

TEST(in_calm_a_freeze_is_the_same_with_and_without_lookback) {
  std::printf("# seed %u\n", kSeed);
  for (const int64_t lookback_ns : {int64_t{0}, kLookbackNs}) {
    std::mt19937 random(kSeed);
    Bench bench({.lookback_ns = lookback_ns});
    uint32_t handle = 0;
    for (int i = 0; i < 50; ++i) {
      bench.Calm(1'000, static_cast<int64_t>(random() % 400) * kNsPerMs);
      bench.Run(1'000'000, 500'000);  // a burst of 500
      if (i < 10) continue;
      bench.Calm(1'000, static_cast<int64_t>(150 + random() % 400) * kNsPerMs);
      const uint64_t next = bench.next();
      const Out& out = bench.Evidence(MakeTap(++handle));
      CHECK_EQ(out.All().size(), 500u);
      CHECK(InARow(out.All()) && out.All().back() == next - 1);
      CHECK(out.summary->gaps.empty());
    }
    CHECK(bench.listener.onsets.empty());
  }
}

// A caller that was held up: of what a suspicion holds beyond the ring, nothing passes for from before T.
TEST(a_freeze_that_the_ring_has_rolled_over_amid_a_suspicion_tells_so) {
  Bench bench;
  bench.Calm();
  const uint64_t first = bench.next();
  bench.Run(100'000, 8 * kNsPerMs);
  const int64_t freeze_ns = bench.times[first + 150];
  CHECK(bench.pipeline().ring_state().oldest_ns > freeze_ns);
  bench.Freeze(MakeTap(1), freeze_ns, true);
  const Out& out = bench.Resolve();
  CHECK(out.Of(Section::kPreBuffer).empty());
  CHECK(!out.All().empty());
  CHECK_EQ(out.Gaps(GapReason::kRing), 1u);
}

TEST(a_dump_and_a_manual_capture_know_no_onset) {
  Bench bench;
  bench.Calm();
  bench.Run(50'000, kNsPerSec);
  const Out& dump = bench.Evidence(MakeTap(1, TapKind::kDump));
  CHECK_EQ(dump.All().size(), 500u);
  CHECK_EQ(dump.Of(Section::kPreBuffer).front(), bench.next() - 500);
  CHECK_EQ(dump.before->onset_ns, kNever);
  bench.Freeze(MakeTap(2, TapKind::kManual), bench.now_ns);
  const uint64_t next = bench.next();
  bench.Run(50'000, 10 * kNsPerMs);
  const Out& manual = bench.Resolve(2);
  CHECK_EQ(manual.before->total(), 0u);
  CHECK_EQ(manual.Of(Section::kAttack).front(), next);
  CHECK_EQ(manual.before->onset_ns, kNever);
  CHECK_EQ(bench.pipeline().ring_state().packets, 500u);
  // And leave it where it is.
  const Out& out = bench.Evidence(MakeTap(3));
  CHECK_EQ(out.Of(Section::kPreBuffer).size(), 500u);
  CHECK_EQ(out.Of(Section::kOnset).size(), 500u);
}

TEST(caps_in_packets_cut_the_oldest_first) {
  for (const uint64_t cap : {0u, 1u, 249u, 250u, 251u, 499u, 500u, 501u, 749u, 999u, 1'000u, 1'001u, 5'000u}) {
    if (cap == 0) continue;
    Bench bench;
    bench.Calm();
    bench.Run(50'000, kNsPerSec);
    TapSpec spec = MakeTap(1);
    spec.cap_packets = cap;
    bench.Freeze(spec, bench.now_ns);
    bench.Run(50'000, 200 * kNsPerMs);
    const Out& out = bench.Resolve();
    CHECK_EQ(out.All().size(), cap);
    const uint64_t before = std::min<uint64_t>(cap, 1'000);
    CHECK_EQ(out.before->total(), before);
    CHECK_EQ(out.Of(Section::kOnset).size(), std::min<uint64_t>(before, 500));
    CHECK_EQ(out.summary->capped == CapReason::kPackets, true);
  }
}

TEST(caps_in_bytes_are_kept_to_the_byte) {
  for (const uint64_t records : {0u, 1u, 250u, 251u, 499u, 500u, 501u, 502u, 900u, 1'000u, 1'001u}) {
    for (const int64_t extra : {-1, 0, 1}) {
      Bench bench;
      bench.Calm();
      bench.Run(50'000, kNsPerSec);
      TapSpec spec = MakeTap(1);
      spec.cost.section = {40, 40, 40, 40, 40};
      const auto sections = [](uint64_t n) { return n == 0 ? 0u : n <= 500 ? 1u : n <= 1'000 ? 2u : 3u; };
      const uint64_t exactly = 24 + records * 116 + sections(records) * 40;
      if (extra < 0 && records == 0) continue;
      spec.cap_bytes = exactly + static_cast<uint64_t>(extra);
      bench.Freeze(spec, bench.now_ns);
      bench.Run(50'000, 100 * kNsPerMs);
      const Out& out = bench.Resolve();
      // The first attack packet is the one beyond a thousand.
      const uint64_t expected = records - (extra < 0 ? 1 : 0);
      CHECK_EQ(out.All().size(), expected);
      CHECK(out.summary->capped == CapReason::kBytes);
    }
  }
}

TEST(a_loss_is_told_where_it_fell) {
  // Offsets from the first flood packet: before the file, in the pre-buffer, the onset, the hole, the newest half.
  for (const int64_t offset : {-600, -499, -250, -1, 0, 1, 100, 249, 250, 300, 5'000, 49'400, 49'600, 49'990}) {
    for (const bool by_block : {false, true}) {
      Bench bench;
      bench.Calm(1'000, 3 * kNsPerSec + kNsPerMs);
      const uint64_t expected_first = bench.next();
      Bench again;
      uint64_t at = static_cast<uint64_t>(static_cast<int64_t>(expected_first) + offset);
      if (by_block) at -= at % Bench::kPerBlock;
      uint64_t seen = 0;
      const auto run = [&](double pps, int64_t length_ns) {
        const int64_t end_ns = again.now_ns + length_ns;
        const auto step_ns = static_cast<int64_t>(1e9 / pps);
        for (again.now_ns += step_ns; again.now_ns < end_ns; again.now_ns += step_ns) {
          if (!by_block && again.next() == at) again.LoseHere(7);
          // The block that it comes before is the next of its place.
          if (by_block && again.next() + 3 == at) again.LoseBeforeBlock(7, at);
          again.Packet(again.now_ns, 100);
        }
        again.now_ns = end_ns;
        ++seen;
      };
      run(1'000, 3 * kNsPerSec + kNsPerMs);
      run(50'000, kNsPerSec);
      const Out& out = again.Evidence();
      CHECK_EQ(again.listener.onsets.size(), 1u);
      const std::vector<uint64_t> all = out.All();
      const bool within = at > all.front() && at <= all.back();
      CHECK_EQ(out.summary->kernel_loss, within ? 7u : 0u);
      CHECK_EQ(out.Gaps(GapReason::kKernel), within ? 1u : 0u);
    }
  }
}

TEST(a_loss_before_every_packet_is_told_to_the_last_one) {
  for (const size_t packets : {3u, 100u, 2'000u}) {
    for (const int64_t wait_ms : {200, 1'500}) {
      Bench bench({.ring_packets = packets, .ring_bytes = 16 * 1024 * 1024});
      bench.Calm();
      const int64_t end_ns = bench.now_ns + wait_ms * kNsPerMs;
      for (uint64_t i = 1; bench.now_ns < end_ns; ++i, bench.now_ns += 100'000) {
        bench.LoseHere(1 + i % 3);
        bench.Packet(bench.now_ns, 100);
      }
      bench.Evidence();
      CHECK_EQ(bench.listener.onsets.size(), 1u);
    }
  }
}

// From a rise without an edge on there is a history of the calm.
TEST(a_ramp_opens_with_a_thin_history_and_its_losses) {
  for (const size_t packets : {1u, 2u, 3u, 100u, 500u}) {
    for (const bool losses : {false, true}) {
      Bench bench({.ring_packets = packets});
      for (int i = 0; i < 120; ++i) {
        bench.Calm(1'000, 100 * kNsPerMs);
        if (losses) bench.LoseHere(static_cast<uint64_t>(i));
      }
      const uint64_t first = bench.next();
      const int64_t began_ns = bench.now_ns;
      for (int i = 0; i < 300; ++i) bench.Run(1'000 * std::pow(100, i / 300.0), 10 * kNsPerMs);
      TapSpec spec = MakeTap(1);
      bench.Freeze(spec, bench.now_ns);
      const Out& out = bench.Resolve();
      // In the few packets before it that a small ring holds, a ramp may look like a step.
      if (packets < 500) continue;
      CHECK(bench.listener.onsets.empty());
      CHECK_EQ(out.before->onset_ns, kNever);
      const auto& history = out.Of(Section::kHistory);
      const size_t most = std::min<size_t>(128, packets / 2);
      CHECK(history.size() <= most && history.size() + 2 >= most);
      CHECK_EQ(history.size() + out.Of(Section::kPreBuffer).size(), packets);
      if (history.empty()) continue;
      const auto calm = static_cast<size_t>(std::lower_bound(history.begin(), history.end(), first) - history.begin());
      CHECK(calm >= most * 3 / 4);
      // Evenly, over the lookback.
      CHECK(bench.times[history[0]] <= began_ns - 6 * kNsPerSec);
      for (size_t i = 1; i < calm; ++i) {
        const int64_t step_ns = bench.times[history[i]] - bench.times[history[i - 1]];
        CHECK(step_ns >= kLookbackNs / static_cast<int64_t>(most) / 2 &&
              step_ns <= kLookbackNs / static_cast<int64_t>(most) * 2);
      }
      CHECK(out.before->SamplingOf(Section::kHistory).max > 0);
    }
  }
}

TEST(caps_cut_a_history) {
  for (const uint64_t cap : {1u, 371u, 372u, 373u, 400u, 499u, 500u}) {
    for (const bool in_bytes : {false, true}) {
      Bench bench;
      bench.Calm(1'000, 12 * kNsPerSec);
      for (int i = 0; i < 300; ++i) bench.Run(1'000 * std::pow(100, i / 300.0), 10 * kNsPerMs);
      TapSpec spec = MakeTap(1);
      if (in_bytes) spec.cap_bytes = 24 + cap * 116;
      if (!in_bytes) spec.cap_packets = cap;
      const Out& out = bench.Evidence(spec);
      CHECK_EQ(out.All().size(), cap);
      CHECK_EQ(out.All().back(), bench.next() - 1);
    }
  }
}

TEST(the_onset_may_be_where_the_freeze_is) {
  // A freeze at each packet around the onset, while it is suspected and when it is confirmed.
  for (const bool by_stamp : {false, true}) {
    for (int64_t back = 0; back < 490; back += back < 20 ? 1 : 47) {
      Bench bench;
      bench.Calm();
      const uint64_t first = bench.next();
      bench.Run(10'000, 160 * kNsPerMs);
      CHECK_EQ(bench.listener.onsets.size(), 1u);
      const uint64_t at = bench.next() - 1 - static_cast<uint64_t>(back);
      bench.Freeze(MakeTap(1), bench.times[at], by_stamp);
      const uint64_t end = bench.next();
      bench.Run(10'000, 10 * kNsPerMs);
      const Out& out = bench.Resolve();
      if (by_stamp) {
        const auto& attack = out.Of(Section::kAttack);
        // Of what was pushed already, as much as the ring still has.
        CHECK_EQ(attack.front(), std::max(at, end - std::min<uint64_t>(end, 500)));
        CHECK(InARow(attack));
      }
      if (out.before->onset_ns != kNever) {
        const uint64_t placed = out.Of(Section::kPreBuffer).back() + 1;
        CHECK(placed + 3 >= first && placed <= first + 3);
        CHECK(by_stamp ? at > placed : true);
      } else {
        CHECK(by_stamp && at <= first + 3);
      }
    }
  }
}

TEST(two_freezes_in_one_rise_are_the_same_evidence) {
  Bench bench;
  bench.Calm();
  bench.Run(20'000, 500 * kNsPerMs);
  bench.Freeze(MakeTap(1), bench.now_ns);
  bench.Freeze(MakeTap(2), bench.now_ns);
  bench.Run(20'000, 500 * kNsPerMs);
  bench.Freeze(MakeTap(3), bench.now_ns);
  bench.Run(20'000, 100 * kNsPerMs);
  const Out& one = bench.Resolve(1);
  const Out& two = bench.Resolve(2);
  const Out& three = bench.Resolve(3);
  CHECK_EQ(one.Of(Section::kOnset).size(), 500u);
  for (size_t i = 0; i < kSections; ++i) CHECK(one.sections[i] == two.sections[i]);
  CHECK(one.Of(Section::kPreBuffer) == three.Of(Section::kPreBuffer));
  CHECK_EQ(one.before->onset_ns, three.before->onset_ns);
  CHECK(one.Of(Section::kOnset).front() == three.Of(Section::kOnset).front());
  CHECK(one.Of(Section::kOnset).back() < three.Of(Section::kOnset).back());
}

// The spans of the onset lie in slabs that only the writer's pins keep.
TEST(what_was_handed_over_outlives_the_onset) {
  for (const bool release_by_time : {true, false}) {
    Bench bench;
    bench.reading = false;
    bench.Calm();
    bench.Run(20'000, 500 * kNsPerMs);
    TapSpec spec = MakeTap(1);
    spec.cap_packets = 1'000;
    bench.Freeze(spec, bench.now_ns);
    if (release_by_time) {
      bench.Calm(1'000, 11 * kNsPerSec);
    } else {
      bench.pipeline().EndInterval(bench.now_ns + 3'600 * kNsPerSec);
      bench.now_ns += 3'600 * kNsPerSec;
    }
    bench.Run(1'000, 20 * kNsPerSec, 200);
    CHECK_EQ(bench.listener.onsets.size(), 1u);
    const Out& out = bench.Resolve();
    CHECK_EQ(out.Of(Section::kPreBuffer).size(), 500u);
    CHECK_EQ(out.Of(Section::kOnset).size(), 500u);
    // Another one is kept all the same.
    bench.Run(100'000, kNsPerSec);
    CHECK_EQ(bench.listener.onsets.size(), 2u);
    const Out& second = bench.Evidence(MakeTap(2));
    CHECK_EQ(second.Of(Section::kOnset).size(), 500u);
  }
}

TEST(an_onset_is_forgotten_in_its_time_and_a_second_flood_within_it_is_the_same) {
  Bench bench;
  bench.Calm();
  bench.Run(20'000, 500 * kNsPerMs);
  bench.Calm(1'000, 8 * kNsPerSec);
  bench.Run(20'000, 500 * kNsPerMs);
  CHECK_EQ(bench.listener.onsets.size(), 1u);
  const Out& kept = bench.Evidence(MakeTap(1));
  CHECK_EQ(kept.before->onset_ns, bench.listener.onsets[0].at_ns);
  bench.Calm(1'000, 11 * kNsPerSec);
  const Out& calm = bench.Evidence(MakeTap(2));
  CHECK_EQ(calm.before->onset_ns, kNever);
  CHECK_EQ(calm.All().size(), 500u);
  CHECK(InARow(calm.All()));
  bench.Run(20'000, 500 * kNsPerMs);
  CHECK_EQ(bench.listener.onsets.size(), 2u);
}

TEST(an_interval_may_end_before_the_first_packet) {
  Bench bench;
  bench.pipeline().EndInterval(bench.now_ns - kNsPerSec);
  bench.pipeline().EndInterval(bench.now_ns);
  bench.Calm();
  bench.Run(20'000, 500 * kNsPerMs);
  CHECK_EQ(bench.listener.onsets.size(), 1u);
  CHECK_EQ(bench.Evidence().Of(Section::kOnset).size(), 500u);
}

TEST(a_start_under_attack_has_no_onset) {
  Bench bench;
  bench.Run(50'000, 5 * kNsPerSec);
  const Out& out = bench.Evidence();
  CHECK(bench.listener.onsets.empty());
  CHECK_EQ(out.before->onset_ns, kNever);
  CHECK_EQ(out.All().size(), 500u);
  CHECK(InARow(out.All()));
}

// Sizes, rates, pauses, losses, caps, freezes, readers that lag: what Verify says holds of all of them.
// Traffic of all sorts, lost and frozen at any time. What the files hold of it, and what they say is missing: of rings that
// never come to their bound in bytes, where what lies in a slab has a say.
std::vector<uint64_t> Anything(uint32_t seed, uint32_t block = 0) {
  std::mt19937 generator(seed);
  const auto random = [&] { return static_cast<uint32_t>(generator()); };
  Setup setup;
  setup.block = block;
  const size_t rings[] = {1, 2, 3, 10, 200, 500, 3'000};
  setup.ring_packets = rings[random() % 7];
  setup.largest = random() % 3 == 0 ? 65535 : 2048;
  setup.ring_bytes = random() % 3 == 0 ? setup.largest + 65536 : 2 * 1024 * 1024;
  if (random() % 8 == 0) setup.lookback_ns = 500 * kNsPerMs;
  Bench bench(setup);
  bench.Calm(500 + random() % 2'000, 1'500 * kNsPerMs, 60 + random() % 300);
  uint32_t handle = 0;
  std::vector<uint32_t> open;
  for (int i = 0; i < 60; ++i) {
    const uint32_t size = random() % 6 == 0 ? std::min<uint32_t>(setup.largest, random() % 70'000)
                                            : 14 + random() % 1'500;
    const double pps = random() % 2 == 0 ? 1'000 : 1'000.0 * std::pow(80, static_cast<double>(random() % 100) / 100);
    bench.Run(pps, static_cast<int64_t>(random() % (random() % 4 == 0 ? 600 : 80)) * kNsPerMs, size);
    if (random() % 3 == 0) bench.LoseHere(1 + random() % 1'000);
    if (random() % 30 == 0) bench.now_ns += static_cast<int64_t>(random() % 20) * kNsPerSec;
    bench.reading = random() % 4 != 0;
    if (random() % 4 == 0 && open.size() < 3) {
      TapSpec spec = MakeTap(++handle, random() % 6 == 0 ? TapKind::kManual : TapKind::kIncident);
      if (random() % 2 == 0) spec.cap_packets = 1 + random() % 2'000;
      if (random() % 3 == 0) spec.cap_bytes = random() % 400'000;
      spec.cost.section = {40, 36, 32, 28, 24};
      const int64_t back_ns = random() % 2 == 0 ? static_cast<int64_t>(random() % 40) * kNsPerMs : 0;
      bench.Freeze(spec, bench.now_ns - back_ns, false);
      open.push_back(handle);
    }
    if (random() % 4 == 0 && !open.empty()) {
      bench.Resolve(open.front());
      open.erase(open.begin());
    }
  }
  for (const uint32_t each : open) bench.Resolve(each);
  std::vector<uint64_t> told;
  if (setup.largest > 2048 || setup.ring_bytes < 2 * 1024 * 1024) return told;
  for (const auto& [number, out] : bench.outs) {
    for (const auto& section : out.sections) {
      told.push_back(section.size());
      told.insert(told.end(), section.begin(), section.end());
    }
    for (const Gap& gap : out.summary->gaps) {
      told.insert(told.end(), {static_cast<uint64_t>(gap.reason), static_cast<uint64_t>(gap.from_ns), gap.packets});
    }
  }
  return told;
}

TEST(whatever_comes_the_numbering_and_the_gaps_agree) {
#ifdef __SANITIZE_ADDRESS__
  constexpr uint32_t kSeeds = 3;  // each takes seconds
#else
  constexpr uint32_t kSeeds = 12;
#endif
  const int failures = testing::Failures();
  for (uint32_t seed = 1; seed <= kSeeds; ++seed) {
    const auto told = Anything(seed);
    // And it makes no difference that what a block, or those behind it, will overwrite is never copied.
    for (const uint32_t block : {7u, 160u, 600u, 1'900u}) CHECK(Anything(seed, block) == told);
    if (testing::Failures() > failures) {
      std::printf("# seed %u\n", seed);
      return;
    }
  }
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
