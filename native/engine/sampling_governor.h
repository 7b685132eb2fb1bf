#pragma once

#include <cstdint>

namespace pcap_ring {

// Decides of how many packets the kernel should keep one, by what the capture thread has used of its core: quick up, slow
// down, as smooth as a second in between. Knows no sockets and no clocks. The capture thread's.
//
// What a packet that is kept costs is learned while packets are what the time goes into; with that it foretells what a
// smaller N would cost before it tries.
class SamplingGovernor {
 public:
  static constexpr uint32_t kMost = 4096;

  // `budget`: share of one core.
  explicit SamplingGovernor(double budget) : budget_(budget) {}

  // Running sums, and what was in force since the last call.
  struct Usage {
    int64_t time_ns = 0;  // monotonic
    int64_t cpu_ns = 0;  // of the thread
    uint64_t kept = 0;  // packets
    uint32_t one_of = 1;
  };
  // To be called every 20 ms or so while packets come, and before what is in force changes.
  void See(const Usage& usage);

  // One of how many is to be kept from now on, a power of two: within the budget; or, where packets are only counted, as
  // little as good figures need.
  uint32_t OneOf() const { return one_of_; }
  uint32_t OneOfCounted() const { return counted_; }

 private:
  // As few as still give figures that are good to some percent within seconds.
  static constexpr double kFewestKept = 1'000;  // a second

  void Smooth(double seconds, double cpu_ns, double kept, uint32_t one_of);
  void Raise(uint32_t to, int64_t time_ns);
  uint32_t MostUseful() const;
  double SharePredicted(uint32_t one_of) const;

  const double budget_;
  bool begun_ = false;
  Usage last_;
  uint32_t one_of_ = 1;
  uint32_t counted_ = 1;
  // Smoothed, referred to one_of_: share of the core, packets kept a second; and what one of these takes.
  double share_ = 0;
  double kept_rate_ = 0;
  double packet_ns_ = 0;
  // What was used beyond the budget lately, and since when.
  double overdraft_ns_ = 0;
  int64_t overdraft_since_ns_ = 0;
  double overdraft_cpu_ns_ = 0;
  int64_t changed_ns_ = 0;
  int64_t low_since_ns_ = 0;
  int64_t lowered_ns_ = 0;
  int64_t patience_ns_ = 0;
};

}  // namespace pcap_ring
