// When results are stored past the caches (Kernels::stream_rows): where they are larger than a thread's share of the
// last-level cache, they have left it before anybody reads them, and an ordinary store first reads the line that it
// overwrites. It took depthwise convolution of 20 MB half of its time.
#pragma once
#include "isa/kernel_table.h"

namespace pcx {

constexpr index streamed_bytes = 4 << 20;

}  // namespace pcx
