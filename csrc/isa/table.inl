// The table of the instruction set whose words and kernels stand above, filled the same way for each.
template <class T>
constexpr Kernels<T> kernels_of() {
  return {lanes<T>,
          panel<T>,
          narrow<T>,
          tile_pixels<T>,
          window_pixels,
          conv_pixels<T>,
          conv_row<T>,
          panel_product<T>,
          pixel_sum<T>,
          column_sum<T>,
          depthwise_row<T>,
          depthwise_sum<T>,
          fill_columns<T>,
          {winograd_axis<T, 3, 2>(), winograd_axis<T, 5, 2>(), winograd_axis<T, 2, 3>(), winograd_axis<T, 4, 3>(),
           winograd_axis<T, 6, 3>(), winograd_axis<T, 3, 4>(), winograd_axis<T, 5, 4>(), winograd_axis<T, 2, 5>(),
           winograd_axis<T, 4, 5>(), winograd_axis<T, 4, 7>(), winograd_axis<T, 4, 9>()},
          transpose<T>,
          distances<T>,
          max_pool<T>,
          avg_pool<T>,
          max_pool_grad<T>,
          avg_pool_grad<T>,
          relu<T>,
          relu_passed<T>,
          keep_passed<T>};
}
