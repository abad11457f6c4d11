// nccl-tests output in its forms, and the rows that become of it.
#include "validation/importers/nccl_tests.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "sim/core/error.hpp"
#include "tests/unit/scenarios/loader/temporary_folder.hpp"
#include "validation/importers/measured_rows.hpp"

namespace foretoken::validation::importers {
namespace {

using scenarios::loader::TemporaryFolder;
using sim::core::InputError;

constexpr const char* kNew =
    "# nccl-tests version 2.17.1 nccl-headers=22703 nccl-library=22703\n"
    "# Collective test starting: all_reduce_perf\n"
    "# nThread 1 nGpus 2 minBytes 8 maxBytes 134217728 step: 2(factor) warmup iters: 5\n"
    "#\n# Using devices\n"
    "#  Rank  0 Group  0 Pid  12345 on  host-a device  0 [0000:1b:00] NVIDIA H100 80GB HBM3\n"
    "#  Rank  1 Group  0 Pid  12345 on  host-a device  1 [0000:43:00] NVIDIA H100 80GB HBM3\n"
    "#\n"
    "#                                                              out-of-place                   "
    "    in-place\n"
    "#       size         count      type   redop    root     time   algbw   busbw #wrong     time "
    "  algbw   busbw #wrong\n"
    "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us) "
    " (GB/s)  (GB/s)\n"
    "           0             0     float     sum      -1     0.07    0.00    0.00      0     0.06 "
    "   0.00    0.00      0\n"
    "        1024           256     float     sum      -1    12.50    0.08    0.08      0    12.10 "
    "   0.08    0.08      0\n"
    "   134217728      33554432     float     sum      -1    750.0  178.96  178.96    N/A    748.2 "
    " 179.38  179.38    N/A\n"
    "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 89.5\n";

// As printed before 2.9: no root, an error in place of a count, and no name of the test.
constexpr const char* kOld =
    "# nThread 1 nGpus 4 minBytes 1048576 maxBytes 2097152 step: 2(factor) warmup iters: 5 iters: "
    "20\n"
    "#   Rank  0 Pid  77 on       dgx device  0 [0x07] A100-SXM4-40GB\n"
    "#   Rank  1 Pid  77 on       dgx device  1 [0x0f] A100-SXM4-40GB\n"
    "#   Rank  2 Pid  77 on       dgx device  2 [0x47] A100-SXM4-40GB\n"
    "#   Rank  3 Pid  77 on       dgx device  3 [0x4e] A100-SXM4-40GB\n"
    "NCCL version 2.8.4+cuda11.1\n"
    "     1048576        131072      half            40.00   26.21   19.66  0e+00    39.61   26.47 "
    "  19.85  0e+00\n"
    "     2097152        262144      half            50.00   41.94   31.46  0e+00    49.61   42.27 "
    "  31.70  0e+00\n";

std::string message_of(const std::filesystem::path& file, const std::string& operation = {}) {
  try {
    (void)read_nccl_tests(file, operation);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("nccl-tests text: operation, GPUs, library and times out of place") {
  const TemporaryFolder folder;
  const auto file = folder.write("out.txt", kNew);
  CHECK(is_nccl_tests(file));
  const NcclTests tests = read_nccl_tests(file);
  CHECK(tests.operation == "all_reduce");
  CHECK(tests.device == "NVIDIA H100 80GB HBM3");
  CHECK(tests.version == "2.27.3");
  CHECK(tests.gpus == 2);
  CHECK(tests.hosts == 1);
  REQUIRE(tests.rows.size() == 2);  // nothing was sent at 0 bytes
  CHECK(tests.rows[1].bytes == 134217728);
  CHECK(tests.rows[1].seconds == Approx(750e-6));
  CHECK(tests.rows[1].dtype == "float");
}

TEST_CASE("nccl-tests text of an old version, named by its file, tagged by mpirun") {
  const TemporaryFolder folder;
  std::string tagged;
  std::istringstream lines(kOld);
  for (std::string line; std::getline(lines, line);) tagged += "[1,0]<stdout>:" + line + "\n";
  for (const std::string& text : {std::string(kOld), tagged}) {
    const NcclTests tests = read_nccl_tests(folder.write("all_gather_perf.log", text));
    CHECK(tests.operation == "all_gather");
    CHECK(tests.gpus == 4);
    CHECK(tests.version == "2.8.4");
    REQUIRE(tests.rows.size() == 2);
    CHECK(tests.rows[0].seconds == Approx(40e-6));
  }
  CHECK(message_of(folder.write("mine.log", kOld)).find("--operation") != std::string::npos);
  CHECK(read_nccl_tests(folder.path() / "mine.log", "reduce_scatter").operation ==
        "reduce_scatter");
}

TEST_CASE("nccl-tests JSON") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.json", R"({"version": 1,
    "config": {"command": "./build/reduce_scatter_perf -b 1M -e 1M"},
    "ranks": [{"rank": 0, "hostname": "a", "device_name": "NVIDIA H200"},
              {"rank": 1, "hostname": "a", "device_name": "NVIDIA H200"}],
    "results": [{"size": 1048576, "count": 131072, "type": "bfloat16", "redop": "sum", "root": -1,
                 "out_of_place": {"time": 25.5, "alg_bw": 41.1, "bus_bw": 20.5, "nwrong": 0}}]})");
  CHECK(is_nccl_tests(file));
  const NcclTests tests = read_nccl_tests(file);
  CHECK(tests.operation == "reduce_scatter");
  CHECK(tests.device == "NVIDIA H200");
  CHECK(tests.gpus == 2);
  REQUIRE(tests.rows.size() == 1);
  CHECK(tests.rows[0].seconds == Approx(25.5e-6));
  CHECK(
      message_of(folder.write("cut.json", R"({"results": [{"size": 1)")).find("no complete JSON") !=
      std::string::npos);
}

TEST_CASE("nccl-tests: bad files are told with their line") {
  const TemporaryFolder folder;
  const auto bad = [&](const std::string& text) { return message_of(folder.write("b.txt", text)); };
  CHECK(bad("# Collective test starting: all_reduce_perf\n").find("no result") !=
        std::string::npos);
  CHECK(bad(replaced(kNew, "    12.50 ", "   0.0000 ")).find("b.txt:13:1") != std::string::npos);
  CHECK(bad(replaced(kNew, "12.50", "nan  ")).find("not a positive number") != std::string::npos);
  const std::string cut = std::string(kNew).substr(0, std::string(kNew).find("750.0") + 20);
  CHECK(bad(cut).find("cut short") != std::string::npos);
  CHECK(message_of(folder.path() / "none.txt").find("none.txt") != std::string::npos);
}

TEST_CASE("rows of nccl-tests: elements of 16 bits; other hosts and kinds are left out") {
  const TemporaryFolder folder;
  const MeasuredRows rows = rows_of(read_nccl_tests(folder.write("o.txt", kNew)));
  REQUIRE(rows.tables.size() == 1);
  CHECK(rows.tables[0].op == "nccl");
  CHECK(rows.tables[0].version == "2.27.3");
  // 134,217,728 bytes are 67,108,864 elements of 2 bytes; 750 us are 0.75 ms.
  CHECK(rows.tables[0].rows[1] == "all_reduce,NCCL,half,2,67108864,0.75");
  const auto other = read_nccl_tests(
      folder.write("p.txt", replaced(kNew, "host-a device  1", "host-b device  1")));
  CHECK(other.hosts == 2);
  CHECK(rows_of(other).size() == 0);
  CHECK(rows_of(other).notes.size() == 1);
  CHECK(rows_of(read_nccl_tests(folder.path() / "o.txt", "broadcast")).size() == 0);
}

}  // namespace
}  // namespace foretoken::validation::importers
