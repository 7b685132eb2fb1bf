#include "output/record_format.h"

#include "output/pcap_format.h"
#include "output/pcapng_format.h"

namespace pcap_ring {

const char* FormatName(FileFormat format) { return format == FileFormat::kPcapng ? "pcapng" : "pcap"; }

std::unique_ptr<RecordFormat> MakeRecordFormat(FileFormat format, FileHead head) {
  if (format == FileFormat::kPcapng) return std::make_unique<PcapngFormat>(std::move(head));
  return std::make_unique<PcapFormat>(head);
}

}  // namespace pcap_ring
