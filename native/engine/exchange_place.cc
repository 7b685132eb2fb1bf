#include "engine/exchange_place.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/time.h"

namespace pcap_ring {
namespace {

// Packets that are looked at before and behind the call, to know the rates by.
constexpr size_t kAround = 64;
// How many times less likely a moment may be that is preferred: the natural logarithm.
constexpr double kNearlyAsLikely = 5;

struct Moment {
  int64_t place_ns;
  double score;
};

}  // namespace

int64_t PlaceOfExchange(const ExchangeOfPrograms& exchange, std::span<const int64_t> stamps, const CameBefore& before) {
  const auto [begin_ns, end_ns, ratio] = exchange;
  const auto first_from = [&](int64_t time_ns) {
    const auto at = std::find_if(stamps.begin(), stamps.end(), [&](int64_t stamp) { return stamp >= time_ns; });
    return static_cast<size_t>(at - stamps.begin());
  };
  const size_t begin = first_from(begin_ns);
  const size_t end = first_from(end_ns);
  if (begin >= end || ratio == 1) return end_ns;
  const size_t first = begin - std::min(begin, kAround);
  const auto seen = stamps.subspan(first, std::min(stamps.size(), end + kAround) - first);
  const int64_t from_ns = std::min(first > 0 ? stamps[first - 1] : before.last_ns, seen.front());
  // Of what came before these, as many as are looked at.
  const double weight = first > 0 || before.packets == 0
                            ? 0
                            : std::min(1.0, static_cast<double>(kAround - begin) / static_cast<double>(before.packets));
  const double earlier_ns = 1 + weight * static_cast<double>(std::max<int64_t>(0, before.span_ns));
  const double count = static_cast<double>(seen.size()) + weight * static_cast<double>(before.packets);
  const int64_t to_ns = *std::max_element(seen.begin(), seen.end());
  const int64_t call_end_ns = std::min(end_ns, to_ns);

  // Between two packets, with so many behind it: the likelihood's logarithm, integrated from one to the other.
  const auto score = [&](size_t behind, int64_t earliest_ns, int64_t latest_ns) {
    const int64_t edge_ns = ratio > 1 ? latest_ns : earliest_ns;  // where it is the most likely
    const double exposure = earlier_ns + static_cast<double>(edge_ns - from_ns) +
                            ratio * static_cast<double>(to_ns - edge_ns);
    const double width = exposure / (count * std::abs(ratio - 1));
    const double room = -std::expm1(-static_cast<double>(latest_ns - earliest_ns) / width) * width;
    return static_cast<double>(behind) * std::log(ratio) - count * std::log(exposure) +
           std::log((1 + room) / static_cast<double>(1 + call_end_ns - begin_ns));
  };
  std::vector<Moment> moments;  // ascending
  int64_t before_ns = std::max(from_ns, begin_ns);
  for (size_t i = begin; i < end; ++i) {
    // Stamps may be a little out of order, and by them the place is found again: it is at one later than all before it.
    if (stamps[i] < before_ns) continue;
    moments.push_back({stamps[i], score(first + seen.size() - i, before_ns, stamps[i])});
    before_ns = stamps[i] + 1;
  }
  if (end < stamps.size()) {
    moments.push_back({end_ns, score(first + seen.size() - end, before_ns, std::max(before_ns, end_ns))});
  } else {
    // Not all of the call is to be seen here: it is behind these as likely as among them.
    moments.push_back({end_ns, -count * std::log(earlier_ns + static_cast<double>(to_ns - from_ns))});
  }
  double least = -HUGE_VAL;
  for (const Moment& moment : moments) least = std::max(least, moment.score - kNearlyAsLikely);
  // More of the call is still to be seen.
  if (end == stamps.size() && moments.back().score >= least) return end_ns;
  const auto likely = [&](const Moment& moment) { return moment.score >= least; };
  return ratio > 1 ? std::find_if(moments.rbegin(), moments.rend(), likely)->place_ns
                   : std::find_if(moments.begin(), moments.end(), likely)->place_ns;
}

}  // namespace pcap_ring
