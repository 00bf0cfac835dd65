;; SPDX-License-Identifier: Apache-2.0
;; Never comes out of its start function: it is being instantiated for ever.
(module
  (memory (export "memory") 1)
  (func $start (loop $again (br $again)))
  (start $start)
  (func (export "_start")))
