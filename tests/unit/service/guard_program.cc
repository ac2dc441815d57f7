// `guard STATE_DIRECTORY`, as in ember-agent.
#include <cstring>

#include "node-agent/service/service.h"

int main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "guard") != 0) return 2;
  return ember::agent::RunGuard(argv[2]);
}
