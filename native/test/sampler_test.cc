#include "source/sampler.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <iterator>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "test/check.h"

namespace pcap_ring {
namespace {

// Sockets that anybody may have and that run the same programs as a packet socket.
class Pair {
 public:
  Pair() {
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    from_.Reset(fds[0]);
    to_.Reset(fds[1]);
  }
  int receiver() const { return to_.get(); }
  void SetProgram(const std::vector<sock_filter>& program) {
    const sock_fprog attached = {static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
    CHECK(setsockopt(to_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) == 0);
  }
  // How many of so many messages that begin with `first` come through.
  int Passing(int count, char first = 'a') {
    int passed = 0;
    char message[16] = {first};
    for (int i = 0; i < count; ++i) {
      CHECK(send(from_.get(), message, sizeof message, 0) == sizeof message);
      char received[16];
      passed += recv(to_.get(), received, sizeof received, 0) > 0;
    }
    return passed;
  }

 private:
  UniqueFd from_;
  UniqueFd to_;
};

// Messages that begin with 'a'.
const std::vector<sock_filter> kOnlyA = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'a', 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 2048),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

bool IsShare(int passed, int of, uint32_t n) {
  const double expected = static_cast<double>(of) / n;
  return std::abs(passed - expected) < 6 * std::sqrt(expected);
}

TEST(the_kernel_keeps_one_of_n_of_what_the_program_accepts) {
  constexpr int kMessages = 40'000;
  for (const uint32_t n : {2u, 16u, 256u, 4096u}) {
    Pair pair;
    pair.SetProgram(KeepOneOf(n, kOnlyA));
    const int passed = pair.Passing(kMessages);
    CHECK(IsShare(passed, kMessages, n));
    CHECK_EQ(pair.Passing(1'000, 'b'), 0);
  }
}

TEST(what_is_kept_is_exchanged_and_set_back) {
  Pair pair;
  pair.SetProgram(kOnlyA);
  Sampler sampler;
  CHECK(!sampler.Keep(4));  // there is no socket yet
  sampler.Attach(pair.receiver());
  CHECK_EQ(pair.Passing(1'000), 1'000);
  CHECK(sampler.Keep(16));
  CHECK(IsShare(pair.Passing(20'000), 20'000, 16));
  CHECK_EQ(pair.Passing(1'000, 'b'), 0);
  CHECK(sampler.Keep(2));
  CHECK(IsShare(pair.Passing(20'000), 20'000, 2));
  CHECK(sampler.Keep(1));
  CHECK_EQ(pair.Passing(1'000), 1'000);
  CHECK_EQ(pair.Passing(1'000, 'b'), 0);
  sampler.Detach();
  CHECK(!sampler.Keep(16));
  CHECK_EQ(pair.Passing(1'000), 1'000);
}

TEST(whoever_asks_for_all_has_it_until_that_was_seen) {
  Pair pair;
  pair.SetProgram(kOnlyA);
  Sampler sampler;
  sampler.Attach(pair.receiver());
  CHECK(sampler.Keep(256));
  CHECK(sampler.KeepAll());
  CHECK_EQ(pair.Passing(1'000), 1'000);
  CHECK(sampler.KeepAll());
  CHECK(!sampler.Keep(256));
  CHECK(sampler.Keep(1));
  sampler.Seen();
  CHECK(!sampler.Keep(256));
  sampler.Seen();
  CHECK(sampler.Keep(256));
  CHECK(IsShare(pair.Passing(40'000), 40'000, 256));
}

TEST(a_socket_without_a_program_keeps_all) {
  Pair pair;
  Sampler sampler;
  sampler.Attach(pair.receiver());
  CHECK(!sampler.Keep(16));
  CHECK(sampler.KeepAll());
  sampler.Seen();
  CHECK_EQ(pair.Passing(1'000), 1'000);
}

// What ThreadSanitizer looks at.
TEST(callers_and_the_capture_thread_meet) {
  Pair pair;
  pair.SetProgram(kOnlyA);
  Sampler sampler;
  sampler.Attach(pair.receiver());
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&] {
      for (int turn = 0; turn < 500; ++turn) {
        CHECK(sampler.KeepAll());
        sampler.Seen();
      }
    });
  }
  for (int turn = 0; turn < 500; ++turn) sampler.Keep(turn % 2 == 0 ? 16 : 1);
  for (std::thread& caller : callers) caller.join();
  CHECK(sampler.Keep(1));
  CHECK_EQ(pair.Passing(1'000), 1'000);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
