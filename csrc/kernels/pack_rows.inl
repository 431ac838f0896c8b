// PanelRows: the rows are read as they lie in memory. Some of them ahead are fetched: a row goes on far from where the
// one before it ends.
constexpr int rows_ahead = 4;

template <int Vectors, class T>
PCX_INLINE void pack_whole_row(const T* from, T* to) {
  decltype(zero<T>()) moved[Vectors];
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) moved[v] = load(from + v * lanes<T>);
  PCX_UNROLL
  for (int v = 0; v < Vectors; ++v) store(to + v * lanes<T>, moved[v]);
}

template <int Vectors, class T>
PCX_INLINE void pack_last_columns(const PanelRows<T>& part, index first, index columns, T* to) {
  for (index r = 0; r < part.rows; ++r) {
    const T* from = part.from + r * part.from_stride + first;
    PCX_UNROLL
    for (int v = 0; v < Vectors; ++v, to += lanes<T>)
      store(to, load_first(from + v * lanes<T>, columns - v * lanes<T>));
  }
}

template <class T>
static void pack_rows(const PanelRows<T>& part) {
  constexpr int width = panel<T>;
  const index full = part.columns / width * width, left = part.columns - full;
  for (index r = 0; r < part.rows; ++r) {
    const T *from = part.from + r * part.from_stride, *ahead = from + rows_ahead * part.from_stride;
    T* to = part.to + r * width;
    for (index k = 0; k < full; k += width, to += part.to_panel) {
      PCX_UNROLL
      for (int line = 0; line < width; line += 64 / int(sizeof(T))) prefetch(ahead + k + line);
      pack_whole_row<vectors<T>>(from + k, to);
    }
  }
  T* const last = part.to + full / width * part.to_panel;
  if (left > lanes<T>)
    pack_last_columns<vectors<T>>(part, full, left, last);
  else if (left > 0)
    pack_last_columns<1>(part, full, left, last);
}
