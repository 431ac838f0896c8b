// Arrays at the edge of memory: the page before or after may not be touched, so a kernel that reads or writes one
// element too far faults at once. The rest of the array's own pages is filled with 0xA5 and compared at the end.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "isa/kernel_table.h"

namespace pcx::check {

enum class Edge { begin, end };  // the side on which the array touches forbidden memory

template <class T>
class Guarded {
 public:
  Guarded(index count, Edge edge) : count_(count) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), bytes = count * sizeof(T);
    inner_ = (bytes + page - 1) / page * page;
    whole_ = inner_ + 2 * page;
    void* block = mmap(nullptr, whole_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
      std::perror("mmap");
      std::exit(2);
    }
    block_ = static_cast<unsigned char*>(block);
    mprotect(block_, page, PROT_NONE);
    mprotect(block_ + page + inner_, page, PROT_NONE);
    pages_ = block_ + page;
    std::memset(pages_, 0xA5, inner_);
    data_ = reinterpret_cast<T*>(edge == Edge::begin ? pages_ : pages_ + inner_ - bytes);
  }
  ~Guarded() { munmap(block_, whole_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() const { return data_; }
  index size() const { return count_; }
  T& operator[](index i) const { return data_[i]; }

  void poison() const {
    for (index i = 0; i < count_; ++i) data_[i] = std::numeric_limits<T>::quiet_NaN();
  }
  // Nobody wrote beside the array.
  bool intact() const {
    const unsigned char* first = reinterpret_cast<const unsigned char*>(data_);
    for (const unsigned char* p = pages_; p < pages_ + inner_; ++p) {
      if (p == first) p += count_ * sizeof(T);
      if (p < pages_ + inner_ && *p != 0xA5) return false;
    }
    return true;
  }

 private:
  index count_;
  std::size_t inner_ = 0, whole_ = 0;
  unsigned char *block_ = nullptr, *pages_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace pcx::check
