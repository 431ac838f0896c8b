// When results are stored past the caches (Kernels::stream_rows): where they are larger than half of a common
// last-level cache, they have left it before anybody reads them, and an ordinary store first reads the line that it
// overwrites. It took depthwise convolution of 20 MB half of its time; at 5 MB it would take a fifth more.
#pragma once
#include "isa/kernel_table.h"

namespace pcx {

constexpr index streamed_bytes = 16 << 20;

}  // namespace pcx
