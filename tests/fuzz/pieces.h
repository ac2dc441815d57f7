// An input of several pieces, so that one fuzz target can be given things that refer to each other.
#ifndef EMBER_TESTS_FUZZ_PIECES_H_
#define EMBER_TESTS_FUZZ_PIECES_H_

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/vault/little_endian.h"

namespace ember::fuzz {

// `kind` is the target's own.
struct Piece {
  unsigned char kind = 0;
  absl::string_view bytes;
};

inline constexpr size_t kPieceHeaderBytes = 3;

// kind:u8 length:u16 bytes, again and again; the last piece is as long as there are bytes. At most
// `count_max` pieces.
inline std::vector<Piece> PiecesOf(absl::string_view input, size_t count_max) {
  std::vector<Piece> pieces;
  while (input.size() >= kPieceHeaderBytes && pieces.size() < count_max) {
    const auto kind = static_cast<unsigned char>(input[0]);
    const size_t length = vault::GetFixed<uint16_t>(input, 1);
    input.remove_prefix(kPieceHeaderBytes);
    pieces.push_back({kind, input.substr(0, length)});
    input.remove_prefix(std::min(length, input.size()));
  }
  return pieces;
}

// The reverse, for one piece of at most 65535 bytes.
inline std::string EncodePiece(unsigned char kind, absl::string_view bytes) {
  std::string encoded(1, static_cast<char>(kind));
  vault::PutFixed<uint16_t>(encoded, static_cast<uint16_t>(bytes.size()));
  encoded.append(bytes.data(), bytes.size());
  return encoded;
}

}  // namespace ember::fuzz

#endif  // EMBER_TESTS_FUZZ_PIECES_H_
