// The order of the kernel's blocks, played by hand: which is next, which are held, and when the kernel has none left.
#include "source/block_ring.h"

#include <deque>
#include <random>
#include <vector>

#include "test/check.h"

namespace pcap_ring {
namespace {

constexpr size_t kBlocks = 8;

// The kernel's side: fills one block after the other, and drops while the one that it wants to fill is not its own.
struct Kernel {
  std::vector<uint8_t> memory = std::vector<uint8_t>(kBlocks * BlockRing::kBlockSize);
  BlockRing ring;
  size_t fills = 0;

  Kernel() { ring.AttachTo(memory.data(), kBlocks); }

  tpacket_block_desc* At(size_t number) {
    return reinterpret_cast<tpacket_block_desc*>(memory.data() + number * BlockRing::kBlockSize);
  }
  // False: a drop.
  bool Fill() {
    tpacket_block_desc* const block = At(fills % kBlocks);
    if (BlockRing::Taken(block)) return false;
    block->hdr.bh1.seq_num = fills++;
    block->hdr.bh1.block_status = TP_STATUS_USER;
    return true;
  }
};

TEST(blocks_come_in_order_and_go_in_order) {
  Kernel kernel;
  BlockRing& ring = kernel.ring;
  CHECK(ring.attached());
  CHECK(ring.Ready() == nullptr);
  CHECK(kernel.Fill() && kernel.Fill() && kernel.Fill());
  CHECK(ring.Ready() == kernel.At(0));
  ring.Hold();
  ring.Hold();
  CHECK(ring.held() == 2);
  CHECK(ring.Ready() == kernel.At(2));
  CHECK(ring.Held() == kernel.At(0));
  ring.GiveBack();
  CHECK(!BlockRing::Taken(kernel.At(0)));
  CHECK(BlockRing::Taken(kernel.At(1)));
  CHECK(ring.Held() == kernel.At(1));
  ring.Detach();
  CHECK(!ring.attached());
  CHECK(ring.held() == 0);
}

TEST(a_block_that_is_held_is_not_handed_out_again) {
  Kernel kernel;
  while (kernel.Fill()) {
  }
  for (size_t i = 0; i < kBlocks; ++i) kernel.ring.Hold();
  CHECK(kernel.ring.Ready() == nullptr);
  CHECK(kernel.ring.Held() == kernel.At(0));
}

// Against a queue, at any fill.
TEST(it_is_known_when_the_kernel_has_no_block_left) {
  std::mt19937 random(20261127);
  Kernel kernel;
  BlockRing& ring = kernel.ring;
  std::deque<uint32_t> taken;  // by their numbers: held, then handed over
  uint32_t fills = 0;
  size_t held = 0;
  bool was_full = false;
  for (int i = 0; i < 100'000; ++i) {
    const auto what = random() % 3;
    if (what == 0) {
      const bool filled = kernel.Fill();
      CHECK(filled == (taken.size() < kBlocks));
      if (filled) taken.push_back(fills++);
    } else if (what == 1 && ring.Ready() != nullptr) {
      CHECK(ring.Ready()->hdr.bh1.seq_num == taken[held]);
      ring.Hold();
      ++held;
    } else if (what == 2 && held > 0) {
      was_full = ring.Full();
      CHECK(ring.Held()->hdr.bh1.seq_num == taken.front());
      ring.GiveBack();
      taken.pop_front();
      --held;
      CHECK(ring.WasFull() == was_full);
    }
    CHECK(ring.held() == held);
    CHECK(ring.Full() == (taken.size() == kBlocks));
    CHECK((ring.Ready() != nullptr) == (taken.size() > held));
    if (testing::Failures() > 0) return;
  }
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
