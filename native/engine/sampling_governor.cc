#include "engine/sampling_governor.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/time.h"

namespace pcap_ring {
namespace {

constexpr double kMemory = 1;             // seconds, of the smoothed figures
constexpr double kRateMemory = 0.3;
constexpr int64_t kSettleNs = kNsPerSec;  // after a change, until small excesses count
// Shares of the budget: what a change aims at; what is too much in the long run; what a smaller N must stay below.
constexpr double kAim = 0.7;
constexpr double kTooMuch = 0.9;
constexpr double kLow = 0.75;
// So many seconds of the budget may be used at once, beyond it.
constexpr double kOverdraft = 0.25;
// Used of the budget where a packet's cost is learned: below, other things are what costs.
constexpr double kTelling = 0.3;
constexpr int64_t kPatienceNs = kNsPerSec;
constexpr int64_t kMostPatienceNs = 60 * kNsPerSec;
constexpr int64_t kSoonNs = 10 * kNsPerSec;  // a change back that comes so soon makes it four times as patient
// What a packet takes at most, of what it took on the mean: more is something else that the thread was held up by.
constexpr double kMostOfMean = 3;
constexpr double kFirstPacketNs = 300;  // a first guess

uint32_t PowerAtLeast(double value) {
  return static_cast<uint32_t>(std::bit_ceil(static_cast<uint64_t>(std::ceil(std::clamp(value, 1.0, 4096.0)))));
}
uint32_t PowerAtMost(double value) {
  return static_cast<uint32_t>(std::bit_floor(static_cast<uint64_t>(std::clamp(value, 1.0, 4096.0))));
}

}  // namespace

void SamplingGovernor::See(const Usage& usage) {
  if (!begun_) {
    begun_ = true;
    last_ = usage;
    packet_ns_ = kFirstPacketNs;
    patience_ns_ = kPatienceNs;
    changed_ns_ = low_since_ns_ = usage.time_ns;
    lowered_ns_ = usage.time_ns - kSoonNs;
    return;
  }
  const double passed_ns = static_cast<double>(usage.time_ns - last_.time_ns);
  if (passed_ns <= 0) return;
  const double kept = static_cast<double>(usage.kept - last_.kept);
  const double cpu_ns =
      std::min(static_cast<double>(usage.cpu_ns - last_.cpu_ns), budget_ * passed_ns + kMostOfMean * packet_ns_ * kept);
  Smooth(passed_ns / 1e9, cpu_ns, kept, usage.one_of);
  // Quick up: what was used beyond the budget, from when it began to be.
  if (overdraft_ns_ <= 0) {
    overdraft_since_ns_ = last_.time_ns;
    overdraft_cpu_ns_ = 0;
  }
  overdraft_ns_ = std::max(0.0, overdraft_ns_ + cpu_ns - budget_ * passed_ns);
  overdraft_cpu_ns_ += cpu_ns;
  last_ = usage;
  const uint32_t most = MostUseful();
  if (counted_ < most / 2 || counted_ > most) counted_ = most;
  if (overdraft_ns_ > kOverdraft * budget_ * 1e9) {
    const double share = overdraft_cpu_ns_ / static_cast<double>(usage.time_ns - overdraft_since_ns_);
    overdraft_ns_ = 0;
    return Raise(PowerAtLeast(usage.one_of * share / (kAim * budget_)), usage.time_ns);
  }
  if (share_ > kTooMuch * budget_ && usage.time_ns - changed_ns_ >= kSettleNs) return Raise(one_of_ * 2, usage.time_ns);

  // Slow down: to the smallest that would have been well within the budget for a while.
  uint32_t lower = one_of_;
  while (lower > 1 && (lower > most || SharePredicted(lower / 2) < kLow * budget_)) lower /= 2;
  if (lower == one_of_) {
    low_since_ns_ = usage.time_ns;
  } else if (usage.time_ns - low_since_ns_ >= patience_ns_) {
    share_ = SharePredicted(lower);
    kept_rate_ *= static_cast<double>(one_of_) / lower;
    one_of_ = lower;
    changed_ns_ = lowered_ns_ = low_since_ns_ = usage.time_ns;
  }
}

// What was used while another N was in force is taken for what this one would have used.
void SamplingGovernor::Smooth(double seconds, double cpu_ns, double kept, uint32_t one_of) {
  const double share = cpu_ns / (seconds * 1e9);
  const double weight = 1 - std::exp(-seconds / kMemory);
  const double scale = static_cast<double>(one_of) / one_of_;
  if (share > kTelling * budget_ && kept > 0) packet_ns_ += (cpu_ns / kept - packet_ns_) * weight;
  const double rate = kept / seconds;
  share_ += (std::max(0.0, share + packet_ns_ / 1e9 * rate * (scale - 1)) - share_) * weight;
  kept_rate_ += (rate * scale - kept_rate_) * (1 - std::exp(-seconds / kRateMemory));
}

// As far as it goes.
void SamplingGovernor::Raise(uint32_t to, int64_t time_ns) {
  to = std::min(to, MostUseful());
  if (to <= one_of_) return;
  patience_ns_ = time_ns - lowered_ns_ < kSoonNs ? std::min(patience_ns_ * 4, kMostPatienceNs) : kPatienceNs;
  const double scale = static_cast<double>(one_of_) / to;
  share_ *= scale;
  kept_rate_ *= scale;
  one_of_ = to;
  changed_ns_ = low_since_ns_ = time_ns;
}

uint32_t SamplingGovernor::MostUseful() const { return PowerAtMost(kept_rate_ * one_of_ / kFewestKept); }

double SamplingGovernor::SharePredicted(uint32_t one_of) const {
  return share_ + packet_ns_ / 1e9 * kept_rate_ * (static_cast<double>(one_of_) / one_of - 1);
}

}  // namespace pcap_ring
