/* What the processor can do that runs this, as a level of x86-64: 1 the baseline, 2, 3 and 4 as in the System V
 * ABI for x86-64, 0 on other processors. The operating system must save the wider registers, too: XGETBV tells.
 */
#ifndef TFGRADKIT_PROCESSOR_H
#define TFGRADKIT_PROCESSOR_H

#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>

/* Bits of XCR0: SSE and AVX registers; with the three parts of AVX-512. */
#define PROCESSOR_SAVES_AVX 0x6u
#define PROCESSOR_SAVES_AVX512 0xe6u

static int processor_has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

static uint32_t processor_saved_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int processor_level(void) {
  const uint32_t v2 = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT;
  const uint32_t v3 = bit_AVX | bit_F16C | bit_FMA | bit_MOVBE | bit_OSXSAVE, v3_more = bit_AVX2 | bit_BMI | bit_BMI2;
  const uint32_t v4 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  uint32_t a, b, c, d, e, basic, features = 0, saved;
  if (!__get_cpuid(1, &a, &b, &basic, &d)) return 1;
  if (!__get_cpuid(0x80000001u, &a, &b, &c, &d)) c = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &e, &d)) features = b;
  if (!processor_has(basic, v2) || !processor_has(c, bit_LAHF_LM)) return 1;
  if (!processor_has(basic, v3) || !processor_has(features, v3_more) || !processor_has(c, bit_LZCNT)) return 2;
  saved = processor_saved_state();
  if (!processor_has(saved, PROCESSOR_SAVES_AVX)) return 2;
  return processor_has(features, v4) && processor_has(saved, PROCESSOR_SAVES_AVX512) ? 4 : 3;
}

#else

static int processor_level(void) { return 0; }

#endif
#endif
