#include "engine/sampling_governor.h"

#include <algorithm>
#include <random>
#include <vector>

#include "base/time.h"
#include "test/check.h"

namespace pcap_ring {
namespace {

// A thread that spends so much a second whatever comes, and so much on each packet that it is given, with as much noise as a
// busy machine has; which holds it up for 3 ms now and then.
class Thread {
 public:
  explicit Thread(double budget, uint64_t seed = 1) : governor(budget), random_(seed) {}

  // Sends `pps` for so many seconds; `all`: every packet is wanted.
  void Run(double pps, double seconds, double packet_ns, bool all = false, bool counted = false) {
    const int64_t end_ns = now_.time_ns + static_cast<int64_t>(seconds * 1e9);
    while (now_.time_ns < end_ns) {
      now_.one_of = all ? 1 : counted ? std::max(governor.OneOf(), governor.OneOfCounted()) : governor.OneOf();
      in_force.push_back(now_.one_of);
      // In blocks, as the kernel hands them over: of so many packets, or once it has held them back for long enough.
      waiting_ += pps * kStepNs / 1e9 / now_.one_of;
      const bool due = waiting_ >= kBlock || now_.time_ns >= handed_over_ns_ + kLatencyNs;
      const auto whole = due ? static_cast<uint64_t>(waiting_) : 0;
      waiting_ -= static_cast<double>(whole);
      if (due) handed_over_ns_ = now_.time_ns;
      std::normal_distribution<double> noise(1, 0.15);
      const double hiccup = std::bernoulli_distribution(0.005)(random_) ? 3e6 : 0;  // one in four seconds
      const double cost = (kFixedShare * kStepNs + static_cast<double>(whole) * packet_ns) *
                          std::max(0.3, noise(random_));
      now_.time_ns += static_cast<int64_t>(kStepNs);
      now_.cpu_ns += static_cast<int64_t>(cost + hiccup);
      work_ns_ += cost;
      now_.kept += whole;
      governor.See(now_);
    }
  }
  double ShareOf(double pps, double seconds, double packet_ns, bool counted = false) {
    const int64_t begun_ns = now_.time_ns;
    work_ns_ = 0;
    Run(pps, seconds, packet_ns, false, counted);
    return work_ns_ / static_cast<double>(now_.time_ns - begun_ns);
  }
  int Changes() const {
    int changes = 0;
    for (size_t i = 1; i < in_force.size(); ++i) changes += in_force[i] != in_force[i - 1];
    return changes;
  }

  SamplingGovernor governor;
  std::vector<uint32_t> in_force;

 private:
  static constexpr double kStepNs = 20e6;
  static constexpr double kFixedShare = 0.0007;
  static constexpr double kBlock = 1'000;
  static constexpr int64_t kLatencyNs = 100'000'000;

  std::mt19937_64 random_;
  SamplingGovernor::Usage now_;
  double work_ns_ = 0;
  double waiting_ = 0;
  int64_t handed_over_ns_ = 0;
};

constexpr double kBudget = 0.005;
constexpr double kCosts[] = {40, 90, 230, 900};  // ns a packet

TEST(below_the_budget_every_packet_is_kept) {
  Thread thread(kBudget);
  for (const double pps : {0.0, 50.0, 1'000.0, 20'000.0}) thread.Run(pps, 10, 90);
  CHECK_EQ(*std::max_element(thread.in_force.begin(), thread.in_force.end()), 1u);
}

TEST(a_second_after_any_rate_began_the_budget_is_kept) {
  for (const double packet_ns : kCosts) {
    for (const double pps : {1e4, 5e4, 1e5, 3e5, 7e5, 5e6}) {
      for (uint64_t seed = 1; seed <= 5; ++seed) {
        Thread thread(kBudget, seed);
        thread.Run(1'000, 5, packet_ns);
        thread.Run(pps, 1, packet_ns);
        const double share = thread.ShareOf(pps, 5, packet_ns);
        CHECK(share <= kBudget);
        // And no more is left out than must be.
        const uint32_t n = thread.in_force.back();
        CHECK(n == 1 || share > kBudget / 10);
      }
    }
  }
}

TEST(at_a_constant_rate_n_stays_what_it_is) {
  for (const double packet_ns : kCosts) {
    // NOLINTNEXTLINE(cert-flp30-c): whatever the last one is.
    for (double pps = 1e4; pps < 2e6; pps *= 1.17) {
      Thread thread(kBudget, static_cast<uint64_t>(pps));
      thread.Run(pps, 5, packet_ns);
      thread.in_force.clear();
      thread.Run(pps, 120, packet_ns);
      CHECK(thread.Changes() <= 3);
    }
  }
}

TEST(enough_is_kept_for_good_figures_however_small_the_budget) {
  for (const double pps : {1e4, 1e5, 1e6}) {
    Thread thread(0.0001);
    thread.Run(pps, 10, 200);
    CHECK(pps / thread.in_force.back() >= 900);
    CHECK(pps / thread.in_force.back() < 4'000);
  }
  Thread thread(0.0001);
  thread.Run(1e8, 10, 200);
  CHECK_EQ(thread.in_force.back(), SamplingGovernor::kMost);
}

TEST(what_is_only_counted_costs_next_to_nothing) {
  Thread thread(kBudget);
  thread.Run(6e5, 1, 90, true);  // an incident, up to its cap
  thread.Run(6e5, 1, 300, false, true);
  const double share = thread.ShareOf(6e5, 5, 300, true);
  CHECK(share * 1e9 / 6e5 <= 5);
  CHECK(6e5 / thread.in_force.back() >= 1'000);
}

TEST(after_a_flood_every_packet_is_kept_again_within_some_seconds) {
  for (const double packet_ns : kCosts) {
    Thread thread(kBudget);
    thread.Run(2'000, 5, packet_ns);
    thread.Run(6e5, 20, packet_ns);
    CHECK(thread.in_force.back() > 1);
    thread.Run(2'000, 4, packet_ns);
    CHECK_EQ(thread.in_force.back(), 1u);
  }
}

// A suspicion wants every packet for a fraction of a second, many times.
TEST(after_a_suspicion_it_is_what_it_was) {
  Thread thread(kBudget);
  thread.Run(2e5, 5, 90);
  const uint32_t n = thread.in_force.back();
  CHECK(n > 1);
  for (int i = 0; i < 20; ++i) {
    thread.Run(2e5, 0.2, 90, true);
    thread.Run(2e5, 2, 90);
    CHECK(thread.in_force.back() == n || thread.in_force.back() == 2 * n);
  }
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
