// Pyramids of pictures.
#include <algorithm>

#include "bind/arrays.h"
#include "ops/ops.h"

namespace pcx::bind {

namespace {

constexpr index rgb = 3, levels_of_a_byte = 256;

Tile checked_tile(const std::int64_t* numbers, index height, index width) {
  const Tile tile{numbers[0], numbers[1], numbers[2], numbers[3]};
  const bool inside = tile.left >= 0 && tile.top >= 0 && tile.width > 0 && tile.height > 0 && tile.width <= width &&
                      tile.height <= height && tile.left <= width - tile.width && tile.top <= height - tile.height;
  if (!inside) throw ShapeError("a tile leaves the canvas");
  return tile;
}

// Zeros the canvas and paints all levels: `tiles` (n, 4) are left, top, width, height; `levels` (3, 256) is what each
// level of a channel comes to.
void paint_pyramid(const Array<std::uint8_t>& picture, const Array<float>& levels, const Array<std::int64_t>& tiles,
                   Array<float>& canvas) {
  if (picture.ndim() != 3 || picture.shape(2) != rgb || canvas.ndim() != 3 || canvas.shape(2) != rgb ||
      tiles.ndim() != 2 || tiles.shape(1) != 4 || tiles.shape(0) < 1) {
    throw ShapeError("paint_pyramid wants a picture and a canvas (h, w, 3), and tiles (n, 4)");
  }
  const float* table = read("levels", levels, rgb * levels_of_a_byte);
  const index height = canvas.shape(0), width = canvas.shape(1);
  float* pixels = canvas.mutable_data();
  Tile before = checked_tile(tiles.data(), height, width);
  if (before.height != picture.shape(0) || before.width != picture.shape(1)) {
    throw ShapeError("the first tile has another size than the picture");
  }
  for (index level = 1; level < tiles.shape(0); ++level) checked_tile(tiles.data() + 4 * level, height, width);
  std::fill_n(pixels, canvas.size(), 0.0F);
  paint_picture(picture.data(), table, before, pixels, width);
  for (index level = 1; level < tiles.shape(0); ++level) {
    const Tile tile = checked_tile(tiles.data() + 4 * level, height, width);
    shrink_level(before, tile, pixels, width);
    before = tile;
  }
}

}  // namespace

void bind_pyramid(py::module_& m) {
  m.def("paint_pyramid", &paint_pyramid, py::arg("picture").noconvert(), py::arg("levels").noconvert(),
        py::arg("tiles").noconvert(), py::arg("canvas").noconvert(), py::call_guard<py::gil_scoped_release>());
}

}  // namespace pcx::bind
