#include "controller/notify/channel.h"

#include <curl/curl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/limits.h"
#include "common/rpc/convert.h"
#include "nlohmann/json.hpp"

namespace ember::controller {
namespace {

struct CurlCloser {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct ListCloser {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

size_t Discard(char*, size_t size, size_t count, void*) { return size * count; }

int AbortWhenStopped(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const absl::Notification*>(stop)->HasBeenNotified() ? 1 : 0;
}

absl::Status Post(const std::string& url, const std::vector<std::string>& headers,
                  const std::string& body, const absl::Notification& stop) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, CurlCloser> curl(initialized == CURLE_OK ? curl_easy_init()
                                                                       : nullptr);
  if (curl == nullptr) return absl::InternalError("libcurl does not initialize");
  std::unique_ptr<curl_slist, ListCloser> list;
  for (const std::string& header : headers)
    list.reset(curl_slist_append(list.release(), header.c_str()));
  char text[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, static_cast<long>(kNoticeTimeoutSeconds));
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "ember-controller");
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, list.get());
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &Discard);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, text);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &AbortWhenStopped);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, const_cast<absl::Notification*>(&stop));
  const CURLcode result = curl_easy_perform(curl.get());
  long code = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &code);
  if (result != CURLE_OK) {
    return absl::UnavailableError(
        absl::StrCat(url, ": ", text[0] != '\0' ? text : curl_easy_strerror(result)));
  }
  if (code >= 200 && code < 300) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(url, ": answered ", code));
}

// Names and messages may hold anything; a header is one line of ASCII.
std::string HeaderText(const std::string& text) {
  std::string line;
  for (const char c : text) line.push_back(absl::ascii_isprint(c) ? c : '?');
  return line;
}

absl::Status SendWebhook(const v1::NotifyChannel& channel, const Notice& notice,
                         const absl::Notification& stop) {
  const nlohmann::ordered_json body = {
      {"title", notice.title},
      {"urgent", notice.urgent},
      {"time", absl::FormatTime(absl::RFC3339_full, rpc::FromTimestamp(notice.event.time()),
                                absl::UTCTimeZone())},
      {"type", notice.event.type()},
      {"subject", notice.event.subject()},
      {"workload", notice.workload},
      {"message", notice.event.message()}};
  return Post(channel.url(), {"Content-Type: application/json"},
              body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), stop);
}

absl::Status SendNtfy(const v1::NotifyChannel& channel, const Notice& notice,
                      const absl::Notification& stop) {
  return Post(channel.url(),
              {absl::StrCat("Title: ", HeaderText(notice.title)),
               absl::StrCat("Priority: ", notice.urgent ? "high" : "default")},
              notice.event.message(), stop);
}

constexpr struct {
  const char* kind;
  absl::Status (*send)(const v1::NotifyChannel&, const Notice&, const absl::Notification&);
} kKinds[] = {{"webhook", &SendWebhook}, {"ntfy", &SendNtfy}};

}  // namespace

absl::Status SendNotice(const v1::NotifyChannel& channel, const Notice& notice,
                        const absl::Notification& stop) {
  for (const auto& row : kKinds) {
    if (channel.kind() == row.kind) return row.send(channel, notice, stop);
  }
  return absl::UnimplementedError(absl::StrCat("notices by ", channel.kind()));
}

}  // namespace ember::controller
