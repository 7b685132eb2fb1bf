#pragma once

#include "traffic/counters.h"

namespace pcap_ring {

// What passed, by what was kept of it: where the kernel kept 1 of N, each packet stands for N.
class ScaledTotals {
 public:
  explicit ScaledTotals(const TrafficCounters* kept) : kept_(kept) {}

  TrafficCounters Now() const { return TrafficCounters(before_) += (*kept_ - counted_) * one_of_; }
  uint64_t packets() const { return before_.packets + (kept_->packets - counted_.packets) * one_of_; }
  uint64_t bytes() const { return before_.bytes + (kept_->bytes - counted_.bytes) * one_of_; }
  // The packets counted next are 1 of so many.
  uint32_t one_of() const { return one_of_; }

  // From here on 1 of `n`.
  void Step(uint32_t n) {
    before_ = Now();
    counted_ = *kept_;
    one_of_ = n;
  }

 private:
  const TrafficCounters* const kept_;
  TrafficCounters counted_;  // of those kept, in before_
  TrafficCounters before_;
  uint32_t one_of_ = 1;
};

}  // namespace pcap_ring
