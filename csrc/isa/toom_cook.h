// The transforms of Winograd's convolution F(Tile, Kernel), generated from interpolation points (Toom and Cook):
//   y = output [ (filter g) . (input d) ],  y_i = sum_k d_{i + k} g_k,  i < Tile, k < Kernel
// with size = Tile + Kernel - 1 products. With points p_j, j < size - 1, and infinity as the last:
//   output[i][j] = p_j^i,  filter[j][k] = p_j^k / N_j,  N_j = prod over l != j of (p_j - p_l),
//   input[j] = coefficients of prod over l != j of (x - p_l),  input[size - 1] = those of prod over l of (x - p_l).
// Points come as +a, -a, +b, -b, ...: their rows share sums, and the choice of a and b decides the rounding error.
// Where size is even 0 stands before them. All is computed in fractions, at compile time, and rounded once.
#pragma once

namespace pcx {

// In lowest terms. An overflow would be an error of compilation: the numbers are constants.
struct Fraction {
  long long num = 0, den = 1;

  constexpr Fraction(long long n = 0, long long d = 1) : num(n), den(d) {
    long long a = n < 0 ? -n : n, b = d < 0 ? -d : d;
    while (b) {
      const long long rest = a % b;
      a = b;
      b = rest;
    }
    if (d < 0) a = -a;
    num /= a;
    den /= a;
  }
  constexpr explicit operator double() const { return static_cast<double>(num) / static_cast<double>(den); }
  friend constexpr Fraction operator*(Fraction a, Fraction b) {
    const Fraction c(a.num, b.den), d(b.num, a.den);  // cancelled crosswise first, which keeps the numbers small
    return {c.num * d.num, c.den * d.den};
  }
  friend constexpr Fraction operator/(Fraction a, Fraction b) { return a * Fraction(b.den, b.num); }
  friend constexpr Fraction operator+(Fraction a, Fraction b) {
    const Fraction dens(a.den, b.den);  // a.den / b.den in lowest terms: the common denominator is the least
    return {a.num * dens.den + b.num * dens.num, a.den * dens.den};
  }
  friend constexpr Fraction operator-(Fraction a, Fraction b) { return a + Fraction(-b.num, b.den); }
  friend constexpr bool operator==(Fraction a, Fraction b) { return a.num == b.num && a.den == b.den; }
};

// Rounding errors are enlarged, as rms and on one axis, 1.1 times by size 3, 1.3 by 4, 1.6 by 5, 2.2 by 6, 3.1 by
// 7, 4.5 by 8, 10 by 10, 25 by 12; axes multiply. These are the best of the sets that were tried (0, +-1, +-2 enlarges
// them 3.6 times as much in 2D; of an odd size 0 and a point without its opposite 1.2 times as much). Points p and 1 /
// p together keep coefficients small.
template <int Size>
constexpr Fraction interpolation_point(int j) {
  static_assert((Size >= 3 && Size <= 8) || Size == 10 || Size == 12, "no points were chosen for this size");
  constexpr Fraction pairs[][5] = {{{2, 3}},  // of sizes 3, 4, ...
                                   {1},
                                   {{2, 5}, {5, 4}},
                                   {{2, 3}, {3, 2}},
                                   {{2, 7}, {6, 7}, {7, 4}},
                                   {1, 2, {1, 2}},
                                   {},
                                   {{3, 4}, {4, 3}, {5, 2}, {2, 5}},
                                   {},
                                   {1, {3, 2}, {2, 3}, 3, {1, 3}}};
  constexpr int before = 1 - Size % 2;
  if (j < before) return 0;
  const Fraction p = pairs[Size - 3][(j - before) / 2];
  return (j - before) % 2 ? Fraction(-p.num, p.den) : p;
}

// Whether point j is the first, or the second, of two opposite ones.
constexpr bool begins_pair(int j, int size) { return j < size - 1 && j % 2 != size % 2; }
constexpr bool ends_pair(int j, int size) { return j > 0 && begins_pair(j - 1, size); }

template <int Tile, int Kernel>
struct ToomCookFractions {
  static constexpr int size = Tile + Kernel - 1;
  Fraction output[Tile][size], filter[size][Kernel], input[size][size];

  constexpr ToomCookFractions() : output(), filter(), input() {
    for (int j = 0; j < size - 1; ++j) {
      const Fraction p = interpolation_point<size>(j);
      Fraction norm = 1, product[size] = {1};  // product: coefficients, lowest first
      int degree = 0;
      for (int l = 0; l < size - 1; ++l) {
        if (l == j) continue;
        const Fraction q = interpolation_point<size>(l);
        norm = norm * (p - q);
        multiply(product, degree++, q);
      }
      for (int i = 0; i < size; ++i) input[j][i] = product[i];
      Fraction power = 1;
      for (int i = 0; i < size; ++i, power = power * p) {
        if (i < Tile) output[i][j] = power;
        if (i < Kernel) filter[j][i] = power / norm;
        if (i + 1 >= Tile && i + 1 >= Kernel) break;
      }
    }
    Fraction all[size] = {1};
    for (int l = 0; l < size - 1; ++l) multiply(all, l, interpolation_point<size>(l));
    for (int i = 0; i < size; ++i) input[size - 1][i] = all[i];
    output[Tile - 1][size - 1] = 1;
    filter[size - 1][Kernel - 1] = 1;
  }

 private:
  // polynomial of `degree` times (x - q)
  static constexpr void multiply(Fraction* polynomial, int degree, Fraction q) {
    polynomial[degree + 1] = polynomial[degree];
    for (int i = degree; i > 0; --i) polynomial[i] = polynomial[i - 1] - q * polynomial[i];
    polynomial[0] = Fraction(0) - q * polynomial[0];
  }
};

template <int Tile, int Kernel>
struct ToomCook {
  static constexpr int size = Tile + Kernel - 1;
  double output[Tile][size], filter[size][Kernel], input[size][size];
  double amplification;  // squared: sum over j of |output column j|^2 |filter row j|^2 |input row j|^2 / (Tile Kernel)

  constexpr ToomCook() : output(), filter(), input(), amplification(0) {
    constexpr ToomCookFractions<Tile, Kernel> exact;
    for (int j = 0; j < size; ++j) {
      double squares[3] = {};
      for (int i = 0; i < Tile; ++i) squares[0] += square(output[i][j] = static_cast<double>(exact.output[i][j]));
      for (int i = 0; i < Kernel; ++i) squares[1] += square(filter[j][i] = static_cast<double>(exact.filter[j][i]));
      for (int i = 0; i < size; ++i) squares[2] += square(input[j][i] = static_cast<double>(exact.input[j][i]));
      amplification += squares[0] * squares[1] * squares[2] / (Tile * Kernel);
    }
  }

 private:
  static constexpr double square(double a) { return a * a; }
};

template <int Tile, int Kernel>
inline constexpr ToomCook<Tile, Kernel> toom_cook{};

}  // namespace pcx
