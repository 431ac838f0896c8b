// The table of the instruction set whose words and kernels stand above, filled the same way for each.
// Winograd's convolution is of float32.
template <class T>
constexpr auto winograd_product() -> void (*)(const PanelProduct<T>&) {
  if constexpr (sizeof(T) == 4) return panel_product<T>;
  return nullptr;
}

template <class T>
constexpr Kernels<T> kernels_of() {
  return {lanes<T>,
          panel<T>,
          narrow<T>,
          tile_pixels<T>,
          conv_pixels<T>,
          conv_row<T>,
          shift_add<T>,
          store_cells<T>,
          winograd_product<T>(),
          pixel_sum<T>,
          lane_sum<T>,
          column_sum<T>,
          depthwise_row<T>,
          depthwise_sum<T>,
          mixed_row<T>,
          fill_columns<T>,
          pack_rows<T>,
          stream_rows<T>,
          stream_end,
          {winograd_axis<T, 3, 2>(), winograd_axis<T, 4, 2>(), winograd_axis<T, 5, 2>(), winograd_axis<T, 2, 3>(),
           winograd_axis<T, 3, 3>(), winograd_axis<T, 4, 3>(), winograd_axis<T, 5, 3>(), winograd_axis<T, 6, 3>(),
           winograd_axis<T, 3, 4>(), winograd_axis<T, 4, 4>(), winograd_axis<T, 5, 4>(), winograd_axis<T, 2, 5>(),
           winograd_axis<T, 3, 5>(), winograd_axis<T, 4, 5>(), winograd_axis<T, 3, 6>(), winograd_axis<T, 4, 7>(),
           winograd_axis<T, 4, 9>()},
          widen_rows,
          fourier_step<T, false>,
          fourier_step<T, true>,
          fourier_turned<T, true, false>,
          fourier_turned<T, false, true>,
          fourier_turned<T, true, true>,
          spectrum_product<T>,
          finish_row<T>,
          transpose<T>,
          distances<T>,
          max_pool<T>,
          avg_pool<T>,
          max_pool_grad<T>,
          avg_pool_grad<T>,
          pool_spread<T>,
          add_arrays<T>,
          relu<T>,
          relu_passed<T>,
          keep_passed<T>,
          channel_map<T>,
          channel_sums<T>,
          channel_squares<T>,
          channel_grad_sums<T>,
          channel_grad<T>};
}
