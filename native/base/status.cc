#include "base/status.h"

#include <string.h>

namespace pcap_ring {
namespace {

// glibc's strerror_r returns the text, that of POSIX puts it into `buffer`.
[[maybe_unused]] const char* Described(const char* text, const char*) { return text; }
[[maybe_unused]] const char* Described(int, const char* buffer) { return buffer; }

}  // namespace

const char* CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "";
    case Code::kPermission:
      return "ERR_PCAP_PERMISSION";
    case Code::kNoSuchDevice:
      return "ERR_PCAP_NO_SUCH_DEVICE";
    case Code::kDeviceDown:
      return "ERR_PCAP_DEVICE_DOWN";
    case Code::kDeviceGone:
      return "ERR_PCAP_DEVICE_GONE";
    case Code::kBadFilter:
      return "ERR_PCAP_BAD_FILTER";
    case Code::kBadFile:
      return "ERR_PCAP_BAD_FILE";
    case Code::kFileExists:
      return "ERR_PCAP_FILE_EXISTS";
    case Code::kWrite:
      return "ERR_PCAP_WRITE";
    case Code::kNoSpace:
      return "ERR_PCAP_NO_SPACE";
    case Code::kClosed:
      return "ERR_PCAP_CLOSED";
    case Code::kKernel:
      return "ERR_PCAP_KERNEL";
  }
  return "";
}

Status Status::Errno(Code code, std::string message, const char* syscall, int error_number) {
  char text[128] = "";
  message += ": ";
  message += Described(strerror_r(error_number, text, sizeof text), text);
  return {code, std::move(message), error_number, syscall};
}

}  // namespace pcap_ring
