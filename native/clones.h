// Loops that are compiled for several instruction sets.
#ifndef MILLSTREAM_NATIVE_CLONES_H_
#define MILLSTREAM_NATIVE_CLONES_H_

// Compiled several times; the version that suits the processor is chosen when the library is loaded. What such a
// function calls must be inlined (MILLSTREAM_INLINE) to be compiled with it.
#define MILLSTREAM_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4"), noinline))
#define MILLSTREAM_INLINE __attribute__((always_inline)) inline

#endif  // MILLSTREAM_NATIVE_CLONES_H_
