#pragma once
// A smooth field through scattered measurements: ordinary kriging over the nearest points
// (Cressie, Statistics for Spatial Data, 1993, section 3.2) with an exponential covariance.
// Holds ln(measured / physical model) over the logarithms of an operator's dimensions.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace foretoken::models::kernels {

inline constexpr std::size_t kMaxDimensions = 8;
using Point = std::array<float, kMaxDimensions>;  // unused dimensions are 0

struct FieldShape {
  std::size_t dimensions = 3;
  Point length{};        // distance at which correlation has fallen to 1/e, by dimension
  double nugget = 0.01;  // variance of noise over variance of the field
  std::size_t neighbours = 24;
};

struct FieldValue {
  double value = 0.0;
  double nearest = 0.0;  // scaled distance to the nearest point; 0 = a point itself
  bool outside = false;  // of the box of the points
};

class Field {
 public:
  Field() = default;
  Field(const FieldShape& shape, std::vector<Point> points, const std::vector<float>& values);

  [[nodiscard]] bool empty() const { return nodes_.empty(); }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  // Outside the box of the points the value at its boundary is held.
  [[nodiscard]] FieldValue at(Point point) const;

 private:
  struct Node {
    Point place;  // scaled by 1/length
    float value;
  };
  struct Near;
  void build(std::size_t begin, std::size_t end);
  void search(std::size_t begin, std::size_t end, const Point& place, Near& near) const;
  [[nodiscard]] static float distance2(const Point& a, const Point& b);

  FieldShape shape_;
  std::vector<Node> nodes_;          // a balanced k-d tree laid out in order
  std::vector<std::uint8_t> split_;  // splitting dimension of the node in the middle of its range
  Point low_{}, high_{};             // box, scaled
};

}  // namespace foretoken::models::kernels
