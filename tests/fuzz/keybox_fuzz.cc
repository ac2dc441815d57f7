// Any bytes as a keybox, as a recovery kit, as the boxes of a domain and as the secrets in one.
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/backup/domain_keys.h"
#include "common/backup/record_opener.h"
#include "common/crypto/keybox.h"
#include "common/vault/domain_boxes.h"
#include "common/vault/framed.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/memory_store.h"

namespace ember::fuzz {
namespace {

using format::v1::DomainBoxes;
using format::v1::DomainSecrets;

constexpr char kDomain[] = "node-host1";
constexpr char kObject[] = "keys/node-host1";
constexpr int kBoxesOpened = 4;  // an agreement costs more than all else here

// The key of make_corpus.cc.
const X25519KeyPair& Recipient() {
  static const X25519KeyPair pair = [] {
    const std::string key(32, 'r');
    return X25519KeyPair{.public_key = X25519PublicKey(key).value(), .private_key = key};
  }();
  return pair;
}

void LookAtBox(absl::string_view box) {
  const auto secret = OpenWithPrivateKey(Recipient().private_key, kDomain, box);
  Require(secret.ok() || absl::IsDataLoss(secret.status()));
  if (!secret.ok()) return;
  const auto again = SealToPublicKey(Recipient().public_key, kDomain, *secret);
  Require(again.ok() && again->size() == box.size());
  Require(!OpenWithPrivateKey(Recipient().private_key, "another", box).ok());
}

void LookAtKit(absl::string_view text) {
  const auto kit = ParseRecoveryKit(text);
  Require(kit.ok() || absl::IsInvalidArgument(kit.status()));
  if (!kit.ok()) return;
  Require(kit->private_key.size() == 32);
  const auto again = ParseRecoveryKit(absl::StrCat("estate: ", kit->estate_id, "\nrecovery-key: ",
                                                   absl::BytesToHexString(kit->private_key), "\n"));
  Require(again.ok() && again->private_key == kit->private_key &&
          again->estate_id == kit->estate_id);
}

// Secrets of any form open sessions, or nothing.
void UseSecrets(DomainSecrets secrets) {
  v1::Keybox box;
  box.set_session_id(std::string(16, 's'));
  box.set_sealed(
      SealToPublicKey(Recipient().public_key, box.session_id(), std::string(32, 'k')).value());
  const auto public_key = X25519PublicKey(secrets.private_key());
  const bool fits = public_key.ok() && *public_key == Recipient().public_key;
  const auto keys = backup::KeysOfDomain(std::move(secrets))(kDomain, {box});
  Require(keys.ok() && keys->session_keys.size() == (fits ? 1 : 0));
  const backup::RecordOpener opener(kDomain, *keys);
  v1::Record record;
  record.set_session_id(box.session_id());
  Require(!opener.Open(record).ok());
}

void LookAtSecrets(absl::string_view secrets) {
  DomainBoxes boxes;
  boxes.set_domain_id(kDomain);
  boxes.add_boxes(SealToPublicKey(Recipient().public_key, kDomain, secrets).value());
  const auto secret = OpenWithPrivateKey(Recipient().private_key, kDomain, boxes.boxes(0));
  Require(secret.ok() && *secret == secrets);
  const auto opened = backup::OpenDomain({.private_key = Recipient().private_key}, boxes);
  if (opened.ok()) UseSecrets(*opened);
}

// What is added to boxes that can be read leaves those where they are.
void CheckAdding(testing::MemoryStore& store, const DomainBoxes& before) {
  if (!vault::PutDomainBoxes(store, kDomain, "home", {"another box"}).ok()) return;
  const auto after = vault::ReadDomainBoxes(store, kDomain);
  Require(after.ok() && after->boxes_size() >= before.boxes_size());
  for (int i = 0; i < before.boxes_size(); ++i) Require(after->boxes(i) == before.boxes(i));
  Require(before.estate_id().empty() || after->estate_id() == before.estate_id());
}

void LookAtBoxes(absl::string_view file) {
  testing::MemoryStore store;
  Require(vault::PutObject(store, kObject, file).ok());
  auto boxes = vault::ReadDomainBoxes(store, kDomain);
  if (!boxes.ok()) return;
  Require(boxes->domain_id() == kDomain);
  CheckAdding(store, *boxes);
  if (boxes->boxes_size() > kBoxesOpened) {
    boxes->mutable_boxes()->DeleteSubrange(kBoxesOpened, boxes->boxes_size() - kBoxesOpened);
  }
  const auto opened = backup::OpenDomain({.private_key = Recipient().private_key}, *boxes);
  if (opened.ok()) UseSecrets(*opened);
}

}  // namespace

void FuzzOne(absl::string_view bytes) {
  LookAtBox(bytes);
  LookAtKit(bytes);
  LookAtSecrets(bytes);
  LookAtBoxes(bytes);
  LookAtBoxes(vault::Frame(vault::kKeysMagic, bytes));
}

}  // namespace ember::fuzz
