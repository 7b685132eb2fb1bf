#include <algorithm>
#include <random>
#include <vector>

#include "engine/pipeline.h"
#include "test/check.h"
#include "test/silent_listener.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::kBase;
using testing::MakeTap;

struct Listener : testing::SilentListener {
  void OnOnset(const Onset& onset) override { onsets.push_back(onset); }

  std::vector<Onset> onsets;
};

// A pipeline behind a kernel that keeps one of N packets.
class Bench {
 public:
  explicit Bench(size_t ring_packets = 500, int64_t lookback_ns = 10 * kNsPerSec)
      : pipeline_(Config(ring_packets, lookback_ns, [this] { ++suspicions; }), &queue_, &listener) {}
  ~Bench() { Read(); }

  void Sample(uint32_t n, const StepCall& call = {}) {
    one_of_ = n;
    pipeline_.Sample(n, call);
  }
  // `pps` packets, evenly, for so long.
  void Run(double pps, int64_t length_ns) {
    const int64_t end_ns = now_ns + length_ns;
    const auto step_ns = static_cast<int64_t>(1e9 / pps);
    for (; now_ns < end_ns; now_ns += step_ns) {
      ++passed;
      if (std::uniform_int_distribution<uint32_t>(1, one_of_)(random_) == 1) Keep();
    }
  }
  void Keep() {
    for (const auto& tap : pipeline_.taps()) {
      while (!tap->pending() && tap->boundary_ns() <= now_ns) tap->Cross();
    }
    passed_at.push_back(passed);
    times.push_back(now_ns);
    const uint8_t data[60] = {};
    pipeline_.OnPacket({now_ns / kNsPerSec, now_ns % kNsPerSec, sizeof data, 64, data, false});
    if (passed_at.size() % 64 == 0) Read();
  }
  // As the live driver does it: the step, then the freeze.
  void Freeze(const TapSpec& spec, int64_t time_ns) {
    one_of_ = 1;
    pipeline_.Sample(1, time_ns);
    CHECK(pipeline_.Open(spec) != nullptr);
    pipeline_.Start(pipeline_.Find(spec.handle), time_ns, true);
  }
  void Resolve(uint32_t handle = 1) {
    pipeline_.Find(handle)->RequestResolve(now_ns, false);
    while (!pipeline_.Find(handle)->ended()) pipeline_.Find(handle)->Cross();
    Read();
  }
  void Read() {
    do {
      pipeline_.EndBatch();
      TapMessage message;
      while (queue_.messages.Pop(&message)) {
        if (message.kind == TapMessage::Kind::kStart) before = std::move(message.before);
        if (message.kind == TapMessage::Kind::kEnd) summary = std::move(message.summary);
        if (message.kind != TapMessage::Kind::kSpan) continue;
        const auto unpin = [](Slab* slab) { slab->Unpin(); };
        RecordWalker walker(message.span.begin);
        for (uint64_t i = 0; i < message.span.packets; ++i) {
          const RecordHeader header = walker.Header(unpin);
          walker.Bytes(
              header, [](const uint8_t*, uint32_t) {}, unpin);
          const auto found = std::lower_bound(times.begin(), times.end(), header.time_ns());
          numbers[static_cast<size_t>(message.section)].push_back(static_cast<size_t>(found - times.begin()));
        }
        ReleaseSpan({walker.cursor(), 0, message.span.last});
      }
    } while (pipeline_.backlog());
  }
  uint64_t Missing(GapReason reason, bool exact) const {
    uint64_t sum = 0;
    for (const Gap& gap : summary->gaps) sum += gap.reason == reason && gap.exact == exact ? gap.packets : 0;
    return sum;
  }
  const std::vector<size_t>& Of(Section section) const { return numbers[static_cast<size_t>(section)]; }
  Pipeline& pipeline() { return pipeline_; }

  Listener listener;
  int suspicions = 0;
  int64_t now_ns = kBase;
  uint64_t passed = 0;
  std::vector<uint64_t> passed_at;  // of each packet kept: how many had passed
  std::vector<int64_t> times;
  std::vector<size_t> numbers[kSections];
  std::unique_ptr<BeforeFreeze> before;
  std::unique_ptr<TapSummary> summary;

 private:
  static Pipeline::Config Config(size_t ring_packets, int64_t lookback_ns, std::function<void()> on_suspicion) {
    Pipeline::Config config;
    config.ring_packets = ring_packets;
    config.lookback_ns = lookback_ns;
    config.on_suspicion = std::move(on_suspicion);
    return config;
  }

  std::mt19937 random_{20261122};
  uint32_t one_of_ = 1;
  TapQueue queue_;
  Pipeline pipeline_;
};

bool Near(uint64_t value, uint64_t expected, double share) {
  const double difference = static_cast<double>(value) - static_cast<double>(expected);
  return std::abs(difference) <= share * static_cast<double>(expected);
}

TEST(figures_are_scaled_by_what_was_in_force) {
  Bench bench;
  for (const uint32_t n : {1u, 16u, 64u, 2u, 1u}) {
    bench.Sample(n);
    const uint64_t before = bench.passed;
    const TrafficCounters counted = bench.pipeline().totals().Now();
    bench.Run(200'000, 2 * kNsPerSec);
    const TrafficCounters passed = bench.pipeline().totals().Now() - counted;
    CHECK(Near(passed.packets, bench.passed - before, n == 1 ? 0 : 0.05));
    CHECK_EQ(passed.bytes, passed.packets * 64);
    CHECK_EQ(passed.other, passed.packets);
    CHECK_EQ(passed.inbound_packets, passed.packets);
    CHECK_EQ(bench.pipeline().totals().one_of(), n);
  }
}

TEST(a_section_says_how_it_was_sampled_and_its_gaps_how_much_is_missing) {
  Bench bench;
  bench.Run(100'000, 2 * kNsPerSec);
  bench.Sample(16);
  bench.Run(100'000, kNsPerSec / 10);
  bench.Sample(64);
  bench.Run(100'000, 15 * kNsPerMs);
  const int64_t freeze_ns = bench.now_ns;
  bench.Freeze(MakeTap(1), freeze_ns);
  bench.Run(100'000, 10 * kNsPerMs);
  bench.Resolve();

  const std::vector<size_t>& ring = bench.Of(Section::kPreBuffer);
  CHECK_EQ(ring.size(), 500u);
  CHECK_EQ(bench.before->SamplingOf(Section::kPreBuffer).min, 16u);
  CHECK_EQ(bench.before->SamplingOf(Section::kPreBuffer).max, 64u);
  CHECK_EQ(bench.Of(Section::kAttack).size(), 1'000u);
  const std::vector<size_t>& attack = bench.Of(Section::kAttack);
  const uint64_t missing = bench.passed_at[attack.back()] - bench.passed_at[ring.front()] + 1 - ring.size() -
                           attack.size();
  CHECK(Near(bench.Missing(GapReason::kSampling, false), missing, 0.15));
  CHECK_EQ(bench.Missing(GapReason::kRing, true), 0u);
  // In order, each between two packets of the file; the last ends with the first packet of the attack.
  const auto& gaps = bench.summary->gaps;
  CHECK(gaps.size() >= 2 && gaps.size() <= 3);
  for (size_t i = 0; i < gaps.size(); ++i) {
    CHECK(gaps[i].from_ns < gaps[i].to_ns && gaps[i].counted);
    if (i > 0) CHECK(gaps[i].from_ns >= gaps[i - 1].from_ns);
  }
  CHECK_EQ(gaps.front().from_ns, bench.times[ring.front()]);
  CHECK_EQ(gaps.back().to_ns, bench.times[attack.front()]);
  CHECK(!bench.summary->sampling.sampled());
  CHECK_EQ(bench.summary->traffic.packets, 1'000u);
}

TEST(gaps_stand_in_the_order_of_the_file) {
  Bench bench;
  bench.Run(100'000, 2 * kNsPerSec);
  const auto lose = [&] { bench.pipeline().loss()->SeeHere({.kernel = 5}, bench.pipeline().position()); };
  for (const uint32_t n : {4u, 8u, 4u}) {
    bench.Sample(n);
    bench.Run(100'000, 4 * kNsPerMs);
    lose();
    bench.Run(100'000, 4 * kNsPerMs);
  }
  bench.Freeze(MakeTap(1), bench.now_ns);
  bench.Run(100'000, kNsPerMs);
  bench.Resolve();
  const auto& gaps = bench.summary->gaps;
  CHECK_EQ(bench.Missing(GapReason::kKernel, true), 15u);
  CHECK(gaps.size() >= 6);
  for (size_t i = 1; i < gaps.size(); ++i) CHECK(gaps[i].from_ns >= gaps[i - 1].from_ns);
}

// Of those that passed within the call that set it nobody knows whether others passed between them.
TEST(a_gap_reaches_over_the_calls_that_began_and_ended_it) {
  for (const bool up_to_freeze : {false, true}) {
    Bench bench;
    bench.Run(100'000, 2 * kNsPerSec);
    const int64_t begin_ns = bench.now_ns;
    bench.Run(100'000, kNsPerMs / 10);
    bench.Sample(8, {begin_ns, bench.now_ns});
    bench.Run(100'000, 10 * kNsPerMs);
    const int64_t sampled_ns = bench.now_ns;
    bench.Sample(1, {sampled_ns, sampled_ns + kNsPerMs / 10});
    bench.Run(100'000, (up_to_freeze ? 1 : 2) * kNsPerMs / 10);
    bench.Freeze(MakeTap(1), bench.now_ns);
    const int64_t freeze_ns = bench.now_ns;
    bench.Run(100'000, kNsPerMs);
    bench.Resolve();
    const auto first_from = [&](int64_t time_ns) {
      return std::lower_bound(bench.times.begin(), bench.times.end(), time_ns);
    };
    CHECK_EQ(bench.summary->gaps.size(), 1u);
    if (bench.summary->gaps.empty()) return;
    const Gap& gap = bench.summary->gaps.front();
    CHECK_EQ(gap.from_ns, *(first_from(begin_ns) - 1));
    CHECK_EQ(gap.to_ns, up_to_freeze ? *first_from(freeze_ns) : *first_from(sampled_ns + kNsPerMs / 10));
    CHECK_EQ(gap.packets, 7u * static_cast<uint64_t>(first_from(sampled_ns) - first_from(begin_ns + kNsPerMs / 10)));
    CHECK(!gap.exact && gap.reason == GapReason::kSampling);
  }
}

TEST(a_row_of_which_nothing_was_kept_is_told_of) {
  enum class Where { kBetweenTwo, kBeforeTheFreeze, kInTheRingsGap };
  for (const Where where : {Where::kBetweenTwo, Where::kBeforeTheFreeze, Where::kInTheRingsGap}) {
    Bench bench;
    bench.Run(100'000, 2 * kNsPerSec);
    if (where == Where::kInTheRingsGap) bench.Run(1'500'000, kNsPerMs);
    bench.Sample(64);
    const int64_t from_ns = bench.times.back();
    bench.now_ns += kNsPerMs;
    bench.Sample(1);
    if (where == Where::kBetweenTwo) bench.Run(100'000, kNsPerMs);
    if (where == Where::kInTheRingsGap) bench.Run(1'500'000, 300 * kNsPerMs);
    bench.Freeze(MakeTap(1), bench.now_ns);
    bench.Run(100'000, kNsPerMs);
    bench.Resolve();
    CHECK_EQ(bench.Missing(GapReason::kSampling, false), 63u);
    CHECK_EQ(bench.Missing(GapReason::kSampling, true), 0u);
    for (const Gap& gap : bench.summary->gaps)
      CHECK(gap.from_ns <= from_ns + kNsPerMs || gap.reason != GapReason::kSampling);
    if (where == Where::kInTheRingsGap) continue;
    const auto next = std::upper_bound(bench.times.begin(), bench.times.end(), from_ns);
    CHECK_EQ(bench.summary->gaps.size(), 1u);
    if (!bench.summary->gaps.empty())
      CHECK(bench.summary->gaps[0].from_ns == from_ns && bench.summary->gaps[0].to_ns == *next);
  }
}

// The caller took T, and was held up before its command was seen.
TEST(what_was_taken_behind_the_freeze_already_counts_one_by_one) {
  Bench bench;
  bench.Run(50'000, 2 * kNsPerSec);
  bench.Sample(32);
  bench.Run(400'000, kNsPerSec);
  const int64_t freeze_ns = bench.now_ns;
  for (int i = 0; i < 300; ++i, bench.now_ns += 2'500) {
    ++bench.passed;
    bench.Keep();
  }
  bench.Freeze(MakeTap(1), freeze_ns);
  bench.Run(400'000, kNsPerMs);
  bench.Resolve();
  CHECK_EQ(bench.Of(Section::kAttack).size(), 700u);
  CHECK_EQ(bench.summary->traffic.packets, 700u);
  CHECK_EQ(bench.before->SamplingOf(Section::kPreBuffer).max, 32u);
}

TEST(after_the_cap_statistics_are_estimates_and_the_resolution_is_whole) {
  Bench bench;
  bench.Run(100'000, 2 * kNsPerSec);
  TapSpec spec = MakeTap(1);
  spec.cap_packets = 1'000;
  spec.resolution_packets = 100;
  spec.resolution_ns = kNsPerSec;
  spec.resolution_reserve = true;
  CHECK(!bench.pipeline().recording());
  const uint64_t passed = bench.passed;
  bench.Freeze(spec, bench.now_ns);
  CHECK(bench.pipeline().recording());
  bench.Run(100'000, 20 * kNsPerMs);
  CHECK(!bench.pipeline().recording());
  bench.Sample(64);
  bench.Run(100'000, 2 * kNsPerSec);
  bench.Sample(1);
  bench.pipeline().Find(1)->RequestResolve(bench.now_ns, true);
  const uint64_t until = bench.passed;
  bench.Run(100'000, 2 * kNsPerMs);
  bench.Read();
  CHECK_EQ(bench.Of(Section::kResolution).size(), 100u);
  const size_t first = bench.Of(Section::kResolution).front();
  CHECK_EQ(bench.passed_at[first], until + 1);
  CHECK_EQ(bench.passed_at[bench.Of(Section::kResolution).back()], until + 100);
  CHECK_EQ(bench.summary->sampling.min, 1u);
  CHECK_EQ(bench.summary->sampling.max, 64u);
  CHECK(Near(bench.summary->traffic.packets, until - passed, 0.1));
  const uint64_t missing = until - bench.passed_at[bench.Of(Section::kAttack).back()];
  CHECK(Near(bench.Missing(GapReason::kSampling, false) + bench.Missing(GapReason::kRing, true), missing, 0.1));
}

// Calm that is sampled: a flood is suspected by as many packets as ever, placed, and told of by what passed.
TEST(an_onset_on_sampled_calm_is_kept) {
  for (const uint32_t n : {2u, 8u}) {
    Bench bench;
    bench.Sample(n);
    bench.Run(100'000, 5 * kNsPerSec);
    CHECK_EQ(bench.suspicions, 0);
    const int64_t flood_ns = bench.now_ns;
    while (bench.suspicions == 0) bench.Run(1'500'000, kNsPerMs / 10);
    CHECK(bench.now_ns - flood_ns < 2 * kNsPerMs);
    CHECK(bench.pipeline().suspects());
    bench.Sample(1);
    bench.Run(1'500'000, 400 * kNsPerMs);
    CHECK_EQ(bench.listener.onsets.size(), 1u);
    if (bench.listener.onsets.empty()) return;
    const Onset& onset = bench.listener.onsets.front();
    CHECK(std::abs(onset.at_ns - flood_ns) < kNsPerMs);
    CHECK(onset.baseline_pps > 90'000 && onset.baseline_pps < 110'000);
    CHECK(onset.pps > 1'400'000 && onset.pps < 1'600'000);
    CHECK(!bench.pipeline().suspects());
    bench.Sample(32);
    bench.Run(1'500'000, 400 * kNsPerMs);
    bench.Freeze(MakeTap(1), bench.now_ns);
    bench.Resolve();
    CHECK_EQ(bench.Of(Section::kPreBuffer).size(), 500u);
    CHECK_EQ(bench.before->SamplingOf(Section::kPreBuffer).max, n);
    CHECK_EQ(bench.Of(Section::kOnset).size(), 500u);
    CHECK_EQ(bench.before->SamplingOf(Section::kOnset).min, 1u);
    CHECK_EQ(bench.before->SamplingOf(Section::kOnset).max, 32u);
    const size_t first = bench.Of(Section::kPreBuffer).front();
    const size_t last = bench.Of(Section::kOnset).back();
    const uint64_t missing = bench.passed_at[last] - bench.passed_at[first] + 1 - 1'000;
    CHECK(Near(bench.Missing(GapReason::kSampling, false) + bench.Missing(GapReason::kRing, true), missing, 0.1));
  }
}

// A dump records nothing live; what is to be resolved with a resolution section is recorded from the moment of the call on.
TEST(what_is_recorded_live_wants_every_packet) {
  Bench bench;
  bench.Run(1'000, 2 * kNsPerSec);
  CHECK(bench.pipeline().Open(MakeTap(7, TapKind::kDump)) != nullptr);
  CHECK(!bench.pipeline().recording());
  for (const bool reserve : {false, true}) {
    TapSpec spec = MakeTap(reserve ? 2 : 1);
    spec.cap_packets = 100;
    spec.resolution_packets = 10;
    spec.resolution_ns = kNsPerSec;
    spec.resolution_reserve = reserve;
    bench.Freeze(spec, bench.now_ns);
    bench.Run(1'000, kNsPerSec);
    CHECK(!bench.pipeline().recording());
    CHECK(bench.pipeline().counting());
    bench.pipeline().Find(spec.handle)->RequestResolve(bench.now_ns + kNsPerMs, true);
    CHECK_EQ(bench.pipeline().recording(), reserve);
    bench.Run(1'000, kNsPerSec);
    CHECK(!bench.pipeline().recording() && !bench.pipeline().counting());
  }
  bench.pipeline().Start(bench.pipeline().Find(7), bench.now_ns, true);
}

TEST(steps_beyond_what_is_remembered_are_merged) {
  SamplingMarks marks;
  uint64_t left_out = 0;
  for (uint64_t i = 0; i < 2'000; ++i) {
    const uint32_t n = i % 2 == 0 ? 8 : 1;
    marks.Step(i * 10, n, 0);
    CHECK_EQ(marks.LeftOutBefore(i * 10), left_out);
    CHECK_EQ(marks.OneOf(i * 10 + 9), n);
    left_out += 10 * (n - 1);
  }
  uint64_t last = 0;
  for (uint64_t number = 0; number < 20'000; ++number) {
    CHECK(marks.LeftOutBefore(number) >= last);
    last = marks.LeftOutBefore(number);
  }
  CHECK_EQ(last, left_out);
  // One that was made too late takes the place of those behind it.
  marks.Step(19'985, 4, 19'000);
  CHECK_EQ(marks.LeftOutBefore(19'985), left_out - 35);
  CHECK_EQ(marks.LeftOutBefore(19'995), left_out - 35 + 30);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
