#include <curl/curl.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "node-agent/probe/probe_kinds.h"

namespace ember::agent {
namespace {

struct CurlCloser {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

// The status line is all we want: taking nothing ends the transfer at the first byte of the body.
size_t TakeNothing(char*, size_t, size_t, void*) { return 0; }

}  // namespace

absl::Status ProbeHttp(const std::string& url, absl::Duration timeout) {
  if (!absl::StartsWithIgnoreCase(url, "http://") && !absl::StartsWithIgnoreCase(url, "https://")) {
    return absl::InvalidArgumentError(absl::StrCat("http ", url, ": not an http or https URL"));
  }
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, CurlCloser> curl(initialized == CURLE_OK ? curl_easy_init()
                                                                       : nullptr);
  if (curl == nullptr) return absl::InternalError("http: libcurl does not initialize");
  char text[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(timeout)));
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "ember-agent");
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &TakeNothing);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, text);
  const CURLcode result = curl_easy_perform(curl.get());
  if (result == CURLE_URL_MALFORMAT) {
    return absl::InvalidArgumentError(absl::StrCat("http ", url, ": not a well-formed URL"));
  }
  long code = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &code);
  if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && code != 0)) {
    return absl::UnavailableError(
        absl::StrCat("http ", url, ": ", text[0] != '\0' ? text : curl_easy_strerror(result)));
  }
  if (code >= 200 && code < 400) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("http ", url, ": answered ", code));
}

}  // namespace ember::agent
