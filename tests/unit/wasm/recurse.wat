;; SPDX-License-Identifier: Apache-2.0
;; Calls itself until the stack is out.
(module
  (memory (export "memory") 1)
  (func $deeper (result i32)
    (i32.add (call $deeper) (i32.const 1)))
  (func (export "_start")
    (drop (call $deeper))))
