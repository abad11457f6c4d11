#pragma once
// What a GPU kernel does, told by its name.
#include <string>
#include <string_view>
#include <vector>

#include "validation/importers/trace.hpp"

namespace foretoken::validation::importers {

// Class of a kernel: "gemm fp8", "attention forward", "dispatch", "elementwise", ...
std::string class_of(const Kernel& kernel);

// Data that moves between GPUs, and the waiting for other ranks inside it.
bool is_communication(std::string_view kernel_class);

struct Interval {
  double start = 0, end = 0;
};
// Sorted and merged: no two overlap.
std::vector<Interval> merged(std::vector<Interval> intervals);
double length(const std::vector<Interval>& merged_intervals);
// Length of what lies in both; both merged.
double common_length(const std::vector<Interval>& a, const std::vector<Interval>& b);

}  // namespace foretoken::validation::importers
