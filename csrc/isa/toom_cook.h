// The transforms of Winograd's convolution F(Tile, Kernel), generated from interpolation points (Toom and Cook):
//   y = output [ (filter g) . (input d) ],  y_i = sum_k d_{i + k} g_k,  i < Tile, k < Kernel
// with size = Tile + Kernel - 1 products. With points p_j, j < size - 1, and infinity as the last:
//   output[i][j] = p_j^i,  filter[j][k] = p_j^k / N_j,  N_j = prod over l != j of (p_j - p_l),
//   input[j] = coefficients of prod over l != j of (x - p_l),  input[size - 1] = those of prod over l of (x - p_l).
// Points come as 0, +a, -a, +b, -b, ...: their rows share sums, and the choice of a and b decides the rounding error.
#pragma once

namespace pcx {

// Error against float64 at 512 channels in 2D: 0, +-1 for size 4: 3e-6; 0, +-2/3, +-3/2 for size 6: 5e-6 with split
// sums (0, +-1, +-2 has 3.6 times that); 0, +-1, +-2, +-1/2 for size 8: 3.2e-5 with split sums.
template <int Size>
constexpr double interpolation_point(int j) {
  static_assert(Size == 4 || Size == 6 || Size == 8, "no points were chosen for this size");
  constexpr double four[] = {0, 1, -1};
  constexpr double six[] = {0, 2. / 3, -2. / 3, 1.5, -1.5};
  constexpr double eight[] = {0, 1, -1, 2, -2, .5, -.5};
  return Size == 4 ? four[j] : Size == 6 ? six[j] : eight[j];
}

template <int Tile, int Kernel>
struct ToomCook {
  static constexpr int size = Tile + Kernel - 1;
  double output[Tile][size], filter[size][Kernel], input[size][size];

  constexpr ToomCook() : output(), filter(), input() {
    for (int j = 0; j < size - 1; ++j) {
      const double p = interpolation_point<size>(j);
      double norm = 1, product[size] = {1};  // product: coefficients, lowest first
      int degree = 0;
      for (int l = 0; l < size - 1; ++l) {
        if (l == j) continue;
        const double q = interpolation_point<size>(l);
        norm *= p - q;
        multiply(product, degree++, q);
      }
      for (int i = 0; i < size; ++i) input[j][i] = product[i];
      double power = 1;
      for (int i = 0; i < size; ++i, power *= p) {
        if (i < Tile) output[i][j] = power;
        if (i < Kernel) filter[j][i] = power / norm;
      }
    }
    double all[size] = {1};
    for (int l = 0; l < size - 1; ++l) multiply(all, l, interpolation_point<size>(l));
    for (int i = 0; i < size; ++i) input[size - 1][i] = all[i];
    output[Tile - 1][size - 1] = 1;
    filter[size - 1][Kernel - 1] = 1;
    // What is zero in exact arithmetic costs no operation.
    for (auto& row : input) {
      for (double& entry : row) entry = entry < 1e-12 && entry > -1e-12 ? 0 : entry;
    }
  }

 private:
  // polynomial of `degree` times (x - q)
  static constexpr void multiply(double* polynomial, int degree, double q) {
    polynomial[degree + 1] = polynomial[degree];
    for (int i = degree; i > 0; --i) polynomial[i] = polynomial[i - 1] - q * polynomial[i];
    polynomial[0] = -q * polynomial[0];
  }
};

template <int Tile, int Kernel>
inline constexpr ToomCook<Tile, Kernel> toom_cook{};

}  // namespace pcx
