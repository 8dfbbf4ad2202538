//! Integration tests of learning and judging, in one binary.

#![expect(clippy::unwrap_used, reason = "clippy takes the functions that tests share for no tests")]

mod folds;
mod learner_contract;
mod metrics_parity;
