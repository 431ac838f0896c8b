// What each kernel does with its data in the first-level cache: its products as a share of the peak of independent
// multiply-adds. A kernel that stays far below that waits for itself, for loads that it repeats, or for its stores; the
// disassembly tells which. `kernel_times [ISA] [KERNEL]`, built by
//   cmake -S . -B build/check -G Ninja -DPYCONVX_PYTHON=OFF -DPYCONVX_CHECK=ON && ninja -C build/check kernel_times
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "isa/dispatch.h"

extern "C" {
#if defined(__x86_64__)
double avx2_fma(long rounds, volatile float* sink);
double avx512_fma(long rounds, volatile float* sink);
#elif defined(__aarch64__)
double neon_fma(long rounds, volatile float* sink);
#endif
}

namespace {

using pcx::index;

constexpr double sample_seconds = 2e-4;
constexpr int samples = 30;  // the best counts: others use the processor, too
constexpr std::size_t room = 1 << 16;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <class Call>
double seconds_of(Call call) {
  call();
  int calls = 1;
  double best = 1;
  for (int sample = 0; sample < samples; ++sample) {
    const double begin = now();
    for (int i = 0; i < calls; ++i) call();
    const double each = (now() - begin) / calls;
    best = std::min(best, each);
    calls = std::clamp(static_cast<int>(sample_seconds / each), 1, 1 << 20);
  }
  return best;
}

// Multiply-adds a second; 0 where there is no loop for the instruction set.
double peak_of(const std::string& isa) {
  volatile float sink[3] = {1, 0, 0};
  double (*loop)(long, volatile float*) = nullptr;
#if defined(__x86_64__)
  if (isa == "avx2") loop = avx2_fma;
  if (isa == "avx512") loop = avx512_fma;
#elif defined(__aarch64__)
  if (isa == "neon") loop = neon_fma;
#endif
  if (!loop) return 0;
  double operations = 0;
  const double seconds = seconds_of([&] { operations = loop(10000, sink); });
  return operations / 2 / seconds;
}

class Times {
 public:
  explicit Times(std::string only)
      : k_(pcx::kernels<float>()), only_(std::move(only)), peak_(peak_of(pcx::active_table().isa)) {
    for (std::vector<float>* array : {&x_, &w_, &y_}) array->resize(room);
    for (std::size_t i = 0; i < room; ++i) x_[i] = w_[i] = static_cast<float>(i % 7) / 8;
    std::printf("%s, %.1f multiply-adds a nanosecond at most\n", pcx::active_table().isa, peak_ * 1e-9);
  }

  bool run() {  // whether there is such a kernel
    panel_product();
    conv_pixels();
    over_lanes();
    conv_row();
    pixel_sum();
    lane_sum();
    depthwise_row();
    depthwise_sum();
    distances();
    winograd();
    return timed_ > 0;
  }

 private:
  template <class Call>
  void say(const char* kernel, const std::string& what, double products, Call call) {
    if (!only_.empty() && only_ != kernel) return;
    ++timed_;
    const double seconds = seconds_of(call);
    std::printf("%-16s%-32s%9.1f ns", kernel, what.c_str(), seconds * 1e9);
    if (products > 0 && peak_ > 0) std::printf("%7.0f%%", 100 * products / seconds / peak_);
    std::printf("\n");
  }

  static std::string text(const char* a, index i, const char* b, index j, const char* c = "", index k = -1) {
    std::string all = std::string(a) + " " + std::to_string(i) + ", " + b + " " + std::to_string(j);
    return k < 0 ? all : all + ", " + c + " " + std::to_string(k);
  }

  void panel_product() {
    for (index width : {k_.lanes, k_.panel}) {
      for (index depth : {16, 64, 256}) {
        for (index rows : {4, 14, 56}) {
          pcx::PanelProduct<float> p{x_.data(), w_.data(), y_.data(), depth, rows, depth,
                                     width,     width,     width,     false, 0};
          say("panel_product", text("depth", depth, "rows", rows, "width", width),
              static_cast<double>(rows * depth * width), [&] { k_.panel_product(p); });
        }
      }
    }
  }

  // Of pixels that stand one after the other, `runs` runs of `length` elements each.
  pcx::ConvPixels<float> pixels_of(index pixels, index runs, index length, int columns) {
    x_at_.clear();
    y_at_.clear();
    runs_.clear();
    for (index i = 0; i < pixels; ++i) {
      x_at_.push_back(i * length);
      y_at_.push_back(i * columns);
    }
    for (index r = 0; r < runs; ++r) runs_.push_back({r * 64, length, 0});
    pcx::ConvPixels<float> tile{};
    tile.x = x_.data();
    tile.x_at = x_at_.data();
    tile.runs = runs_.data();
    tile.w = w_.data();
    tile.y = y_.data();
    tile.y_at = y_at_.data();
    tile.pixels = pixels;
    tile.run_count = runs;
    tile.columns = columns;
    return tile;
  }

  void conv_pixels() {
    for (int columns : {k_.lanes, k_.panel}) {
      for (index runs : {1, 3, 9}) {
        for (index length : {1, 3, 16, 64}) {
          const pcx::ConvPixels<float> tile = pixels_of(56, runs, length, columns);
          say("conv_pixels", text("runs", runs, "of", length, "columns", columns),
              static_cast<double>(56 * runs * length * columns), [&] { k_.conv_pixels(tile); });
        }
      }
    }
  }

  void over_lanes() {
    for (int columns : {1, 2, 4, 8}) {
      if (columns > k_.narrow) continue;
      for (index length : {16, 64, 144, 576}) {
        pcx::ConvPixels<float> tile = pixels_of(64, 1, length, columns);
        tile.over_lanes = true;
        say("over_lanes", text("length", length, "columns", columns), static_cast<double>(64 * length * columns),
            [&] { k_.conv_pixels(tile); });
      }
    }
  }

  void conv_row() {
    for (int columns : {1, 3, 8}) {
      if (columns > k_.narrow) continue;
      for (index depth : {9, 27, 75}) {
        for (index pixels : {28, 112}) {
          std::vector<std::int32_t> offsets;
          for (index i = 0; i < depth; ++i) offsets.push_back(static_cast<std::int32_t>(i % 9 * (pixels + 16) + i / 9));
          pcx::ConvRow<float> row{};
          row.x = x_.data();
          row.offsets = offsets.data();
          row.w = w_.data();
          row.y = y_.data();
          row.depth = depth;
          row.pixels = pixels;
          row.w_stride = row.y_stride = row.columns = columns;
          say("conv_row", text("columns", columns, "depth", depth, "pixels", pixels),
              static_cast<double>(columns * depth * pixels), [&] { k_.conv_row(row); });
        }
      }
    }
  }

  void pixel_sum() {
    for (int channels : {1, 2, 3, 4, 14}) {
      for (int columns : {k_.lanes, k_.panel}) {
        pcx::PixelSum<float> sum{};
        sum.x = x_.data();
        sum.dy = w_.data();
        sum.dw = y_.data();
        sum.rows = 1;
        sum.cols = 100;
        sum.x_pixel = sum.channels = channels;
        sum.dy_pixel = sum.dw_stride = sum.columns = columns;
        say("pixel_sum", text("channels", channels, "columns", columns), 100.0 * channels * columns,
            [&] { k_.pixel_sum(sum); });
      }
    }
  }

  void lane_sum() {
    const index zero = 0;
    for (index channels : {1, 2, 3, 4}) {
      for (index vectors : {1, 2, 5}) {
        std::vector<index> at;
        for (index v = 0; v < vectors; ++v) at.push_back(v * k_.lanes);
        pcx::LaneSum<float> sum{};
        sum.x = x_.data();
        sum.dy = w_.data();
        sum.sums = y_.data();
        sum.rows = 1;
        sum.cols = 100;
        sum.x_pixel = k_.lanes;
        sum.dy_pixel = sum.channels = channels;
        sum.vectors = vectors;
        sum.x_rows = sum.dy_rows = &zero;
        sum.x_at = at.data();
        sum.overwrite = true;
        say("lane_sum", text("channels", channels, "vectors", vectors),
            static_cast<double>(100 * channels * vectors * k_.lanes), [&] { k_.lane_sum(sum); });
      }
    }
  }

  void depthwise_row() {
    for (index taps : {2, 3, 5, 7}) {
      for (index pixels : {14, 28}) {
        const index channels = 2 * k_.lanes, columns = pixels + taps - 1;
        std::vector<const float*> rows;
        for (index r = 0; r < taps; ++r) rows.push_back(x_.data() + r * columns * channels);
        const pcx::TapRun run{0, taps, 0, columns};
        pcx::DepthwiseRow<float> row{};
        row.x = rows.data();
        row.runs = &run;
        row.w = w_.data();
        row.y = y_.data();
        row.rows = row.taps = taps;
        row.w_vector = taps * taps * k_.lanes;
        row.run_count = 1;
        row.pixels = pixels;
        row.x_step = row.y_step = row.channels = channels;
        say("depthwise_row", text("taps", taps, "pixels", pixels), static_cast<double>(pixels * channels * taps * taps),
            [&] { k_.depthwise_row(row); });
      }
    }
  }

  void depthwise_sum() {
    for (index taps : {1, 2, 3, 5, 7}) {
      const index pixels = 28, columns = pixels + taps - 1;
      std::vector<const float*> rows;
      for (index r = 0; r < taps; ++r) rows.push_back(x_.data() + r * columns * k_.lanes);
      const pcx::TapRun run{0, taps, 0, columns};
      pcx::DepthwiseSum<float> sum{};
      sum.x = rows.data();
      sum.runs = &run;
      sum.dy = w_.data();
      sum.dw = y_.data();
      sum.high = sum.run_count = 1;
      sum.rows = sum.taps = taps;
      sum.x_vector = columns * k_.lanes;
      sum.pixels = pixels;
      sum.channels = sum.dy_step = k_.lanes;
      say("depthwise_sum", text("taps", taps, "pixels", pixels), static_cast<double>(pixels * k_.lanes * taps * taps),
          [&] { k_.depthwise_sum(sum); });
    }
  }

  void distances() {
    for (index rows : {1, 4, 16, 64}) {
      for (index depth : {64, 256}) {
        pcx::Distances<float> d{x_.data(), w_.data(), y_.data(), rows, 32,
                                depth,     depth,     depth,     32,   pcx::Difference::squared,
                                1,         false,     false};
        say("distances", text("rows", rows, "depth", depth), static_cast<double>(rows * 32 * depth),
            [&] { k_.distances(d); });
      }
    }
  }

  // Nanoseconds alone: what a pass of a transform does is loads, sums and stores.
  void winograd() {
    const index channels = 2 * k_.lanes;
    for (const pcx::WinogradAxis<float>& axis : k_.winograd) {
      pcx::TransformPass<float> pass{};
      pass.in = x_.data();
      pass.out = y_.data();
      pass.in_step = pass.out_step = 6 * channels;
      pass.outer = 1;
      pass.inner = 6;
      pass.in_inner = pass.out_inner = pass.channels = channels;
      const auto what = [&](const char* way) { return text(way, axis.tile, "kernel", axis.kernel); };
      say("winograd", what("input, tile"), 0, [&] { axis.input(pass); });
      say("winograd", what("output, tile"), 0, [&] { axis.output(pass); });
      say("winograd", what("last, tile"), 0, [&] { axis.last(pass); });
    }
  }

  const pcx::Kernels<float>& k_;
  const std::string only_;
  const double peak_;
  int timed_ = 0;
  std::vector<float> x_, w_, y_;
  std::vector<index> x_at_, y_at_;
  std::vector<pcx::Run> runs_;
};

}  // namespace

int main(int count, char** arguments) {
  try {
    pcx::force_isa(count > 1 ? arguments[1] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  if (Times(count > 2 ? arguments[2] : "").run()) return 0;
  std::fprintf(stderr, "no kernel is called %s; without a name all are timed and listed\n", arguments[2]);
  return 2;
}
