#include "scenarios/loader/hdf5_file.hpp"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <type_traits>
#include <utility>

#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

using sim::core::InputError;

// The C library keeps global state and is not always built thread-safe: one call at a time. Its
// own error printing is off while we are inside; failures become exceptions instead.
class Library {
 public:
  Library() : lock_(mutex()) {
    // Before any other call. Every object is closed by its owner; what a full disk kept from
    // closing would crash the library's own clean-up at exit.
    static const herr_t no_clean_up = H5dont_atexit();
    (void)no_clean_up;
    H5Eget_auto2(H5E_DEFAULT, &printer_, &printer_data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Library() { H5Eset_auto2(H5E_DEFAULT, printer_, printer_data_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex instance;
    return instance;
  }
  std::lock_guard<std::recursive_mutex> lock_;
  H5E_auto2_t printer_ = nullptr;
  void* printer_data_ = nullptr;
};

// Owns one HDF5 identifier of any kind.
class Handle {
 public:
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() {
    if (id_ >= 0 && H5Iget_ref(id_) > 0) H5Idec_ref(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle& operator=(Handle&&) = delete;
  operator hid_t() const { return id_; }  // NOLINT: passes straight into the C interface
  [[nodiscard]] bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
};

// The innermost message of HDF5's error stack says what really went wrong.
std::string library_message() {
  std::string message;
  const auto keep_first = [](unsigned depth, const H5E_error2_t* error, void* out) -> herr_t {
    if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &message);
  return message.empty() ? "HDF5 gives no reason" : message;
}

template <typename T>
hid_t native_type() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
}

template <typename T>
hid_t stored_type() {  // little-endian on every machine
  if constexpr (std::is_same_v<T, float>) return H5T_IEEE_F32LE;
  if constexpr (std::is_same_v<T, double>) return H5T_IEEE_F64LE;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_STD_I32LE;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_STD_I64LE;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_STD_U8LE;
}

Handle string_type(std::size_t length) {
  Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type, length);
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_strpad(type, length == H5T_VARIABLE ? H5T_STR_NULLTERM : H5T_STR_NULLPAD);
  return type;
}

std::string absolute(const std::string& path) {
  return path.empty() || path.front() != '/' ? "/" + path : path;
}

}  // namespace

struct Hdf5File::Impl {
  hid_t file = -1;
  std::string name;

  ~Impl() {
    const Library guard;
    if (file >= 0) H5Fclose(file);
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(name + ": " + what + " (" + library_message() + ")");
  }
  void check(bool good, const std::string& what) const {
    if (!good) fail(what);
  }
  [[nodiscard]] bool exists(const std::string& path) const;
  [[nodiscard]] Handle object(const std::string& path) const;
  [[nodiscard]] Handle attribute(const std::string& path, const std::string& attribute) const;
  void set(const std::string& path, const std::string& attribute, hid_t type, hid_t native,
           const void* value) const;
  void get(const std::string& path, const std::string& attribute, hid_t native, void* out) const;
  void make_group(const std::string& path) const;
  Handle open_dataset(const std::string& path, std::size_t& count) const;
  void write(const std::string& path, hid_t stored, hid_t native, const void* data,
             std::size_t count, const Hdf5Storage& storage, bool compress) const;
};

bool Hdf5File::Impl::exists(const std::string& path) const {
  const std::string full = absolute(path);
  for (std::size_t slash = full.find('/', 1);; slash = full.find('/', slash + 1)) {
    const std::string part = full.substr(0, slash);
    if (part.size() > 1 && H5Lexists(file, part.c_str(), H5P_DEFAULT) <= 0) return false;
    if (slash == std::string::npos) return true;
  }
}

// One level after another: groups that HDF5 creates on the way by itself carry time stamps.
void Hdf5File::Impl::make_group(const std::string& path) const {
  const std::string full = absolute(path);
  if (full == "/" || exists(full)) return;
  make_group(full.substr(0, full.rfind('/')));
  const Handle creation(H5Pcreate(H5P_GROUP_CREATE));
  H5Pset_obj_track_times(creation, false);
  const Handle id(H5Gcreate2(file, full.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT));
  check(id.valid(), "cannot create group " + full);
}

Handle Hdf5File::Impl::object(const std::string& path) const {
  if (!exists(path)) throw InputError(name + ": holds no object " + absolute(path));
  Handle id(H5Oopen(file, absolute(path).c_str(), H5P_DEFAULT));
  check(id.valid(), "cannot open " + absolute(path));
  return id;
}

Handle Hdf5File::Impl::attribute(const std::string& path, const std::string& attribute) const {
  const Handle owner = object(path);
  if (H5Aexists(owner, attribute.c_str()) <= 0)
    throw InputError(name + ": " + absolute(path) + " has no attribute '" + attribute + "'");
  Handle id(H5Aopen(owner, attribute.c_str(), H5P_DEFAULT));
  check(id.valid(), "cannot open attribute '" + attribute + "' of " + absolute(path));
  return id;
}

void Hdf5File::Impl::set(const std::string& path, const std::string& attribute, hid_t type,
                         hid_t native, const void* value) const {
  const Handle owner = object(path);
  if (H5Aexists(owner, attribute.c_str()) > 0) H5Adelete(owner, attribute.c_str());
  const Handle space(H5Screate(H5S_SCALAR));
  const Handle id(H5Acreate2(owner, attribute.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT));
  check(id.valid() && H5Awrite(id, native, value) >= 0,
        "cannot write attribute '" + attribute + "' of " + absolute(path));
}

void Hdf5File::Impl::get(const std::string& path, const std::string& attribute_name, hid_t native,
                         void* out) const {
  const Handle id = attribute(path, attribute_name);
  const Handle space(H5Aget_space(id));
  const Handle type(H5Aget_type(id));
  const H5T_class_t kind = H5Tget_class(type);
  if (H5Sget_simple_extent_npoints(space) != 1 || (kind != H5T_INTEGER && kind != H5T_FLOAT))
    throw InputError(name + ": attribute '" + attribute_name + "' of " + absolute(path) +
                     " is not one number");
  check(H5Aread(id, native, out) >= 0,
        "cannot read attribute '" + attribute_name + "' of " + absolute(path));
}

Handle Hdf5File::Impl::open_dataset(const std::string& path, std::size_t& count) const {
  Handle id = object(path);
  if (H5Iget_type(id) != H5I_DATASET)
    throw InputError(name + ": " + absolute(path) + " is not a dataset");
  const Handle space(H5Dget_space(id));
  if (H5Sget_simple_extent_ndims(space) > 1)
    throw InputError(name + ": dataset " + absolute(path) + " has more than one dimension");
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  check(points >= 0, "cannot read the extent of " + absolute(path));
  count = static_cast<std::size_t>(points);
  return id;
}

void Hdf5File::Impl::write(const std::string& path, hid_t stored, hid_t native, const void* data,
                           std::size_t count, const Hdf5Storage& storage, bool compress) const {
  if (exists(path)) throw InputError(name + ": dataset " + absolute(path) + " exists already");
  const hsize_t extent = count;
  const Handle space(H5Screate_simple(1, &extent, nullptr));
  make_group(absolute(path).substr(0, absolute(path).rfind('/')));
  const Handle layout(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_obj_track_times(layout, false);
  if (compress && count > 0) {
    const hsize_t chunk = std::min<hsize_t>(std::max<hsize_t>(storage.chunk, 1), extent);
    H5Pset_chunk(layout, 1, &chunk);
    if (storage.deflate > 0) {
      H5Pset_shuffle(layout);
      H5Pset_deflate(layout, static_cast<unsigned>(std::min(storage.deflate, 9)));
    }
    H5Pset_fletcher32(layout);
  }
  const Handle id(
      H5Dcreate2(file, absolute(path).c_str(), stored, space, H5P_DEFAULT, layout, H5P_DEFAULT));
  check(id.valid(), "cannot create dataset " + absolute(path));
  if (count == 0) return;
  check(H5Dwrite(id, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0,
        "cannot write dataset " + absolute(path));
}

Hdf5File::Hdf5File(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Hdf5File::~Hdf5File() = default;
Hdf5File::Hdf5File(Hdf5File&&) noexcept = default;
Hdf5File& Hdf5File::operator=(Hdf5File&&) noexcept = default;

Hdf5File Hdf5File::create(const std::filesystem::path& file) {
  const Library guard;
  auto impl = std::make_unique<Impl>();
  impl->name = file.string();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const Handle creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_obj_track_times(creation, false);
  impl->file = H5Fcreate(file.c_str(), H5F_ACC_TRUNC, creation, access);
  impl->check(impl->file >= 0, "cannot be created; check the folder and its permissions");
  return Hdf5File(std::move(impl));
}

Hdf5File Hdf5File::open(const std::filesystem::path& file) {
  const Library guard;
  auto impl = std::make_unique<Impl>();
  impl->name = file.string();
  if (!std::filesystem::exists(file)) throw InputError(impl->name + ": no such file");
  const Handle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);  // also what a damaged file leaves open
  impl->file = H5Fopen(file.c_str(), H5F_ACC_RDONLY, access);
  impl->check(impl->file >= 0, "is not a readable HDF5 file; it may be damaged or cut short");
  return Hdf5File(std::move(impl));
}

void Hdf5File::close() {
  const Library guard;
  if (impl_->file < 0) return;
  const bool flushed = H5Fflush(impl_->file, H5F_SCOPE_GLOBAL) >= 0;
  const std::string reason = flushed ? "" : library_message();
  const bool closed = H5Fclose(std::exchange(impl_->file, -1)) >= 0;
  if (!flushed || !closed)
    throw InputError(impl_->name + ": cannot be written to the end; is the disk full? " + reason);
}

void Hdf5File::make_group(const std::string& path) {
  const Library guard;
  impl_->make_group(path);
}

bool Hdf5File::exists(const std::string& path) const {
  const Library guard;
  return impl_->exists(path);
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
  const Library guard;
  const Handle id = impl_->object(group);
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  impl_->check(H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names) >= 0,
               "cannot list group " + absolute(group));
  return names;
}

std::size_t Hdf5File::size(const std::string& dataset) const {
  const Library guard;
  std::size_t count = 0;
  impl_->open_dataset(dataset, count);
  return count;
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name,
                             const std::string& value) {
  const Library guard;
  const Handle type = string_type(std::max<std::size_t>(value.size(), 1));
  impl_->set(object, name, type, type, value.empty() ? "\0" : value.data());
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name,
                             const char* value) {
  set_attribute(object, name, std::string(value));
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name,
                             std::int64_t value) {
  const Library guard;
  impl_->set(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

void Hdf5File::set_attribute(const std::string& object, const std::string& name, double value) {
  const Library guard;
  impl_->set(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

bool Hdf5File::has_attribute(const std::string& object, const std::string& name) const {
  const Library guard;
  return H5Aexists(impl_->object(object), name.c_str()) > 0;
}

std::string Hdf5File::string_attribute(const std::string& object, const std::string& name) const {
  const Library guard;
  const Handle id = impl_->attribute(object, name);
  const Handle type(H5Aget_type(id));
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) > 0)
    throw InputError(impl_->name + ": attribute '" + name + "' is not a string of fixed length");
  std::string value(H5Tget_size(type), '\0');
  impl_->check(H5Aread(id, type, value.data()) >= 0, "cannot read attribute '" + name + "'");
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

std::int64_t Hdf5File::int_attribute(const std::string& object, const std::string& name) const {
  const Library guard;
  std::int64_t value = 0;
  impl_->get(object, name, H5T_NATIVE_INT64, &value);
  return value;
}

double Hdf5File::double_attribute(const std::string& object, const std::string& name) const {
  const Library guard;
  double value = 0.0;
  impl_->get(object, name, H5T_NATIVE_DOUBLE, &value);
  return value;
}

template <typename T>
void Hdf5File::write(const std::string& dataset, const std::vector<T>& data,
                     const Hdf5Storage& storage) {
  const Library guard;
  impl_->write(dataset, stored_type<T>(), native_type<T>(), data.data(), data.size(), storage,
               true);
}

template <typename T>
std::vector<T> Hdf5File::read(const std::string& dataset) const {
  const Library guard;
  std::size_t count = 0;
  const Handle id = impl_->open_dataset(dataset, count);
  const Handle type(H5Dget_type(id));
  const H5T_class_t kind = H5Tget_class(type);
  if (kind != H5T_INTEGER && kind != H5T_FLOAT)
    throw InputError(impl_->name + ": dataset " + absolute(dataset) + " does not hold numbers");
  std::vector<T> data(count);
  if (count > 0)
    impl_->check(H5Dread(id, native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, data.data()) >= 0,
                 "cannot read dataset " + absolute(dataset) + "; the file may be damaged");
  return data;
}

void Hdf5File::write_strings(const std::string& dataset, const std::vector<std::string>& data) {
  const Library guard;
  const Handle type = string_type(H5T_VARIABLE);
  std::vector<const char*> pointers;
  pointers.reserve(data.size());
  for (const std::string& text : data) pointers.push_back(text.c_str());
  impl_->write(dataset, type, type, pointers.data(), data.size(), {}, false);
}

void Hdf5File::write_fixed_strings(const std::string& dataset, const std::vector<std::string>& data,
                                   const Hdf5Storage& storage) {
  const Library guard;
  std::size_t width = 1;
  for (const std::string& text : data) width = std::max(width, text.size());
  std::vector<char> flat(width * data.size(), '\0');
  for (std::size_t i = 0; i < data.size(); ++i)
    std::copy(data[i].begin(), data[i].end(),
              flat.begin() + static_cast<std::ptrdiff_t>(i * width));
  const Handle type = string_type(width);
  impl_->write(dataset, type, type, flat.data(), data.size(), storage, true);
}

std::vector<std::string> Hdf5File::read_strings(const std::string& dataset) const {
  const Library guard;
  std::size_t count = 0;
  const Handle id = impl_->open_dataset(dataset, count);
  const Handle type(H5Dget_type(id));
  if (H5Tget_class(type) != H5T_STRING)
    throw InputError(impl_->name + ": dataset " + absolute(dataset) + " does not hold strings");
  std::vector<std::string> data(count);
  if (count == 0) return data;
  const std::string failure = "cannot read dataset " + absolute(dataset);
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> pointers(count, nullptr);
    impl_->check(H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) >= 0, failure);
    for (std::size_t i = 0; i < count; ++i)
      if (pointers[i] != nullptr) data[i] = pointers[i];
    const Handle space(H5Dget_space(id));
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
    return data;
  }
  const std::size_t width = H5Tget_size(type);
  std::vector<char> flat(width * count);
  impl_->check(H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, flat.data()) >= 0, failure);
  for (std::size_t i = 0; i < count; ++i) {
    const char* begin = flat.data() + i * width;
    data[i].assign(begin, std::find(begin, begin + width, '\0'));
  }
  return data;
}

#define FORETOKEN_HDF5_ELEMENT(T)                                                                  \
  template void Hdf5File::write<T>(const std::string&, const std::vector<T>&, const Hdf5Storage&); \
  template std::vector<T> Hdf5File::read<T>(const std::string&) const;
FORETOKEN_HDF5_ELEMENT(float)
FORETOKEN_HDF5_ELEMENT(double)
FORETOKEN_HDF5_ELEMENT(std::int32_t)
FORETOKEN_HDF5_ELEMENT(std::int64_t)
FORETOKEN_HDF5_ELEMENT(std::uint8_t)
#undef FORETOKEN_HDF5_ELEMENT

}  // namespace foretoken::scenarios::loader
