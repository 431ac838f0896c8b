#include "ops/turned_weights.h"

#include <algorithm>

namespace pcx {

template <class T>
void turn_weights(const Correlation& p, const Chunks& chunks, const T* packed, T* to) {
  const auto& [deep, high, wide] = p.axis;
  const index out = p.out_channels;
  for (index g = 0; g < p.groups; ++g) {
    for (index c0 = 0; c0 < p.in_channels; c0 += chunks.channels) {
      const index channels = std::min(chunks.channels, p.in_channels - c0), slice = high.taps * wide.taps * channels;
      for (index d = 0; d < deep.taps; ++d, packed += slice * out) {
        for (index h = 0; h < high.taps; ++h) {
          for (index c = 0; c < channels; ++c) {
            for (index w = 0; w < wide.taps; ++w, to += out)
              std::copy_n(packed + ((w * channels + c) * high.taps + h) * out, out, to);
          }
        }
      }
    }
  }
}

template void turn_weights(const Correlation&, const Chunks&, const float*, float*);
template void turn_weights(const Correlation&, const Chunks&, const double*, double*);

}  // namespace pcx
