;; SPDX-License-Identifier: Apache-2.0
;; Fills 64 MiB of memory again and again: bulk operations, in which nothing yields.
(module
  (memory (export "memory") 1024)
  (func (export "_start")
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 67108864))
      (br $again))))
