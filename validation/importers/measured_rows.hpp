#pragma once
// From what a user measured (a trace with shapes, nccl-tests) to rows of the measured tables, which
// `foretoken calibrate` packs: GPU/OPERATOR.ENGINE-VERSION.csv.
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "models/kernels/kernel_model.hpp"
#include "validation/importers/nccl_tests.hpp"
#include "validation/importers/trace.hpp"

namespace foretoken::validation::importers {

struct MeasuredTable {
  std::string op;                 // gemm, context_attention, nccl
  std::string engine, version;    // whose they are
  std::string header;             // names of the columns
  std::vector<std::string> rows;  // in order of their text, repeats included
};

struct MeasuredRows {
  std::vector<MeasuredTable> tables;
  std::vector<std::string> notes;  // what could not be used, and why
  [[nodiscard]] std::size_t size() const;
};

// Matrix products and attention of recorded shape, and collectives of one node: of those the
// shortest call of each size, since the others waited longer. `engine`: whose kernels they are.
MeasuredRows rows_of(const Trace& trace, const models::kernels::EngineVersion& engine);
// Of one node: the tables hold no others.
MeasuredRows rows_of(const NcclTests& tests);

// FOLDER/GPU/OPERATOR.ENGINE-VERSION.csv, added to what is there. Throws InputError.
void write_rows(const MeasuredRows& rows, const std::string& gpu,
                const std::filesystem::path& folder);

}  // namespace foretoken::validation::importers
