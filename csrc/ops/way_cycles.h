// How long each direct way takes: a model of the time of one picture in cycles of a processor that does two vectors of
// multiply-adds in each. Fitted to measurements of each way on random shapes: with vectors of 64 bytes 1300 and 700 on
// Cascade Lake, and depthwise 2500 on Sapphire Rapids; with narrower ones 4000 on Zen 3 and 700 on Cascade Lake.
#pragma once
#include "ops/correlation.h"
#include "ops/scatter.h"

namespace pcx {

constexpr double call_cycles = 1450;  // before the first product

// Of an ascending problem.
double channels_cycles(const Correlation& problem);
double row_cycles(const Correlation& problem);
double depthwise_cycles(const Correlation& problem);
double mixed_cycles(const Correlation& problem);

double scatter_cycles(const Scatter& problem);
double plane_cycles(const Scatter& problem);  // where it may be done in planes

}  // namespace pcx
