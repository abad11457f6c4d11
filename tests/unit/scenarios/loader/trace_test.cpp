#include "scenarios/loader/trace.hpp"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "scenarios/loader/content_hash.hpp"
#include "sim/core/error.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using sim::core::InputError;
using Strings = std::vector<std::string>;

const fs::path kWorkloads = fs::path(FORETOKEN_SOURCE_DIR) / "scenarios" / "workloads";
constexpr const char* kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";

Strings problems(const fs::path& file) {
  Strings result;
  try {
    (void)read_trace(file);
  } catch (const InputError& error) {
    for (const auto& d : error.diagnostics()) {
      result.push_back(std::to_string(d.line) + ":" + std::to_string(d.column) + ": " + d.message);
    }
  }
  return result;
}

std::string bytes_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST_CASE("the Azure conversation trace is read whole") {
  const auto requests = read_trace(kWorkloads / "azure-llm-2023-conv.csv.gz");
  REQUIRE(requests->size() == 19366);
  CHECK(requests->front().arrival_ps == 0);
  CHECK(requests->front().input_tokens == 374);
  CHECK(requests->front().output_tokens == 44);
  // Second row: 18:15:50.9951690 - 18:15:46.6805900 = 4.3145790 s.
  CHECK(requests->at(1).arrival_ps == 4'314'579'000'000);
  CHECK(requests->back().arrival_ps / 1'000'000'000'000 == 3501);
  CHECK(read_trace(kWorkloads / "azure-llm-2023-code.csv.gz")->size() == 8819);
}

TEST_CASE("line ends, a missing last line end, day changes and plain columns") {
  const TemporaryFolder folder;
  const auto azure = read_trace(folder.write(
      "a.csv", std::string(kHeader) + "2023-12-31 23:59:59.5,10,2\r\n2024-01-01 00:00:01,11,3"));
  REQUIRE(azure->size() == 2);
  CHECK(azure->at(1).arrival_ps == 1'500'000'000'000);
  const auto plain = read_trace(
      folder.write("b.csv", "id,output_tokens,arrival_s,input_tokens\nx,5,100.25,7\ny,6,101,8\n"));
  REQUIRE(plain->size() == 2);
  CHECK(plain->at(0).input_tokens == 7);
  CHECK(plain->at(0).output_tokens == 5);
  CHECK(plain->at(1).arrival_ps == 750'000'000'000);
}

TEST_CASE("bad rows are listed with their lines") {
  const TemporaryFolder folder;
  const auto file = folder.write("t.csv", std::string(kHeader) +
                                              "2023-11-16 18:15:46.6805900,374,44\r\n"
                                              "2023-11-16 18:15:40.0,3,4\r\n"
                                              "2023-11-16 18:15:59.0,0,4\r\n"
                                              "2023-11-16 18:15:59.0,3,-4\r\n"
                                              "2023-13-16 18:15:59.0,3,4\r\n"
                                              "\r\n"
                                              "2023-11-16 18:15:59.0,3,4x\r\n"
                                              "2023-11-16 18:1");
  CHECK(problems(file) ==
        Strings{"3:1: earlier than the row before; sort the trace",
                "4:23: input length 0 is outside 1 .. 100000000",
                "5:25: output length -4 is outside 1 .. 100000000",
                "6:1: '2023-13-16 18:15:59.0' is no time; expected 2023-11-16 18:15:46.6805900",
                "7:1: 1 field where the header has 3; is the file cut short?",
                "8:25: output length '4x' is not a whole number of tokens",
                "9:1: 1 field where the header has 3; is the file cut short?"});
}

TEST_CASE("files that are no trace") {
  const TemporaryFolder folder;
  CHECK(problems(folder.path() / "none.csv") == Strings{"0:0: no such file"});
  CHECK(problems(folder.path()) == Strings{"0:0: is a folder, not a file"});
  CHECK(problems(folder.write("e.csv", "")) == Strings{"0:0: is empty"});
  CHECK(problems(folder.write("h.csv", kHeader)) ==
        Strings{"0:0: holds no request, only a header"});
  CHECK(problems(folder.write("x.csv", "a,b\n1,2\n")).at(0).substr(0, 20) ==
        "1:1: unknown header;");
}

TEST_CASE("a gzip file cut short or damaged is refused") {
  const TemporaryFolder folder;
  const std::string whole = bytes_of(kWorkloads / "azure-llm-2023-conv.csv.gz");
  for (const std::size_t size : {whole.size() / 2, whole.size() - 1, whole.size() - 8}) {
    const Strings found = problems(folder.write("cut.csv.gz", whole.substr(0, size)));
    REQUIRE(found.size() == 1);
    CHECK_THAT(found[0], Catch::Contains("cut short"));
  }
  std::string damaged = whole;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 0x55);  // checksum
  const Strings found = problems(folder.write("bad.csv.gz", damaged));
  REQUIRE(found.size() == 1);
  CHECK_THAT(found[0], Catch::Contains("damaged"));
}

TEST_CASE("content hashes tell files apart") {
  // FNV-1a of nothing is its offset basis; of "a" it is af63dc4c8601ec8c (the authors' table).
  CHECK(content_hash("") == 0xcbf29ce484222325ULL);
  CHECK(content_hash("a") == 0xaf63dc4c8601ec8cULL);
  CHECK(hash_text("a") == "fnv1a64:af63dc4c8601ec8c, 1 bytes");
  const TemporaryFolder folder;
  CHECK(hash_file(folder.write("a", "a")) == hash_text("a"));
  CHECK_THROWS_AS(hash_file(folder.path() / "none"), InputError);
}

}  // namespace
}  // namespace foretoken::scenarios::loader
