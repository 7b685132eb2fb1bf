#include "base/time.h"

#include <time.h>

#include <chrono>
#include <cstdio>

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
  int64_t sec = ns / kNsPerSec;
  int64_t fraction = ns % kNsPerSec;
  if (fraction < 0) {
    fraction += kNsPerSec;
    --sec;
  }
  // From whole seconds: the start of the day of INT64_MIN does not fit nanoseconds.
  const std::chrono::sys_seconds time{std::chrono::seconds{sec}};
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{midnight};
  const std::chrono::hh_mm_ss clock{time - midnight};

  const bool nano = precision == Precision::kNano;
  char text[64];
  // NOLINTNEXTLINE(cert-err33-c): the year of any int64_t of nanoseconds has four digits.
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%0*dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), nano ? 9 : 6,
                static_cast<int>(nano ? fraction : fraction / 1'000));
  return text;
}

}  // namespace pcap_ring
