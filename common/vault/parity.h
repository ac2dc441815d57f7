// Reed-Solomon parity over the bytes of a pack (docs/formats.md, pack): a stripe is data slices
// that follow each other, then as many parity slices as may be lost. The code is a Cauchy matrix
// over GF(2^8), so that any lost slices up to that number can be computed again (Bloemer et al.,
// "An XOR-Based Erasure-Resilient Coding Scheme", ICSI TR-95-048); ISA-L does the arithmetic.
#ifndef EMBER_COMMON_VAULT_PARITY_H_
#define EMBER_COMMON_VAULT_PARITY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ember/format/v1/format.pb.h"

namespace ember::vault {

// Computes parity while the bytes pass by. Holds one stripe, and the parity so far (5 % of the
// bytes). Not thread-safe.
class ParityBuilder {
 public:
  ParityBuilder();
  void Add(absl::string_view bytes);
  struct Result {
    format::v1::PackParity table;
    std::string slices;  // parity only, stripe by stripe
  };
  Result Finish();  // once

 private:
  void EncodeStripe();

  std::string stripe_;
  Result result_;
};

// How many bytes of parity follow `table.offset`. DATA_LOSS when the table contradicts itself.
absl::StatusOr<uint64_t> ParityBytes(const format::v1::PackParity& table);

// Computes again whatever of `data` (table.offset bytes) and `parity` (ParityBytes) does not match
// its checksum. Returns how many slices that were. DATA_LOSS when a stripe has lost more slices
// than it has parity; both may be changed by then.
absl::StatusOr<int> RepairSlices(const format::v1::PackParity& table, std::string& data,
                                 std::string& parity);

}  // namespace ember::vault

#endif  // EMBER_COMMON_VAULT_PARITY_H_
