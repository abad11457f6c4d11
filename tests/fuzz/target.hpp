#pragma once
// What a fuzz target shares: bytes as a file of a given name, and which exceptions are an answer.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "sim/core/error.hpp"

namespace foretoken::tests::fuzz {

// A file of this process alone, written anew for each input and removed at the end.
class InputFile {
 public:
  explicit InputFile(const std::string& suffix) {
    std::string folder =
        (std::filesystem::temp_directory_path() / "foretoken-fuzz-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) std::abort();
    folder_ = folder;
    path_ = folder_ / ("input" + suffix);
  }
  ~InputFile() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::filesystem::path& write(const std::uint8_t* data, std::size_t size) const {
    std::ofstream out(path_, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    if (!out.flush()) std::abort();
    return path_;
  }

 private:
  std::filesystem::path folder_, path_;
};

// Bad input is answered with an InputError that says something; whatever else is thrown is a bug.
template <class Read>
void expect_answer(const Read& read) {
  try {
    read();
  } catch (const sim::core::InputError& error) {
    if (error.diagnostics().empty() || error.diagnostics()[0].message.empty()) std::abort();
  } catch (const std::exception& error) {
    std::cerr << "not an InputError: " << error.what() << '\n';
    std::abort();
  }
}

}  // namespace foretoken::tests::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
