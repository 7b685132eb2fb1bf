// The draw in front of a program, any program that the kernel takes and any expression that libpcap does: the kernel takes both
// together, and what passes passes as without the draw, cut to the same length.

#include <fuzzer/FuzzedDataProvider.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "base/fd.h"
#include "fuzz/fuzz.h"
#include "source/filter.h"
#include "source/sampler.h"

namespace pcap_ring {
namespace {

using Program = std::vector<sock_filter>;

constexpr uint32_t kLinkTypes[] = {0, 1, 9, 12, 101, 104, 105, 113, 127, 228, 276};
constexpr size_t kPacket = 2048;

// A socket that runs the same programs as a packet socket.
class Socket {
 public:
  Socket() {
    int fds[2];
    MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    from_.Reset(fds[0]);
    to_.Reset(fds[1]);
  }
  int receiver() const { return to_.get(); }
  bool Attach(Program program) {
    const sock_fprog attached = {static_cast<unsigned short>(program.size()), program.data()};
    return setsockopt(to_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) == 0;
  }
  // What comes of a packet: its length, or -1.
  ssize_t Pass(const std::vector<uint8_t>& packet) {
    MUST(send(from_.get(), packet.data(), packet.size(), 0) == static_cast<ssize_t>(packet.size()));
    char received[kPacket];
    const ssize_t size = recv(to_.get(), received, sizeof received, 0);
    MUST(size >= 0 || errno == EAGAIN);
    return size;
  }

 private:
  UniqueFd from_;
  UniqueFd to_;
};

Program Compiled(FuzzedDataProvider* input) {
  const PcapHandle dead = OpenDead(input->PickValueInArray(kLinkTypes), 2048);
  BpfProgram program;
  const std::string expression = input->ConsumeRandomLengthString(200);
  if (dead == nullptr || expression.find('\0') != std::string::npos) return {};
  if (const Status status = program.Compile(dead.get(), expression); !status.ok()) {
    MUST(status.code == Code::kBadFilter);
    return {};
  }
  Program copied;
  for (u_int i = 0; i < program.get()->bf_len; ++i) {
    const bpf_insn& from = program.get()->bf_insns[i];
    copied.push_back({from.code, from.jt, from.jf, from.k});
  }
  return copied;
}

Program MadeUp(FuzzedDataProvider* input) {
  constexpr uint16_t kCodes[] = {
      BPF_LD | BPF_W | BPF_ABS,
      BPF_LD | BPF_H | BPF_ABS,
      BPF_LD | BPF_B | BPF_ABS,
      BPF_LD | BPF_W | BPF_IND,
      BPF_LD | BPF_W | BPF_LEN,
      BPF_LD | BPF_IMM,
      BPF_LD | BPF_MEM,
      BPF_LDX | BPF_IMM,
      BPF_LDX | BPF_MEM,
      BPF_LDX | BPF_B | BPF_MSH,
      BPF_ST,
      BPF_STX,
      BPF_ALU | BPF_ADD | BPF_K,
      BPF_ALU | BPF_AND | BPF_K,
      BPF_ALU | BPF_XOR | BPF_X,
      BPF_ALU | BPF_NEG,
      BPF_ALU | BPF_DIV | BPF_X,
      BPF_JMP | BPF_JA,
      BPF_JMP | BPF_JEQ | BPF_K,
      BPF_JMP | BPF_JGT | BPF_X,
      BPF_JMP | BPF_JSET | BPF_K,
      BPF_MISC | BPF_TAX,
      BPF_MISC | BPF_TXA,
      BPF_RET | BPF_K,
      BPF_RET | BPF_A,
  };
  Program program(input->ConsumeIntegralInRange<size_t>(1, 40));
  for (sock_filter& one : program) {
    one.code = input->ConsumeProbability<float>() < 0.95F ? input->PickValueInArray(kCodes)
                                                          : input->ConsumeIntegral<uint16_t>();
    one.jt = input->ConsumeIntegralInRange<uint8_t>(0, 8);
    one.jf = input->ConsumeIntegralInRange<uint8_t>(0, 8);
    one.k = input->ConsumeBool() ? input->ConsumeIntegralInRange<uint32_t>(0, 64) : input->ConsumeIntegral<uint32_t>();
    // Where the kernel keeps what is no packet's: the time, a random number.
    if (one.k >= static_cast<uint32_t>(SKF_LL_OFF)) one.k = 0;
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, 96));
  return program;
}

}  // namespace
}  // namespace pcap_ring

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pcap_ring;
  FuzzedDataProvider input(data, size);
  const uint32_t n = 1U << input.ConsumeIntegralInRange<uint32_t>(1, 12);
  const Program program = input.ConsumeBool() ? Compiled(&input) : MadeUp(&input);
  if (program.empty()) return 0;
  std::vector<uint8_t> packet = input.ConsumeRemainingBytes<uint8_t>();
  packet.resize(std::min(packet.size(), kPacket));

  static Socket plain;
  static Socket drawn;
  const bool taken = plain.Attach(program);
  MUST(drawn.Attach(KeepOneOf(n, program)) == taken);
  if (!taken) return 0;
  const ssize_t passed = plain.Pass(packet);
  MUST(drawn.Attach(KeepOneOf(1, program)) && drawn.Pass(packet) == passed);

  // As the capture thread does it, with what the kernel says that it runs.
  MUST(drawn.Attach(program));
  Sampler sampler;
  sampler.Attach(drawn.receiver());
  MUST(sampler.Keep(n));
  for (int i = 0; i < 4; ++i) {
    const ssize_t kept = drawn.Pass(packet);
    MUST(kept == passed || kept == -1);
  }
  MUST(sampler.KeepAll() && drawn.Pass(packet) == passed);
  return 0;
}
