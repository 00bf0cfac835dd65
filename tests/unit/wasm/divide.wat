;; SPDX-License-Identifier: Apache-2.0
;; Traps in a function of a name.
(module
  (memory (export "memory") 1)
  (func $divide_by_nothing (param i32) (result i32)
    (i32.div_s (i32.const 1) (local.get 0)))
  (func (export "_start")
    (drop (call $divide_by_nothing (i32.const 0)))))
