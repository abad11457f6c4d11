#pragma once
// A profiler's trace of one GPU as tables: kernels, the operators that launched them where their
// shapes were recorded, and what the header says of the machine.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foretoken::validation::importers {

// Message of a collective, as newer profilers record it beside the kernel.
struct Message {
  std::string collective;  // allreduce, broadcast, ...
  std::string dtype;       // Float, Half, BFloat16, ...
  std::int64_t elements = 0;
  int group = 0;  // ranks that take part
};

struct Kernel {
  enum class Kind { kernel, copy, set };
  Kind kind = Kind::kernel;
  std::string name;
  int device = 0;
  std::int64_t stream = 0;
  double start_us = 0.0;  // after the first kernel of the trace
  double duration_us = 0.0;
  std::int64_t op = -1;  // index into Trace::ops of the operator that launched it; -1 = none known
  std::optional<Message> message;

  [[nodiscard]] double end_us() const { return start_us + duration_us; }
};

// An operator of the framework with the shapes of its inputs.
struct FrameworkOp {
  std::string name;  // aten::mm, ...
  std::vector<std::vector<std::int64_t>> dims;
  std::vector<std::string> types;  // float, c10::BFloat16, ...
  // Values of its inputs as recorded, "" for tensors; empty = not recorded.
  std::vector<std::string> values = {};
};

// Operators whose shapes decide the time of their kernels (aten::linear and aten::matmul only wrap
// these); no others are kept.
bool has_shapes_of_interest(std::string_view op_name);

struct Trace {
  std::string device;           // as the driver names it; empty = not recorded
  double device_memory = 0.0;   // bytes; 0 = not recorded
  int rank = -1, world = 0;     // -1, 0 = not recorded
  std::vector<Kernel> kernels;  // by start
  std::vector<FrameworkOp> ops;
};

// A Kineto/Chrome trace (.json), a Nsight Systems export (.sqlite), or a table of kernels (.csv),
// told apart by name; the text formats may be gzipped. Throws InputError.
Trace read_trace(const std::filesystem::path& file);

// The table of kernels: name,stream,start_us,duration_us; gzipped if the name ends in .gz. The same
// trace gives the same bytes.
void write_kernel_table(const Trace& trace, const std::filesystem::path& file);
Trace read_kernel_table(const std::filesystem::path& file);

}  // namespace foretoken::validation::importers
