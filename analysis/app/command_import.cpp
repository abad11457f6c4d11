// foretoken import: a profiler's trace -> table of kernels.
#include <fmt/format.h>

#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "validation/importers/trace.hpp"

namespace foretoken::analysis::app {

int import_command(const Invocation& invocation) {
  CommandPage page;
  page.synopsis = "import FILE --to-csv OUT";
  page.about =
      "Reads a PyTorch profiler (Kineto) trace, .json or .json.gz, or a Nsight Systems export,\n"
      ".sqlite, and writes its table of GPU kernels: name,stream,start_us,duration_us. A name\n"
      "that ends in .gz is packed.\n";
  page.examples = "  foretoken import my.pt.trace.json.gz --to-csv my.csv.gz\n";
  page.min_arguments = page.max_arguments = 1;
  page.options = {{"to-csv", "OUT", "file to write"}};
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  if (!line->has("to-csv")) throw UsageError("import needs --to-csv OUT: the file to write");
  const auto trace = validation::importers::read_trace(line->arguments[0]);
  validation::importers::write_kernel_table(trace, line->text("to-csv"));
  std::cout << fmt::format("{}: {} GPU activities{}\n", line->text("to-csv"), trace.kernels.size(),
                           trace.device.empty() ? "" : " on " + trace.device);
  return kOk;
}

}  // namespace foretoken::analysis::app
