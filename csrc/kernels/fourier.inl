// Fourier transforms by steps of radix 2 and 4: vectors of neighbouring numbers, so that all steps along an axis have
// the same twiddles in every lane, and a last one across lanes, which are turned into vectors for it. Nothing is put
// into the order of frequencies: products of spectra need none, and the way back undoes the steps the other way round.
template <class T>
struct Complex {
  decltype(zero<T>()) re, im;
};

template <class T>
PCX_INLINE Complex<T> times(Complex<T> a, Complex<T> b) {
  return {fnmadd(a.im, b.im, multiply(a.re, b.re)), fmadd(a.re, b.im, multiply(a.im, b.re))};
}
template <class T>
PCX_INLINE Complex<T> times_conjugate(Complex<T> a, Complex<T> b) {
  return {fmadd(a.im, b.im, multiply(a.re, b.re)), fnmadd(a.re, b.im, multiply(a.im, b.re))};
}
template <class T>
PCX_INLINE Complex<T> sum(Complex<T> a, Complex<T> b) {
  return {add(a.re, b.re), add(a.im, b.im)};
}
template <class T>
PCX_INLINE Complex<T> difference(Complex<T> a, Complex<T> b) {
  return {sub(a.re, b.re), sub(a.im, b.im)};
}

// a[k] = sum over r of a[r] exp(-2 pi i r k / radix), or with the other sign.
template <bool Inverse, class T>
PCX_INLINE void butterfly(Complex<T> (&a)[2]) {
  const Complex<T> other = a[1];
  a[1] = difference(a[0], other);
  a[0] = sum(a[0], other);
}
template <bool Inverse, class T>
PCX_INLINE void butterfly(Complex<T> (&a)[4]) {
  const Complex<T> even = sum(a[0], a[2]), far = difference(a[0], a[2]);
  const Complex<T> odd = sum(a[1], a[3]), turned = difference(a[1], a[3]);
  a[0] = sum(even, odd);
  a[2] = difference(even, odd);
  const Complex<T> less{add(far.re, turned.im), sub(far.im, turned.re)};  // far - i turned
  const Complex<T> more{sub(far.re, turned.im), add(far.im, turned.re)};
  a[1] = Inverse ? more : less;
  a[3] = Inverse ? less : more;
}

// Where there is one butterfly to a transform, all twiddles are 1.
template <class T, int Radix, bool Inverse, bool Plain>
static void fourier_steps(const FourierStep<T>& s) {
  const index part = s.length / Radix, stride = part * s.step;
  for (index t = 0; t < s.transforms; ++t) {
    const T* twiddle = s.twiddles;
    for (index j = 0; j < part; ++j, twiddle += 2 * (Radix - 1)) {
      const index first = (t * s.length + j) * s.step;
      Complex<T> root[Radix];
      PCX_UNROLL
      for (int r = 1; r < Radix; ++r) root[r] = {held(set1(twiddle[2 * r - 2])), held(set1(twiddle[2 * r - 1]))};
      for (index v = first; v < first + s.inner * lanes<T>; v += lanes<T>) {
        Complex<T> a[Radix];
        PCX_UNROLL
        for (int r = 0; r < Radix; ++r) {
          a[r] = {held(load(s.re + v + r * stride)), held(load(s.im + v + r * stride))};
          if (Inverse && !Plain && r > 0) a[r] = times_conjugate(a[r], root[r]);
        }
        butterfly<Inverse>(a);
        PCX_UNROLL
        for (int r = 0; r < Radix; ++r) {
          if (!Inverse && !Plain && r > 0) a[r] = times(a[r], root[r]);
          store(s.to_re + v + r * stride, a[r].re);
          store(s.to_im + v + r * stride, a[r].im);
        }
      }
    }
  }
}

template <class T, bool Inverse>
static void fourier_step(const FourierStep<T>& s) {
  const bool plain = s.length == s.radix;
  if (s.radix == 4)
    plain ? fourier_steps<T, 4, Inverse, true>(s) : fourier_steps<T, 4, Inverse, false>(s);
  else
    plain ? fourier_steps<T, 2, Inverse, true>(s) : fourier_steps<T, 2, Inverse, false>(s);
}

constexpr double cosine_of_sixteenths[] = {
    1,  0.92387953251128675613,  0.70710678118654752440,  0.38268343236508977173,
    0,  -0.38268343236508977173, -0.70710678118654752440, -0.92387953251128675613,
    -1, -0.92387953251128675613, -0.70710678118654752440, -0.38268343236508977173,
    0,  0.38268343236508977173,  0.70710678118654752440,  0.92387953251128675613};

// A whole transform of `Length` vectors in registers, a power of two up to 16, in an order of its own; or back.
template <class T, int Length, bool Inverse, class Vector>
PCX_INLINE void fourier_registers(Vector* re, Vector* im) {
  if constexpr (Length > 1) {
    constexpr int radix = Length % 4 == 0 ? 4 : 2, part = Length / radix;
    if constexpr (Inverse) {
      PCX_UNROLL
      for (int r = 0; r < radix; ++r) fourier_registers<T, part, true>(re + r * part, im + r * part);
    }
    PCX_UNROLL
    for (int j = 0; j < part; ++j) {
      Complex<T> a[radix];
      PCX_UNROLL
      for (int r = 0; r < radix; ++r) {
        constexpr int sixteenth = 16 / Length;
        const int turn = r * j * sixteenth;
        const Complex<T> root{set1(T(cosine_of_sixteenths[turn % 16])),
                              set1(T(cosine_of_sixteenths[(turn + 4) % 16]))};  // exp(-i turn): minus the sine
        a[r] = {re[j + r * part], im[j + r * part]};
        if (Inverse && turn > 0) a[r] = times_conjugate(a[r], root);
      }
      butterfly<Inverse>(a);
      PCX_UNROLL
      for (int r = 0; r < radix; ++r) {
        const int turn = r * j * (16 / Length);
        const Complex<T> root{set1(T(cosine_of_sixteenths[turn % 16])), set1(T(cosine_of_sixteenths[(turn + 4) % 16]))};
        if (!Inverse && turn > 0) a[r] = times(a[r], root);
        re[j + r * part] = a[r].re;
        im[j + r * part] = a[r].im;
      }
    }
    if constexpr (!Inverse) {
      PCX_UNROLL
      for (int r = 0; r < radix; ++r) fourier_registers<T, part, false>(re + r * part, im + r * part);
    }
  }
}

template <class T, bool There, bool Back>
static void fourier_turned(const FourierLanes<T>& s) {
  constexpr int n = lanes<T>;
  for (index first = 0; first < s.count; first += n) {
    decltype(zero<T>()) re[n], im[n];
    PCX_UNROLL
    for (int i = 0; i < n; ++i) {
      const T* twiddle = s.twiddles + ((s.first + first + i) & (s.period - 1)) * 2 * n;
      Complex<T> a{load(s.re + (first + i) * n), load(s.im + (first + i) * n)};
      if (There) a = times(a, Complex<T>{load(twiddle), load(twiddle + n)});
      re[i] = a.re;
      im[i] = a.im;
    }
    if (There) {
      transpose_block(re);
      transpose_block(im);
      fourier_registers<T, n, false>(re, im);
    }
    if (There && Back) {
      PCX_UNROLL
      for (int i = 0; i < n; ++i) {
        const T* spectrum = s.spectrum + (first + i) * 2 * n;
        const Complex<T> a = times(Complex<T>{re[i], im[i]}, Complex<T>{load(spectrum), load(spectrum + n)});
        re[i] = a.re;
        im[i] = a.im;
      }
    }
    if (Back) {
      fourier_registers<T, n, true>(re, im);
      transpose_block(re);
      transpose_block(im);
    }
    PCX_UNROLL
    for (int i = 0; i < n; ++i) {
      const T* twiddle = s.twiddles + ((s.first + first + i) & (s.period - 1)) * 2 * n;
      Complex<T> a{re[i], im[i]};
      if (Back) a = times_conjugate(a, Complex<T>{load(twiddle), load(twiddle + n)});
      store(s.re + (first + i) * n, a.re);
      store(s.im + (first + i) * n, a.im);
    }
  }
}

template <class T>
static void spectrum_product(const SpectrumProduct<T>& s) {
  constexpr int n = lanes<T>;
  const T* spectrum = s.spectrum;
  for (index v = 0; v < s.count * n; v += n) {
    Complex<T> y{zero<T>(), zero<T>()};
    for (index i = 0; i < s.terms; ++i, spectrum += 2 * n) {
      const auto re = load(s.re + i * s.x_step + v), im = load(s.im + i * s.x_step + v);
      const auto w_re = load(spectrum), w_im = load(spectrum + n);
      y.re = fnmadd(im, w_im, fmadd(re, w_re, y.re));
      y.im = fmadd(im, w_re, fmadd(re, w_im, y.im));
    }
    store(s.to_re + v, y.re);
    store(s.to_im + v, y.im);
  }
}

template <class T>
static bool finish_row(const T* x, T* y, index count, T bias, bool relu) {
  const auto added = set1(bias);
  auto not_finite = zero<T>();  // becomes NaN with the first number that is not finite
  for (index i = 0; i < count; i += lanes<T>) {
    auto v = load_first(x + i, count - i);
    not_finite = fmadd(v, zero<T>(), not_finite);
    v = add(v, added);
    if (relu) v = max(zero<T>(), v);
    store_first(y + i, v, count - i);
  }
  T flags[lanes<T>];
  store(flags, not_finite);
  bool finite = true;
  for (int i = 0; i < lanes<T>; ++i) finite = finite && flags[i] == 0;
  return finite;
}
