#include "validation/calibrate/table_words.hpp"

#include <fmt/format.h>

namespace foretoken::validation::calibrate {

std::string table_name(const models::kernels::Table& table) {
  return table.gpu + "/" + table.op + "." + table.engine + "-" + table.version;
}

std::string row_in_words(const models::kernels::Table& table, std::size_t row) {
  std::string text;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const float value = table.values[c][row];
    const auto labels = table.labels.find(table.columns[c]);
    text +=
        fmt::format("{}={} ", table.columns[c],
                    labels == table.labels.end() ? fmt::format("{:g}", value)
                                                 : labels->second[static_cast<std::size_t>(value)]);
  }
  return text + fmt::format("{:.4g} us", static_cast<double>(table.seconds[row]) * 1e6);
}

}  // namespace foretoken::validation::calibrate
