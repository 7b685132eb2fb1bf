#include "source/sampler.h"

#include <sys/socket.h>

#include <iterator>

namespace pcap_ring {

std::vector<sock_filter> KeepOneOf(uint32_t n, const std::vector<sock_filter>& program) {
  const sock_filter draw[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, n - 1),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  std::vector<sock_filter> composed(std::begin(draw), std::end(draw));
  composed.insert(composed.end(), program.begin(), program.end());
  return composed;
}

void Sampler::Attach(int socket) {
  const std::lock_guard lock(mutex_);
  socket_ = -1;
  n_ = 1;
  // What the kernel really runs, which libpcap adapts to the device.
  program_.resize(BPF_MAXINSNS);
  auto size = static_cast<socklen_t>(program_.size());  // in instructions
  if (getsockopt(socket, SOL_SOCKET, SO_GET_FILTER, program_.data(), &size) != 0) size = 0;
  program_.resize(size);
  program_.shrink_to_fit();
  if (size > 0 && KeepOneOf(1, program_).size() <= BPF_MAXINSNS) socket_ = socket;
}

void Sampler::Detach() {
  const std::lock_guard lock(mutex_);
  socket_ = -1;
  n_ = 1;
}

// The kernel exchanges programs at once: each packet passes the old one or the new one.
bool Sampler::SetProgram(uint32_t n) {
  if (n == n_) return true;
  if (socket_ < 0) return false;
  std::vector<sock_filter> sampled;
  if (n > 1) sampled = KeepOneOf(n, program_);
  std::vector<sock_filter>& program = n > 1 ? sampled : program_;
  const sock_fprog attached = {static_cast<unsigned short>(program.size()), program.data()};
  Logged& exchange = Log(n);
  const bool done = setsockopt(socket_, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) == 0;
  if (!done) exchange.one_of.store(n_, std::memory_order_relaxed);  // as it was
  exchange.end_ns.store(RealtimeNs(), std::memory_order_release);
  // It may have been taken for one already.
  if (!done) Log(n_).end_ns.store(RealtimeNs(), std::memory_order_release);
  if (done) n_ = n;
  return done;
}

Sampler::Logged& Sampler::Log(uint32_t n) {
  const uint32_t number = exchanges_.load(std::memory_order_relaxed);
  Logged& exchange = log_[number % log_.size()];
  exchange.one_of.store(n, std::memory_order_relaxed);
  exchange.begin_ns.store(RealtimeNs(), std::memory_order_relaxed);
  exchange.end_ns.store(kNever, std::memory_order_relaxed);
  exchanges_.store(number + 1, std::memory_order_release);
  return exchange;
}

Sampler::Exchange Sampler::exchange(uint32_t number) const {
  const Logged& exchange = log_[number % log_.size()];
  return {exchange.one_of.load(std::memory_order_relaxed), exchange.begin_ns.load(std::memory_order_relaxed),
          exchange.end_ns.load(std::memory_order_acquire)};
}

bool Sampler::Keep(uint32_t n) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || (n > 1 && not_seen_.load(std::memory_order_relaxed) > 0)) return false;
  return SetProgram(n);
}

bool Sampler::KeepAll() {
  const std::lock_guard lock(mutex_);
  if (!SetProgram(1)) return false;
  not_seen_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Sampler::Seen() { not_seen_.fetch_sub(1, std::memory_order_relaxed); }

}  // namespace pcap_ring
