// transpose: blocks of lanes x lanes in registers; tails by masked loads and stores.
template <class T>
static void transpose(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  constexpr int n = lanes<T>;
  for (index r = 0; r < rows; r += n) {
    const index rows_left = rows - r;
    for (index c = 0; c < cols; c += n) {
      const index cols_left = cols - c;
      decltype(zero<T>()) block[n];
      PCX_UNROLL
      for (int i = 0; i < n; ++i) {
        const T* p = from + (r + i) * from_stride + c;
        block[i] = i < rows_left ? (cols_left >= n ? load(p) : load_first(p, cols_left)) : zero<T>();
      }
      transpose_block(block);
      PCX_UNROLL
      for (int i = 0; i < n; ++i) {
        if (i >= cols_left) break;
        T* p = to + (c + i) * to_stride + r;
        if (rows_left >= n)
          store(p, block[i]);
        else
          store_first(p, block[i], rows_left);
      }
    }
  }
}
