;; SPDX-License-Identifier: Apache-2.0
;; Reads beyond its memory: at its end, and as far away as an address reaches.
(module
  (memory (export "memory") 1)
  (func $reads_outside (param i32) (result i32)
    (i32.load offset=4294967280 (local.get 0)))
  (func (export "_start")
    (drop (call $reads_outside (i32.const -1)))))
