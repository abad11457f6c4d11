#pragma once
#include <filesystem>
#include <memory>

#include "models/kernels/calibration.hpp"

namespace foretoken::scenarios::loader {

// Throws InputError on a damaged file or one of another format version.
// `gpu`: read only the tables of this folder (and parameters); empty = all.
std::shared_ptr<const models::kernels::Calibration> read_calibration(
    const std::filesystem::path& file, const std::string& gpu = {});

// Byte-reproducible: no time stamps, fixed order, fixed compression.
void write_calibration(const std::filesystem::path& file, const models::kernels::Calibration&);

}  // namespace foretoken::scenarios::loader
