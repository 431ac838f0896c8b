// Access to the last vector of a line, which may be a part of one. Where it is known to be whole, nothing asks.
template <bool Whole, class T>
PCX_INLINE auto load_part(const T* p, index n) {
  if constexpr (Whole)
    return load(p);
  else
    return load_first(p, n);
}
template <bool Whole, class T, class Vector>
PCX_INLINE void store_part(T* p, Vector v, index n) {
  if constexpr (Whole)
    store(p, v);
  else
    store_first(p, v, n);
}

template <class T>
PCX_INLINE void copy_elements(const T* from, T* to, index count) {
  for (index i = 0; i < count; i += lanes<T>) store_first(to + i, load_first(from + i, count - i), count - i);
}

// Where an instruction set has no operations on half a vector they are those on a whole one.
template <class T>
PCX_INLINE auto load_half(const T* p) {
  return load(p);
}
template <class T>
PCX_INLINE auto set1_half(T a) {
  return set1(a);
}
template <class Vector>
PCX_INLINE Vector fmadd_half(Vector a, Vector b, Vector c) {
  return fmadd(a, b, c);
}

// One element of x times vectors of weights. Half: of the last vector the lower half alone has columns.
template <bool Half, class T, class Vector, int Vectors>
PCX_INLINE void add_products(T x, const Vector (&w)[Vectors], Vector (&sum)[Vectors]) {
  const Vector xp = Half && Vectors == 1 ? set1_half(x) : set1(x);
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v)
    sum[v] = Half && v == Vectors - 1 ? fmadd_half(xp, w[v], sum[v]) : fmadd(xp, w[v], sum[v]);
}
