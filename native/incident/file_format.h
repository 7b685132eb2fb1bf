#pragma once

#include <memory>
#include <string_view>

#include "incident/types.h"

namespace pcap_ring {

// The format of a recording's file, with all in its head that is known of the recording; with as little as the format
// allows where a cap in bytes has no room for that.
std::shared_ptr<const RecordFormat> FormatOf(const RecordingSpec& spec, const RingFacts& facts, uint64_t cap_bytes);
// What the capture thread must know of it.
FileCost CostOf(const RecordFormat& format, TapKind kind);
// The comment of a section's first packet; "": none, as a dump has no sections.
std::string_view CommentOf(Section section, TapKind kind);

}  // namespace pcap_ring
