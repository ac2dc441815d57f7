// What a piece of frame_fuzz's input is.
#ifndef EMBER_TESTS_FUZZ_FRAME_KINDS_H_
#define EMBER_TESTS_FUZZ_FRAME_KINDS_H_

namespace ember::fuzz {

// kRawFile is a whole file of a backup; of all others a piece is the body.
enum FrameKind : unsigned char {
  kBackupFile,
  kTrashedFile,
  kTombstoneFile,
  kHeaderFile,
  kHeadFile,
  kRawFile,
  kFrameKinds,
};

}  // namespace ember::fuzz

#endif  // EMBER_TESTS_FUZZ_FRAME_KINDS_H_
