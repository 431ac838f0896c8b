// When results are stored past the caches (Kernels::stream_rows): where they are larger than half of a common
// last-level cache, they have left it before anybody reads them, and an ordinary store first reads the line that it
// overwrites. It took depthwise convolution of 20 MB half of its time; at 5 MB it would take a fifth more. Processors
// with AVX-512 fetch those lines ahead: past the caches the same took up to 1.5 times as long.
#pragma once
#include "isa/dispatch.h"

namespace pcx {

template <class T>
bool leave_caches(index results) {
  constexpr index most_bytes = 16 << 20;
  return !kernels<T>().wide() && results * static_cast<index>(sizeof(T)) > most_bytes;
}

}  // namespace pcx
