#pragma once
// A smooth field through scattered measurements: ordinary kriging over the nearest points
// (Cressie, Statistics for Spatial Data, 1993, section 3.2) with an exponential covariance; a
// measurement that its neighbours contradict counts less (noise of its own). Holds ln(measured /
// physical model) over the logarithms of an operator's dimensions.
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace foretoken::models::kernels {

inline constexpr std::size_t kMaxDimensions = 12;
using Point = std::array<float, kMaxDimensions>;  // unused dimensions are 0

struct FieldShape {
  std::size_t dimensions = 3;
  Point length{};        // distance at which correlation has fallen to 1/e, by dimension
  float nugget = 0.01F;  // variance of noise over variance of the field
  std::size_t neighbours = 24;
  // Variance of noise, over that of the field, for what a measurement is apart from its neighbours
  // beyond smooth change, squared; 0 = every measurement counts alike.
  float doubt = 0.0F;
};

struct FieldValue {
  double value = 0.0;
  bool outside = false;  // of the box of the points
};

class Field {
 public:
  Field() = default;
  // `believed`: points that are not doubted, whatever their neighbours say; empty = none.
  Field(const FieldShape& shape, const std::vector<Point>& points, const std::vector<float>& values,
        const std::vector<bool>& believed = {});

  [[nodiscard]] bool empty() const { return places_.empty(); }
  [[nodiscard]] std::size_t size() const { return places_.size(); }
  // Outside the box of the points the value at its boundary is held.
  [[nodiscard]] FieldValue at(const Point& point) const;

 private:
  // A k-d tree whose nodes know the box of their points: pruning by boxes keeps the search short in
  // ten dimensions, where most coordinates follow from few.
  struct Node {
    Point low, high;
    std::uint32_t begin = 0, end = 0;  // points of the node
    std::uint32_t left = 0;            // children at left and left + 1; 0 = leaf
  };
  struct Near;
  void build(std::uint32_t node, const std::vector<Point>& points,
             std::vector<std::uint32_t>& order);
  void search(std::uint32_t node, const Point& place, Near& near) const;
  [[nodiscard]] float doubt(std::uint32_t point) const;

  FieldShape shape_;
  std::vector<Point> places_;  // scaled by 1/length, in the order of the tree
  std::vector<float> values_;
  std::vector<float> noise_;  // beside the nugget, for points that their neighbours contradict
  std::vector<Node> nodes_;
};

}  // namespace foretoken::models::kernels
