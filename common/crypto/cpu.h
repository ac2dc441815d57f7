// What the processor can do beyond baseline x86-64; all false elsewhere.
#ifndef EMBER_COMMON_CRYPTO_CPU_H_
#define EMBER_COMMON_CRYPTO_CPU_H_

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace ember {

struct Cpu {
  bool aes = false;      // AES-NI, PCLMULQDQ, SSE4.1
  bool vaes = false;     // VAES and VPCLMULQDQ on 256 bits, AVX2 switched on by the system
  bool vaes512 = false;  // the same on 512 bits, AVX-512 Foundation switched on by the system
  bool sha = false;      // SHA-NI, SSSE3, SSE4.1
  bool avx512 = false;   // AVX-512 Foundation and byte words, switched on by the system
};

inline Cpu DetectCpu() {
  Cpu cpu;
#if defined(__x86_64__)
  // Not __builtin_cpu_supports alone: not every compiler knows "vaes" and "sha" there.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return cpu;
  const bool sse41 = (ecx & bit_SSE4_1) != 0 && (ecx & bit_SSSE3) != 0;
  cpu.aes = sse41 && (ecx & bit_AES) != 0 && (ecx & bit_PCLMUL) != 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return cpu;
  cpu.sha = sse41 && (ebx & 1u << 29) != 0;
  const bool wide = (ecx & 1u << 9) != 0 && (ecx & 1u << 10) != 0;
  cpu.vaes = cpu.aes && wide && __builtin_cpu_supports("avx2");
  cpu.vaes512 = cpu.vaes && __builtin_cpu_supports("avx512f");
  cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
#endif
  return cpu;
}

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_CPU_H_
