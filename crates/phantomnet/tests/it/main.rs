//! The program from outside, and what holds its parts together.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod layering;
mod learners;
mod models;
mod presets;
mod program;
mod reference;
mod runs;
mod train;
mod wrong_input;
