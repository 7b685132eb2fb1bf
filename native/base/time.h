#pragma once

#include <cstdint>
#include <string>

namespace pcap_ring {

// Times are nanoseconds since the Unix epoch, durations nanoseconds, both signed 64 bit (good until the year 2262).
inline constexpr int64_t kNsPerSec = 1'000'000'000;
inline constexpr int64_t kNsPerMs = 1'000'000;
inline constexpr int64_t kNever = INT64_MAX;

enum class Precision { kMicro, kNano };

int64_t RealtimeNs();   // CLOCK_REALTIME, the clock of the kernel's packet timestamps
int64_t MonotonicNs();  // CLOCK_MONOTONIC
int64_t ThreadCpuNs();  // CLOCK_THREAD_CPUTIME_ID

// ISO 8601 UTC, "2026-11-22T08:00:00.123456Z": exactly 6 fractional digits, 9 with kNano. Cuts, never rounds.
std::string FormatTime(int64_t ns, Precision precision);
// The time that FormatTime shows and a file of this precision holds.
int64_t CutTime(int64_t ns, Precision precision);

}  // namespace pcap_ring
