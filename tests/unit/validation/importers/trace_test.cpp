// Importers of traces: small hand-made files, and the table of the DeepSeek-V3 training trace.
#include "validation/importers/trace.hpp"

#include <sqlite3.h>
#include <unistd.h>
#include <zlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "sim/core/error.hpp"
#include "validation/importers/kernel_class.hpp"
#include "validation/importers/predict.hpp"

namespace fs = std::filesystem;
using namespace foretoken::validation::importers;
using foretoken::sim::core::InputError;

namespace {

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("ft-importers-" + std::to_string(getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] fs::path path(const std::string& name) const { return path_ / name; }
  [[nodiscard]] fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  [[nodiscard]] fs::path pack(const std::string& name, const std::string& text) const {
    gzFile file = gzopen(path(name).c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return path(name);
  }

 private:
  fs::path path_;
};

// A product launched at 12 on thread 1 inside aten::mm (10..20), a second kernel launched after it,
// a collective with its size, a copy. The kernel's external id is its correlation id, as old
// profilers write it: it must not be taken for the operator's.
const std::string kTrace = R"json({
 "deviceProperties": [{"id": 0, "name": "NVIDIA A100-SXM4-40GB", "totalGlobalMem": 42297524224}],
 "distributedInfo": {"backend": "nccl", "rank": 3, "world_size": 8},
 "traceEvents": [
  {"ph": "X", "cat": "kernel", "name": "void cutlass_80_tensorop_s1688gemm_64x64()", "tid": 7,
   "ts": 1000.5, "dur": 7.25,
   "args": {"External id": 42, "device": 0, "stream": 7, "correlation": 42}},
  {"ph": "X", "cat": "kernel", "name": "vectorized_elementwise_kernel<4, \"x\">", "tid": 7,
   "ts": 1010, "dur": 2, "args": {"device": 0, "stream": 7, "correlation": 43}},
  {"ph": "X", "cat": "kernel", "name": "ncclKernel_AllReduce_RING_LL_Sum_float()", "tid": 21,
   "ts": 1004, "dur": 10, "args": {"stream": 21, "correlation": 44,
   "Collective name": "allreduce", "In msg nelems": 2049000, "Group size": 2, "dtype": "Float"}},
  {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy DtoD", "tid": 7, "ts": 1020, "dur": 1,
   "args": {"stream": 7, "correlation": 45, "bytes": 8}},
  {"ph": "X", "cat": "cpu_op", "name": "aten::linear", "tid": 1, "ts": 9, "dur": 13,
   "args": {"Input Dims": [[4, 8], [16, 8], []], "Input type": ["float", "float", ""]}},
  {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "tid": 1, "ts": 10, "dur": 10, "args": {
   "External id": 5, "Input Dims": [[4, 8], [8, 16]], "Input type": ["float", "float"]}},
  {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "tid": 1, "ts": 12, "dur": 1,
   "args": {"correlation": 42}},
  {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "tid": 1, "ts": 21, "dur": 1,
   "args": {"correlation": 43}},
  {"ph": "i", "name": "Record Window End", "ts": 99}
 ],
 "traceName": "t.json"
})json";

std::string message_of(const fs::path& file) {
  try {
    read_trace(file);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("Kineto: kernels, the operator that launched them, messages, the machine") {
  const Folder folder;
  for (const fs::path& file : {folder.write("t.json", kTrace), folder.pack("t.json.gz", kTrace)}) {
    const Trace trace = read_trace(file);
    CHECK(trace.device == "NVIDIA A100-SXM4-40GB");
    CHECK(trace.device_memory == 42297524224.0);
    CHECK(trace.rank == 3);
    CHECK(trace.world == 8);
    REQUIRE(trace.kernels.size() == 4);
    // By start, counted from the first kernel.
    CHECK(trace.kernels[0].start_us == 0.0);
    CHECK(trace.kernels[0].duration_us == 7.25);
    CHECK(trace.kernels[1].start_us == 3.5);
    CHECK(trace.kernels[1].stream == 21);
    // aten::linear only wraps the product.
    REQUIRE(trace.ops.size() == 1);
    CHECK(trace.ops[0].name == "aten::mm");
    CHECK(trace.ops[0].dims == std::vector<std::vector<std::int64_t>>{{4, 8}, {8, 16}});
    CHECK(trace.ops[0].types == std::vector<std::string>{"float", "float"});
    CHECK(trace.kernels[0].op == 0);
    CHECK(trace.kernels[2].op == -1);
    REQUIRE(trace.kernels[1].message);
    CHECK(trace.kernels[1].message->collective == "allreduce");
    CHECK(trace.kernels[1].message->elements == 2049000);
    CHECK(trace.kernels[1].message->group == 2);
    CHECK(trace.kernels[1].message->dtype == "Float");
    CHECK_FALSE(trace.kernels[0].message);
    CHECK(trace.kernels[3].kind == Kernel::Kind::copy);
  }
}

TEST_CASE("Kineto: a bare list of events is a trace too") {
  const Folder folder;
  const Trace trace = read_trace(folder.write(
      "t.json", R"([{"ph":"X","cat":"kernel","name":"k","tid":3,"ts":5,"dur":2,"args":{}}])"));
  REQUIRE(trace.kernels.size() == 1);
  CHECK(trace.kernels[0].stream == 3);
}

TEST_CASE("Kineto: sizes of zero or beyond 2^31 are no shapes; the rest of the trace is read") {
  const Folder folder;
  for (const char* size : {"0", "-4", "3000000000", "1e300", "4.5e18"}) {
    std::string text = kTrace;
    const auto at = text.find("[[4, 8], [8, 16]]");
    REQUIRE(at != std::string::npos);
    text.replace(at + 2, 1, size);
    const Trace trace = read_trace(folder.write("t.json", text));
    REQUIRE(trace.ops.size() == 1);
    CHECK(trace.ops[0].dims[0][0] == 0);
    CHECK_FALSE(product_of(trace.ops[0]));
    CHECK(trace.kernels.size() == 4);
  }
}

TEST_CASE("Kineto: damaged files give one clear error") {
  const Folder folder;
  CHECK(message_of(folder.write("cut.json", kTrace.substr(0, 700))).find("no complete JSON") !=
        std::string::npos);
  const fs::path packed = folder.pack("whole.json.gz", kTrace);
  fs::resize_file(packed, fs::file_size(packed) / 2);
  CHECK(message_of(packed).find("damaged or cut short") != std::string::npos);
  CHECK(message_of(folder.write("none.json", R"({"traceEvents": []})")).find("no GPU kernel") !=
        std::string::npos);
  CHECK(message_of(folder.write("neg.json", R"([{"ph":"X","cat":"kernel","name":"k","tid":3,)"
                                            R"("ts":5,"dur":-2}])"))
            .find("negative duration") != std::string::npos);
  CHECK(message_of(
            folder.write("nodur.json", R"([{"ph":"X","cat":"kernel","name":"k","tid":3,"ts":5}])"))
            .find("lacks ts or dur") != std::string::npos);
  CHECK(message_of(folder.path("missing.json")).find("no such file") != std::string::npos);
  CHECK(message_of(folder.write("t.txt", "x")).find("told by its name") != std::string::npos);
}

TEST_CASE("Table of kernels: what is written is read back, twice the same bytes") {
  const Folder folder;
  const Trace trace = read_trace(folder.write("t.json", kTrace));
  const auto bytes = [](const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
  };
  for (const char* name : {"a.csv", "a.csv.gz"}) {
    write_kernel_table(trace, folder.path(name));
    const std::string first = bytes(folder.path(name));
    write_kernel_table(trace, folder.path(name));
    CHECK(first == bytes(folder.path(name)));
    const Trace back = read_trace(folder.path(name));
    REQUIRE(back.kernels.size() == 3);  // copies are no kernels
    // A name with commas and quotes survives.
    CHECK(back.kernels[2].name == "vectorized_elementwise_kernel<4, \"x\">");
    CHECK(back.kernels[2].start_us == 9.5);
    CHECK(back.kernels[2].duration_us == 2.0);
  }
}

TEST_CASE("Table of kernels: a wrong row is named with its line") {
  const Folder folder;
  const std::string header = "name,stream,start_us,duration_us\n";
  CHECK(message_of(folder.write("a.csv", "kernel,ms\n")).find("the first line must be") !=
        std::string::npos);
  CHECK(message_of(folder.write("b.csv", header + "k,1,0,2\nk,1,0\n")).find("b.csv:3:") !=
        std::string::npos);
  CHECK(message_of(folder.write("c.csv", header + "k,x,0,2\n")).find("stream is no integer") !=
        std::string::npos);
  CHECK(message_of(folder.write("d.csv", header + "k,1,0,nan\n")).find("duration_us is no") !=
        std::string::npos);
  CHECK(message_of(folder.write("e.csv", header)).find("no kernels") != std::string::npos);
}

TEST_CASE("Nsight Systems export: kernels in nanoseconds become microseconds") {
  const Folder folder;
  const fs::path file = folder.path("n.sqlite");
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  const char* const kExport =
      "CREATE TABLE StringIds (id INTEGER, value TEXT);"
      "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER, end INTEGER, deviceId INTEGER,"
      " streamId INTEGER, demangledName INTEGER, shortName INTEGER);"
      "CREATE TABLE CUPTI_ACTIVITY_KIND_MEMCPY (start INTEGER, end INTEGER, deviceId INTEGER,"
      " streamId INTEGER, bytes INTEGER);"
      "CREATE TABLE TARGET_INFO_GPU (id INTEGER, name TEXT, totalMemory INTEGER);"
      "INSERT INTO StringIds VALUES (1, 'sm90_xmma_gemm_bf16bf16_bf16f32_f32');"
      "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (9000, 12500, 0, 7, 1, 1), (5000, 6000, 0, 7, "
      "1, 1);"
      "INSERT INTO CUPTI_ACTIVITY_KIND_MEMCPY VALUES (7000, 8000, 0, 9, 64);"
      "INSERT INTO TARGET_INFO_GPU VALUES (0, 'NVIDIA H800', 84943110144);";
  REQUIRE(sqlite3_exec(database, kExport, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(database);
  const Trace trace = read_trace(file);
  REQUIRE(trace.kernels.size() == 3);
  CHECK(trace.device == "NVIDIA H800");
  CHECK(trace.kernels[1].kind == Kernel::Kind::copy);
  CHECK(trace.kernels[2].start_us == Approx(4.0));  // 9000 ns - 5000 ns
  CHECK(trace.kernels[2].duration_us == Approx(3.5));
  CHECK(class_of(trace.kernels[2]) == "gemm bf16");
  CHECK(message_of(folder.write("bad.sqlite", "not a database, whatever its name says"))
            .find("nsys export") != std::string::npos);
}

TEST_CASE("DeepSeek-V3 training trace: the table that is shipped") {
  const Trace trace = read_trace(fs::path(FORETOKEN_SOURCE_DIR) /
                                 "validation/measurements/traces/deepseek-v3-train-h800.csv.gz");
  REQUIRE(trace.kernels.size() == 963);
  std::map<std::string, int> count;
  double span = 0;
  for (const Kernel& kernel : trace.kernels) {
    ++count[class_of(kernel)];
    span = std::max(span, kernel.end_us());
  }
  CHECK(span == Approx(129'012));
  CHECK(count["combine"] == 8);
  CHECK(count["dispatch"] == 8);
  CHECK(count["gemm fp8 weight gradient"] == 60);
  CHECK(count["gemm fp8"] == 64);
  CHECK(count["grouped gemm fp8"] == 16);
  CHECK(count["attention forward"] == 4);
  CHECK(count["attention backward"] == 4);
}

TEST_CASE("Intervals: merged, and what two sets have in common") {
  // [0,4] and [3,5] overlap, [5,6] touches: together [0,6]; [8,9] apart: 7 in all.
  const auto a = merged({{8, 9}, {0, 4}, {3, 5}, {5, 6}});
  REQUIRE(a.size() == 2);
  CHECK(length(a) == 7.0);
  // With [1,2], [5.5,8.5]: 1 + 0.5 + 0.5.
  CHECK(common_length(a, merged({{5.5, 8.5}, {1, 2}})) == 2.0);
  CHECK(common_length(a, {}) == 0.0);
}
