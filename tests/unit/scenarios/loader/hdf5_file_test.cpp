#include "scenarios/loader/hdf5_file.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <thread>

#include "sim/core/error.hpp"

using foretoken::scenarios::loader::Hdf5File;
using foretoken::sim::core::InputError;
namespace fs = std::filesystem;

namespace {

// A folder of its own for each test, removed at its end.
struct Folder {
  fs::path path;
  Folder() {
    static int count = 0;
    path = fs::temp_directory_path() /
           ("foretoken-hdf5-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
};

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_sample(const fs::path& file) {
  Hdf5File out = Hdf5File::create(file);
  std::vector<double> ttft(50000);
  for (std::size_t i = 0; i < ttft.size(); ++i)  // hard to compress: the column fills the file
    ttft[i] = std::fmod(static_cast<double>(i) * 0.6180339887498949, 1.0);
  out.write("requests/ttft", ttft);
  out.write("requests/id",
            std::vector<std::int64_t>{1, -2, std::numeric_limits<std::int64_t>::max()});
  out.write("requests/flags", std::vector<std::uint8_t>{0, 255});
  out.write("curve", std::vector<float>{1.5F, -2.5F});
  out.write("none", std::vector<std::int32_t>{});
  out.write_strings("names", {"DeepSeek-R1", "", "Fünf"});
  out.write_fixed_strings("labels", {"fp8", "", "fp8_block"});
  out.set_attribute("/", "format_version", std::int64_t{7});
  out.set_attribute("requests", "unit", "s");
  out.set_attribute("requests", "rate", 0.5);
  out.set_attribute("requests", "empty", "");
  out.close();
}

}  // namespace

TEST_CASE("what is written is read back") {
  const Folder folder;
  write_sample(folder.path / "a.h5");
  const Hdf5File in = Hdf5File::open(folder.path / "a.h5");
  const std::vector<double> ttft = in.read<double>("requests/ttft");
  REQUIRE(ttft.size() == 50000);
  CHECK(ttft[2] == std::fmod(2 * 0.6180339887498949, 1.0));
  CHECK(in.size("requests/ttft") == 50000);
  CHECK(in.read<std::int64_t>("requests/id")[2] == std::numeric_limits<std::int64_t>::max());
  CHECK(in.read<std::uint8_t>("/requests/flags") == std::vector<std::uint8_t>{0, 255});
  CHECK(in.read<float>("curve") == std::vector<float>{1.5F, -2.5F});
  CHECK(in.read<std::int32_t>("none").empty());
  CHECK(in.read_strings("names") == std::vector<std::string>{"DeepSeek-R1", "", "Fünf"});
  CHECK(in.read_strings("labels") == std::vector<std::string>{"fp8", "", "fp8_block"});
  CHECK(in.int_attribute("/", "format_version") == 7);
  CHECK(in.string_attribute("requests", "unit") == "s");
  CHECK(in.string_attribute("requests", "empty").empty());
  CHECK(in.double_attribute("requests", "rate") == 0.5);
  CHECK(in.exists("requests"));
  CHECK_FALSE(in.exists("requests/tpot"));
  CHECK_FALSE(in.exists("nowhere/tpot"));
  CHECK(in.has_attribute("requests", "rate"));
  CHECK_FALSE(in.has_attribute("requests", "speed"));
  CHECK(in.children("requests") == std::vector<std::string>{"flags", "id", "ttft"});
}

TEST_CASE("the same data give the same bytes") {
  const Folder folder;
  write_sample(folder.path / "a.h5");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // time stamps would differ
  write_sample(folder.path / "b.h5");
  const bool same_bytes = bytes_of(folder.path / "a.h5") == bytes_of(folder.path / "b.h5");
  CHECK(same_bytes);
}

TEST_CASE("columns are compressed") {
  const Folder folder;
  Hdf5File out = Hdf5File::create(folder.path / "a.h5");
  out.write("x", std::vector<double>(50000, 1.25));
  out.close();
  CHECK(fs::file_size(folder.path / "a.h5") < 50000 * 8 / 20);
}

TEST_CASE("failures are input errors that name file and object") {
  const Folder folder;
  const fs::path file = folder.path / "a.h5";
  write_sample(file);
  const Hdf5File in = Hdf5File::open(file);
  CHECK_THROWS_WITH(in.read<double>("requests/tpot"), Catch::Contains("/requests/tpot"));
  CHECK_THROWS_AS(in.read<double>("names"), InputError);
  CHECK_THROWS_AS(in.read<double>("requests"), InputError);
  CHECK_THROWS_AS(in.read_strings("curve"), InputError);
  CHECK_THROWS_AS(in.string_attribute("requests", "rate"), InputError);
  CHECK_THROWS_AS(in.int_attribute("requests", "unit"), InputError);
  CHECK_THROWS_WITH(in.double_attribute("requests", "speed"), Catch::Contains("speed"));
  CHECK_THROWS_AS(Hdf5File::open(folder.path / "missing.h5"), InputError);
  CHECK_THROWS_AS(Hdf5File::create(folder.path / "no" / "such" / "folder.h5"), InputError);
  Hdf5File out = Hdf5File::create(folder.path / "c.h5");
  out.write("x", std::vector<float>{1.0F});
  CHECK_THROWS_WITH(out.write("x", std::vector<float>{1.0F}), Catch::Contains("exists already"));
}

TEST_CASE("damage is found, never read as numbers") {
  const Folder folder;
  const fs::path file = folder.path / "a.h5";
  write_sample(file);
  const std::string whole = bytes_of(file);

  std::ofstream(file, std::ios::binary) << "not an HDF5 file at all";
  CHECK_THROWS_AS(Hdf5File::open(file), InputError);

  std::ofstream(file, std::ios::binary) << whole.substr(0, whole.size() / 2);
  CHECK_THROWS_AS(Hdf5File::open(file), InputError);

  // A flipped byte anywhere: the column is read as it was, or not at all. Most flips hit the
  // compressed column itself.
  const std::vector<double> right = [&] {
    std::ofstream(file, std::ios::binary) << whole;
    return Hdf5File::open(file).read<double>("requests/ttft");
  }();
  int refused = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    std::string flipped = whole;
    char& byte = flipped[whole.size() * (2 * i + 1) / 80];
    byte = static_cast<char>(byte ^ 0x55);
    std::ofstream(file, std::ios::binary) << flipped;
    try {
      const std::vector<double> found = Hdf5File::open(file).read<double>("requests/ttft");
      CHECK(found == right);
    } catch (const InputError&) {
      ++refused;
    }
  }
  CHECK(refused >= 35);
}
