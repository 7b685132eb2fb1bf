#include "base/time.h"

#include <time.h>

#include <cstdio>

namespace pcap_ring {
namespace {

int64_t ClockNs(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return now.tv_sec * kNsPerSec + now.tv_nsec;
}

constexpr int64_t kSecPerDay = 86'400;

struct Date {
  int year;
  int month;
  int day;
};

// Of a day since 1970-01-01, in the Gregorian calendar. Not by <chrono>, which has no calendar in the libstdc++ of gcc 10, nor by
// gmtime_r(), which takes a lock, may read /etc/localtime, and counts leap seconds where TZ says so. Years are counted from March on
// here: then a leap day is the last of its year, and the months before it are 153 days for every five.
Date DateOf(int64_t day) {
  constexpr int64_t kDaysPerEra = 146'097;  // 400 years
  constexpr int64_t kDaysBefore1970 = 719'468;  // since 0000-03-01
  const int64_t days = day + kDaysBefore1970;  // what an int64_t of nanoseconds can say is behind it
  const int64_t era = days / kDaysPerEra;
  const int64_t of_era = days % kDaysPerEra;
  const int64_t year = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / (kDaysPerEra - 1)) / 365;
  const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const int64_t month = (5 * of_year + 2) / 153;  // 0: March
  const int64_t of_month = of_year - (153 * month + 2) / 5;
  return {static_cast<int>(400 * era + year + (month >= 10 ? 1 : 0)),
          static_cast<int>(month < 10 ? month + 3 : month - 9), static_cast<int>(of_month + 1)};
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
  const int64_t day = (sec < 0 ? sec - (kSecPerDay - 1) : sec) / kSecPerDay;
  const Date date = DateOf(day);
  const auto clock = static_cast<int>(sec - day * kSecPerDay);

  const bool nano = precision == Precision::kNano;
  char text[64];
  // NOLINTNEXTLINE(cert-err33-c): the year of any int64_t of nanoseconds has four digits.
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%0*dZ", date.year, date.month, date.day,
                clock / 3'600, clock / 60 % 60, clock % 60, nano ? 9 : 6,
                static_cast<int>(nano ? fraction : fraction / 1'000));
  return text;
}

}  // namespace pcap_ring
