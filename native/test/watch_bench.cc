// What the onset watch and the history add to a packet on the capture thread: the same stream with and without them, in
// pairs. `make -C native bench`; prints nanoseconds a packet, writes every sample to a file, judges nothing.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/pipeline.h"
#include "test/silent_listener.h"

namespace pcap_ring {
namespace {

constexpr int kPairs = 40;
constexpr size_t kPackets = 400'000;
constexpr uint32_t kSeed = 20261122;
constexpr int64_t kLookbackNs = 10 * kNsPerSec;
// Two-sided 95 % of Student's t with 39 degrees of freedom.
constexpr double kStudent = 2.0227;

struct Silent : testing::SilentListener {
  void OnOnset(const Onset&) override { ++onsets; }

  int onsets = 0;
};

struct Traffic {
  const char* name;
  std::vector<int64_t> gaps_ns;  // before each packet
};

// 100,000 packets a second, evenly.
Traffic Steady() { return {"steady", std::vector<int64_t>(kPackets, 10'000)}; }

// The same on the whole, in trains of 1 to 500 a microsecond apart.
Traffic Bursts() {
  std::mt19937 random(kSeed);
  Traffic traffic = {"bursts", {}};
  while (traffic.gaps_ns.size() < kPackets) {
    const auto train = static_cast<int64_t>(1 + random() % (random() % 4 == 0 ? 500 : 20));
    traffic.gaps_ns.push_back(train * 10'000 - (train - 1) * 1'000);
    for (int64_t i = 1; i < train && traffic.gaps_ns.size() < kPackets; ++i) traffic.gaps_ns.push_back(1'000);
  }
  return traffic;
}

// 2,000 packets a second, and a train of 500 at line rate every 250 ms: each is suspected and dropped.
Traffic Pulses() {
  Traffic traffic = {"pulses", {}};
  while (traffic.gaps_ns.size() < kPackets) {
    for (int i = 0; i < 500; ++i) traffic.gaps_ns.push_back(500'000);
    for (int i = 0; i < 500; ++i) traffic.gaps_ns.push_back(1'000);
  }
  traffic.gaps_ns.resize(kPackets);
  return traffic;
}

class Contender {
 public:
  explicit Contender(int64_t lookback_ns) {
    Pipeline::Config config;
    config.lookback_ns = lookback_ns;
    pipeline_ = std::make_unique<Pipeline>(config, &queue_, &listener_);
  }

  // Nanoseconds a packet.
  double Run(const Traffic& traffic, const std::vector<uint8_t>& frame) {
    const auto size = static_cast<uint32_t>(frame.size());
    int64_t sec = sec_;
    int64_t nsec = nsec_;
    const auto begin = std::chrono::steady_clock::now();
    for (const int64_t gap_ns : traffic.gaps_ns) {
      nsec += gap_ns;
      if (nsec >= kNsPerSec) {
        nsec -= kNsPerSec;
        ++sec;
      }
      pipeline_->OnPacket({sec, nsec, size, size, frame.data(), false});
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
    sec_ = sec;
    nsec_ = nsec;
    return spent.count() / static_cast<double>(traffic.gaps_ns.size());
  }
  int onsets() const { return listener_.onsets; }

 private:
  TapQueue queue_;
  Silent listener_;
  std::unique_ptr<Pipeline> pipeline_;
  int64_t sec_ = 1'700'000'000;
  int64_t nsec_ = 0;
};

std::vector<uint8_t> Frame(size_t size) {
  std::vector<uint8_t> frame = {2, 0,  0,  0, 0, 2,  2, 0, 0, 0,  0, 1, 8, 0,    0x45, 0, 0, 50, 0,  0, 0,
                                0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0, 9, 0,  30, 0, 0};
  frame.resize(size);
  return frame;
}

void Compare(const Traffic& traffic, size_t size, FILE* samples) {
  const std::vector<uint8_t> frame = Frame(size);
  Contender with(kLookbackNs), without(0);
  with.Run(traffic, frame);
  without.Run(traffic, frame);
  double sum_with = 0, sum_without = 0, sum = 0, squares = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    double ns_with = 0, ns_without = 0;
    if (pair % 2 == 0) ns_without = without.Run(traffic, frame);
    ns_with = with.Run(traffic, frame);
    if (pair % 2 != 0) ns_without = without.Run(traffic, frame);
    std::fprintf(samples, "%s,%zu,%d,%s,%.3f,%.3f\n", traffic.name, size, pair,
                 pair % 2 == 0 ? "without first" : "with first", ns_with, ns_without);
    const double difference = ns_with - ns_without;
    sum_with += ns_with;
    sum_without += ns_without;
    sum += difference;
    squares += difference * difference;
  }
  const double mean = sum / kPairs;
  const double deviation = std::sqrt(std::max(0.0, squares - sum * mean) / (kPairs - 1));
  std::printf("%-8s %4zu bytes  with %6.2f ns  without %6.2f ns  difference %5.2f ± %.2f ns (95 %%)\n", traffic.name,
              size, sum_with / kPairs, sum_without / kPairs, mean, kStudent * deviation / std::sqrt(kPairs));
  if (with.onsets() > 0) std::printf("# %d onsets\n", with.onsets());
}

int Run(const std::string& path) {
  FILE* samples = std::fopen(path.c_str(), "we");
  if (samples == nullptr) {
    std::perror(path.c_str());
    return 1;
  }
  std::fprintf(samples, "traffic,bytes,pair,order,with_ns,without_ns\n");
  std::printf("watch and history, %d pairs of %zu packets, seed %u\n", kPairs, kPackets, kSeed);
  for (const Traffic& traffic : {Steady(), Bursts(), Pulses()}) {
    for (const size_t size : {64, 1514}) Compare(traffic, size, samples);
  }
  std::printf("# every sample: %s\n", path.c_str());
  return std::fclose(samples) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace pcap_ring

int main(int argc, char** argv) { return pcap_ring::Run(argc > 1 ? argv[1] : "../build/native/watch_bench.csv"); }
