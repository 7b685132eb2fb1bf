#include "incident/report.h"

#include "test/check.h"

namespace pcap_ring {
namespace {

constexpr int64_t kT = 1'700'000'000 * kNsPerSec;  // 2023-11-14T22:13:20Z

// The `coverage` of a report as text; `packets` from T + 1 s on, a second apart.
std::string Coverage(int packets, const TapSummary& summary) {
  Tally tally;
  for (int i = 1; i <= packets; ++i) tally.Add(Section::kAttack, kT + i * kNsPerSec, 100);
  const std::string json = ReportJson("", {}, Precision::kMicro, Mode::kCapture, kT, {}, tally, summary, FileOutcome());
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

// What the file cannot tell apart is not told apart.
TEST(times_are_those_of_the_file) {
  for (const Precision precision : {Precision::kMicro, Precision::kNano}) {
    Tally tally(kT + 10'500, precision);
    for (const int64_t ns : {9'100, 10'400, 10'300, 10'900}) tally.Add(Section::kPreBuffer, kT + ns, 100);
    const bool nano = precision == Precision::kNano;
    CHECK_EQ(tally.before_onset(), nano ? 3u : 1u);
    CHECK_EQ(tally.before_onset_ns(), nano ? 1'400 : 1'000);
    CHECK_EQ(tally.back_steps(), nano ? 1u : 0u);
    CHECK_EQ(tally.from_ns(), kT + (nano ? 9'100 : 9'000));
  }
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
