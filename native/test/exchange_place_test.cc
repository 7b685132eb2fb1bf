#include "engine/exchange_place.h"

#include <algorithm>
#include <random>
#include <span>
#include <vector>

#include "base/time.h"
#include "test/check.h"

namespace pcap_ring {
namespace {

constexpr int64_t kBegin = 1'700'000'000 * kNsPerSec;

struct Flood {
  int64_t apart_ns;  // packets, on the mean
  bool random;
  uint32_t from;  // one of so many is kept before the exchange
  uint32_t to;
};

// What was kept, and how many of it before the exchange.
struct Kept {
  std::vector<int64_t> stamps;
  size_t before = 0;
};

class Kernel {
 public:
  Kept Pass(const Flood& flood, int64_t begin_ns, int64_t exchange_ns, int64_t end_ns) {
    Kept kept;
    Keep(flood, flood.from, begin_ns, exchange_ns, &kept.stamps);
    kept.before = kept.stamps.size();
    Keep(flood, flood.to, exchange_ns, end_ns, &kept.stamps);
    return kept;
  }
  int64_t Below(int64_t limit_ns) { return std::uniform_int_distribution<int64_t>(0, limit_ns - 1)(random_); }

 private:
  void Keep(const Flood& flood, uint32_t one_of, int64_t from_ns, int64_t to_ns, std::vector<int64_t>* stamps) {
    // Called where more than one: of certain success the distribution is not defined.
    const auto left_out = [&] { return std::geometric_distribution<int64_t>(1.0 / one_of)(random_); };
    std::exponential_distribution<double> apart(1.0 / static_cast<double>(flood.apart_ns) / one_of);
    const auto next = [&] {
      return flood.random ? static_cast<int64_t>(apart(random_)) + 1
                          : (one_of == 1 ? 1 : left_out() + 1) * flood.apart_ns;
    };
    // The even ones are where they are, whatever is kept.
    int64_t at_ns = from_ns - (flood.random ? 0 : from_ns % flood.apart_ns);
    for (at_ns += next(); at_ns < to_ns; at_ns += next()) stamps->push_back(at_ns);
  }

  std::mt19937_64 random_{1};
};

// On the mean of the calls: whether a packet that others were left out behind is taken for whole; and how many packets are
// taken to be left out that are there.
struct Wrong {
  double untold = 0;
  double invented = 0;
};

// As the capture thread takes them: blocks of so many packets, each looked at once. Which one the place is at.
size_t PlaceInBlocks(const ExchangeOfPrograms& exchange, const std::vector<int64_t>& stamps, size_t block) {
  CameBefore before = {kBegin, 1, 0};
  for (size_t first = 0; first < stamps.size(); first += block) {
    const std::span<const int64_t> some = std::span(stamps).subspan(first, std::min(block, stamps.size() - first));
    const int64_t place_ns = PlaceOfExchange(exchange, some, before);
    const auto place = std::lower_bound(some.begin(), some.end(), place_ns);
    if (place != some.end()) return first + static_cast<size_t>(place - some.begin());
    before = {some.back(), some.size(), some.back() - before.last_ns};
  }
  return stamps.size();
}

Wrong Place(const Flood& flood, int64_t call_ns, bool returned, size_t block) {
  constexpr int kCalls = 500;
  const int64_t call_begin_ns = kBegin + 100 * flood.apart_ns * flood.from;
  const int64_t call_end_ns = call_begin_ns + call_ns;
  const double ratio = static_cast<double>(flood.from) / flood.to;
  Kernel kernel;
  Wrong wrong;
  for (int i = 0; i < kCalls; ++i) {
    const Kept kept = kernel.Pass(flood, kBegin, call_begin_ns + kernel.Below(call_ns),
                                  call_end_ns + 100 * flood.apart_ns * flood.to);
    const size_t place = PlaceInBlocks({call_begin_ns, returned ? call_end_ns : kNever, ratio}, kept.stamps, block);
    const double late = static_cast<double>(place) - static_cast<double>(kept.before);
    const double whole_taken_for_sampled = flood.to == 1 ? late : -late;
    if (whole_taken_for_sampled < 0) wrong.untold += 1.0 / kCalls;
    wrong.invented += std::max(0.0, whole_taken_for_sampled) * (std::max(flood.from, flood.to) - 1) / kCalls;
  }
  return wrong;
}

TEST(packets_say_when_in_a_call_the_kernel_exchanged_programs) {
  for (const bool random : {false, true}) {
    for (const uint32_t n : {2u, 8u, 64u, 1024u}) {
      for (const int64_t call_ns : {40'000, 1'000'000}) {
        for (const size_t block : {1'000'000, 160, 37}) {
          // Of a small N a block may have too few packets to tell.
          const bool few = block < 1'000 && n < 64;
          for (const bool returned : {true, false}) {
            const Wrong to_all = Place({1'000, random, n, 1}, call_ns, returned, block);
            CHECK(to_all.untold < 0.02);
            CHECK(to_all.invented < (few ? 700 : 200));
          }
          const Wrong to_fewer = Place({1'000, random, 1, n}, call_ns, true, block);
          CHECK(to_fewer.untold < (!few ? 0.02 : n == 2 ? 1 : 0.15));
          CHECK(to_fewer.invented < 200);
        }
      }
    }
  }
}

TEST(where_packets_say_nothing_it_was_at_the_end_of_the_call) {
  const std::vector<int64_t> stamps = {kBegin, kBegin + 10, kBegin + 20};
  CHECK_EQ(PlaceOfExchange({kBegin + 21, kBegin + 40, 8}, stamps, {kBegin - 10, 0, 0}), kBegin + 40);
  CHECK_EQ(PlaceOfExchange({kBegin + 21, kNever, 8}, stamps, {kBegin - 10, 0, 0}), kNever);
  CHECK_EQ(PlaceOfExchange({kBegin + 11, kBegin + 15, 8}, stamps, {kBegin - 10, 0, 0}), kBegin + 15);
  CHECK_EQ(PlaceOfExchange({kBegin, kBegin + 40, 1}, stamps, {kBegin - 10, 0, 0}), kBegin + 40);
  CHECK_EQ(PlaceOfExchange({kBegin, kBegin + 40, 8}, {}, {kBegin - 10, 0, 0}), kBegin + 40);
  // The clock was set back within the call.
  CHECK_EQ(PlaceOfExchange({kBegin + 15, kBegin + 5, 8}, stamps, {kBegin - 10, 0, 0}), kBegin + 5);
}

TEST(a_place_is_found_again_by_its_stamp) {
  // One of 1,024 of a packet a microsecond, and all; each third was stamped on another core.
  std::vector<int64_t> stamps;
  for (int64_t i = 0; i < 64; ++i) stamps.push_back(kBegin + i * 1'024'000);
  const int64_t exchange_ns = stamps.back() + 500'000;
  const size_t before = stamps.size();
  for (int64_t i = 0; i < 300; ++i) stamps.push_back(exchange_ns + i * 1'000 - (i % 3 == 1 ? 2'500 : 0));
  const int64_t place_ns = PlaceOfExchange({stamps[before - 1] + 1, kNever, 1'024}, stamps, {kBegin - 1'024'000, 0, 0});
  const auto place = std::find_if(stamps.begin(), stamps.end(), [&](int64_t at) { return at >= place_ns; });
  CHECK_EQ(static_cast<size_t>(place - stamps.begin()), before);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
