#include "models/kernels/field.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace foretoken::models::kernels {
namespace {

constexpr std::size_t kMaxNeighbours = 40;
constexpr std::uint32_t kLeaf = 16;

// exp(-x) for x >= 0 to 2e-5, without branches so that loops over it vectorise: 2^-(whole part) by
// the exponent's bits, 2^-(rest) by a polynomial (its Taylor series in ln 2).
float exp_negative(float x) {
  const float scaled = std::min(x * 1.44269504F, 120.0F);
  const auto whole = static_cast<std::int32_t>(scaled);
  const float rest = (scaled - static_cast<float>(whole)) * 0.693147181F;
  const float series =
      1 - rest * (1 - rest * (0.5F - rest * (1.0F / 6 - rest * (1.0F / 24 - rest / 120))));
  return series * std::bit_cast<float>((127 - whole) << 23);
}

float distance2(const Point& a, const Point& b) {
  float sum = 0;
  for (std::size_t d = 0; d < kMaxDimensions; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

using Vector = std::array<float, kMaxNeighbours>;

// Replaces each right-hand side b by L^-1 b, where A = L L' (Cholesky, column by column so that
// the inner loops run along rows of the transposed factor); A is symmetric positive definite.
struct Cholesky {
  std::array<Vector, kMaxNeighbours> a;  // rows; the upper half is used
  Vector values, ones, to_query;

  void reduce(std::size_t n) {
    for (std::size_t k = 0; k < n; ++k) {
      Vector& pivot = a[k];
      const float inverse = 1.0F / std::sqrt(std::max(pivot[k], 1e-9F));
      for (std::size_t j = k; j < n; ++j) pivot[j] *= inverse;
      values[k] *= inverse;
      ones[k] *= inverse;
      to_query[k] *= inverse;
      for (std::size_t i = k + 1; i < n; ++i) {
        const float factor = pivot[i];
        float* row = a[i].data();
        const float* source = pivot.data();
        for (std::size_t j = i; j < n; ++j) row[j] -= factor * source[j];
        values[i] -= factor * values[k];
        ones[i] -= factor * ones[k];
        to_query[i] -= factor * to_query[k];
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
    std::uint32_t point;
    bool operator<(const Entry& other) const {
      return distance2 != other.distance2 ? distance2 < other.distance2 : point < other.point;
    }
  };
  std::array<Entry, kMaxNeighbours> entries;
  std::size_t count = 0;
  std::size_t wanted = 0;
  float worst = std::numeric_limits<float>::infinity();

  auto end() { return entries.begin() + static_cast<std::ptrdiff_t>(count); }
  void offer(float distance, std::uint32_t point) {
    if (count < wanted) {
      entries[count++] = {distance, point};
      std::push_heap(entries.begin(), end());
    } else {
      std::pop_heap(entries.begin(), end());
      entries[count - 1] = {distance, point};
      std::push_heap(entries.begin(), end());
    }
    if (count == wanted) worst = entries[0].distance2;
  }
};

Field::Field(const FieldShape& shape, const std::vector<Point>& points,
             const std::vector<float>& values, const std::vector<bool>& believed)
    : shape_(shape) {
  shape_.neighbours = std::min(shape_.neighbours, kMaxNeighbours);
  if (points.empty()) return;
  std::vector<Point> scaled(points.size(), Point{});
  for (std::size_t i = 0; i < points.size(); ++i)
    for (std::size_t d = 0; d < shape_.dimensions; ++d)
      scaled[i][d] = points[i][d] / shape_.length[d];
  std::vector<std::uint32_t> order(points.size());
  std::iota(order.begin(), order.end(), 0U);
  nodes_.push_back({});
  nodes_[0].end = static_cast<std::uint32_t>(points.size());
  build(0, scaled, order);
  places_.reserve(order.size());
  values_.reserve(order.size());
  for (const std::uint32_t i : order) {
    places_.push_back(scaled[i]);
    values_.push_back(values[i]);
  }
  noise_.assign(values_.size(), 0.0F);
  if (shape_.doubt > 0)
    for (std::uint32_t i = 0; i < values_.size(); ++i)
      if (believed.empty() || !believed[order[i]]) noise_[i] = doubt(i);
}

// A kernel that an engine picks for one shape alone, a clock that dropped: such a point lies apart
// from the middle half of its nearest neighbours, and says little about the points between.
float Field::doubt(std::uint32_t point) const {
  constexpr std::size_t kAround = 8;
  constexpr float kSpread = 0.7F;  // of the neighbours' quartiles: what smooth change explains
  Near near;
  near.wanted = kAround + 1;
  search(0, places_[point], near);
  std::array<float, kMaxNeighbours> values;
  std::size_t n = 0;
  for (std::size_t i = 0; i < near.count; ++i)
    if (near.entries[i].point != point) values[n++] = values_[near.entries[i].point];
  if (n < kAround) return 0;
  std::sort(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n));
  const float median = (values[n / 2] + values[(n - 1) / 2]) / 2;
  const float spread = values[n * 3 / 4] - values[n / 4];
  const float apart = std::abs(values_[point] - median) - kSpread * spread;
  return apart > 0 ? shape_.doubt * apart * apart : 0;
}

void Field::build(std::uint32_t node, const std::vector<Point>& points,
                  std::vector<std::uint32_t>& order) {
  const std::uint32_t begin = nodes_[node].begin, end = nodes_[node].end;
  Point low = points[order[begin]], high = low;
  for (std::uint32_t i = begin; i < end; ++i)
    for (std::size_t d = 0; d < shape_.dimensions; ++d) {
      low[d] = std::min(low[d], points[order[i]][d]);
      high[d] = std::max(high[d], points[order[i]][d]);
    }
  nodes_[node].low = low;
  nodes_[node].high = high;
  if (end - begin <= kLeaf) return;
  std::size_t widest = 0;
  for (std::size_t d = 1; d < shape_.dimensions; ++d)
    if (high[d] - low[d] > high[widest] - low[widest]) widest = d;
  const std::uint32_t middle = begin + (end - begin) / 2;
  const auto at = [&](std::uint32_t i) { return order.begin() + static_cast<std::ptrdiff_t>(i); };
  std::nth_element(at(begin), at(middle), at(end), [&](std::uint32_t a, std::uint32_t b) {
    return points[a][widest] != points[b][widest] ? points[a][widest] < points[b][widest] : a < b;
  });
  const auto left = static_cast<std::uint32_t>(nodes_.size());
  nodes_[node].left = left;
  nodes_.push_back({{}, {}, begin, middle, 0});
  nodes_.push_back({{}, {}, middle, end, 0});
  build(left, points, order);
  build(left + 1, points, order);
}

void Field::search(std::uint32_t index, const Point& place, Near& near) const {
  const Node& node = nodes_[index];
  if (node.left == 0) {
    for (std::uint32_t i = node.begin; i < node.end; ++i)
      if (const float distance = distance2(places_[i], place); distance < near.worst)
        near.offer(distance, i);
    return;
  }
  const auto to_box = [&](const Node& child) {
    float sum = 0;
    for (std::size_t d = 0; d < kMaxDimensions; ++d) {
      const float out = std::max({child.low[d] - place[d], place[d] - child.high[d], 0.0F});
      sum += out * out;
    }
    return sum;
  };
  const float left = to_box(nodes_[node.left]), right = to_box(nodes_[node.left + 1]);
  const std::uint32_t nearer = left <= right ? node.left : node.left + 1;
  const std::uint32_t farther = left <= right ? node.left + 1 : node.left;
  if (std::min(left, right) < near.worst) search(nearer, place, near);
  if (std::max(left, right) < near.worst) search(farther, place, near);
}

FieldValue Field::at(const Point& point) const {
  FieldValue result;
  if (places_.empty()) return result;
  constexpr float kRounding = 1e-3F;
  Point place{};
  for (std::size_t d = 0; d < shape_.dimensions; ++d) {
    const float scaled = point[d] / shape_.length[d];
    place[d] = std::clamp(scaled, nodes_[0].low[d], nodes_[0].high[d]);
    result.outside = result.outside || std::abs(scaled - place[d]) > kRounding;
  }
  Near near;
  near.wanted = shape_.neighbours;
  search(0, place, near);
  const std::size_t n = near.count;
  std::sort(near.entries.begin(), near.end());

  std::array<Vector, kMaxDimensions> places;  // by dimension, so that rows of A vectorise
  Cholesky system;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t neighbour = near.entries[i].point;
    for (std::size_t d = 0; d < shape_.dimensions; ++d) places[d][i] = places_[neighbour][d];
    system.values[i] = values_[neighbour];
    system.ones[i] = 1.0F;
    system.to_query[i] = exp_negative(std::sqrt(near.entries[i].distance2));
  }
  for (std::size_t i = 0; i < n; ++i) {
    Vector& row = system.a[i];
    row.fill(0.0F);
    for (std::size_t d = 0; d < shape_.dimensions; ++d) {
      const float here = places[d][i];
      for (std::size_t j = i; j < n; ++j) row[j] += (places[d][j] - here) * (places[d][j] - here);
    }
    for (std::size_t j = i; j < n; ++j) row[j] = exp_negative(std::sqrt(row[j]));
    row[i] = 1.0F + shape_.nugget + noise_[near.entries[i].point];
  }
  system.reduce(n);
  // With w = L^-1 k, u = L^-1 1, y = L^-1 values: mean = u.y / u.u (generalised least squares),
  // estimate = w.y + mean (1 - w.u).
  const float mean = dot(system.ones, system.values, n) / dot(system.ones, system.ones, n);
  result.value =
      dot(system.to_query, system.values, n) + mean * (1 - dot(system.to_query, system.ones, n));
  return result;
}

}  // namespace foretoken::models::kernels
