#include "validation/calibrate/kernel_csv.hpp"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

using namespace foretoken::validation::calibrate;
using foretoken::sim::core::Diagnostic;

namespace {

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / "foretoken-kernel-csv-test") {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path / "gpu");
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path path;
};

struct Read {
  KernelTables tables;
  std::vector<Diagnostic> diagnostics;
  [[nodiscard]] bool says(const std::string& words) const {
    for (const auto& d : diagnostics)
      if (d.message.find(words) != std::string::npos) return true;
    return false;
  }
  [[nodiscard]] std::size_t keys() const {
    return tables.tables.empty() ? 0 : tables.tables[0].seconds.size();
  }
};

Read read(const std::string& text) {
  const Folder folder;
  const auto file = folder.path / "gpu" / "gemm.vllm-1.0.csv";
  std::ofstream(file, std::ios::binary) << text;
  Read result;
  const auto files = find_kernel_files(folder.path, result.diagnostics);
  REQUIRE(files.size() == 1);
  CHECK(files[0].gpu == "gpu");
  CHECK(files[0].op == "gemm");
  CHECK(files[0].engine == "vllm");
  CHECK(files[0].version == "1.0");
  result.tables = read_kernel_file(files[0], result.diagnostics);
  return result;
}

const std::string kHead = "gemm_dtype,m,n,k,latency\n";

}  // namespace

TEST_CASE("milliseconds become seconds, one row a key") {
  const auto result = read(kHead + "bfloat16,1,64,32,0.5\nbfloat16,2,64,32,1\n");
  CHECK(result.diagnostics.empty());
  REQUIRE(result.keys() == 2);
  CHECK(result.tables.tables[0].seconds[0] == Approx(0.5e-3));
  CHECK(result.tables.tables[0].labels.at("gemm_dtype") == std::vector<std::string>{"bfloat16"});
}

TEST_CASE("times that are no positive numbers are left out and reported with their line") {
  const auto result = read(kHead +
                           "bfloat16,1,64,32,0.5\nbfloat16,2,64,32,nan\nbfloat16,3,64,32,0\n"
                           "bfloat16,4,64,32,-1\nbfloat16,5,64,32,inf\nbfloat16,6,64,32,fast\n");
  CHECK(result.keys() == 1);
  REQUIRE(result.says("5 rows whose latency is not a positive number"));
  CHECK(result.diagnostics[0].line == 3);
}

TEST_CASE("a shape of zero, below it or beyond 2^31 is left out and reported") {
  const auto result = read(kHead +
                           "bfloat16,1,64,32,0.5\nbfloat16,0,64,32,0.5\nbfloat16,-4,64,32,0.5\n"
                           "bfloat16,2147483648,64,32,0.5\nbfloat16,nan,64,32,0.5\n");
  CHECK(result.keys() == 1);
  CHECK(result.says("4 rows with a dimension of zero, below it or beyond 2^31"));
}

TEST_CASE("rows of one key become their median; more than 2x apart is reported") {
  const auto close =
      read(kHead + "bfloat16,1,64,32,1\nbfloat16,1,64,32,1.5\nbfloat16,1,64,32,1.1\n");
  REQUIRE(close.keys() == 1);
  CHECK(close.tables.tables[0].seconds[0] == Approx(1.1e-3));
  CHECK(close.diagnostics.empty());
  const auto apart = read(kHead + "bfloat16,1,64,32,1\nbfloat16,1,64,32,2.5\n");
  CHECK(apart.keys() == 1);
  CHECK(apart.says("1 keys measured more than once disagree by more than 2x"));
  CHECK(apart.diagnostics[0].warning);
}

TEST_CASE("a file without a column, without rows, or with ragged rows") {
  const auto missing = read("gemm_dtype,m,n,latency\nbfloat16,1,64,1\n");
  CHECK(missing.tables.tables.empty());
  CHECK(missing.says("column 'k' is missing"));
  const auto timeless = read("gemm_dtype,m,n,k\nbfloat16,1,64,32\n");
  CHECK(timeless.tables.tables.empty());
  CHECK(timeless.says("no column of times"));
  const auto empty = read("");
  CHECK(empty.tables.tables.empty());
  CHECK(empty.says("the file is empty"));
  const auto ragged = read(kHead + "bfloat16,1,64,32,1\nbfloat16,1,64\n");
  CHECK(ragged.keys() == 1);
  CHECK(ragged.says("1 rows without 5 cells are left out"));
}

TEST_CASE("a compressed file that is cut short gives an error and no table") {
  const Folder folder;
  const auto file = folder.path / "gpu" / "gemm.vllm-1.0.csv.gz";
  std::string text = kHead;
  for (int m = 1; m < 5000; ++m) text += "bfloat16," + std::to_string(m) + ",64,32,0.5\n";
  gzFile out = gzopen(file.c_str(), "wb");
  gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
  gzclose(out);
  std::vector<Diagnostic> diagnostics;
  const auto files = find_kernel_files(folder.path, diagnostics);
  REQUIRE(files.size() == 1);
  CHECK(read_kernel_file(files[0], diagnostics).tables.at(0).seconds.size() == 4999);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  CHECK(read_kernel_file(files[0], diagnostics).tables.empty());
  REQUIRE(diagnostics.size() == 1);
  CHECK(diagnostics[0].message.find("damaged or cut short") != std::string::npos);
}

TEST_CASE("files of other names are left out with a warning") {
  const Folder folder;
  std::ofstream(folder.path / "gpu" / "notes.csv") << "a\n";
  std::vector<Diagnostic> diagnostics;
  CHECK(find_kernel_files(folder.path, diagnostics).empty());
  REQUIRE(diagnostics.size() == 1);
  CHECK(diagnostics[0].warning);
}
