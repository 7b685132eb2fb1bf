#pragma once

namespace pcap_ring {

// What counts as an onset: packets or bits a second above `factor` times the calm baseline, and above the minimum.
struct OnsetThresholds {
  double factor = 8;
  double min_pps = 1'000;
  double min_bps = 10'000'000;
};

}  // namespace pcap_ring
