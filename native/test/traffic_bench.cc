// What a packet costs: the capture thread's counter, and the writer's summary of a file. `make -C native bench`; prints
// nanoseconds a packet, judges nothing.

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "incident/file_traffic.h"

namespace pcap_ring {
namespace {

constexpr size_t kPackets = 200'000;
constexpr int kRounds = 10;
using Frame = std::array<uint8_t, 64>;

// UDP in IPv4 over Ethernet; what is random is told.
std::vector<Frame> Frames(bool random_source, bool random_port) {
  std::mt19937 random(1);
  std::vector<Frame> frames(kPackets);
  for (Frame& frame : frames) {
    constexpr uint8_t kHead[] = {2, 0,  0,  0, 0, 2,  2, 0, 0, 0,  0, 1, 8, 0,    0x45, 0, 0, 50, 0,  0, 0,
                                 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0, 9, 0,  30, 0, 0};
    std::memcpy(frame.data(), kHead, sizeof kHead);
    const uint32_t source = static_cast<uint32_t>(random());
    const uint32_t port = static_cast<uint32_t>(random());
    if (random_source) std::memcpy(frame.data() + 26, &source, 4);
    if (random_port) std::memcpy(frame.data() + 34, &port, 2);
  }
  return frames;
}

template <typename EachPacket>
void Measure(const char* name, const std::vector<Frame>& frames, EachPacket&& each) {
  double best = 1e9;
  int64_t time_ns = 1'700'000'000 * kNsPerSec;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (const Frame& frame : frames) {
      time_ns += 10'000;  // 100 kpps
      each(Packet{time_ns / kNsPerSec, time_ns % kNsPerSec, 64, 64, frame.data(), false});
    }
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
    best = std::min(best, spent.count() / static_cast<double>(frames.size()));
  }
  std::printf("%-44s %6.1f ns\n", name, best);
}

void Run() {
  const auto one = Frames(false, false);
  const auto spoofed = Frames(true, true);
  TrafficCounter counter(1);
  Measure("counter, one flow", one, [&](const Packet& packet) { counter.Count(packet); });
  Measure("counter, spoofed", spoofed, [&](const Packet& packet) { counter.Count(packet); });
  std::printf("# %llu\n", static_cast<unsigned long long>(counter.total().udp));
  for (const auto& [name, frames] : {std::pair{"summary, one flow", &one}, std::pair{"summary, spoofed", &spoofed}}) {
    FileTraffic traffic(1, Precision::kMicro, kNever);
    Measure(name, *frames, [&](const Packet& packet) { traffic.Add(Section::kAttack, packet); });
    std::printf("# %llu\n", static_cast<unsigned long long>(traffic.sources().Different()));
  }
}

}  // namespace
}  // namespace pcap_ring

int main() { pcap_ring::Run(); }
