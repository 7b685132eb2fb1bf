#pragma once

#include <cstdint>
#include <optional>

namespace pcap_ring {

// What the kernel thinks of its own clock (adjtimex); nothing where it does not say.
struct SystemClock {
  bool synchronised = false;
  int64_t max_error_us = 0;  // the kernel's bound of its error
};
std::optional<SystemClock> ReadSystemClock();

}  // namespace pcap_ring
