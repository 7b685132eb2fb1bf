#pragma once

#include "engine/loss_marks.h"
#include "engine/types.h"
#include "traffic/scaled_totals.h"

namespace pcap_ring {

// Turns running totals into intervals. The capture thread's.
class StatsKeeper {
 public:
  // Ends the interval that began at the last call, or at Begin.
  StatsInterval End(Mode mode, int64_t time_ns, int64_t interval_ns, const ScaledTotals& scaled,
                    const LossMarks::Totals& loss) {
    const TrafficCounters totals = scaled.Now();
    StatsInterval stats;
    stats.mode = mode;
    stats.time_ns = time_ns;
    stats.interval_ns = interval_ns;
    stats.traffic = totals - totals_;
    stats.kernel_loss = loss.kernel - loss_.kernel;
    stats.interface_loss = loss.interface - loss_.interface;
    stats.one_of = scaled.one_of();
    stats.total_packets = totals.packets;
    stats.total_bytes = totals.bytes;
    stats.total_kernel_loss = loss.kernel;
    stats.total_interface_loss = loss.interface;
    totals_ = totals;
    loss_ = loss;
    return stats;
  }
  bool Any(const ScaledTotals& totals) const { return totals.packets() != totals_.packets; }

 private:
  TrafficCounters totals_;
  LossMarks::Totals loss_;
};

}  // namespace pcap_ring
