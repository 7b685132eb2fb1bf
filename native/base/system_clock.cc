#include "base/system_clock.h"

#include <sys/timex.h>

namespace pcap_ring {

std::optional<SystemClock> ReadSystemClock() {
  timex clock = {};  // no mode is set: it only tells
  const int state = adjtimex(&clock);
  if (state < 0) return std::nullopt;
  return SystemClock{state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0, clock.maxerror};
}

}  // namespace pcap_ring
