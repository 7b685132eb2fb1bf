#pragma once

#include <cerrno>
#include <string>
#include <utility>

namespace pcap_ring {

// The outcomes that the host can tell apart; each is one `ERR_PCAP_*` code of the public contract.
enum class Code {
  kOk,
  kPermission,
  kNoSuchDevice,
  kDeviceDown,
  kDeviceGone,
  kBadFilter,
  kBadFile,
  kFileExists,
  kWrite,
  kNoSpace,
  kClosed,
  kKernel,
};

// "ERR_PCAP_PERMISSION" and so on; "" for kOk.
const char* CodeName(Code code);

// What a room returns instead of throwing: a code, what happened where and what to do, and the errno and system call
// behind it where there is one (0 and nullptr otherwise).
struct Status {
  Code code = Code::kOk;
  std::string message;
  int error_number = 0;
  const char* syscall = nullptr;

  bool ok() const { return code == Code::kOk; }

  static Status Ok() { return {}; }
  static Status Error(Code code, std::string message) { return {code, std::move(message), 0, nullptr}; }
  // Appends ": <strerror(error_number)>" to the message.
  static Status Errno(Code code, std::string message, const char* syscall, int error_number = errno);
};

}  // namespace pcap_ring
