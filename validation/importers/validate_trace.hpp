#pragma once
// `foretoken validate trace FILE`: what a trace measured beside what the models predict for it.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/kernels/calibration.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/importers/kernel_class.hpp"
#include "validation/importers/trace.hpp"

namespace foretoken::validation::importers {

// Kernels of one class. `measured_us` is the time during which at least one of them ran: kernels of
// two streams share the GPU, and their durations added up would count that time twice.
struct ClassRow {
  std::string kernel_class;
  int n = 0;
  double measured_us = 0.0;
  double summed_us = 0.0;  // durations added up
  std::optional<double> predicted_us;
  std::optional<int> expected_n;  // launches by the model, where it was derived from a model card
  std::string source;
};

// Operators of one shape, or collectives of one size.
struct ShapeRow {
  std::string name, shape;
  int n = 0;
  double measured_us = 0.0;  // of all operators; of the shortest collective, which waited least
  double longest_us = 0.0;   // of a collective
  std::optional<double> predicted_us;
};

struct StreamRow {
  std::int64_t stream = 0;
  int n = 0;
  double busy_us = 0.0;
};

struct Overlap {
  double compute_busy_us = 0, communication_busy_us = 0, overlapped_us = 0;
  double exposed_communication_us = 0;
};

struct TraceReport {
  std::string trace;
  std::string gpu;  // card; empty = none known, nothing predicted
  double span_us = 0.0;
  // Where a model card says what ran: sums of the predicted classes, and compute with the one
  // message that has nothing to hide behind.
  std::optional<double> predicted_span_us, predicted_compute_us, predicted_communication_us;
  std::vector<ClassRow> classes;      // by measured time, falling
  std::vector<ShapeRow> products;     // the same
  std::vector<ShapeRow> attention;    // by shape
  std::vector<ShapeRow> collectives;  // in order of the trace
  std::vector<StreamRow> streams;
  Overlap overlap;
  std::vector<std::string> notes;  // what the reader should know
};

// `gpu`: card to predict with; empty = the one that the trace, or the description beside it, names.
// `node`: card of the node, which says how its GPUs are joined; empty = by the GPU's own links.
TraceReport validate_trace(const std::filesystem::path& file, const std::string& gpu,
                           const std::string& node, const scenarios::loader::Catalogue& catalogue,
                           const std::filesystem::path& calibration);

// The card whose name the driver's name contains, of the nearest memory (0 = not known); empty =
// none.
std::string card_of_device(const std::string& name, double device_memory,
                           const scenarios::loader::Catalogue& catalogue);

}  // namespace foretoken::validation::importers
