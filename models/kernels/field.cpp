#include "models/kernels/field.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace foretoken::models::kernels {
namespace {

constexpr std::size_t kMaxNeighbours = 48;
constexpr std::size_t kLeaf = 8;

float correlation(float distance2) { return std::exp(-std::sqrt(distance2)); }

using Vector = std::array<float, kMaxNeighbours>;

// Replaces each of three right-hand sides b by L^-1 b, where A = L L' (Cholesky); A is symmetric
// positive definite, n x n, its lower half stored by rows and overwritten.
struct Cholesky {
  std::array<float, kMaxNeighbours * kMaxNeighbours> a;
  std::array<Vector, 3> b;

  float* row(std::size_t i) { return &a[i * kMaxNeighbours]; }
  void reduce(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        float sum = row(i)[j];
        for (std::size_t k = 0; k < j; ++k) sum -= row(i)[k] * row(j)[k];
        row(i)[j] = i == j ? std::sqrt(std::max(sum, 1e-9F)) : sum / row(j)[j];
      }
      for (Vector& side : b) {
        float sum = side[i];
        for (std::size_t k = 0; k < i; ++k) sum -= row(i)[k] * side[k];
        side[i] = sum / row(i)[i];
      }
    }
  }
};

float dot(const Vector& a, const Vector& b, std::size_t n) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

// The nearest points so far, the farthest first (a heap).
struct Field::Near {
  struct Entry {
    float distance2;
    std::uint32_t node;
    bool operator<(const Entry& other) const {
      return distance2 != other.distance2 ? distance2 < other.distance2 : node < other.node;
    }
  };
  std::array<Entry, kMaxNeighbours> entries;
  std::size_t count = 0;
  std::size_t wanted = 0;

  void offer(Entry entry) {
    if (count < wanted) {
      entries[count++] = entry;
      std::push_heap(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count));
    } else if (entry < entries[0]) {
      std::pop_heap(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count));
      entries[count - 1] = entry;
      std::push_heap(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count));
    }
  }
  [[nodiscard]] double worst() const {
    return count < wanted ? std::numeric_limits<double>::infinity() : entries[0].distance2;
  }
};

Field::Field(const FieldShape& shape, std::vector<Point> points, const std::vector<float>& values)
    : shape_(shape) {
  shape_.neighbours = std::min(shape_.neighbours, kMaxNeighbours);
  nodes_.resize(points.size());
  split_.resize(points.size());
  low_.fill(std::numeric_limits<float>::max());
  high_.fill(std::numeric_limits<float>::lowest());
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t d = 0; d < kMaxDimensions; ++d) {
      const float scaled = d < shape_.dimensions ? points[i][d] / shape_.length[d] : 0.0F;
      nodes_[i].place[d] = scaled;
      low_[d] = std::min(low_[d], scaled);
      high_[d] = std::max(high_[d], scaled);
    }
    nodes_[i].value = values[i];
  }
  build(0, nodes_.size());
}

void Field::build(std::size_t begin, std::size_t end) {
  if (end - begin <= kLeaf) return;
  Point low = nodes_[begin].place, high = low;
  for (std::size_t i = begin; i < end; ++i)
    for (std::size_t d = 0; d < shape_.dimensions; ++d) {
      low[d] = std::min(low[d], nodes_[i].place[d]);
      high[d] = std::max(high[d], nodes_[i].place[d]);
    }
  std::size_t widest = 0;
  for (std::size_t d = 1; d < shape_.dimensions; ++d)
    if (high[d] - low[d] > high[widest] - low[widest]) widest = d;
  const std::size_t middle = begin + (end - begin) / 2;
  const auto at = [&](std::size_t i) { return nodes_.begin() + static_cast<std::ptrdiff_t>(i); };
  std::nth_element(at(begin), at(middle), at(end), [&](const Node& a, const Node& b) {
    return a.place[widest] != b.place[widest] ? a.place[widest] < b.place[widest]
                                              : a.place < b.place;
  });
  split_[middle] = static_cast<std::uint8_t>(widest);
  build(begin, middle);
  build(middle + 1, end);
}

float Field::distance2(const Point& a, const Point& b) {
  float sum = 0;
  for (std::size_t d = 0; d < kMaxDimensions; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

void Field::search(std::size_t begin, std::size_t end, const Point& place, Near& near) const {
  const auto offer = [&](std::size_t i) {
    near.offer({distance2(nodes_[i].place, place), static_cast<std::uint32_t>(i)});
  };
  if (end - begin <= kLeaf) {
    for (std::size_t i = begin; i < end; ++i) offer(i);
    return;
  }
  const std::size_t middle = begin + (end - begin) / 2;
  const std::size_t d = split_[middle];
  const double offset =
      static_cast<double>(place[d]) - static_cast<double>(nodes_[middle].place[d]);
  const bool left_first = offset < 0;
  search(left_first ? begin : middle + 1, left_first ? middle : end, place, near);
  offer(middle);
  if (offset * offset <= near.worst())
    search(left_first ? middle + 1 : begin, left_first ? end : middle, place, near);
}

FieldValue Field::at(Point point) const {
  FieldValue result;
  if (nodes_.empty()) {
    result.nearest = std::numeric_limits<double>::infinity();
    return result;
  }
  Point place{};
  constexpr float kRounding = 1e-3F;
  for (std::size_t d = 0; d < shape_.dimensions; ++d) {
    const float scaled = point[d] / shape_.length[d];
    place[d] = std::clamp(scaled, low_[d], high_[d]);
    result.outside = result.outside || std::abs(scaled - place[d]) > kRounding;
  }
  Near near;
  near.wanted = shape_.neighbours;
  search(0, nodes_.size(), place, near);
  const std::size_t n = near.count;
  std::sort(near.entries.begin(), near.entries.begin() + static_cast<std::ptrdiff_t>(n));
  result.nearest = std::sqrt(static_cast<double>(near.entries[0].distance2));

  Cholesky system;
  auto& [values, ones, to_query] = system.b;
  for (std::size_t i = 0; i < n; ++i) {
    const Node& here = nodes_[near.entries[i].node];
    for (std::size_t j = 0; j < i; ++j)
      system.row(i)[j] = correlation(distance2(here.place, nodes_[near.entries[j].node].place));
    system.row(i)[i] = 1.0F + static_cast<float>(shape_.nugget);
    to_query[i] = correlation(near.entries[i].distance2);
    ones[i] = 1.0F;
    values[i] = here.value;
  }
  system.reduce(n);
  // With w = L^-1 k, u = L^-1 1, y = L^-1 values: mean = u.y / u.u (generalised least squares),
  // estimate = w.y + mean (1 - w.u).
  const float mean = dot(ones, values, n) / dot(ones, ones, n);
  result.value = dot(to_query, values, n) + mean * (1 - dot(to_query, ones, n));
  return result;
}

}  // namespace foretoken::models::kernels
