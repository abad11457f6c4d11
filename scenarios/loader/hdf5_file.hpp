#pragma once
// A small owner of an HDF5 file: groups, attributes and one-dimensional datasets, nothing else.
// Files are byte-reproducible (no time stamps, fixed library version bounds) and carry checksums,
// so that damage is an InputError and never a wrong number. The HDF5 header stays in the .cpp.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace foretoken::scenarios::loader {

// How a dataset is stored. The chunk is cut to the data's length; deflate 0 = not compressed.
struct Hdf5Storage {
  std::size_t chunk = 16384;  // elements
  int deflate = 6;            // 0..9; shuffle goes with it
};

class Hdf5File {
 public:
  // Creates or overwrites. Every failure of this class is an InputError naming file and object.
  static Hdf5File create(const std::filesystem::path& file);
  static Hdf5File open(const std::filesystem::path& file);  // read only
  ~Hdf5File();
  Hdf5File(Hdf5File&&) noexcept;
  Hdf5File& operator=(Hdf5File&&) noexcept;

  // Flushes and closes; reports what a destructor has to swallow (a full disk).
  void close();

  // Object paths are absolute or relative to the root: "requests/ttft"; missing groups on the way
  // are created by every writer. "/" is the root group.
  void make_group(const std::string& path);
  [[nodiscard]] bool exists(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> children(const std::string& group) const;  // by name
  [[nodiscard]] std::size_t size(const std::string& dataset) const;

  // Attributes of a group or dataset; strings are UTF-8.
  void set_attribute(const std::string& object, const std::string& name, const std::string& value);
  void set_attribute(const std::string& object, const std::string& name, const char* value);
  void set_attribute(const std::string& object, const std::string& name, std::int64_t value);
  void set_attribute(const std::string& object, const std::string& name, double value);
  [[nodiscard]] bool has_attribute(const std::string& object, const std::string& name) const;
  [[nodiscard]] std::string string_attribute(const std::string& object,
                                             const std::string& name) const;
  [[nodiscard]] std::int64_t int_attribute(const std::string& object,
                                           const std::string& name) const;
  [[nodiscard]] double double_attribute(const std::string& object, const std::string& name) const;

  // T is float, double, std::int32_t, std::int64_t or std::uint8_t. Reading converts between
  // number types as HDF5 does.
  template <typename T>
  void write(const std::string& dataset, const std::vector<T>& data,
             const Hdf5Storage& storage = {});
  template <typename T>
  [[nodiscard]] std::vector<T> read(const std::string& dataset) const;

  // Strings of variable length (h5py reads them as str).
  void write_strings(const std::string& dataset, const std::vector<std::string>& data);
  // Fixed length, compressed: for long columns of short names. Padded with zero bytes.
  void write_fixed_strings(const std::string& dataset, const std::vector<std::string>& data,
                           const Hdf5Storage& storage = {});
  [[nodiscard]] std::vector<std::string> read_strings(const std::string& dataset) const;  // both

 private:
  struct Impl;
  explicit Hdf5File(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace foretoken::scenarios::loader
