;; SPDX-License-Identifier: Apache-2.0
;; Imports what nobody has.
(module
  (import "env" "no_such_function" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
