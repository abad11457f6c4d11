// Traces with shapes become rows of the measured tables.
#include "validation/importers/measured_rows.hpp"

#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "tests/unit/scenarios/loader/temporary_folder.hpp"

namespace foretoken::validation::importers {
namespace {

using scenarios::loader::TemporaryFolder;

Kernel kernel(std::string name, double start, double duration, std::int64_t op) {
  Kernel k;
  k.name = std::move(name);
  k.start_us = start;
  k.duration_us = duration;
  k.op = op;
  return k;
}

TEST_CASE("products and attention of a trace become rows, what fits no table a note") {
  Trace trace;
  trace.ops = {{"aten::mm", {{64, 256}, {256, 512}}, {"c10::BFloat16", "c10::BFloat16"}},
               {"aten::addmm", {{512}, {64, 256}, {256, 512}}, {"float", "float", "float"}},
               {"aten::_scaled_mm", {{64, 256}, {256, 512}}, {"c10::Float8_e4m3fn"}},
               {"aten::bmm", {{4, 64, 32}, {4, 32, 16}}, {"c10::Half", "c10::Half"}},
               {"aten::_scaled_dot_product_flash_attention",
                {{1, 8, 128, 64}, {1, 2, 128, 64}, {1, 2, 128, 64}},
                {"c10::Half"}}};
  // The first product launches two kernels: 10 + 2 us.
  trace.kernels = {kernel("gemm", 0, 10, 0),  kernel("splitKreduce", 10, 2, 0),
                   kernel("sgemm", 20, 5, 1), kernel("gemm", 30, 6, 2),
                   kernel("gemm", 40, 7, 3),  kernel("flash_fwd", 50, 8, 4)};
  const MeasuredRows rows = rows_of(trace, {"vllm", "0.19.0"});
  REQUIRE(rows.tables.size() == 2);
  CHECK(rows.tables[0].op == "context_attention");
  CHECK(rows.tables[0].rows ==
        std::vector<std::string>{
            "context_attention,trace,1,128,8,2,64,1,bfloat16,bfloat16,0,0,0.008"});
  CHECK(rows.tables[1].op == "gemm");
  CHECK(rows.tables[1].engine == "vllm");
  CHECK(rows.tables[1].rows == std::vector<std::string>{"gemm,trace,bfloat16,64,512,256,0.012",
                                                        "gemm,trace,fp8,64,512,256,0.006"});
  CHECK(rows.notes.size() == 2);  // a product of 32-bit floats, a batched one
}

TEST_CASE("of collectives of one size the shortest is kept: the others waited longer") {
  Trace trace;
  for (const double us : {300.0, 120.0, 500.0}) {
    Kernel k = kernel("ncclDevKernel_AllReduce", 0, us, -1);
    k.message = Message{"allreduce", "Float", 1000, 2};
    trace.kernels.push_back(k);
  }
  Kernel gather = kernel("ncclDevKernel_AllGather", 0, 50, -1);
  gather.message = Message{"_allgather_base", "BFloat16", 1000, 4};
  trace.kernels.push_back(gather);
  const MeasuredRows rows = rows_of(trace, {"vllm", "0.19.0"});
  REQUIRE(rows.tables.size() == 1);
  // 1,000 floats are 2,000 elements of 2 bytes; four ranks gather 4 x 1,000.
  CHECK(rows.tables[0].rows == std::vector<std::string>{"all_gather,NCCL,half,4,4000,0.05",
                                                        "all_reduce,NCCL,half,2,2000,0.12"});
}

TEST_CASE("Nsight Systems: shapes announced by emit_nvtx, types by the kernel's name") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "n.sqlite";
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  const char* const kExport =
      "CREATE TABLE StringIds (id INTEGER, value TEXT);"
      "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER, end INTEGER, deviceId INTEGER,"
      " streamId INTEGER, correlationId INTEGER, demangledName INTEGER);"
      "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, globalTid INTEGER,"
      " correlationId INTEGER);"
      "CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, text TEXT, textId INTEGER,"
      " globalTid INTEGER);"
      "INSERT INTO StringIds VALUES (1, 'sm90_xmma_gemm_bf16bf16_bf16f32_f32'),"
      " (2, 'aten::mm, seq = 7, op_id = 3, sizes = [[64, 256], [256, 512]]');"
      "INSERT INTO NVTX_EVENTS VALUES (1000, 3000, NULL, 2, 5), (1000, 9000, 'forward', NULL, 5),"
      " (4000, 5000, 'aten::addmm, seq = 8, sizes = [[512], [64, 256], [256, 51', NULL, 5);"
      "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (2000, 2100, 5, 11), (2000, 2100, 6, 12);"
      "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (9000, 12500, 0, 7, 11, 1),"
      " (13000, 14000, 0, 7, 12, 1);";
  REQUIRE(sqlite3_exec(database, kExport, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  const Trace trace = read_trace(file);
  REQUIRE(trace.ops.size() == 1);  // the one cut short says nothing
  CHECK(trace.kernels[0].op == 0);
  CHECK(trace.kernels[1].op == -1);  // launched by another thread
  const MeasuredRows rows = rows_of(trace, {"sglang", "0.5.9"});
  REQUIRE(rows.size() == 1);
  CHECK(rows.tables[0].rows[0] == "gemm,trace,bfloat16,64,512,256,0.0035");
}

TEST_CASE("rows of several files are added up in one table") {
  const TemporaryFolder folder;
  MeasuredRows rows;
  rows.tables.push_back({"gemm", "vllm", "0.19.0", "a,b", {"1,2"}});
  write_rows(rows, "h100_sxm", folder.path());
  rows.tables[0].rows[0] = "3,4";
  write_rows(rows, "h100_sxm", folder.path());
  std::ifstream in(folder.path() / "h100_sxm" / "gemm.vllm-0.19.0.csv");
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "a,b\n1,2\n3,4\n");
}

}  // namespace
}  // namespace foretoken::validation::importers
