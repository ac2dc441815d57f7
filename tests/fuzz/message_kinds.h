// What control_message_fuzz's input is, by its first byte.
#ifndef EMBER_TESTS_FUZZ_MESSAGE_KINDS_H_
#define EMBER_TESTS_FUZZ_MESSAGE_KINDS_H_

namespace ember::fuzz {

enum MessageKind : unsigned char {
  kOpenSessionMessage,
  kHaveMessage,
  kRecordMessage,
  kCommitMessage,  // a CommitRequest of header and ids
  kReadMessage,
  kJoinTokenMessage,  // a JoinToken
  kJoinTokenText,     // what is typed
  kNameText,          // names and ids
  kTimeMessage,       // a Timestamp
  kCsrDer,            // PKCS#10
  kCertificateDer,    // X.509
  kPemText,           // either, as it comes in a message
  kMessageKinds,
};

}  // namespace ember::fuzz

#endif  // EMBER_TESTS_FUZZ_MESSAGE_KINDS_H_
