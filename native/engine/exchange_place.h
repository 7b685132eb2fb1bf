#pragma once

#include <cstdint>
#include <span>

namespace pcap_ring {

// Packets passed one filter program, and from some moment within a call on another one, which keeps `ratio` times as many.
struct ExchangeOfPrograms {
  int64_t begin_ns = 0;  // of the call
  int64_t end_ns = 0;  // kNever: it has not returned, and may not have come to the exchange
  double ratio = 1;
};

// The kernel does not say when within the call it was, and who made the call may be held up in it for long. The packets say:
// they come `ratio` times as close behind it. The most likely moment if they come at random (a Poisson process with one
// change of its rate, the prior even over the call); of those that are nearly as likely the one that takes fewer packets for
// kept whole, where they are.
//
// `stamps` are those of packets in the order in which they passed, around the call or of a part of it; `before` is what came
// right before them. Returns the stamp of the first packet behind the exchange, as the first that is stamped so late; `end_ns`
// where it is not among these.
struct CameBefore {
  int64_t last_ns = 0;  // the last packet's stamp
  uint64_t packets = 0;
  int64_t span_ns = 0;  // so many in this time
};
int64_t PlaceOfExchange(const ExchangeOfPrograms& exchange, std::span<const int64_t> stamps, const CameBefore& before);

}  // namespace pcap_ring
