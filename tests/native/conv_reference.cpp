#include "conv_reference.h"

namespace pcx::check {

void start(Report& report, const ConvShape& s, std::size_t bytes) {
  std::string text = std::to_string(bytes) + " bytes, batch " + std::to_string(s.batch) + ", channels " +
                     std::to_string(s.in_channels) + " to " + std::to_string(s.out_channels) + " in " +
                     std::to_string(s.groups);
  auto axes = [&](const char* name, const Axes& a) {
    text += std::string(", ") + name;
    for (index n : a) text += " " + std::to_string(n);
  };
  axes("in", s.in);
  axes("kernel", s.kernel);
  axes("stride", s.stride);
  axes("dilation", s.dilation);
  axes("before", s.pad_before);
  axes("after", s.pad_after);
  report.start("%s", text.c_str());
}

ConvShape large_shape(index size, index channels, index kernel, index stride) {
  ConvShape s;
  s.batch = 2;
  s.in_channels = channels;
  s.out_channels = channels + 5;
  s.in = {1, size, size + 1};
  s.kernel = {1, kernel, kernel};
  s.stride = {1, stride, stride};
  s.dilation = {1, 1, 1};
  s.pad_before = s.pad_after = {0, kernel / 2, kernel / 2};
  s.finish();
  return s;
}

}  // namespace pcx::check
