// HDF5: every object of a file, as numbers and as strings, and the file as a calibration.
#include "scenarios/loader/calibration_file.hpp"
#include "scenarios/loader/hdf5_file.hpp"
#include "tests/fuzz/target.hpp"

using namespace foretoken;
using tests::fuzz::expect_answer;

namespace {

constexpr int kDeepest = 4;

void read_all(const scenarios::loader::Hdf5File& file, const std::string& group, int depth) {
  std::vector<std::string> names;
  expect_answer([&] { names = file.children(group); });
  for (const std::string& name : names) {
    const std::string path = group == "/" ? "/" + name : group + "/" + name;
    expect_answer([&] { (void)file.read<double>(path); });
    expect_answer([&] { (void)file.read<std::int32_t>(path); });
    expect_answer([&] { (void)file.read_strings(path); });
    expect_answer([&] { (void)file.string_attribute(path, "unit"); });
    if (depth < kDeepest) read_all(file, path, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile input(".h5");
  const std::filesystem::path& path = input.write(data, size);
  expect_answer([&] { read_all(scenarios::loader::Hdf5File::open(path), "/", 0); });
  expect_answer([&] { (void)scenarios::loader::read_calibration(path); });
  return 0;
}
