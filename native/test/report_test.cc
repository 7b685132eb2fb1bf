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
      ReportJson("", {}, Precision::kMicro, Mode::kCapture, kT, tally, summary, FileOutcome());
  const size_t begin = json.find("\"complete\":");
  const size_t end = json.find(",\"clock\":", begin);
  CHECK(begin != std::string::npos && end != std::string::npos);
  return json.substr(begin, end - begin);
}

TEST(nothing_missing) { CHECK_EQ(Coverage(2, {}), std::string("\"complete\":true,\"gaps\":[]")); }

TEST(counted_losses_are_gaps) {
  TapSummary summary;
  summary.kernel_loss = 3;
  summary.interface_loss = 4;
  summary.writer_loss = 5;
  CHECK_EQ(Coverage(2, summary),
           std::string("\"complete\":false,\"gaps\":["
                       "{\"from\":\"2023-11-14T22:13:21.000000Z\",\"to\":\"2023-11-14T22:13:22.000000Z\",\"packets\":7,"
                       "\"exact\":true,\"reason\":\"kernel\"},"
                       "{\"from\":\"2023-11-14T22:13:21.000000Z\",\"to\":\"2023-11-14T22:13:22.000000Z\",\"packets\":5,"
                       "\"exact\":true,\"reason\":\"ring\"}]"));
}

// Nobody counted what was overwritten between T and the first packet.
TEST(a_ring_that_rolled_over_t_is_a_gap_of_unknown_size) {
  TapSummary summary;
  summary.overrun = true;
  summary.resolved_ns = kT + 9 * kNsPerSec;
  CHECK_EQ(Coverage(2, summary),
           std::string("\"complete\":false,\"gaps\":["
                       "{\"from\":\"2023-11-14T22:13:20.000000Z\",\"to\":\"2023-11-14T22:13:21.000000Z\","
                       "\"packets\":null,\"exact\":false,\"reason\":\"ring\"}]"));
  CHECK_EQ(Coverage(0, summary),
           std::string("\"complete\":false,\"gaps\":["
                       "{\"from\":\"2023-11-14T22:13:20.000000Z\",\"to\":\"2023-11-14T22:13:29.000000Z\","
                       "\"packets\":null,\"exact\":false,\"reason\":\"ring\"}]"));
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
