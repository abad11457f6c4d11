#pragma once
// From rows of measured tables to operator shapes, and from shapes to the place they take among
// the measurements: a category (what cannot be interpolated) and coordinates (what can).
#include <optional>
#include <string>

#include "models/kernels/calibration.hpp"
#include "models/kernels/field.hpp"
#include "models/kernels/machine.hpp"
#include "models/llm/operators.hpp"

namespace foretoken::models::kernels {

// Families that validation reports and that share one way of interpolating.
enum class Family {
  gemm,
  attention,
  mla,
  mla_block,  // whole latent-attention layers
  moe,
  moe_exchanged,  // experts fed by an exchange
  collective,
  exchange,  // expert dispatch and combine
  elementwise
};
std::string_view to_string(Family family);

struct Row {
  llm::OperatorShape shape;
  // What the shape cannot say and the table can: the kernel, the type of the arithmetic.
  std::string variant;
  double seconds = 0.0;
  bool own = false;  // a user's own measurement
};

// Reads a table's rows as shapes; empty for operators that no shape describes.
class RowReader {
 public:
  explicit RowReader(const Table& table);
  [[nodiscard]] bool understood() const { return understood_; }
  [[nodiscard]] std::size_t size() const { return table_->seconds.size(); }
  [[nodiscard]] std::optional<Row> row(std::size_t index) const;

 private:
  [[nodiscard]] double number(const std::string& column, std::size_t index, double otherwise) const;
  [[nodiscard]] const std::string& label(const std::string& column, std::size_t index) const;
  [[nodiscard]] std::int64_t whole(const std::string& column, std::size_t index) const {
    return static_cast<std::int64_t>(number(column, index, 0));
  }
  [[nodiscard]] int small(const std::string& column, std::size_t index) const {
    return static_cast<int>(number(column, index, 0));
  }
  [[nodiscard]] std::optional<Row> matrix_product(std::size_t index) const;
  [[nodiscard]] std::optional<Row> absorbed_product(std::size_t index) const;
  [[nodiscard]] std::optional<Row> attention(std::size_t index, bool prefill) const;
  [[nodiscard]] std::optional<Row> latent_attention(std::size_t index, bool prefill) const;
  [[nodiscard]] std::optional<Row> latent_block(std::size_t index, bool prefill) const;
  [[nodiscard]] std::optional<Row> experts(std::size_t index, llm::ExpertInput input) const;
  [[nodiscard]] std::optional<Row> exchange(std::size_t index) const;
  [[nodiscard]] std::optional<Row> collective(std::size_t index) const;

  const Table* table_;
  bool understood_ = false;
};

Family family_of(const llm::OperatorShape& shape);
// Which measurements a row joins, e.g. "gemm/fp8_block", "prefill/128/0/fp8": parts in falling
// order of importance. A variant makes it finer: category + "/" + variant.
std::string category_of(const llm::OperatorShape& shape, const std::string& variant,
                        const Machine& machine);
// Place among the measurements: logarithms of the dimensions, and of what makes neighbours differ
// in efficiency (part-filled waves of tiles, alignment, tokens per expert).
Point coordinates_of(const llm::OperatorShape& shape, const std::string& variant,
                     const Machine& machine);
FieldShape field_shape_of(const llm::OperatorShape& shape);
// The key that validation leaves out as a whole (DESIGN section 5), the same on every GPU and
// engine.
std::string fold_key_of(const Row& row);

}  // namespace foretoken::models::kernels
