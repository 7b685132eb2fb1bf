#include "ring/slab_pool.h"

#include <sys/mman.h>

namespace pcap_ring {

SlabPool::SlabPool(size_t own_slabs, size_t lent_slabs) {
  own_.count = own_slabs;
  lent_.count = lent_slabs;
  Map(&own_, false);
}

SlabPool::~SlabPool() {
  Unmap(&own_);
  Unmap(&lent_);
}

// Pages are touched, and so cost memory, only as packets come.
bool SlabPool::Map(Part* part, bool lent) {
  // cppcheck-suppress invalidFunctionArg ; -1: no file
  void* memory = mmap(nullptr, part->count * Slab::kSize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  part->memory = static_cast<uint8_t*>(memory);
  part->slabs = std::make_unique<Slab[]>(part->count);
  part->free = nullptr;
  part->in_use = 0;
  for (size_t i = part->count; i-- > 0;) {
    Slab& slab = part->slabs[i];
    slab.bytes = part->memory + i * Slab::kSize;
    slab.lent = lent;
    slab.link = part->free;
    part->free = &slab;
  }
  return true;
}

void SlabPool::Unmap(Part* part) {
  if (part->memory == nullptr) return;
  munmap(part->memory, part->count * Slab::kSize);
  part->memory = nullptr;
  part->slabs.reset();
  part->free = nullptr;
}

bool SlabPool::Borrow() {
  lending_ = true;
  return lent_.memory != nullptr || Map(&lent_, true);
}

void SlabPool::GiveBack() {
  lending_ = false;
  if (lent_.memory == nullptr) return;
  if (lent_.in_use == 0) {
    madvise(lent_.memory, lent_.count * Slab::kSize, MADV_DONTNEED);
    return;
  }
  for (Slab* slab = lent_.free; slab != nullptr; slab = slab->link) madvise(slab->bytes, Slab::kSize, MADV_DONTNEED);
}

Slab* SlabPool::TakeFrom(Part* part) {
  Slab* slab = part->free;
  if (slab == nullptr) return nullptr;
  part->free = slab->link;
  ++part->in_use;
  slab->link = nullptr;
  slab->next = nullptr;
  slab->first_offset = Slab::kSize;
  return slab;
}

Slab* SlabPool::Take() {
  Slab* slab = TakeFrom(&own_);
  if (slab == nullptr && lent_.memory != nullptr) slab = TakeFrom(&lent_);
  return slab;
}

void SlabPool::Free(Slab* slab) {
  Part& part = slab->lent ? lent_ : own_;
  slab->link = part.free;
  part.free = slab;
  --part.in_use;
  if (slab->lent && !lending_) madvise(slab->bytes, Slab::kSize, MADV_DONTNEED);
}

}  // namespace pcap_ring
