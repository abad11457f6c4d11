#pragma once
// Output of nccl-tests (all_reduce_perf and its kin): the text that the programs print, with or
// without the prefixes of mpirun and NCCL's own log between, or the JSON of --json.
#include <filesystem>
#include <string>
#include <vector>

namespace foretoken::validation::importers {

struct CollectiveRow {
  std::string dtype;   // as printed: float, half, bfloat16, int8, ...
  double bytes = 0;    // of the whole buffer on one GPU (all-gather: the gathered total)
  double seconds = 0;  // one call, out of place
};

struct NcclTests {
  std::string operation;  // all_reduce, all_gather, reduce_scatter, alltoall, broadcast, ...
  std::string device;     // as the driver names it; empty = not printed
  std::string version;    // of the library, 2.27.3; empty = not printed
  int gpus = 0;
  int hosts = 0;  // 0 = not printed
  std::vector<CollectiveRow> rows;
};

// `operation`: of a file that does not say it; else it is read from the file, or from its name.
// Throws InputError on a file without a result, without an operation, or that is cut short.
NcclTests read_nccl_tests(const std::filesystem::path& file, const std::string& operation = {});

// Whether a file looks like it, told by its text.
bool is_nccl_tests(const std::filesystem::path& file);

}  // namespace foretoken::validation::importers
