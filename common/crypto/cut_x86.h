// The kernels of cut_prf.h in x86 instructions.
#ifndef EMBER_COMMON_CRYPTO_CUT_X86_H_
#define EMBER_COMMON_CRYPTO_CUT_X86_H_

#include "common/crypto/cut_prf.h"

namespace ember {

#if defined(__x86_64__)
// AES-NI and PCLMULQDQ: Cpu::aes.
const CutKernel& AesNiCutKernel();
// The same on 256 bits: Cpu::vaes.
const CutKernel& VaesCutKernel();
// On 512 bits: Cpu::vaes512.
const CutKernel& Vaes512CutKernel();
#endif

}  // namespace ember

#endif  // EMBER_COMMON_CRYPTO_CUT_X86_H_
