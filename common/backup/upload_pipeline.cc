#include "common/backup/upload_pipeline.h"

#include <algorithm>
#include <utility>

#include "common/base/limits.h"
#include "common/base/status.h"

namespace ember::backup {
namespace {

constexpr int kQuestionsInFlight = 4;
// Twice as many as there are lanes: those that are done with a short one go on with another.
constexpr size_t kHashedAtOnce = 2 * kSha256LanesMax;
// How soon a cancellation is noticed while waiting.
constexpr absl::Duration kCancelPoll = absl::Milliseconds(50);

}  // namespace

UploadPipeline::UploadPipeline(Options options)
    : options_(std::move(options)),
      id_key_(options_.id_key),
      hashed_at_once_(id_key_.kernel() == nullptr    ? 1
                      : id_key_.kernel()->lanes <= 2 ? id_key_.kernel()->lanes
                                                     : 2 * id_key_.kernel()->lanes),
      domain_empty_(options_.session->domain_empty()),
      known_(std::move(options_.known)),
      uploaded_(std::make_unique<IdSet>(options_.scratch_directory)) {
  for (int i = 0; i < std::max(1, options_.threads); ++i) threads_.emplace_back([this] { Work(); });
  // While the answer to one question is on its way the next is asked.
  for (int i = 0; i < kQuestionsInFlight; ++i) threads_.emplace_back([this] { Ask(); });
  threads_.emplace_back([this] { Upload(); });
}

UploadPipeline::~UploadPipeline() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    Fail(absl::CancelledError("the backup was given up"));
  }
  for (std::thread& thread : threads_) thread.join();
}

void UploadPipeline::Fail(const absl::Status& status) {
  if (status_.ok()) status_ = status;
  work_cv_.SignalAll();
  ask_cv_.SignalAll();
  upload_cv_.SignalAll();
  progress_cv_.SignalAll();
}

absl::Status UploadPipeline::Await(const std::function<bool()>& done) {
  while (status_.ok()) {
    if (options_.cancelled != nullptr && options_.cancelled->load()) {
      Fail(absl::CancelledError("the backup was cancelled"));
      break;
    }
    if (done()) return absl::OkStatus();
    progress_cv_.WaitWithTimeout(&mu_, kCancelPoll);
  }
  return status_;
}

absl::Status UploadPipeline::Admit(Item* item) {
  item->charge = std::max(item->plaintext.size(), kInFlightItemBytesMin);
  EMBER_RETURN_IF_ERROR(Await([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return in_flight_bytes_ + item->charge <= kInFlightBytes;
  }));
  in_flight_bytes_ += item->charge;
  ++in_flight_;
  return absl::OkStatus();
}

absl::Status UploadPipeline::Submit(RecordType::Value type, std::string plaintext,
                                    std::function<void(const RecordId&)> resolved) {
  auto item = std::make_unique<Item>();
  item->type = type;
  item->plaintext = std::move(plaintext);
  item->resolved = std::move(resolved);
  absl::MutexLock lock(&mu_);
  EMBER_RETURN_IF_ERROR(Admit(item.get()));
  to_identify_.push_back(std::move(item));
  work_cv_.Signal();
  return absl::OkStatus();
}

absl::StatusOr<RecordId> UploadPipeline::SubmitForId(RecordType::Value type,
                                                     std::string plaintext) {
  auto item = std::make_unique<Item>();
  item->type = type;
  item->plaintext = std::move(plaintext);
  item->id = MakeRecordId(id_key_, type, item->plaintext);
  const RecordId id = item->id;
  absl::MutexLock lock(&mu_);
  EMBER_RETURN_IF_ERROR(Admit(item.get()));
  Route(std::move(item));
  return id;
}

absl::Status UploadPipeline::WaitUntil(const std::function<bool()>& done) {
  absl::MutexLock lock(&mu_);
  return Await(done);
}

absl::Status UploadPipeline::Drain() {
  absl::MutexLock lock(&mu_);
  return Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return in_flight_ == 0; });
}

absl::Status UploadPipeline::status() {
  absl::MutexLock lock(&mu_);
  return Await([] { return true; });
}

std::unique_ptr<IdSet> UploadPipeline::TakeUploaded() {
  absl::MutexLock lock(&mu_);
  return std::move(uploaded_);
}

void UploadPipeline::Release(const Item& item) {
  in_flight_bytes_ -= item.charge;
  --in_flight_;
  progress_cv_.Signal();
}

bool UploadPipeline::MustAsk(const RecordId& id) const {
  if (known_.forgot()) return true;  // it may have been sent by now
  const IdFilter* const earlier = options_.session->known();
  return !domain_empty_ && (earlier == nullptr || earlier->MayContain(BytesOf(id)));
}

// Knows the id: decides what is next.
void UploadPipeline::Route(ItemPtr item) {
  if (!known_.Insert(PrefixOf(item->id))) {
    Release(*item);
  } else if (MustAsk(item->id)) {
    to_ask_.push_back(std::move(item));
    ask_cv_.Signal();
  } else {
    to_seal_.push_back(std::move(item));
    work_cv_.Signal();
  }
}

UploadPipeline::ItemPtr UploadPipeline::Take(Queue* queue) {
  if (!status_.ok() || queue->empty()) return nullptr;
  ItemPtr item = std::move(queue->front());
  queue->pop_front();
  return item;
}

// Several at once are hashed faster than one after the other.
void UploadPipeline::Identify() {
  ItemPtr items[kHashedAtOnce];
  HmacMessage messages[kHashedAtOnce];
  size_t count = 0;
  for (; count < hashed_at_once_ && !to_identify_.empty(); ++count) {
    items[count] = Take(&to_identify_);
    messages[count] = {static_cast<unsigned char>(items[count]->type), items[count]->plaintext};
  }
  mu_.Unlock();
  RecordId ids[kHashedAtOnce];
  HmacSha256Batch(id_key_, absl::MakeConstSpan(messages, count), absl::MakeSpan(ids, count));
  mu_.Lock();
  for (size_t i = 0; i < count; ++i) {
    items[i]->id = ids[i];
    // Under the lock, so that WaitUntil cannot miss it.
    if (items[i]->resolved) std::exchange(items[i]->resolved, nullptr)(ids[i]);
    progress_cv_.Signal();
    Route(std::move(items[i]));
  }
}

void UploadPipeline::Work() {
  mu_.Lock();
  while (true) {
    while (status_.ok() && to_seal_.empty() && to_identify_.empty()) work_cv_.Wait(&mu_);
    if (!status_.ok()) break;
    // What is further on first: that frees memory.
    if (ItemPtr item = Take(&to_seal_)) {
      mu_.Unlock();
      item->nonce = NextNonce();
      item->payload = SealRecord(options_.domain_id, options_.session_key, item->nonce, item->id,
                                 item->type, item->plaintext);
      item->plaintext = std::string();
      mu_.Lock();
      to_upload_.push_back(std::move(item));
      upload_cv_.Signal();
    } else {
      Identify();
    }
  }
  mu_.Unlock();
}

// Asks about whatever waits: small batches while idle, larger ones under load.
void UploadPipeline::Ask() {
  mu_.Lock();
  while (true) {
    while (status_.ok() && to_ask_.empty()) ask_cv_.Wait(&mu_);
    if (!status_.ok()) break;
    Queue batch;
    std::vector<std::string> ids;
    while (batch.size() < kHaveBatchMax) {
      ItemPtr item = Take(&to_ask_);
      if (item == nullptr) break;
      ids.emplace_back(BytesOf(item->id));
      batch.push_back(std::move(item));
    }
    mu_.Unlock();
    const absl::StatusOr<std::vector<bool>> absent = options_.session->Absent(ids);
    mu_.Lock();
    if (!absent.ok()) {
      Fail(Annotate(absent.status(), "asking the vault what it has"));
    } else if (absent->size() != batch.size()) {
      Fail(absl::InternalError("the vault answered about another number of records"));
    } else {
      for (size_t i = 0; i < batch.size(); ++i) {
        if ((*absent)[i]) {
          to_seal_.push_back(std::move(batch[i]));
        } else {
          Release(*batch[i]);
        }
      }
      work_cv_.SignalAll();
    }
  }
  mu_.Unlock();
}

void UploadPipeline::Pace(int64_t bytes) {
  if (!options_.pace) return;
  const absl::Duration until = options_.clock->Monotonic() + options_.pace(bytes);
  while (status_.ok()) {
    const absl::Duration left = until - options_.clock->Monotonic();
    if (left <= absl::ZeroDuration()) return;
    upload_cv_.WaitWithTimeout(&mu_, std::min(left, absl::Milliseconds(kPacePollMillis)));
  }
}

void UploadPipeline::Upload() {
  mu_.Lock();
  while (true) {
    while (status_.ok() && to_upload_.empty()) upload_cv_.Wait(&mu_);
    ItemPtr item = Take(&to_upload_);
    if (item == nullptr) break;
    Pace(static_cast<int64_t>(item->payload.size()));
    mu_.Unlock();
    v1::Record record;
    record.set_id(item->id.data(), item->id.size());
    record.set_type(item->type);
    record.set_nonce(item->nonce);
    const int64_t size = static_cast<int64_t>(item->payload.size());
    record.set_payload(std::move(item->payload));
    const absl::Status sent = options_.session->Upload(std::move(record));
    mu_.Lock();
    absl::Status status = Annotate(sent, "sending to the vault");
    if (status.ok()) status = Annotate(uploaded_->Add(item->id), "remembering what was sent");
    if (status.ok()) {
      bytes_sent_ += size;
      Release(*item);
    } else {
      Fail(status);
    }
  }
  mu_.Unlock();
}

}  // namespace ember::backup
