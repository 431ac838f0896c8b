// transpose: blocks of lanes x lanes in registers; tails by masked loads and stores. Few lines that are left go element
// by element: a block of them would shuffle mostly zeros.
constexpr int few_lines = 3;

template <int lines, class T>
static void move_lines(const T* from, index from_step, index from_line, T* to, index to_step, index to_line,
                       index count) {
  for (; count > 0; --count, from += from_step, to += to_step) {
    T moved[lines];
    PCX_UNROLL
    for (int i = 0; i < lines; ++i) moved[i] = from[i * from_line];
    PCX_UNROLL
    for (int i = 0; i < lines; ++i) to[i * to_line] = moved[i];
  }
}

template <int most, class T>
PCX_INLINE void move_few(index lines, const T* from, index from_step, index from_line, T* to, index to_step,
                         index to_line, index count) {
  if (lines == most) return move_lines<most>(from, from_step, from_line, to, to_step, to_line, count);
  if constexpr (most > 1) move_few<most - 1>(lines, from, from_step, from_line, to, to_step, to_line, count);
}

template <class T>
static void transpose(const T* from, index from_stride, T* to, index to_stride, index rows, index cols) {
  constexpr int n = lanes<T>;
  if constexpr (n > few_lines) {
    if (rows == 1 && to_stride == 1) return copy_elements(from, to, cols);
    const index last_row = rows - rows % n, last_col = cols - cols % n;
    if (rows - last_row <= few_lines) {
      move_few<few_lines>(rows - last_row, from + last_row * from_stride, 1, from_stride, to + last_row, to_stride, 1,
                          cols);
      rows = last_row;
    }
    if (cols - last_col <= few_lines) {
      move_few<few_lines>(cols - last_col, from + last_col, from_stride, 1, to + last_col * to_stride, 1, to_stride,
                          rows);
      cols = last_col;
    }
  }
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
