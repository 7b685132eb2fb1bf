#include "incident/report.h"

#include "test/check.h"

namespace pcap_ring {
namespace {

constexpr int64_t kT = 1'700'000'000 * kNsPerSec;  // 2023-11-14T22:13:20Z

// The `coverage` of a report as text; `packets` from T + 1 s on, a second apart.
std::string Coverage(int packets, const TapSummary& summary) {
  Tally tally;
  for (int i = 1; i <= packets; ++i) tally.Add(Section::kAttack, kT + i * kNsPerSec, 100);
  const std::string json =
      ReportJson("", {}, Precision::kMicro, Mode::kCapture, kT, {}, tally, summary, FileOutcome());
  const size_t begin = json.find("\"complete\":");
  const size_t end = json.find(",\"clock\":", begin);
  CHECK(begin != std::string::npos && end != std::string::npos);
  return json.substr(begin, end - begin);
}

TEST(nothing_missing) { CHECK_EQ(Coverage(2, {}), std::string("\"complete\":true,\"gaps\":[]")); }

TEST(gaps_as_they_were_seen) {
  TapSummary summary;
  summary.gaps = {{kT, kT + kNsPerSec, 0, false, false, GapReason::kRing},
                  {kT + kNsPerSec, kT + 2 * kNsPerSec, 7, true, true, GapReason::kKernel}};
  CHECK_EQ(Coverage(2, summary),
           std::string("\"complete\":false,\"gaps\":["
                       "{\"from\":\"2023-11-14T22:13:20.000000Z\",\"to\":\"2023-11-14T22:13:21.000000Z\","
                       "\"packets\":null,\"exact\":false,\"reason\":\"ring\"},"
                       "{\"from\":\"2023-11-14T22:13:21.000000Z\",\"to\":\"2023-11-14T22:13:22.000000Z\","
                       "\"packets\":7,\"exact\":true,\"reason\":\"kernel\"}]"));
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
