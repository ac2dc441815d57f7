#include "common/vault/parity.h"

#include <isa-l/erasure_code.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/crc32c.h"
#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::vault {
namespace {

using format::v1::PackParity;

constexpr size_t kSymbolTableBytes = 32;  // of ISA-L, per coefficient

// The shape of one stripe.
struct Stripe {
  size_t data_slices = 0;
  size_t parity_slices = 0;
  size_t slice_bytes = 0;
};

// Slices shorter than a sector would make one lost sector lose many of them; slices longer than the
// bytes would only store zeroes.
Stripe StripeOf(const PackParity& table, uint64_t bytes) {
  const uint64_t even = (bytes + table.data_slices() - 1) / table.data_slices();
  const uint64_t slice = std::min(
      {uint64_t{table.slice_bytes()}, bytes, std::max<uint64_t>(even, kParitySliceBytesMin)});
  return {.data_slices = (bytes + slice - 1) / slice,
          .parity_slices = table.parity_slices(),
          .slice_bytes = slice};
}

// The generator: k rows of the unit matrix, then the Cauchy rows.
std::vector<uint8_t> Generator(const Stripe& stripe) {
  const size_t rows = stripe.data_slices + stripe.parity_slices;
  std::vector<uint8_t> matrix(rows * stripe.data_slices);
  gf_gen_cauchy1_matrix(matrix.data(), static_cast<int>(rows),
                        static_cast<int>(stripe.data_slices));
  return matrix;
}

uint8_t* Bytes(std::string& text) { return reinterpret_cast<uint8_t*>(text.data()); }

// `to` = `coefficients` (one row of from.size() per `to`) times `from`.
void Multiply(std::vector<uint8_t> coefficients, size_t slice_bytes, std::vector<uint8_t*> from,
              std::vector<uint8_t*> to) {
  std::vector<uint8_t> tables(kSymbolTableBytes * from.size() * to.size());
  ec_init_tables(static_cast<int>(from.size()), static_cast<int>(to.size()), coefficients.data(),
                 tables.data());
  ec_encode_data(static_cast<int>(slice_bytes), static_cast<int>(from.size()),
                 static_cast<int>(to.size()), tables.data(), from.data(), to.data());
}

// The slices of a stripe, one after another: data (padded with zeroes), then parity.
class Slices {
 public:
  Slices(const Stripe& shape, std::string data, absl::string_view parity)
      : shape_(shape), bytes_(std::move(data)) {
    bytes_.resize(shape.data_slices * shape.slice_bytes);
    bytes_.append(parity.data(), parity.size());
    bytes_.resize(count() * shape.slice_bytes);
  }

  size_t count() const { return shape_.data_slices + shape_.parity_slices; }
  uint8_t* at(size_t i) { return Bytes(bytes_) + i * shape_.slice_bytes; }
  uint32_t Crc(size_t i) const { return Crc32c(view(i, 1)); }
  absl::string_view data() const { return view(0, shape_.data_slices); }
  absl::string_view parity() const { return view(shape_.data_slices, shape_.parity_slices); }
  std::string TakeBuffer() && { return std::move(bytes_); }

  void ComputeParity() {
    const std::vector<uint8_t> matrix = Generator(shape_);
    std::vector<uint8_t*> from;
    std::vector<uint8_t*> to;
    for (size_t i = 0; i < count(); ++i) (i < shape_.data_slices ? from : to).push_back(at(i));
    Multiply({matrix.begin() + static_cast<ptrdiff_t>(shape_.data_slices * shape_.data_slices),
              matrix.end()},
             shape_.slice_bytes, from, to);
  }

  // `lost`, ascending, at most as many as there are parity slices.
  absl::Status ComputeData(const std::vector<size_t>& lost) {
    const size_t k = shape_.data_slices;
    const std::vector<uint8_t> matrix = Generator(shape_);
    std::vector<uint8_t> known;  // the rows of the first k intact slices
    std::vector<uint8_t*> from;
    for (size_t i = 0; i < count() && from.size() < k; ++i) {
      if (std::binary_search(lost.begin(), lost.end(), i)) continue;
      known.insert(known.end(), matrix.begin() + static_cast<ptrdiff_t>(i * k),
                   matrix.begin() + static_cast<ptrdiff_t>((i + 1) * k));
      from.push_back(at(i));
    }
    std::vector<uint8_t> inverse(k * k);
    if (gf_invert_matrix(known.data(), inverse.data(), static_cast<int>(k)) != 0)
      return absl::InternalError("the parity's matrix has no inverse");
    std::vector<uint8_t> rows;
    std::vector<uint8_t*> to;
    for (const size_t i : lost) {
      if (i >= k) continue;
      rows.insert(rows.end(), inverse.begin() + static_cast<ptrdiff_t>(i * k),
                  inverse.begin() + static_cast<ptrdiff_t>((i + 1) * k));
      to.push_back(at(i));
    }
    if (!to.empty()) Multiply(rows, shape_.slice_bytes, from, to);
    return absl::OkStatus();
  }

 private:
  absl::string_view view(size_t first, size_t n) const {
    return absl::string_view(bytes_).substr(first * shape_.slice_bytes, n * shape_.slice_bytes);
  }

  const Stripe shape_;
  std::string bytes_;
};

uint64_t FullStripeBytes(const PackParity& table) {
  return uint64_t{table.data_slices()} * table.slice_bytes();
}

}  // namespace

ParityBuilder::ParityBuilder() {
  result_.table.set_data_slices(kParityDataSlices);
  result_.table.set_parity_slices(kParitySlices);
  result_.table.set_slice_bytes(kParitySliceBytes);
}

void ParityBuilder::Add(absl::string_view bytes) {
  result_.table.set_offset(result_.table.offset() + bytes.size());
  const size_t full = FullStripeBytes(result_.table);
  while (!bytes.empty()) {
    const size_t take = std::min(bytes.size(), full - stripe_.size());
    absl::StrAppend(&stripe_, bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (stripe_.size() == full) EncodeStripe();
  }
}

void ParityBuilder::EncodeStripe() {
  const Stripe shape = StripeOf(result_.table, stripe_.size());
  Slices slices(shape, std::move(stripe_), "");
  slices.ComputeParity();
  for (size_t i = 0; i < slices.count(); ++i) result_.table.add_slice_crc32c(slices.Crc(i));
  absl::StrAppend(&result_.slices, slices.parity());
  stripe_ = std::move(slices).TakeBuffer();
  stripe_.clear();
}

ParityBuilder::Result ParityBuilder::Finish() {
  if (!stripe_.empty()) EncodeStripe();
  return std::move(result_);
}

absl::StatusOr<uint64_t> ParityBytes(const PackParity& table) {
  const uint64_t slices = uint64_t{table.data_slices()} + table.parity_slices();
  if (table.data_slices() == 0 || table.parity_slices() == 0 || slices > kParitySlicesTotalMax ||
      table.slice_bytes() < kParitySliceBytesMin || table.slice_bytes() > kParitySliceBytesMax ||
      table.offset() == 0 || table.offset() > kPackBytesMax) {
    return absl::DataLossError("the parity's table is out of bounds");
  }
  uint64_t bytes = 0;
  uint64_t checksums = 0;
  for (uint64_t at = 0; at < table.offset(); at += FullStripeBytes(table)) {
    const Stripe shape = StripeOf(table, std::min(FullStripeBytes(table), table.offset() - at));
    bytes += shape.parity_slices * shape.slice_bytes;
    checksums += shape.data_slices + shape.parity_slices;
  }
  // Whoever repairs makes room for all of it.
  if (bytes > kPackBytesMax) return absl::DataLossError("the parity is larger than a pack can be");
  if (checksums != static_cast<uint64_t>(table.slice_crc32c_size()))
    return absl::DataLossError("the parity's table has the wrong number of checksums");
  return bytes;
}

absl::StatusOr<int> RepairSlices(const PackParity& table, std::string& data, std::string& parity) {
  EMBER_ASSIGN_OR_RETURN(const uint64_t parity_bytes, ParityBytes(table));
  if (data.size() != table.offset() || parity.size() != parity_bytes)
    return absl::InvalidArgumentError("data and parity do not have the sizes of the table");
  int repaired = 0;
  int checksum = 0;
  size_t parity_at = 0;
  for (size_t at = 0; at < data.size(); at += FullStripeBytes(table)) {
    const size_t bytes = std::min<size_t>(FullStripeBytes(table), data.size() - at);
    const Stripe shape = StripeOf(table, bytes);
    const size_t own_parity = shape.parity_slices * shape.slice_bytes;
    Slices slices(shape, data.substr(at, bytes),
                  absl::string_view(parity).substr(parity_at, own_parity));
    std::vector<size_t> lost;
    for (size_t i = 0; i < slices.count(); ++i) {
      if (slices.Crc(i) != table.slice_crc32c(checksum++)) lost.push_back(i);
    }
    if (lost.size() > shape.parity_slices) {
      return absl::DataLossError(absl::StrCat(lost.size(), " slices of the stripe at ", at,
                                              " are damaged; parity makes up for ",
                                              shape.parity_slices));
    }
    if (!lost.empty()) {
      EMBER_RETURN_IF_ERROR(slices.ComputeData(lost));
      slices.ComputeParity();
      data.replace(at, bytes, slices.data().data(), bytes);
      parity.replace(parity_at, own_parity, slices.parity().data(), own_parity);
      repaired += static_cast<int>(lost.size());
    }
    parity_at += own_parity;
  }
  return repaired;
}

}  // namespace ember::vault
