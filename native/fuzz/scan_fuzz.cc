// The scan of what a dead writer left, whatever it is: what it takes for whole begins the file, reads whole, and is found whole
// again; and a draft that is sealed says what it said.

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/sha256.h"
#include "fuzz/fuzz.h"
#include "incident/capture_scan.h"
#include "incident/draft.h"
#include "source/recording_reader.h"

namespace pcap_ring {
namespace {

std::string DigestOf(const void* data, size_t size) {
  Sha256 digest;
  digest.Update(data, size);
  return digest.HexDigest();
}

CaptureScan Scan(const uint8_t* data, size_t size, FileFormat format) {
  static const UniqueFd file(memfd_create("scan", MFD_CLOEXEC));
  MUST(ftruncate(file.get(), 0) == 0 && pwrite(file.get(), data, size, 0) == static_cast<ssize_t>(size));
  return ScanCapture(file.get(), format, {.before = {.packets = {0, 2, 1}}}, std::atomic<bool>(false));
}

void CheckScan(const uint8_t* data, size_t size, FileFormat format) {
  const CaptureScan scan = Scan(data, size, format);
  MUST(scan.error.ok() && scan.bytes <= size);
  MUST((scan.bytes > 0) == (scan.traffic != nullptr));
  if (scan.bytes == 0) return;
  MUST(scan.sha256 == DigestOf(data, scan.bytes));
  MUST(scan.traffic->totals().packets == scan.tally.packets());
  MUST(scan.after_freeze.packets == scan.tally.packets() - std::min<uint64_t>(scan.tally.packets(), 3));

  const CaptureScan again = Scan(data, scan.bytes, format);
  MUST(again.bytes == scan.bytes && again.sha256 == scan.sha256 && again.tally.packets() == scan.tally.packets());

  RecordingReader reader;
  MUST(reader.OpenBytes({data, data + scan.bytes}).ok());
  Packet packet;
  uint64_t packets = 0;
  while (reader.Read(&packet) == RecordingReader::Next::kPacket) ++packets;
  MUST(reader.error().ok() && packets == scan.tally.packets());
}

void CheckDraft(const std::string& body) {
  const std::string text = DigestOf(body.data(), body.size()) + "\n" + body;
  MUST(Draft::Begins(text));
  const auto draft = Draft::Decode(text);
  if (!draft) return;
  const auto again = Draft::Decode(draft->Encode());
  MUST(again && again->Encode() == draft->Encode() && again->head == draft->head);
}

}  // namespace
}  // namespace pcap_ring

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pcap_ring;
  CheckScan(data, size, FileFormat::kPcap);
  CheckScan(data, size, FileFormat::kPcapng);
  CheckDraft({data, data + size});
  Draft::Decode({data, data + size});
  return 0;
}
