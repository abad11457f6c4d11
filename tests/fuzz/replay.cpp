// Runs a fuzz target over files and folders of files, for compilers without libFuzzer: what was
// found once stays found.
#include <algorithm>
#include <iostream>
#include <iterator>
#include <vector>

#include "tests/fuzz/target.hpp"

namespace fs = std::filesystem;

int main(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) {
      files.emplace_back(argv[i]);
      continue;
    }
    for (const auto& entry : fs::directory_iterator(argv[i])) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    std::cerr << file.string() << '\n';  // the last one named is the one that fails
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(in), {});
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  if (files.empty()) std::cerr << "no input: name files or folders\n";
  return files.empty() ? 2 : 0;
}
