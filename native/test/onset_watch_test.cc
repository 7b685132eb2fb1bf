#include "traffic/onset_watch.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <vector>

#include "test/check.h"

namespace pcap_ring {
namespace {

using Event = OnsetWatch::Event;

constexpr int64_t kBase = 1'700'000'000 * kNsPerSec;
constexpr int64_t kKeepNs = 10 * kNsPerSec;
constexpr uint32_t kSeed = 20261122;

// A watch over a stream of packets, asked as Lookback does.
class Feed {
 public:
  explicit Feed(const OnsetThresholds& thresholds = {}, int64_t keep_ns = kKeepNs)
      : watch(thresholds, keep_ns, 256 * 1024), random_(kSeed) {}

  void Packet(int64_t time_ns, uint32_t len) {
    const OnsetWatch::Counts before = counts;
    ++counts.packets;
    counts.bytes += len;
    if (!watch.Passes(time_ns, len)) return;
    ++looks;
    Events(time_ns, before);
    if (watch.Alarmed(time_ns) && watch.Suspect(time_ns, before)) suspected.push_back(time_ns);
  }
  void AdvanceTo(int64_t time_ns) { Events(now_ns = time_ns, counts); }

  // `pps` packets for so long from now on, evenly or as a Poisson process.
  void Run(double pps, int64_t length_ns, uint32_t len = 100, bool poisson = false) {
    Vary([pps](double) { return pps; }, length_ns, len, poisson);
  }
  // The same with a rate that changes: of seconds since the beginning.
  void Vary(const std::function<double(double)>& pps, int64_t length_ns, uint32_t len = 100, bool poisson = false) {
    std::exponential_distribution<double> exponential(1);
    const int64_t start_ns = now_ns;
    double at = static_cast<double>(start_ns - kBase);
    while (true) {
      const double rate = pps((at - static_cast<double>(start_ns - kBase)) / 1e9);
      at += (poisson ? exponential(random_) : 1) * 1e9 / rate;
      if (at >= static_cast<double>(start_ns + length_ns - kBase)) break;
      Packet(kBase + static_cast<int64_t>(at), len);
    }
    now_ns = start_ns + length_ns;
  }

  OnsetWatch watch;
  OnsetWatch::Counts counts;
  int64_t now_ns = kBase;
  int looks = 0;
  std::vector<int64_t> suspected;  // at
  std::vector<int64_t> confirmed;
  std::vector<int64_t> over;
  int dropped = 0;

 private:
  void Events(int64_t time_ns, const OnsetWatch::Counts& before) {
    for (Event event = watch.EndSlots(time_ns, before); event != Event::kNone;
         event = watch.EndSlots(time_ns, before)) {
      if (event == Event::kConfirmed) confirmed.push_back(time_ns);
      if (event == Event::kOver) over.push_back(time_ns);
      if (event == Event::kDropped) ++dropped;
    }
  }

  std::mt19937 random_;
};

// The flood comes on top of the calm.
TEST(a_step_is_suspected_at_once_and_confirmed_in_its_time) {
  std::printf("# seed %u\n", kSeed);
  for (const bool poisson : {false, true}) {
    for (const double calm : {50.0, 1'000.0, 5'000.0, 20'000.0}) {
      for (const double times : {11.0, 101.0}) {
        Feed feed;
        feed.Run(calm, 3 * kNsPerSec, 100, poisson);
        CHECK(feed.confirmed.empty());
        const double flood = std::max(calm * times, 5'000.0);
        const int64_t began_ns = feed.now_ns;
        feed.Run(flood, kNsPerSec, 100, poisson);
        CHECK_EQ(feed.confirmed.size(), 1u);
        if (feed.confirmed.empty()) continue;
        CHECK(!feed.suspected.empty());
        const double packets_until_suspected = static_cast<double>(feed.suspected.back() - began_ns) * flood / 1e9;
        CHECK(packets_until_suspected > 0 && packets_until_suspected < 200);
        const int64_t took_ns = feed.confirmed[0] - began_ns;
        CHECK(took_ns >= 6 * OnsetWatch::kSlotNs && took_ns <= 9 * OnsetWatch::kSlotNs);
        CHECK(feed.watch.rising());
        CHECK(std::abs(feed.watch.rate().packets / flood - 1) < 0.2);
        CHECK(std::abs(feed.watch.baseline().packets / calm - 1) < 0.35);
      }
    }
  }
}

TEST(a_step_in_bytes_alone_is_confirmed_as_one) {
  Feed feed;
  feed.Run(5'000, 3 * kNsPerSec, 100);
  feed.Run(10'000, kNsPerSec, 1514);
  CHECK_EQ(feed.confirmed.size(), 1u);
  CHECK(feed.watch.measure() == OnsetWatch::Measure::kBytes);
  CHECK(std::abs(feed.watch.rate().bytes / 15'140'000 - 1) < 0.1);
}

TEST(a_rise_of_less_than_the_factor_or_the_minimum_is_none) {
  for (const auto& [calm, risen] :
       {std::pair{1'000.0, 7'000.0}, std::pair{20.0, 900.0}, std::pair{20'000.0, 140'000.0}}) {
    Feed feed;
    feed.Run(calm, 3 * kNsPerSec, 100);
    feed.Run(risen, 5 * kNsPerSec, 100);
    CHECK(feed.confirmed.empty());
  }
}

TEST(what_is_shorter_than_125_ms_is_never_confirmed) {
  for (int64_t ms = 5; ms < 300; ms += 5) {
    for (int64_t phase_ms = 0; phase_ms < 25; phase_ms += 8) {
      Feed feed;
      feed.Run(1'000, 3 * kNsPerSec + phase_ms * kNsPerMs);
      feed.Run(100'000, ms * kNsPerMs);
      feed.Run(1'000, kNsPerSec);
      if (ms < 125) CHECK(feed.confirmed.empty());
      if (ms >= 160) CHECK_EQ(feed.confirmed.size(), 1u);
    }
  }
}

TEST(pulses_of_up_to_100_ms_with_as_long_a_calm_between_them_are_none) {
  for (int64_t pulse_ms = 5; pulse_ms <= 100; pulse_ms += 5) {
    for (int64_t calm_ms = 100; calm_ms <= 200; calm_ms += 10) {
      for (const double pps : {10'000.0, 100'000.0}) {
        Feed feed;
        feed.Run(1'000, 3 * kNsPerSec);
        for (int64_t ms = 0; ms < 2'000; ms += pulse_ms + calm_ms) {
          feed.Run(pps, pulse_ms * kNsPerMs);
          feed.Run(1'000, calm_ms * kNsPerMs);
        }
        CHECK(feed.confirmed.empty());
      }
    }
  }
}

TEST(a_ramp_is_confirmed_once) {
  for (const double seconds : {0.5, 1.0, 3.0, 10.0}) {
    Feed feed;
    feed.Run(1'000, (seconds < 10 ? 3 : 60) * kNsPerSec);
    feed.Vary([&](double at) { return 1'000 * std::pow(100, at / seconds); }, static_cast<int64_t>(seconds * 1e9));
    CHECK_EQ(feed.confirmed.size(), 1u);
    CHECK(feed.watch.rising());
  }
}

TEST(a_pulse_train_is_no_onset_and_costs_no_baseline) {
  std::printf("# seed %u\n", kSeed);
  for (const int64_t every_ms : {100, 200, 350, 500}) {
    for (const double calm : {50.0, 1'000.0, 5'000.0}) {
      Feed feed;
      feed.Run(calm, 3 * kNsPerSec, 100, true);
      for (int64_t i = 0; i < 10'000 / every_ms; ++i) {
        feed.Run(1'000'000, 500 * kNsPerSec / 1'000'000);
        feed.Run(calm, every_ms * kNsPerMs - 500 * kNsPerSec / 1'000'000, 100, true);
      }
      CHECK(feed.confirmed.empty());
      CHECK(feed.dropped > 0);
      // The baseline is the mean with the pulses in it, so a flood is still seen.
      feed.Run(400'000, kNsPerSec);
      CHECK_EQ(feed.confirmed.size(), 1u);
    }
  }
}

// Of a daily wave the slope, as steep as an hour allows.
TEST(a_slow_rise_is_no_onset) {
  std::printf("# seed %u\n", kSeed);
  Feed feed({8, 0, 0});
  feed.Run(20, 60 * kNsPerSec, 100, true);
  feed.Vary([](double at) { return 20 * std::pow(30, at / 3'600); }, 3'600 * kNsPerSec, 100, true);
  CHECK(feed.confirmed.empty());
  feed.Run(600 * 20, kNsPerSec);
  CHECK_EQ(feed.confirmed.size(), 1u);
}

TEST(calm_that_is_random_raises_no_suspicion) {
  std::printf("# seed %u\n", kSeed);
  Feed feed;
  feed.Run(2'000, 600 * kNsPerSec, 400, true);
  CHECK(feed.suspected.empty());
  CHECK(feed.confirmed.empty());
  // And is hardly looked at.
  CHECK(feed.looks <= 600 * 40 + 10);
}

TEST(nothing_is_an_onset_before_there_is_a_baseline) {
  for (const double pps : {10.0, 1'000.0, 100'000.0}) {
    Feed feed;
    feed.Run(pps, 5 * kNsPerSec);
    CHECK(feed.confirmed.empty());
  }
  // A flood half a second after the first packet is half of what is learned; one soon before the second is past is found
  // when it is; and one 1.1 s after it as any.
  Feed early;
  early.Run(100, 500 * kNsPerMs);
  early.Run(100'000, kNsPerSec);
  CHECK(early.confirmed.empty());
  Feed sooner;
  sooner.Run(100, 950 * kNsPerMs);
  sooner.Run(100'000, kNsPerSec);
  CHECK_EQ(sooner.confirmed.size(), 1u);
  CHECK(!sooner.suspected.empty() && sooner.suspected[0] >= kBase + kNsPerSec);
  Feed late;
  late.Run(100, 1'100 * kNsPerMs);
  late.Run(100'000, kNsPerSec);
  CHECK_EQ(late.confirmed.size(), 1u);
}

TEST(silence_is_calm_and_a_flood_behind_it_a_rise) {
  for (const int64_t silence_s : {1, 60, 3'600, 86'000}) {
    Feed feed;
    feed.Run(2'000, 3 * kNsPerSec);
    feed.AdvanceTo(feed.now_ns + silence_s * kNsPerSec);
    feed.Run(2'000, kNsPerSec);
    CHECK(silence_s > 1 || feed.confirmed.empty());
    feed.AdvanceTo(feed.now_ns + kNsPerSec);
    const size_t before = feed.confirmed.size();
    feed.AdvanceTo(feed.now_ns + 60 * kNsPerSec);
    feed.Run(100'000, kNsPerSec);
    CHECK_EQ(feed.confirmed.size(), before + 1);
  }
}

// The kernel passes on few of them: what it lost counts.
TEST(a_flood_that_is_mostly_lost_is_confirmed) {
  Feed feed;
  feed.Run(2'000, 3 * kNsPerSec);
  for (int i = 0; i < 40; ++i) {
    feed.Run(4'000, 10 * kNsPerMs);
    feed.counts.lost += 1'000;
    // The buckets know no loss, so it is packets that wake the watch.
    if (i == 0) feed.Run(1'000'000, kNsPerMs);
  }
  CHECK_EQ(feed.confirmed.size(), 1u);
  CHECK(feed.watch.rate().packets > 50'000);
}

// What was lost in a silence fell all over it: in calm traffic no spike where it was counted.
TEST(a_loss_that_is_told_late_is_no_spike) {
  Feed feed;
  feed.Run(2'000, 3 * kNsPerSec);
  for (int i = 0; i < 20; ++i) {
    feed.counts.lost += 300;
    feed.now_ns += 200 * kNsPerMs;
    feed.Run(2'000, 200 * kNsPerMs);
  }
  CHECK(feed.confirmed.empty());
}

TEST(a_clock_that_is_set_is_no_onset_and_hides_none) {
  for (const int64_t step_ns : {-7'200 * kNsPerSec, 7'200 * kNsPerSec, -500 * kNsPerMs, 500 * kNsPerMs, -2 * kNsPerSec,
                                2 * kNsPerSec, 86'400 * 400 * kNsPerSec, -86'400 * 400 * kNsPerSec}) {
    Feed feed;
    for (int i = 0; i < 5; ++i) {
      feed.Run(2'000, 3 * kNsPerSec);
      feed.now_ns += i % 2 == 0 ? step_ns : -step_ns;
    }
    CHECK(feed.confirmed.empty());
    feed.Run(2'000, 3 * kNsPerSec);
    feed.Run(100'000, kNsPerSec);
    CHECK_EQ(feed.confirmed.size(), 1u);
    // What is kept is kept over a step, for as long as it would have been.
    feed.Run(2'000, 5 * kNsPerSec);
    CHECK(feed.over.empty());
    feed.now_ns += step_ns;
    feed.Run(2'000, 3 * kNsPerSec);
    if (std::abs(step_ns) > 86'400 * kNsPerSec || step_ns < -kNsPerSec) CHECK(feed.over.empty());
    feed.Run(2'000, 5 * kNsPerSec);
    CHECK_EQ(feed.over.size(), 1u);
    CHECK_EQ(feed.confirmed.size(), 1u);
  }
}

constexpr int64_t kLastNs = (int64_t{1} << 32) * kNsPerSec;

TEST(one_damaged_timestamp_changes_nothing) {
  for (const int64_t damaged_ns :
       {int64_t{0}, kLastNs - 1, kBase - 86'400 * kNsPerSec, kBase + 9 * 365 * 86'400 * kNsPerSec}) {
    for (const double flood_at : {-1.0, 0.03, 0.2}) {
      Feed feed;
      feed.Run(2'000, 3 * kNsPerSec);
      if (flood_at < 0) {
        feed.Packet(damaged_ns, 100);
        feed.Run(2'000, 3 * kNsPerSec);
        CHECK(feed.confirmed.empty());
      }
      feed.Run(100'000, static_cast<int64_t>(std::abs(flood_at) * 1e9));
      if (flood_at > 0) feed.Packet(damaged_ns, 100);
      feed.Run(100'000, kNsPerSec);
      CHECK_EQ(feed.confirmed.size(), 1u);
      CHECK(feed.over.empty());
      feed.Run(2'000, 9 * kNsPerSec);
      CHECK(feed.over.empty());
      feed.Run(2'000, 2 * kNsPerSec);
      CHECK_EQ(feed.over.size(), 1u);
    }
  }
}

// Only that nothing overflows, for the sanitizer, and that it comes to an end.
// By less than a day, so that the way back looks like a silence.
TEST(one_timestamp_of_the_past_ends_no_rise) {
  for (const int64_t back_ns : {3 * kNsPerSec / 2, 60 * kNsPerSec, 3'600 * kNsPerSec, 80'000 * kNsPerSec}) {
    for (const int64_t into_ms : {10, 60, 120, 500}) {
      Feed feed;
      feed.Run(2'000, 3 * kNsPerSec);
      feed.Run(100'000, into_ms * kNsPerMs);
      feed.Packet(feed.now_ns - back_ns, 100);
      feed.Run(100'000, kNsPerSec);
      CHECK_EQ(feed.confirmed.size(), 1u);
      CHECK(feed.over.empty());
      CHECK(feed.watch.rising());
      // And time that passes later is time that passes.
      feed.now_ns += 20 * kNsPerSec;
      feed.Run(2'000, kNsPerSec);
      CHECK_EQ(feed.over.size(), 1u);
    }
  }
}

TEST(any_times_and_lengths_do_no_harm) {
  std::printf("# seed %u\n", kSeed);
  const OnsetThresholds all[] = {{}, {1.5, 0, 0}, {1.5, 1, 1}, {1'000, 1e12, 1e15}};
  for (const OnsetThresholds& thresholds : all) {
    for (const int64_t keep_ns : {int64_t{1}, kKeepNs, 600 * kNsPerSec}) {
      std::mt19937_64 random(kSeed);
      Feed feed(thresholds, keep_ns);
      int64_t time_ns = kBase;
      for (int i = 0; i < 200'000; ++i) {
        const uint64_t what = random() % 1'000;
        if (what == 0) time_ns = 0;
        if (what == 1)
          time_ns = kLastNs - 1 + static_cast<int64_t>(random() % (uint64_t{1} << 32));  // a damaged fraction
        if (what == 2) time_ns = static_cast<int64_t>(random() % static_cast<uint64_t>(kLastNs));
        if (what == 3) time_ns = kBase;
        if (what == 4) feed.AdvanceTo(time_ns + static_cast<int64_t>(random() % (uint64_t{1} << 40)));
        if (what == 5) feed.counts.lost += random() % (uint64_t{1} << (random() % 33));
        if (what == 6) feed.watch.ConfirmEarly(time_ns, feed.counts);
        if (what == 7) feed.watch.WakeAt(time_ns - static_cast<int64_t>(random() % 1'000));
        if (what == 8) feed.watch.WakeAt(random() % 2 == 0 ? kNever : INT64_MIN);
        time_ns += static_cast<int64_t>(random() % (uint64_t{1} << (random() % 28)));
        feed.Packet(time_ns, static_cast<uint32_t>(random() >> (32 + random() % 32)));
        CHECK(!feed.watch.rising() ||
              (std::isfinite(feed.watch.baseline().packets) && feed.watch.baseline().packets >= 0));
        if (time_ns > kLastNs) time_ns = kBase;
      }
      CHECK(std::isfinite(feed.watch.baseline().bytes) && std::isfinite(feed.watch.threshold().packets));
    }
  }
}

TEST(a_second_flood_in_the_first_ones_time_is_the_same_rise) {
  Feed feed;
  feed.Run(1'000, 3 * kNsPerSec);
  feed.Run(50'000, kNsPerSec);
  feed.Run(1'000, 8 * kNsPerSec);
  CHECK(!feed.watch.rising());
  CHECK(feed.over.empty());
  feed.Run(50'000, kNsPerSec);
  CHECK(feed.watch.rising());
  CHECK_EQ(feed.confirmed.size(), 1u);
  // It is remembered from the second one's end on.
  const int64_t end_ns = feed.now_ns;
  feed.Run(1'000, 9 * kNsPerSec);
  CHECK(feed.over.empty());
  feed.Run(1'000, 2 * kNsPerSec);
  CHECK_EQ(feed.over.size(), 1u);
  CHECK(std::abs(feed.over[0] - end_ns - kKeepNs) <= 4 * OnsetWatch::kSlotNs);
  feed.Run(50'000, kNsPerSec);
  CHECK_EQ(feed.confirmed.size(), 2u);
}

TEST(a_rise_that_is_not_remembered_ends_with_its_rate) {
  Feed feed;
  feed.Run(1'000, 3 * kNsPerSec);
  feed.Run(50'000, kNsPerSec);
  feed.watch.ForgetAfterRise();
  feed.Run(50'000, kNsPerSec);
  CHECK(feed.over.empty());
  const int64_t end_ns = feed.now_ns;
  feed.Run(1'000, kNsPerSec);
  CHECK_EQ(feed.over.size(), 1u);
  CHECK(feed.over[0] - end_ns <= 500 * kNsPerMs);
  // A short pause ends none.
  feed.Run(50'000, kNsPerSec);
  CHECK_EQ(feed.confirmed.size(), 2u);
  feed.watch.ForgetAfterRise();
  for (int i = 0; i < 20; ++i) {
    feed.Run(50'000, 300 * kNsPerMs);
    feed.Run(1'000, 100 * kNsPerMs);
  }
  CHECK_EQ(feed.over.size(), 1u);
}

TEST(pulses_of_two_minutes_are_one_rise) {
  Feed feed;
  feed.Run(1'000, 10 * kNsPerSec);
  for (int i = 0; i < 120; ++i) {
    feed.Run(100'000, 300 * kNsPerMs);
    feed.Run(1'000, 700 * kNsPerMs);
  }
  CHECK_EQ(feed.confirmed.size(), 1u);
  CHECK(feed.over.empty());
  CHECK(feed.watch.baseline().packets < 2'000);
}

TEST(a_flood_of_two_minutes_is_one_rise) {
  Feed feed;
  feed.Run(1'000, 10 * kNsPerSec);
  feed.Run(20'000, 120 * kNsPerSec);
  CHECK_EQ(feed.confirmed.size(), 1u);
  CHECK(feed.over.empty());
  CHECK(feed.watch.rising());
  CHECK(feed.watch.baseline().packets < 2'000);
}

// The baseline comes to `rate` with a memory of an hour; the rise is over once the rate is below half the threshold.
TEST(what_stays_raised_becomes_the_baseline) {
  for (const double times : {10.0, 60.0}) {
    Feed feed({8, 0, 0});
    feed.Run(100, 120 * kNsPerSec);
    const int64_t began_ns = feed.now_ns;
    feed.Run(100 * times, 1'800 * kNsPerSec);
    CHECK_EQ(feed.confirmed.size(), 1u);
    CHECK_EQ(feed.over.size(), 1u);
    if (feed.over.empty()) continue;
    const double expected = 3'600 * std::log((1 - 1 / times) / (1 - 1 / (8 * 0.5)));
    CHECK(std::abs(static_cast<double>(feed.over[0] - began_ns) / 1e9 - expected - 10) < expected / 20);
    feed.Run(100 * times * 20, kNsPerSec);
    CHECK_EQ(feed.confirmed.size(), 2u);
  }
}

TEST(the_lowest_thresholds_find_a_doubling_and_no_chance) {
  std::printf("# seed %u\n", kSeed);
  for (const double calm : {2'000.0, 20'000.0}) {
    Feed feed({1.5, 0, 0});
    feed.Run(calm, 120 * kNsPerSec, 100, true);
    CHECK(feed.confirmed.empty());
    feed.Run(2 * calm, kNsPerSec, 100, true);
    CHECK_EQ(feed.confirmed.size(), 1u);
  }
  // From next to nothing anything is a rise.
  Feed feed({1.5, 0, 0});
  feed.Run(1, 30 * kNsPerSec);
  feed.Run(1'000, kNsPerSec);
  CHECK_EQ(feed.confirmed.size(), 1u);
}

TEST(a_freeze_confirms_what_has_held_for_three_slots) {
  for (int64_t ms = 10; ms < 160; ms += 10) {
    Feed feed;
    feed.Run(1'000, 3 * kNsPerSec);
    feed.Run(50'000, ms * kNsPerMs);
    feed.AdvanceTo(feed.now_ns);
    const bool early = feed.watch.ConfirmEarly(feed.now_ns, feed.counts);
    if (ms < 75) CHECK(!early);
    if (ms >= 80 && ms <= 145) CHECK(early);
    CHECK(!early || feed.watch.rising());
    CHECK(!feed.watch.ConfirmEarly(feed.now_ns, feed.counts));
  }
  // One that had a calm slot among them is not.
  Feed feed;
  feed.Run(1'000, 3 * kNsPerSec);
  feed.Run(50'000, 26 * kNsPerMs);
  feed.Run(1'000, 50 * kNsPerMs);
  feed.Run(50'000, 50 * kNsPerMs);
  feed.AdvanceTo(feed.now_ns);
  CHECK(!feed.watch.ConfirmEarly(feed.now_ns, feed.counts));
}

TEST(a_freeze_confirms_a_flood_that_a_burst_was_suspected_before) {
  Feed feed;
  feed.Run(1'000, 3 * kNsPerSec);
  feed.Run(500'000, 10 * kNsPerMs);
  feed.Run(1'000, 45 * kNsPerMs);
  CHECK(feed.watch.suspected());
  feed.Run(50'000, 100 * kNsPerMs);
  feed.AdvanceTo(feed.now_ns);
  CHECK(feed.confirmed.empty());
  CHECK(feed.watch.ConfirmEarly(feed.now_ns, feed.counts));
  // The flood's rate, and not its and the burst's.
  CHECK(std::abs(feed.watch.rate().packets / 50'000 - 1) < 0.1);
}

TEST(a_freeze_right_behind_a_burst_confirms_nothing) {
  for (const int64_t burst_ms : {80, 90, 100}) {
    for (const int64_t later_ms : {5, 10, 20, 24}) {
      Feed feed;
      feed.Run(1'000, 3 * kNsPerSec + 13 * kNsPerMs);
      feed.Run(20'000, burst_ms * kNsPerMs);
      feed.Run(1'000, later_ms * kNsPerMs);
      feed.AdvanceTo(feed.now_ns);
      const bool early = feed.watch.ConfirmEarly(feed.now_ns, feed.counts);
      CHECK(!early || later_ms < 20);  // within the slot in which it ended, the mean may still be high
    }
  }
}

TEST(a_large_flood_leaves_the_calm_what_it_was) {
  Feed feed;
  feed.Run(1'000, 3 * kNsPerSec);
  feed.Run(300'000, 20 * kNsPerSec);
  feed.Run(1'000, 12 * kNsPerSec);
  CHECK_EQ(feed.over.size(), 1u);
  CHECK(std::abs(feed.watch.baseline().packets / 1'000 - 1) < 0.1);
  feed.Run(12'000, kNsPerSec);
  CHECK_EQ(feed.confirmed.size(), 2u);
}

// Without the packets in between, which is how it is asked while none come.
TEST(time_alone_drops_a_suspicion_and_ends_a_rise) {
  Feed feed;
  feed.Run(1'000, 3 * kNsPerSec);
  feed.Run(50'000, 50 * kNsPerMs);
  CHECK_EQ(feed.suspected.size(), 1u);
  feed.AdvanceTo(feed.now_ns + 100 * kNsPerMs);
  CHECK_EQ(feed.dropped, 1);
  feed.Run(1'000, 3 * kNsPerSec);
  feed.Run(50'000, 300 * kNsPerMs);
  CHECK_EQ(feed.confirmed.size(), 1u);
  feed.AdvanceTo(feed.now_ns + kNsPerSec);
  CHECK(!feed.watch.rising());
  CHECK(feed.over.empty());
  feed.AdvanceTo(feed.now_ns + kKeepNs);
  CHECK_EQ(feed.over.size(), 1u);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
