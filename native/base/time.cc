#include "base/time.h"

#include <time.h>

#include <cstdio>
#include <ctime>

namespace pcap_ring {
namespace {

int64_t ClockNs(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return now.tv_sec * kNsPerSec + now.tv_nsec;
}

}  // namespace

int64_t RealtimeNs() { return ClockNs(CLOCK_REALTIME); }
int64_t MonotonicNs() { return ClockNs(CLOCK_MONOTONIC); }
int64_t ThreadCpuNs() { return ClockNs(CLOCK_THREAD_CPUTIME_ID); }

int64_t CutTime(int64_t ns, Precision precision) {
  if (precision == Precision::kNano) return ns;
  const int64_t rest = ns % 1'000;
  return ns - (rest < 0 ? rest + 1'000 : rest);
}

std::string FormatTime(int64_t ns, Precision precision) {
  time_t sec = ns / kNsPerSec;
  int64_t fraction = ns % kNsPerSec;
  if (fraction < 0) {
    fraction += kNsPerSec;
    --sec;
  }
  // Not by <chrono>, which has no calendar in the libstdc++ of gcc 10.
  std::tm utc{};
  ::gmtime_r(&sec, &utc);

  const bool nano = precision == Precision::kNano;
  char text[64];
  // NOLINTNEXTLINE(cert-err33-c): the year of any int64_t of nanoseconds has four digits.
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%0*dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, nano ? 9 : 6,
                static_cast<int>(nano ? fraction : fraction / 1'000));
  return text;
}

}  // namespace pcap_ring
