#include "scenarios/loader/topology_matrix.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <optional>
#include <sstream>

#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::collective::GraphLink;
using models::collective::GraphRole;
using sim::core::Diagnostic;
using sim::core::InputError;

// The most NVLinks that one NVIDIA GPU has (H100, B200): more peers times links than that cannot be
// wired directly.
constexpr int kMostNvlinks = 18;
constexpr int kPcieCost = 4;

// How two devices see each other, nearest first.
enum class Near { same, nvlink, pix, pxb, phb, node, sys };

struct Cell {
  Near near = Near::sys;
  int links = 0;
};

struct Matrix {
  std::vector<std::string> names;
  std::vector<std::vector<Cell>> cells;
  std::vector<std::string> cores;  // CPU affinity of each row; empty = not said
  [[nodiscard]] std::size_t size() const { return names.size(); }
  [[nodiscard]] bool is_gpu(std::size_t i) const { return names[i].starts_with("GPU"); }
};

[[noreturn]] void fail(const std::string& name, int line, const std::string& source, int column,
                       const std::string& message) {
  Diagnostic diagnostic;
  diagnostic.file = name;
  diagnostic.line = line;
  diagnostic.column = column;
  diagnostic.message = message;
  diagnostic.source_line = source;
  throw InputError({diagnostic});
}

std::optional<Cell> cell_of(const std::string& word) {
  if (word == "X") return Cell{Near::same, 0};
  if (word == "PIX") return Cell{Near::pix, 0};
  if (word == "PXB") return Cell{Near::pxb, 0};
  if (word == "PHB") return Cell{Near::phb, 0};
  if (word == "NODE") return Cell{Near::node, 0};
  if (word == "SYS") return Cell{Near::sys, 0};
  if (word.size() < 3 || word.size() > 4 || !word.starts_with("NV")) return std::nullopt;
  if (!std::all_of(word.begin() + 2, word.end(), [](unsigned char c) { return std::isdigit(c); }))
    return std::nullopt;
  return Cell{Near::nvlink, std::stoi(word.substr(2))};
}

bool is_device(const std::string& word) {
  return word.starts_with("GPU") || word.starts_with("NIC") || word.starts_with("mlx");
}

// nvidia-smi underlines its heading with terminal codes.
std::string without_escapes(const std::string& line) {
  std::string plain;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      while (i < line.size() && line[i] != 'm') ++i;
    } else if (line[i] != '\r') {
      plain += line[i];
    }
  }
  return plain;
}

struct Word {
  std::string text;
  int column = 1;
};

std::vector<Word> words_of(const std::string& line) {
  std::vector<Word> words;
  for (std::size_t i = 0; i < line.size();) {
    if (std::isspace(static_cast<unsigned char>(line[i])) != 0) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < line.size() && std::isspace(static_cast<unsigned char>(line[end])) == 0) ++end;
    words.push_back({line.substr(i, end - i), static_cast<int>(i) + 1});
    i = end;
  }
  return words;
}

Matrix parse(const std::string& text, const std::string& name) {
  Matrix matrix;
  std::istringstream in(text);
  std::string raw;
  int number = 0;
  while (std::getline(in, raw)) {
    ++number;
    const std::string line = without_escapes(raw);
    const std::vector<Word> words = words_of(line);
    if (words.empty() || !is_device(words[0].text)) {
      if (!matrix.cells.empty()) break;  // the legend
      continue;
    }
    if (matrix.names.empty()) {
      for (const Word& word : words)
        if (is_device(word.text)) matrix.names.push_back(word.text);
      continue;
    }
    const std::size_t row = matrix.cells.size();
    if (row >= matrix.size() || words[0].text != matrix.names[row])
      fail(name, number, line, 1,
           "row " + words[0].text + " does not follow the columns of the heading");
    if (words.size() <= matrix.size())
      fail(name, number, line, 1,
           "row " + words[0].text + " has " + std::to_string(words.size() - 1) + " entries for " +
               std::to_string(matrix.size()) + " columns");
    std::vector<Cell> cells;
    for (std::size_t c = 1; c <= matrix.size(); ++c) {
      const auto cell = cell_of(words[c].text);
      if (!cell)
        fail(name, number, line, words[c].column,
             "'" + words[c].text + "' is none of X, NV#, PIX, PXB, PHB, NODE, SYS");
      const bool symmetric = c > row || (matrix.cells[c - 1][row].near == cell->near &&
                                         matrix.cells[c - 1][row].links == cell->links);
      if (!symmetric)
        fail(name, number, line, words[c].column,
             words[0].text + " sees " + matrix.names[c - 1] +
                 " otherwise than the other way "
                 "around");
      cells.push_back(*cell);
    }
    matrix.cells.push_back(std::move(cells));
    matrix.cores.push_back(words.size() > matrix.size() + 1 ? words[matrix.size() + 1].text : "");
  }
  if (matrix.names.empty() || matrix.cells.size() < matrix.size())
    fail(name, number, "", 0,
         matrix.names.empty() ? "no matrix of 'nvidia-smi topo -m' here: no line begins with GPU0"
                              : "the matrix ends after " + std::to_string(matrix.cells.size()) +
                                    " of " + std::to_string(matrix.size()) + " rows");
  return matrix;
}

// Sets of devices at most so far from each other; index of the set of each.
std::vector<int> sets(const Matrix& matrix, Near most) {
  std::vector<int> set(matrix.size());
  std::iota(set.begin(), set.end(), 0);
  const auto near = [&](std::size_t a, std::size_t b) {
    // NVLink hides how far apart two GPUs are otherwise; that they share their cores does not.
    if (most == Near::node && !matrix.cores[a].empty() && matrix.cores[a] == matrix.cores[b])
      return true;
    const Near n = matrix.cells[a][b].near;
    return n >= Near::pix && n <= most;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t a = 0; a < matrix.size(); ++a)
      for (std::size_t b = 0; b < matrix.size(); ++b)
        if (near(a, b) && set[b] < set[a]) {
          set[a] = set[b];
          changed = true;
        }
  }
  return set;
}

class Builder {
 public:
  Builder(const Matrix& matrix, const MatrixFigures& figures)
      : matrix_(matrix),
        figures_(figures),
        set_(sets(matrix, Near::pxb)),
        socket_(sets(matrix, Near::node)) {}

  MatrixGraph build() {
    devices();
    nvlinks();
    pcie();
    return std::move(graph_);
  }

 private:
  std::size_t add(const std::string& name, GraphRole role, int rail = -1) {
    graph_.nodes.push_back({name, role, 0, 0, rail});
    return graph_.nodes.size() - 1;
  }
  void join(std::size_t a, std::size_t b, models::hardware::BytesPerSecond rate, int cost) {
    GraphLink link{a, b, {}, 1};
    link.like.bandwidth = rate;
    link.like.latency = figures_.link_latency;
    link.like.cost = cost;
    graph_.links.push_back(link);
  }
  [[nodiscard]] bool present(std::size_t i) const {
    return matrix_.is_gpu(i) || figures_.nic_bandwidth.value() > 0;
  }

  void devices() {
    int rail = 0;
    for (std::size_t i = 0; i < matrix_.size(); ++i) {
      std::string name = matrix_.names[i];
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (!present(i))
        at_.push_back(SIZE_MAX);
      else if (matrix_.is_gpu(i))
        at_.push_back(add(name, GraphRole::gpu, static_cast<int>(i)));
      else
        at_.push_back(add(name, GraphRole::nic, rail++));
    }
  }

  void nvlinks() {
    int most = 0;  // NVLinks of one GPU, were all of them direct
    for (const auto& row : matrix_.cells) {
      int sum = 0;
      for (const Cell& cell : row) sum += cell.links;
      most = std::max(most, sum);
    }
    if (most == 0) return;
    const auto rate = figures_.gpu.scale_up_bandwidth;
    const bool switched = most > kMostNvlinks;
    std::size_t plane = 0;
    if (switched) plane = add("nvswitch", GraphRole::switching);
    for (std::size_t a = 0; a < matrix_.size(); ++a) {
      bool linked = false;
      for (std::size_t b = 0; b < matrix_.size(); ++b) {
        const int links = matrix_.cells[a][b].links;
        linked = linked || links > 0;
        if (!switched && links > 0 && a < b) join(at_[a], at_[b], rate * (1.0 * links / most), 1);
      }
      if (switched && linked) join(at_[a], plane, rate, 1);
    }
  }

  void pcie() {
    const auto rate = figures_.gpu.pcie_bandwidth;
    std::vector<std::size_t> switch_of(matrix_.size(), SIZE_MAX), root_of(matrix_.size(), SIZE_MAX);
    std::vector<std::size_t> roots;
    for (std::size_t i = 0; i < matrix_.size(); ++i) {
      if (!present(i)) continue;
      const auto set = static_cast<std::size_t>(set_[i]);
      const auto socket = static_cast<std::size_t>(socket_[i]);
      if (root_of[socket] == SIZE_MAX) {
        root_of[socket] = add("root" + std::to_string(roots.size()), GraphRole::switching);
        roots.push_back(root_of[socket]);
      }
      if (switch_of[set] == SIZE_MAX) {
        switch_of[set] = add("pcie" + std::to_string(set), GraphRole::switching);
        join(switch_of[set], root_of[socket], rate, kPcieCost);
      }
      join(at_[i], switch_of[set],
           matrix_.is_gpu(i) ? rate : std::max(rate, figures_.nic_bandwidth), kPcieCost);
    }
    for (std::size_t r = 0; r < roots.size(); ++r) {
      const std::size_t host = add("host" + std::to_string(r), GraphRole::host);
      join(host, roots[r], rate * 4.0, kPcieCost);
      if (r > 0) join(roots[0], roots[r], figures_.socket_bandwidth, kPcieCost);
    }
  }

  const Matrix& matrix_;
  const MatrixFigures& figures_;
  std::vector<int> set_, socket_;
  std::vector<std::size_t> at_;
  MatrixGraph graph_;
};

}  // namespace

MatrixGraph read_topology_matrix(const std::string& text, const std::string& name,
                                 const MatrixFigures& figures) {
  return Builder(parse(text, name), figures).build();
}

}  // namespace foretoken::scenarios::loader
