#include "models/serving/step_table.hpp"

#include <catch2/catch.hpp>
#include <thread>

using namespace foretoken::models::serving;

TEST_CASE("A log axis holds small integers exactly and finds its place between nodes") {
  using Axis = LogAxis<2>;  // quarters of an octave
  for (int i = 1; i <= 8; ++i) {
    const GridPoint p = Axis::locate(i);
    CHECK(p.fraction == 0.0);
    CHECK(Axis::node(p.index) == i);
  }
  // Between 16 and 32 the nodes are 16, 20, 24, 28: 22 is half way from 20 to 24.
  const GridPoint p = Axis::locate(22.0);
  CHECK(Axis::node(p.index) == 20.0);
  CHECK(Axis::node(p.index + 1) == 24.0);
  CHECK(p.fraction == Approx(0.5));
  CHECK(Axis::locate(0.3).index == 0);  // below one counts as one
  const Axis axis(100.0);               // room for the node above the largest
  CHECK(Axis::locate(100.0).index + 1 < axis.size());
}

TEST_CASE("Cells are filled once, whoever asks first") {
  LazyCells cells(64);
  std::atomic<int> fills = 0;
  const auto fill = [&fills](std::size_t i) {
    ++fills;
    Cell cell;
    cell.v[Cell::gemm] = static_cast<double>(i);
    return cell;
  };
  std::vector<std::thread> threads;
  std::atomic<bool> right = true;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < 64; ++i)
        if (cells.at(i, fill).v[Cell::gemm] != static_cast<double>(i)) right = false;
    });
  for (auto& thread : threads) thread.join();
  CHECK(right);
  CHECK(fills == 64);
}
